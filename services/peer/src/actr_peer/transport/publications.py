"""Tracks published to one remote, over as many WebRTC wires as come and go.

A track is *live* while a WebRTC wire carries it, and *suspended* while there is none: its source
is not read meanwhile. On the next wire it goes on with the same track id; that wire's receiver
asks for a key frame. Media has no byte lane: it is never put on a WebSocket (docs/media.md).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol, runtime_checkable
from weakref import WeakValueDictionary

from actr_peer.errors import BrokenError, BusyError, CallError, ClosedError, Code, PeerError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.media.frames import TrackStats
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.session.wires.policy import WireState
from actr_peer.wire.base import Wire
from actr_peer.wire.webrtc.engine import MediaSource
from actr_peer.wire.webrtc.source import GuardedSource, guard
from actr_peer.wire.webrtc.tracks import SentTrack

CLOSE_TIMEOUT = 1.0
"""Seconds for the far side to agree that the tracks have gone: signaling may be away."""

log = logging.getLogger(__name__)


@runtime_checkable
class MediaWire(Protocol):
    """A wire that carries tracks."""

    def publish_soon(
        self, source: MediaSource, settled: Callable[[SentTrack | PeerError], None]
    ) -> None: ...

    def when_gone(self, told: Callable[[], None]) -> None:
        """Call ``told`` once when the wire carries nothing any more, in place of one before."""


class PublicationState(Enum):
    SUSPENDED = auto()
    """No WebRTC wire carries it; also before the first one."""
    LIVE = auto()
    ENDED = auto()
    """The source ended, or it was stopped: final."""


class Publication:
    """One track for one remote; made by :meth:`TrackLane.send`.

    Attributes:
        ended: Set with the state ENDED.
        error: Why the source failed or the far side refused, if so.
        resumed: How often the track went on over another wire.
    """

    def __init__(self, source: GuardedSource, forget: Callable[[Publication], None]) -> None:
        self.source = source
        self.state = PublicationState.SUSPENDED
        self.ended = asyncio.Event()
        self.error: PeerError | None = None
        self.resumed = -1
        self._forget = forget
        self._live = asyncio.Event()
        self._wire: MediaWire | None = None
        self._current: SentTrack | None = None
        self._asked: set[MediaWire] = set()
        """Wires that have not said yet whether they carry it."""

    def __repr__(self) -> str:
        return f"<Publication {self.source.track_id} {self.state.name}>"

    @property
    def track_id(self) -> str:
        return self.source.track_id

    def stats(self) -> TrackStats | None:
        """How it fares on the wire that carries it, or did when it ended; None: on none."""
        return self._current.stats() if self._current is not None else None

    async def stop(self) -> None:
        """Send no more and take the track away; returns when the far side has agreed.

        Harmless when repeated.
        """
        current = self._current
        self._end(None)
        if current is not None:
            await current.stop()

    async def went_live(self) -> None:
        """Wait until a wire carries it.

        Raises:
            ClosedError: If it was stopped first.
            PeerError: If the source or the far side refused.
        """
        await self._live.wait()
        if self.state is PublicationState.ENDED:
            raise self.error or ClosedError(f"track {self.track_id} was stopped")

    def move(self, wire: MediaWire | None) -> None:
        """Go on over ``wire``; None: be suspended."""
        if self.state is PublicationState.ENDED:
            return
        if self._current is not None:
            self._current.withdraw()  # two wires must not read one source
            self._current = None
        self._wire = wire
        self.state = PublicationState.SUSPENDED
        # One that is still being asked takes it once: its answer will do.
        if wire is not None and wire not in self._asked:
            self._asked.add(wire)
            wire.publish_soon(self.source, lambda outcome: self._settled(wire, outcome))

    def _settled(self, wire: MediaWire, outcome: SentTrack | PeerError) -> None:
        self._asked.discard(wire)
        if self._wire is not wire or self.state is PublicationState.ENDED:
            if isinstance(outcome, SentTrack):
                outcome.withdraw()
            return
        if isinstance(outcome, BrokenError):
            log.info("track waits for another wire: track=%s cause=%s", self.track_id, outcome)
        elif isinstance(outcome, PeerError):
            self._end(outcome)
        else:
            self._current = outcome
            self.state = PublicationState.LIVE
            self.resumed += 1
            if self.resumed:  # the receiver's own request may come before this side listens
                self.source.request_keyframe()
            outcome.when_finished(self._end)
            self._live.set()

    def _end(self, error: PeerError | None) -> None:
        if self.state is PublicationState.ENDED:
            return
        self.state = PublicationState.ENDED
        self.error = error
        self.source.unpublished()
        self._forget(self)
        self._live.set()
        self.ended.set()


class TrackLane:
    """The lane of media to one remote: all tracks published there, each an RTP track of its own.

    Args:
        remote: For the texts of errors.
        busy: Where it is while it has tracks.
    """

    payload_type = PayloadType.MEDIA_RTP

    def __init__(self, remote: ActrId, busy: set[TrackLane] | None = None) -> None:
        self.remote = remote
        self._busy = set() if busy is None else busy
        self._wire: MediaWire | None = None
        self._tracks: dict[str, Publication] = {}
        self._is_closed = False

    def tracks(self) -> list[Publication]:
        """Those that have not ended, oldest first."""
        return list(self._tracks.values())

    async def send(self, source: MediaSource, *, timeout: float | None = None) -> Publication:
        """Publish ``source``: its frames go out from now on, over this WebRTC wire and later ones.

        Args:
            source: Read by this publication alone until that ends.
            timeout: Seconds for a WebRTC wire, and for the far side to agree; None: no limit.

        Raises:
            BusyError: If a track of this id is published there, or this source is anywhere.
            CallError: ``FAILED_PRECONDITION``: there was no WebRTC wire in time, and media
                needs one.
            ClosedError: If this side leaves.
            ConfigError: If it is no source, or the codec is none of ours.
            RemoteProtocolError: If the far side does not take it.
        """
        source = guard(source)
        if self._is_closed:
            raise ClosedError("the actor is leaving")
        if source.track_id in self._tracks:
            raise BusyError(f"track {source.track_id!r} is published to {self.remote} already")
        publication = Publication(source, self._forget)
        source.read_by(publication)
        self._tracks[source.track_id] = publication
        self._busy.add(self)
        source.published()
        if self._wire is not None:
            publication.move(self._wire)
        try:
            async with asyncio.timeout(timeout):
                await publication.went_live()
        except TimeoutError as exc:
            await self._drop(publication)
            why = f"media needs WebRTC, and no WebRTC wire to {self.remote} carries it"
            raise CallError(
                Code.FAILED_PRECONDITION, f"{why} after {timeout:g} s", retryable=True
            ) from exc
        except asyncio.CancelledError:
            await self._drop(publication)
            raise
        return publication

    async def _drop(self, publication: Publication) -> None:
        publication.move(None)
        await publication.stop()

    def wire_ready(self, wire: Wire) -> None:
        """A WebRTC wire to the remote is there: all tracks go on over it."""
        if not isinstance(wire, MediaWire) or wire is self._wire:
            return
        self._wire = wire
        wire.when_gone(lambda: self._gone(wire))
        if self._wire is not wire:  # it has gone already
            return
        for publication in tuple(self._tracks.values()):
            publication.move(wire)

    def _gone(self, wire: MediaWire) -> None:
        if self._wire is wire:
            self.wire_lost()

    def wire_lost(self) -> None:
        """There is no WebRTC wire: all tracks are suspended."""
        self._wire = None
        for publication in tuple(self._tracks.values()):
            publication.move(None)

    async def close(self) -> None:
        """Stop all tracks, and take no more; waits ``CLOSE_TIMEOUT`` for the far side."""
        self._is_closed = True
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await asyncio.gather(*(track.stop() for track in tuple(self._tracks.values())))
        except TimeoutError:
            log.info("tracks stopped without the far side's word: remote=%s", self.remote)

    def _forget(self, publication: Publication) -> None:
        if self._tracks.get(publication.track_id) is publication:
            del self._tracks[publication.track_id]
            if not self._tracks:
                self._busy.discard(self)


class TrackLanes:
    """The track lanes of one transport, by remote. They outlive links.

    A lane without tracks is remembered for as long as somebody holds it, or a wire does.
    """

    def __init__(self) -> None:
        self._lanes: WeakValueDictionary[ActrId, TrackLane] = WeakValueDictionary()
        self._busy: set[TrackLane] = set()
        self._is_closed = False

    def lane(self, remote: ActrId, wire: Wire | None) -> TrackLane:
        """The lane to ``remote``: the same one for as long as it is used.

        Args:
            wire: The WebRTC wire that is there, if any.
        Raises:
            ClosedError: If this side leaves.
        """
        if self._is_closed:
            raise ClosedError("the actor is leaving")
        lane = self._lanes.get(remote)
        if lane is None:
            lane = self._lanes[remote] = TrackLane(remote, self._busy)
            if wire is not None:
                lane.wire_ready(wire)
        return lane

    def follow(self, remote: ActrId, state: WireState, wire: Wire | None) -> None:
        """WebRTC to ``remote`` has another state, or another wire: tracks go with it."""
        lane = self._lanes.get(remote)
        if lane is None:
            return
        if wire is None:
            lane.wire_lost()
        elif state is WireState.READY:
            lane.wire_ready(wire)

    def has(self, remote: ActrId) -> bool:
        """Whether tracks are published to ``remote``."""
        lane = self._lanes.get(remote)
        return lane is not None and bool(lane.tracks())

    async def close(self) -> None:
        """Close all lanes at the same time; none is made after this. Twice is harmless."""
        self._is_closed = True
        await asyncio.gather(*(lane.close() for lane in tuple(self._lanes.values())))
