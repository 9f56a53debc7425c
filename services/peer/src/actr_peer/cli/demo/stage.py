"""The parent of the demo: starts the three processes, follows them, and draws the sum."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final

from actr_peer.cli.demo.children import STOP_TIMEOUT, Child, bare_environment, child
from actr_peer.cli.demo.media_row import media_row
from actr_peer.cli.demo.report import (
    Event,
    Failed,
    Finished,
    MediaSeen,
    MediaSent,
    Plan,
    Progress,
    Ready,
    Report,
    Row,
    RowDone,
    not_run,
)
from actr_peer.cli.verbs.dev.running.identities import KEYS, issuer_of
from actr_peer.errors import BrokenError, RemoteProtocolError
from actr_peer.protocol.payload import PayloadType
from actr_peer.tasks import Tasks

ROOM_ID: Final = "demo:room@1:default"
CALLER_ID: Final = "demo:caller@1:default"
BASE_TIMEOUT: Final = 120.0
SLOWEST_BYTES_PER_SECOND: Final = 400_000
PATIENCE: Final = 40.0
"""Seconds the caller has to end when another process has died.

It hears of the room's death from the signaling service, within a second; without that, from
its wires, whose links are given up after twenty.
"""

PROGRAMS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "signaling": (sys.executable, "-m", "actr_signaling"),
        "room": (sys.executable, "-m", "actr_peer.cli.demo.room"),
        "caller": (sys.executable, "-m", "actr_peer.cli.demo.caller"),
    }
)
"""What the three processes run; the caller also gets the plan, as JSON."""

ISSUER: Final = "issuer"
"""The issuer's folder, in that of a run."""

Show = Callable[[str, Event], None]


class Stage:
    """One run of the demo.

    Args:
        plan: What the caller is to do.
        folder: Scratch files: mailboxes, logs, the realm secret of this run.
        show: Called with the name of a process and each of its events.
        programs: As :data:`PROGRAMS`; tests put others in their place.
    """

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        show: Show,
        *,
        programs: Mapping[str, tuple[str, ...]] = PROGRAMS,
    ) -> None:
        self._plan = plan
        self._folder = folder
        self._show = show
        self._programs = programs
        self._rows: dict[str, Row] = {}
        self._sent: list[MediaSent] = []
        self._seen: dict[str, MediaSeen] = {}
        self._peak: dict[str, int] = {}
        self._problems: list[str] = []
        self._phase = "the start"
        self._is_ending = False
        self._is_lost = False
        self._limit = asyncio.timeout(None)

    async def perform(self) -> Report:
        """Run everything; when it returns, or is cancelled, no process is left."""
        started = time.monotonic()
        secret = self._folder / "realm"
        secret.write_text(secrets.token_hex(32), encoding="utf-8")
        async with AsyncExitStack() as stack:
            signaling, url = await stack.enter_async_context(self._signaling(secret))
            room = await stack.enter_async_context(self._peer("room", ROOM_ID, url, secret))
            caller = await stack.enter_async_context(
                self._peer("caller", CALLER_ID, url, secret, self._plan.model_dump_json())
            )
            async with Tasks("demo") as tasks:
                tasks.start("signaling", self._watch(signaling, caller))
                tasks.start("room", self._watch(room, caller))
                told = tasks.start("room/events", self._follow(room, room, caller))
                await self._until_done(caller, room)
                self._is_ending = True
                await self._end(room, told)
        return self._report(time.monotonic() - started)

    async def _end(self, room: Child, told: asyncio.Task[None]) -> None:
        """Ask the room to end, which then tells what media came."""
        room.terminate()
        if self._problems:
            room.hurry()
            return
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                await told
        except TimeoutError:
            self._problems.append("the room did not end in time")

    async def _until_done(self, caller: Child, room: Child) -> None:
        """Follow the caller to its end, or to the end of patience with it."""
        seconds = BASE_TIMEOUT + self._plan.file_bytes / SLOWEST_BYTES_PER_SECOND
        self._limit = asyncio.timeout(seconds)
        try:
            async with self._limit:
                await self._follow(caller, caller, room)
                how = await caller.ended()
                if how != "ended with status 0" and not self._is_lost:
                    self._problems.append(f"the caller {how}")
        except TimeoutError:
            self._problems.append(f"the caller did not end in time, in {self._phase}")

    async def _follow(self, source: Child, *measured: Child) -> None:
        """Take the events of one process until it closes its standard output."""
        try:
            async for event in source.events():
                for running in measured:
                    peak = running.peak_memory() or 0
                    self._peak[running.name] = max(peak, self._peak.get(running.name, 0))
                self._take(source.name, event)
                self._show(source.name, event)
                self._end_if_all_is_told(source)
        except RemoteProtocolError as exc:
            self._problems.append(str(exc))
            source.terminate()  # nobody reads on

    def _take(self, name: str, event: Event) -> None:
        match event:
            case Progress():
                self._phase = event.payload_type
            case RowDone():
                self._rows[event.row.payload_type] = event.row
            case MediaSent():
                self._sent.append(event)
            case MediaSeen():
                self._seen[event.track_id] = event
            case Failed():
                self._problems.append(f"the {name} got {event.error}: {event.text}")
            case Finished() | _:
                pass

    async def _watch(self, running: Child, caller: Child) -> None:
        """Note the end of a process that should go on, and give the caller time to notice."""
        how = await running.ended()
        if self._is_ending:
            return
        self._problems.insert(0, f"the {running.title} {how} during {self._phase}")
        self._is_lost = True
        self._limit.reschedule(asyncio.get_running_loop().time() + PATIENCE)
        self._end_if_all_is_told(caller)

    def _end_if_all_is_told(self, caller: Child) -> None:
        """Where a process has died, the caller would still wait for its last words."""
        if self._is_lost and len(self._rows) == len(PayloadType):
            caller.terminate()

    def _report(self, seconds: float) -> Report:
        if row := media_row(self._sent, self._seen):
            self._rows[row.payload_type] = row
        rows = tuple(
            self._rows.get(payload_type.name) or not_run(payload_type, self._fate(payload_type))
            for payload_type in PayloadType
        )
        return Report(
            ok=not self._problems and all(row.ok for row in rows),
            rows=rows,
            problem="; ".join(self._problems) or None,
            seconds=round(seconds, 1),
            peak_memory_bytes=self._peak,
        )

    def _fate(self, payload_type: PayloadType) -> str:
        """What became of a payload type that nobody told the end of."""
        return "not finished" if payload_type.name == self._phase else "not run"

    def _signaling(self, secret: Path) -> AbstractAsyncContextManager[tuple[Child, str]]:
        return signaling_service(
            self._folder, secret, program=self._programs["signaling"], show=self._show
        )

    def _peer(
        self, name: str, actor: str, url: str, secret: Path, *arguments: str
    ) -> AbstractAsyncContextManager[Child]:
        kinds = "webrtc,websocket" if self._plan.wire == "both" else self._plan.wire
        program = (*self._programs[name], *arguments)
        settings = peer_settings(self._folder, name, actor, url, secret=secret, kinds=kinds)
        return child(name, program, environment=settings, log=self._folder / f"{name}.log")


