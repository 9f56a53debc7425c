"""Exit codes of every ``actr`` verb, and the sentence a person sees with each.

====  =====================================================================================
0     it worked
1     it ran, and the result is a failure
2     wrong usage or configuration: the text names the key and what is allowed
3     unreachable: no such actor, no signaling service, or no wire
4     no answer within the deadline
5     the far side answered with an error, or refused the call
6     busy: another process holds the port, the file or the identity
7     over a limit: a message or a file is too long
8     the connection broke, or the far side took an illegal step
130   interrupted with Ctrl-C
====  =====================================================================================
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType

from actr_peer.errors import (
    BrokenError,
    BusyError,
    CallError,
    ClosedError,
    ConfigError,
    DeadlineError,
    LimitError,
    MayHaveRunError,
    PeerError,
    ProtocolError,
    UnreachableError,
)


class Exit(IntEnum):
    """What a process's end says."""

    OK = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    DEADLINE = 4
    REFUSED = 5
    BUSY = 6
    LIMIT = 7
    BROKEN = 8
    INTERRUPTED = 130


_SIGNALING = "signaling at "
_NO_SIGNALING = "start 'actr dev' or 'actr-signaling', or name another with --signaling"
_ADVICE: Mapping[type[PeerError], tuple[Exit, str]] = MappingProxyType(
    {
        ConfigError: (Exit.USAGE, ""),  # it names the key, the value and what is allowed
        UnreachableError: (
            Exit.UNREACHABLE,
            "check that it runs, and the addresses that 'actr config show' tells",
        ),
        DeadlineError: (Exit.DEADLINE, "try again, or give it more time with --timeout"),
        CallError: (Exit.REFUSED, ""),  # the words of the far side
        BusyError: (Exit.BUSY, ""),  # it names what is held and how to get another
        LimitError: (Exit.LIMIT, "send less at once, or send it as a stream"),
        MayHaveRunError: (Exit.BROKEN, ""),  # to try again may be the wrong thing to do
        BrokenError: (Exit.BROKEN, "check that the far side still runs, then try again"),
        ProtocolError: (Exit.BROKEN, "check that both sides run the same version"),
        ClosedError: (Exit.FAILED, "this side was closing; start it again"),
    }
)


def printable(text: str) -> str:
    """``text`` for a terminal: what is not seen, and codes that turn it about, as escapes."""
    return "".join(
        character if character.isprintable() or character == "\n" else ascii(character)[1:-1]
        for character in text
    )


def explain(error: PeerError) -> tuple[Exit, str]:
    """The exit code for ``error``, and one line that says what happened and what to do."""
    if isinstance(error, UnreachableError) and _SIGNALING in (error.remote[:13], error.why[:13]):
        return Exit.UNREACHABLE, f"{error}; {_NO_SIGNALING}"
    for kind in type(error).__mro__:
        if kind in _ADVICE:
            code, advice = _ADVICE[kind]
            return code, f"{error}; {advice}" if advice else str(error)
    return Exit.FAILED, str(error)


@contextmanager
def ending(tell: Callable[[PeerError, str], object]) -> Iterator[None]:
    """A block that is a whole process: an error raised on purpose, alone or in a group, ends it
    with the error's exit code; one that nobody meant comes out as it is.

    Args:
        tell: Told the error, and its line, before.
    """
    try:
        yield
    except (PeerError, BaseExceptionGroup) as exc:
        from actr_peer.tasks import first_cause

        cause = first_cause(exc)
        if not isinstance(cause, PeerError):
            raise
        code, text = explain(cause)
        tell(cause, text)
        sys.exit(code)


class ToldError(Exception):
    """Raised from an error whose JSON document is out already, so that there is no second one."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a verb ends, for a person and for a program."""

    kind: str
    """The error's class."""
    code: Exit
    text: str

    @property
    def document(self) -> dict[str, object]:
        """What ``error`` holds in a document of ``--json``."""
        return {"class": self.kind, "text": self.text, "exit": int(self.code)}


def failure_of(error: BaseException) -> Failure:
    """What is told of ``error``; one that nobody raised on purpose has code 1."""
    if isinstance(error, PeerError):
        return Failure(type(error).__name__, *explain(error))
    if isinstance(error, KeyboardInterrupt):
        return Failure("Interrupted", Exit.INTERRUPTED, "interrupted")
    return Failure(type(error).__name__, Exit.FAILED, str(error))
