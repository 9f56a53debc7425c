"""The verbs of ``actr``, where each lives, and how all of them end."""

from __future__ import annotations

import errno
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, NoReturn

import typer
import typer.core
import typer.main

from actr_peer.cli.exits import Exit, Failure, ToldError, failure_of, printable
from actr_peer.errors import ConfigError, PeerError

# What only some verbs and errors need is imported there: `actr -h` is typed by people, and each
# press of the tab key is an `actr` of its own.

VERBS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "demo": ("actr_peer.cli.demo.command", "Five payload types between two processes."),
        "dev": (
            "actr_peer.cli.verbs.dev.command",
            "Workloads, and all they need, watched.",
        ),
        "new": ("actr_peer.cli.verbs.new.command", "A small project that runs at once."),
        "run": ("actr_peer.cli.verbs.run", "Run a workload as an actor."),
        "call": ("actr_peer.cli.verbs.call", "Call a method: JSON in, JSON out."),
        "describe": (
            "actr_peer.cli.verbs.contract.describe",
            "What an actor serves: methods, messages.",
        ),
        "ls": ("actr_peer.cli.verbs.running.ls", "Who is online, with services and load."),
        "record": ("actr_peer.cli.verbs.media.record", "Record tracks of an actor into a file."),
        "publish": ("actr_peer.cli.verbs.media.publish", "Send a media file's tracks to an actor."),
        "send": ("actr_peer.cli.verbs.files.send", "Send a file or a directory to an actor."),
        "receive": ("actr_peer.cli.verbs.files.receive", "Receive files into a folder."),
        "gateway": (
            "actr_peer.cli.verbs.gateway.command",
            "Actors over HTTP, by the Connect protocol.",
        ),
        "ps": (
            "actr_peer.cli.verbs.running.ps",
            "Actors, wires, lanes and mailbox of a running peer.",
        ),
        "top": (
            "actr_peer.cli.verbs.running.watch.top",
            "Calls, wires and mailboxes of this machine's actors, as they change.",
        ),
        "ping": ("actr_peer.cli.verbs.running.ping", "Round trips to an actor, by each wire."),
        "doctor": (
            "actr_peer.cli.verbs.running.doctor.command",
            "Why there is no path to an actor: each step, and what to do.",
        ),
        "mailbox": ("actr_peer.cli.verbs.mailbox", "List, show, replay and drop stored requests."),
        "access": ("actr_peer.cli.verbs.trust.access", "Who may ask an actor for what, and why."),
        "identity": (
            "actr_peer.cli.verbs.trust.identity",
            "The key that proves who an actor is, and its certificate.",
        ),
        "config": ("actr_peer.cli.verbs.config", "Each configured value and where it came from."),
        "gen": (
            "actr_peer.cli.verbs.contract.gen",
            "Generate typed Python or TypeScript from .proto files.",
        ),
        "proto": (
            "actr_peer.cli.verbs.contract.proto_check",
            "Check a contract against an older one.",
        ),
        "exchange": ("actr_peer.cli.exchange.command", "The peer of the compose system."),
        "health": (
            "actr_peer.cli.verbs.running.health",
            "Whether the peer in this container is healthy.",
        ),
    }
)
"""Name to module and one line of help.

The module holds a Typer called ``app``, or a function of the verb's name where one will do.
"""

_ZSH: Final = """
if [[ "$funcstack[1]" == "_%(prog_name)s" ]]; then %(complete_func)s "$@"; fi
"""
"""The end of what zsh loads at the first tab of a shell: Typer's own only defines there what
completes, so that the first tab does nothing."""
_COMPLETION: Final = ("install_completion", "show_completion")  # Typer's own, on every app
_COMPLETION_FLAGS: Final = tuple(f"--{name.replace('_', '-')}" for name in _COMPLETION)
CONTAINERS: Final = frozenset({"exchange", "health"})
"""Verbs of the containers, which are not shown among a person's."""
PLAIN: Final = None
"""How help is laid out: frames around it take Rich, which is most of the time until it is there."""
_USAGE_ERROR: Final[type[Exception]] = typer.BadParameter.__mro__[1]
"""What Typer raises for a command line that it cannot read; it has no public name."""


_DISK_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        r"^No such command": "no verb",
        r"\. Did you mean '?([^'?]*)'?\?$": r"; did you mean \1?",
        r" \(Possible options: (.*)\)$": r"; did you mean \1?",
        r"^Got unexpected extra arguments?(?:\(s\))? \((.*)\)$": r"too many words: \1",
        r"Value error, ": "",
        r"Input should be a valid integer.*": "write a whole number",
        r"Input should be a valid number.*": "write a number",
        r"Input should be (greater|less) than": r"it must be \1 than",
    }
)
"""How Typer says it, and how it is said here."""


