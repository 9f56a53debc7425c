"""The caller's own workload: serves nothing, waits for the room and for wires to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Final

from actr_peer import ActrId, ActrRef, Hooks, Service, WireKind
from actr_peer.errors import DeadlineError, UnreachableError
from actr_peer.node.hooks import WireEvent
from actr_peer.protocol.session.wires.policy import WireState
from actr_peer.protocol.signaling.presence import PresenceEvent
from actr_peer.tasks import Tasks, first_cause

ONLINE_TIMEOUT: Final = 10.0
WIRES_TIMEOUT: Final = 10.0
"""Seconds in which every kind of wire of the plan should be up; then it goes on without."""


class Visitor(Service, Hooks):
    """Hears of the room's presence and of wires to it.

    Args:
        room: The actor to wait for.
        kinds: The wires to wait for.
    """

    def __init__(self, room: ActrId, kinds: Iterable[WireKind]) -> None:
        self._room = room
        self._missing = set(kinds)
        self._is_online = asyncio.Event()
        self._is_gone = asyncio.Event()
        self._all_ready = asyncio.Event()

    async def on_presence(self, event: PresenceEvent) -> None:
        if event.presence.id != self._room:
            return
        if event.kind is not PresenceEvent.Kind.LEAVE:
            self._is_online.set()
        elif event.reason is not PresenceEvent.Reason.REPLACED:
            self._is_gone.set()

    async def on_wire(self, event: WireEvent) -> None:
        if event.remote == self._room and event.state is WireState.READY:
            self._missing.discard(event.kind)
            if not self._missing:
                self._all_ready.set()

    async def find_room(self, ref: ActrRef) -> None:
        """Wait until the room is online.

        Raises:
            DeadlineError: If it does not come.
        """
        present = await ref.subscribe(self._room.actr_type)
        if any(presence.id == self._room for presence in present):
            return
        try:
            async with asyncio.timeout(ONLINE_TIMEOUT):
                await self._is_online.wait()
        except TimeoutError as exc:
            raise DeadlineError(f"{self._room} did not come online") from exc

    @asynccontextmanager
    async def while_online(self) -> AsyncIterator[None]:
        """A block that ends when the room goes offline: nobody is there to start it again.

        A link alone waits for a remote that may come back, until its calls' deadlines.

        Raises:
            UnreachableError: If it goes, or is gone.
        """
        try:
            async with Tasks("visit") as tasks:
                tasks.start("room", self._until_gone())
                yield
        except BaseExceptionGroup as group:
            raise first_cause(group) from None

    async def _until_gone(self) -> None:
        await self._is_gone.wait()
        raise UnreachableError(str(self._room), "it went offline")

    async def wires(self) -> None:
        """Wait until every kind of wire of the plan has been up, for a while."""
        with suppress(TimeoutError):
            async with asyncio.timeout(WIRES_TIMEOUT):
                await self._all_ready.wait()
