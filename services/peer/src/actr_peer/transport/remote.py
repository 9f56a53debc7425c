"""The way to other processes: one link per remote, made on demand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Self, cast

from actr_peer.errors import BrokenError, ClosedError, LocalProtocolError, PeerError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.media.frames import MediaFrame
from actr_peer.protocol.payload import PayloadType, WireKind
from actr_peer.protocol.session.budget import Budget
from actr_peer.protocol.session.session import Session
from actr_peer.tasks import Tasks, note_failure
from actr_peer.transport.link import Link, LinkSetup, LinkSink
from actr_peer.transport.local.loop import LoopLink
from actr_peer.transport.local.media import Described, LoopTracks
from actr_peer.transport.publications import TrackLane
from actr_peer.wire.base import Wire

HEALTH_INTERVAL = 10.0
IDLE_AFTER = 300.0

_INCARNATIONS = 1 << 64


class RemoteTransport:
    """Owner of all links; their tasks end with its block.

    Args:
        self_id: This actor.
        incarnation: Random for each start of the process, not 0.
        dialers: What makes a wire to a remote, by kind.
        sink: Hears of messages, resets, links that are gone, and wires.
        prefer: Kinds of wires, best first; a kind that is not here is not used.
        health_interval: Seconds between health rounds.
        idle_after: Seconds after which a link without use or contents is closed.
        in_use: Whether something above still needs a link that has nothing to send.
        budget: What all links together may hold for their far sides.
        own_frame: Given each frame of the tracks that are published to the own id.
        own_described: Told which of those there are.
    """

    def __init__(
        self,
        *,
        self_id: ActrId,
        incarnation: int,
        dialers: Mapping[WireKind, Callable[[ActrId], Awaitable[Wire]]],
        sink: LinkSink,
        prefer: Sequence[WireKind],
        health_interval: float = HEALTH_INTERVAL,
        idle_after: float = IDLE_AFTER,
        in_use: Callable[[Link], bool] = lambda _: False,
        budget: Budget | None = None,
        own_frame: Callable[[MediaFrame], None] = lambda _: None,
        own_described: Described = lambda _: None,
    ) -> None:
        self.self_id = self_id
        self.health_interval = health_interval
        self.idle_after = idle_after
        self.budget = budget or Budget()
        self.posted = Budget()
        """What waits in all links for the far sides to acknowledge it."""
        self._incarnation = incarnation % _INCARNATIONS
        self._tasks = Tasks("transport")
        self.own_tracks = LoopTracks(self._tasks, own_frame, own_described)
        self._links: dict[str, Link] = {}
        """By the text of the remote's id, which is hashed once."""
        self._loop: LoopLink | None = None
        """To the own id, once it is asked for; no other is like it, so it is not among them."""
        self._is_closed = False
        self._setup = LinkSetup(
            self_id=self_id,
            dialers=dialers,
            sink=sink,
            prefer=tuple(prefer),
            start=self._tasks.start,
            removed=self._removed,
            in_use=in_use,
            incarnation=self._next_incarnation,
            budget=self.budget,
            posted=self.posted,
        )

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._tasks.start("health", self._health())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self.close()
        finally:
            await self._tasks.__aexit__(exc_type, exc, traceback)

    def link(self, remote: ActrId) -> Link:
        """The link to ``remote``, made and dialled on first use; never waits.

        Raises:
            ClosedError: If the transport is closed.
        """
        link = self._links.get(remote.text)
        if link is None:
            if remote == self.self_id:
                return self._to_self()
            link = self._make(remote)
            link.dial()
        return link

    def accept(self, wire: Wire) -> None:
        """Take a wire that a remote has dialled."""
        if self._is_closed:
            wire.abort()
            return
        link = self._links.get(wire.remote.text)
        if link is None:
            link = self._make(wire.remote)
            link.await_dials()
        link.add(wire)
        link.dial()

    def find(self, remote: ActrId) -> Link | None:
        """The link to ``remote``, if there is one."""
        link = self._links.get(remote.text)
        if link is None and self._loop is not None and remote == self.self_id:
            return cast(Link, self._loop)
        return link

    def links(self) -> list[Link]:
        """All links to others, oldest first."""
        return list(self._links.values())

    def own_link(self) -> Link | None:
        """That to the own id, once it was asked for."""
        return None if self._loop is None else cast(Link, self._loop)

    def network_changed(self, remote: ActrId | None = None) -> None:
        """This side's network is another one: make new wires, to one remote or to all."""
        for link in self.links():
            if remote in (None, link.remote):
                link.network_changed()

    async def close(self) -> None:
        """Take all tracks away, then close all links at the same time. Twice is harmless."""
        await self._setup.tracks.close()
        self._is_closed = True
        self.own_tracks.close()
        if self._loop is not None:
            self._loop.close()
        await asyncio.gather(*(link.close() for link in self.links()))

    def _make(self, remote: ActrId) -> Link:
        if self._is_closed:
            raise ClosedError("the transport is closed")
        if remote == self.self_id:
            raise LocalProtocolError(f"a wire from {remote} to itself")
        session = Session(self._next_incarnation(), prefer=self._setup.prefer, budget=self.budget)
        link = self._links[remote.text] = Link(remote, self._setup, session)
        return link

    def _to_self(self) -> Link:
        """The link to the own id: as much of one as others are asked for."""
        if self._is_closed:
            raise ClosedError("the transport is closed")
        if self._loop is None:
            sink = self._setup.sink

            def deliver(
                link: LoopLink, payload_type: PayloadType, message: bytes, number: int
            ) -> None:
                sink.message(cast(Link, link), payload_type, message, number)

            def gone(link: LoopLink, error: PeerError) -> None:
                sink.gone(cast(Link, link), error)

            self._loop = LoopLink(self.self_id, deliver, gone, self._own_lane)
        return cast(Link, self._loop)

    def _own_lane(self) -> TrackLane:
        return self._setup.tracks.lane(self.self_id, cast(Wire, self.own_tracks))

    def _next_incarnation(self) -> int:
        # Each session has one of its own: after a link is gone, the far side must not take the
        # next one for its continuation.
        self._incarnation = self._incarnation % (_INCARNATIONS - 1) + 1
        return self._incarnation

    def _removed(self, link: Link) -> None:
        if self._links.get(link.remote.text) is link:
            del self._links[link.remote.text]

    async def _health(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self.health_interval)
            now = loop.time()
            for link in self.links():
                try:
                    link.health(now)
                    link.close_if_idle(self.idle_after)
                except Exception as exc:  # noqa: BLE001 - one link's round is only that link's
                    note_failure("transport", f"link/{link.remote}", exc)
                    link.fail(BrokenError(f"a failure on this side: {exc!r}"))