@asynccontextmanager
async def signaling_service(
    folder: Path,
    secret: Path,
    *,
    show: Show,
    program: tuple[str, ...] = PROGRAMS["signaling"],
    origin: str = "",
) -> AsyncIterator[tuple[Child, str]]:
    """The signaling service on memory with an issuer in it, and where peers reach it.

    Args:
        folder: Its log, and the issuer's files.
        secret: File of the realm's secret.
        origin: Of web pages that may join; empty: none may.

    Raises:
        BrokenError: If it ends at its start.
    """
    settings = {
        "ACTR_SIGNALING__LISTEN": "127.0.0.1:0",
        "ACTR_SIGNALING__REALM_SECRET_FILE": str(secret),
        "ACTR_SIGNALING__ISSUER_HOME": str(folder / ISSUER),
        "ACTR_SIGNALING__DRAIN": "0",
        "ACTR_SIGNALING__ALLOWED_ORIGINS": origin,
    }
    async with child(
        "signaling",
        program,
        environment=environment() | settings,
        log=folder / "signaling.log",
    ) as signaling:
        url = await started(signaling, show)
        yield signaling, url


async def started(running: Child, show: Show) -> str:
    """Wait until a process says that it is ready; its URL or id.

    Raises:
        BrokenError: If it ends before.
    """
    async for event in running.events():
        if isinstance(event, Ready):
            show(running.name, event)
            return event.url or event.id
        if isinstance(event, Failed):
            raise BrokenError(f"the {running.title} got {event.error}: {event.text}")
    how = await running.ended()
    said = running.last_lines().rpartition("\n")[2]
    raise BrokenError(f"the {running.title} {how} at its start: {said or 'no word'}")


def peer_settings(
    folder: Path, name: str, actor: str, url: str, *, secret: Path, kinds: str
) -> dict[str, str]:
    """The environment of a peer.

    Args:
        folder: Its files.
        url: Of the signaling service.
        kinds: Of wires, as ``webrtc,websocket``.
    """
    return environment() | {
        "ACTR_ACTOR__ID": actor,
        "ACTR_REALM__SECRET_FILE": str(secret),
        "ACTR_IDENTITY__ISSUER_URL": issuer_of(url),
        "ACTR_IDENTITY__ISSUER_KEYS_FILE": str(folder / ISSUER / KEYS),
        "ACTR_IDENTITY__KEY_FILE": str(folder / f"{name}.pem"),
        "ACTR_IDENTITY__CERTIFICATE_FILE": str(folder / f"{name}.jwt"),
        "ACTR_SIGNALING__URL": url,
        "ACTR_WIRES__PREFER": kinds,
        "ACTR_WIRES__LISTEN": "127.0.0.1:0" if "websocket" in kinds else "",
        "ACTR_MAILBOX__PATH": str(folder / f"{name}.db"),
        "ACTR_CONTROL__SOCKET": "",
        "ACTR_LOG__FORMAT": "console",
    }


def environment() -> dict[str, str]:
    """The user's environment without settings of the user's own actors."""
    return bare_environment() | {"ACTR_CONFIG": os.devnull}
