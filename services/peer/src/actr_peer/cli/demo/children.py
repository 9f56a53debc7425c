"""Processes that end with their block, and with their parent whatever becomes of it."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from asyncio import StreamReader
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from actr_peer.cli.demo.report import EVENT, MAX_LINE_BYTES, Event
from actr_peer.errors import RemoteProtocolError

STOP_TIMEOUT: Final = 10.0
"""Seconds a process has to end by itself after SIGTERM; a peer takes at most eight."""
HURRY: Final = 1.0
"""The same, where the demo ends by an error or by Ctrl-C."""
LAST_LINES: Final = 20
_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h


class Child:
    """One process of the demo, in a process group of its own.

    Its standard output is a line of JSON for each event; its standard error goes to a file. Or both
    go to a descriptor, which somebody else reads.
    """

    def __init__(self, name: str, process: Process, log: Path | int) -> None:
        self.name = name
        self.log = log
        self._process = process
        self._patience = STOP_TIMEOUT

    @property
    def title(self) -> str:
        """How a report names it."""
        return f"{self.name} service" if self.name == "signaling" else self.name

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def output(self) -> StreamReader:
        """Standard output; one reader."""
        assert self._process.stdout is not None
        return self._process.stdout

    async def events(self) -> AsyncIterator[Event]:
        """Each event, until the process closes its standard output.

        Raises:
            RemoteProtocolError: If a line is no event.
        """
        async for line in self.output:
            try:
                yield EVENT.validate_json(line)
            except ValidationError as exc:
                text = line.decode(errors="replace").strip()
                raise RemoteProtocolError(f"{self.name} wrote {text!r}") from exc

    async def ended(self) -> str:
        """Wait for the end and say how it was: ``ended with status 1``, ``killed by SIGKILL``."""
        return how(await self.status())

    async def status(self) -> int:
        """Wait for the end; negative: the signal that killed it."""
        return await self._process.wait()

    def peak_memory(self) -> int | None:
        """Peak resident bytes of the running process; None where the system does not say.

        ``VmHWM`` starts anew with the program, unlike ``ru_maxrss``, which the parent's size
        at the fork goes into.
        """
        with suppress(OSError):
            for line in Path(f"/proc/{self.pid}/status").read_text("utf-8").splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        return None

    def last_lines(self) -> str:
        """The end of what it wrote on standard error."""
        if isinstance(self.log, int):
            return ""
        with suppress(OSError):
            text = self.log.read_text(encoding="utf-8", errors="replace")
            return "\n".join(text.splitlines()[-LAST_LINES:])
        return ""

    def terminate(self) -> None:
        """Ask it to end; harmless when it has."""
        self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        # Process.terminate() may take the exit status away from who waits for it: it polls.
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def hurry(self) -> None:
        """Have no patience when it is stopped: what it would still tell matters no more."""
        self._patience = HURRY

    def kill(self) -> None:
        """End it at once, with its group; harmless when it has ended."""
        self._signal(signal.SIGKILL)

    async def stop(self) -> None:
        """Ask it to end, then make it; returns when nothing of its group is left.

        What it has left behind when it ended by itself ends as well.
        """
        self.terminate()
        try:
            async with asyncio.timeout(self._patience):
                await self._process.wait()
        except TimeoutError:
            pass  # the group is killed below
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        await self._process.wait()


@asynccontextmanager
async def child(
    name: str,
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    log: Path | int,
    pass_fds: Sequence[int] = (),
) -> AsyncIterator[Child]:
    """Start a process that ends with the block; see :class:`Child`.

    Leaving the block by an error or by cancellation ends the process too.
    """
    # A process that is read here has ended only when nobody holds its output any more.
    is_read = not isinstance(log, int)
    with nullcontext(log) if isinstance(log, int) else log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=DEVNULL,
            stdout=PIPE if is_read else errors,
            stderr=errors,
            env=dict(environment),
            pass_fds=tuple(pass_fds),
            limit=MAX_LINE_BYTES,
            start_new_session=True,
            preexec_fn=die_with_parent(),
        )
    running = Child(name, process, log)
    try:
        yield running
    except BaseException:
        running.hurry()
        raise
    finally:
        await running.stop()


def how(status: int) -> str:
    """What an exit status says: ``ended with status 1``, ``was killed by SIGKILL``."""
    if status < 0:
        return f"was killed by {signal.Signals(-status).name}"
    return f"ended with status {status}"


def die_with_parent() -> Callable[[], None]:
    """What a child runs before its program, so that the kernel ends it with its parent.

    The request survives ``exec``. Elsewhere than on Linux it does nothing, and a parent that
    is killed leaves its children to their own end.
    """
    parent = os.getpid()
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None

    def leash() -> None:
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:  # it died before the request
                os._exit(1)

    return leash


def bare_environment() -> dict[str, str]:
    """The environment without what is said there of other actors and services."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ACTR_")}
