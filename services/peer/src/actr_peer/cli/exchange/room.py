"""The workload of the compose system's peers: a room that counts what it hears, durably."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Final, Protocol

from actr.demo.chat_pb2 import SayReply, SayRequest
from actr_peer import CallError, Code, Context, Hooks
from actr_peer.cli.demo.room import Room
from actr_peer.cli.exchange.tally import Heard
from actr_peer.node.hooks import WireEvent
from actr_peer.protocol.signaling.presence import PresenceEvent

KEPT_RUNS: Final = 4
"""Runs of one author that are kept; a durable call may arrive after its author's restart."""

_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS heard (author TEXT, run TEXT, last INTEGER, heard INTEGER, "
    "missing INTEGER, repeated INTEGER, PRIMARY KEY (author, run))"
)
_KEEP: Final = "INSERT OR REPLACE INTO heard VALUES (?, ?, ?, ?, ?, ?)"
_FORGET: Final = "DELETE FROM heard WHERE author = ? AND run = ?"


class Listener(Protocol):
    """Who wants to hear what a room's hooks do."""

    def presence_changed(self, event: PresenceEvent) -> None: ...

    def wire_changed(self, event: WireEvent) -> None: ...


class CountingRoom(Room, Hooks):
    """A room whose counts are committed together with the requests that they count.

    Args:
        path: The mailbox's file, to go on with the counts of the run before; None: none.
    """

    def __init__(self, path: Path | None) -> None:
        super().__init__()
        self.listeners: list[Listener] = []
        """Told what the hooks hear."""
        self._heard = _load(path) if path is not None else {}

    def heard(self, author: str) -> Heard | None:
        """What the latest run of ``author`` said here."""
        runs = self._heard.get(author)
        return next(reversed(runs.values())) if runs else None

    def all_heard(self) -> list[Heard]:
        """Every run of every author that is kept."""
        return [heard for runs in self._heard.values() for heard in runs.values()]

    async def say(self, request: SayRequest, ctx: Context, /) -> SayReply:
        """Count the line, with its request's completion; lines that are not numbered as usual."""
        run, _, number = request.text.partition(" ")
        if not number.isdecimal():
            return await super().say(request, ctx)
        author = str(ctx.caller)
        if author != request.author:
            raise CallError(Code.PERMISSION_DENIED, f"{author} speaks as {request.author}")
        runs = self._heard.setdefault(author, {})
        heard = runs.setdefault(run, Heard(author, run))
        heard.take(int(number))
        row = (author, run, heard.last, heard.heard, heard.missing, heard.repeated)
        async with ctx.transaction() as tx:
            await tx.execute(_TABLE)
            await tx.execute(_KEEP, row)
            while len(runs) > KEPT_RUNS:
                oldest = next(iter(runs))
                del runs[oldest]
                await tx.execute(_FORGET, (author, oldest))
        return await super().say(request, ctx)

    async def on_presence(self, event: PresenceEvent) -> None:
        for listener in self.listeners:
            listener.presence_changed(event)

    async def on_wire(self, event: WireEvent) -> None:
        for listener in self.listeners:
            listener.wire_changed(event)


def _load(path: Path) -> dict[str, dict[str, Heard]]:
    """The counts of earlier runs of this process, oldest run of an author first."""
    found: dict[str, dict[str, Heard]] = {}
    if not path.exists():
        return found
    with closing(sqlite3.connect(path)) as database, suppress(sqlite3.OperationalError):
        for row in database.execute("SELECT * FROM heard ORDER BY rowid"):
            heard = Heard(*row)
            found.setdefault(heard.author, {})[heard.run] = heard
    return found