class _Verbs(typer.core.TyperGroup):
    """Loads the module of a verb when the verb is used, and not before."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [name for name, (module, _) in VERBS.items() if find_spec(module)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """What the list of verbs shows; the real command comes with :meth:`resolve_command`."""
        if cmd_name not in self.list_commands(ctx):
            return None
        return typer.core.TyperCommand(
            name=cmd_name, help=VERBS[cmd_name][1], hidden=cmd_name in CONTAINERS
        )

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        known = self.list_commands(ctx)
        if args[0] not in known and not args[0].startswith("-") and not ctx.resilient_parsing:
            from actr_peer.cli.workloads import near

            verbs = [name for name in known if name not in CONTAINERS]
            raise ConfigError(
                f"no verb {printable(args[0])!r}{near(args[0], verbs)} (see 'actr -h')"
            )
        name, _, rest = super().resolve_command(ctx, args)
        assert name is not None
        return name, command_of(name), rest


def command_of(verb: str) -> Any:
    """The command or the group of commands behind a verb, imported now."""
    module = import_module(VERBS[verb][0])
    found = getattr(module, "app", None)
    if not isinstance(found, typer.Typer):
        found = typer.Typer()
        found.command(verb)(getattr(module, verb))
    found.rich_markup_mode = PLAIN
    command = typer.main.get_command(found)
    command.params = [option for option in command.params if option.name not in _COMPLETION]
    return command


app = typer.Typer(
    cls=_Verbs,
    help="Actors over WebRTC.",
    epilog="Exit codes: 0 worked, 1 failed, 2 usage or configuration, 3 unreachable, "
    "4 deadline, 5 refused, 6 busy, 7 over a limit, 8 broken, 130 interrupted.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=PLAIN,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _say_version(is_asked: bool) -> None:  # noqa: FBT001 - Typer calls it so
    if is_asked:
        from importlib.metadata import version

        print(f"actr {version('actr-peer')}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_say_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Actors over WebRTC."""


def run() -> NoReturn:
    """Run one verb; an error raised on purpose, or a command line that cannot be read, is one line
    on standard error, and with ``--json`` one document on standard output too."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # started with it closed: only the exit status speaks
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
    is_json = wants_json(sys.argv[1:])
    if any(word.partition("=")[0] in _COMPLETION_FLAGS for word in sys.argv[1:]):
        from typer._completion_shared import _completion_scripts

        _completion_scripts["zsh"] += _ZSH
    try:
        code = app(prog_name="actr", standalone_mode=False)
        if code == Exit.INTERRUPTED and is_json:
            _print(failure_of(KeyboardInterrupt()))
        sys.stdout.flush()
    except BrokenPipeError:  # who read it has enough
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
        sys.exit(Exit.FAILED)
    except Exception as exc:  # noqa: BLE001  one that nobody meant is raised again
        _fail(exc, is_json=is_json)
    sys.exit(code if isinstance(code, int) else Exit.OK)


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether a command line asks for JSON, also one that cannot be read."""
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in own


def _fail(error: BaseException, *, is_json: bool) -> NoReturn:
    from actr_peer.tasks import first_cause

    if isinstance(error, ToldError) and error.__cause__ is not None:
        error, is_json = error.__cause__, False
    cause = first_cause(error)
    if isinstance(cause, OSError) and cause.errno in _DISK_FULL:
        _drop_unwritten()
        sys.exit(f"actr: cannot write: {cause.strerror}; make room, then try again")
    failure = _misuse(cause) if isinstance(cause, _USAGE_ERROR) else failure_of(cause)
    if is_json and failure.code is not Exit.OK:
        _print(failure)
    if failure.code is Exit.FAILED and not isinstance(cause, PeerError):
        raise error  # nobody meant it: where it came from matters
    if failure.text and failure.code is not Exit.INTERRUPTED:
        print(f"actr: {printable(failure.text)}", file=sys.stderr)
    sys.exit(failure.code)


def _drop_unwritten() -> None:
    """What standard output does not take is not tried again when the interpreter ends."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print(failure: Failure) -> None:
    print(json.dumps({"error": failure.document}), flush=True)


def _misuse(error: Any) -> Failure:
    """What is wrong with the command line, and where it says what is right."""
    context, said = error.ctx, error.format_message().rstrip(".")
    if not said:  # 'actr' alone has shown its help
        return Failure("UsageError", Exit.OK, "")
    verbs = getattr(context.command, "commands", {}) if context is not None else {}
    for pattern, words in _WORDS.items():
        said = re.sub(pattern, words, said)
    if said == "Missing command":
        said = f"which? there are {', '.join(verbs)}"
    verb = next((each for each in sys.argv[1:2] if each in VERBS), "")
    path = context.command_path if context is not None else f"actr {verb}".rstrip()
    text = f"{said[:1].lower()}{said[1:]} (see '{path} -h')"
    return Failure("UsageError", Exit.USAGE, text)
