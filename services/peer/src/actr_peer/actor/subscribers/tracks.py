"""One track of a remote, as whoever takes it sees it: frames, events, and how it fares."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from actr_peer.actor.subscribers.frames import Reader
from actr_peer.errors import BrokenError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.media.frames import MediaFrame
from actr_peer.protocol.media.incoming import TrackEvent, TrackState

if TYPE_CHECKING:
    from actr_peer.wire.media.decoding import Shown


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteTrackStats:
    """How a received track fares; counts are those of its present connection."""

    packets: int
    lost: int
    """Packets that never came."""
    jitter: float | None
    """Seconds (RFC 3550, 6.4.1)."""
    rtt: float | None
    """Seconds there and back, of the connection."""
    frames: int
    """Frames that came whole."""
    frames_lost: int
    """Frames that were given up, for a packet of theirs was lost."""
    frames_dropped: int
    """Frames that those who take the track here were too slow for."""
    keyframe_requests: int
    frame_rate: float
    """Frames a second, over the last second or two; 0 while none come."""
    bit_rate: float
    """Bits a second, likewise."""


class TrackHub(Protocol):
    """Who has all tracks: ``MediaSubscribers``."""

    def state(self, remote: ActrId, track_id: str) -> TrackState | None: ...

    def attach(self, remote: ActrId, track_id: str, reader: Reader) -> None: ...

    def detach(self, remote: ActrId, track_id: str, reader: Reader) -> None: ...

    def request_keyframe(self, remote: ActrId, track_id: str) -> None: ...

    def stats(self, remote: ActrId, track_id: str) -> RemoteTrackStats: ...


class RemoteTrack:
    """A track of ``remote`` by its id, whether it is there already or not.

    Costs nothing until it is iterated. Each iteration has a queue of its own, so several may run
    at once (at most 16 of one track), beside a callback too; each hears of every event. An
    iteration waits for the track to begin, goes on over a wire that is lost, and ends with it; one
    that is begun again after the end takes the next track of this id. Wait for a limited time with
    ``asyncio.timeout``.
    """

    def __init__(self, hub: TrackHub, remote: ActrId, track_id: str) -> None:
        self.remote = remote
        self.track_id = track_id
        self._hub = hub

    def __repr__(self) -> str:
        state = self.state
        return f"<RemoteTrack {self.track_id} of {self.remote} {state and state.name}>"

    @property
    def state(self) -> TrackState | None:
        """LIVE or SUSPENDED; None: it is not there."""
        return self._hub.state(self.remote, self.track_id)

    def __aiter__(self) -> AsyncIterator[MediaFrame]:
        return self.frames()

    async def frames(self) -> AsyncGenerator[MediaFrame, None]:
        """Encoded frames, whole and in order; a video begins with a key frame.

        Who is too slow loses the oldest (64 wait, or 32 MiB); a video then goes on with a key
        frame, which is asked for. Of what was lost on the way there is a gap in the sequence
        numbers.

        Raises:
            BrokenError: If the track ended with its remote.
            ClosedError: If this actor is closed.
            LimitError: If too many iterate over the track.
        """
        async with aclosing(self._read()) as items:
            async for item in items:
                if isinstance(item, MediaFrame):
                    yield item

    async def events(self) -> AsyncGenerator[TrackEvent, None]:
        """Began, suspended, resumed, ended; the first is how it stands, if it is there.

        Goes on after an end: the same id may begin again.

        Raises:
            ClosedError: If this actor is closed.
            LimitError: If too many iterate over the track.
        """
        reader = Reader(takes_frames=False)
        self._hub.attach(self.remote, self.track_id, reader)
        try:
            while True:
                item = await reader.next()
                if isinstance(item, TrackEvent):
                    yield item
        finally:
            self._hub.detach(self.remote, self.track_id, reader)

    async def decoded(self) -> AsyncGenerator[Shown, None]:
        """Pictures or sound, as PyAV's frames, decoded in a thread.

        Begins with a key frame, and goes on with one after a loss: what cannot be decoded is left
        out. Errors are those of :meth:`frames`; ``frame.time`` is in seconds by the sender's
        timestamps.
        """
        from actr_peer.wire.media.decoding import Decoder  # PyAV is loaded by who decodes

        decoder = Decoder(lambda: self.request_keyframe())
        async with aclosing(self.frames()) as frames:
            async for frame in frames:
                for shown in await decoder.decode(frame):
                    yield shown

    def request_keyframe(self) -> None:
        """Ask its sender for a key frame; the runtime asks by itself after a loss."""
        self._hub.request_keyframe(self.remote, self.track_id)

    async def stats(self) -> RemoteTrackStats:
        """How it fares now; zeros while there is no such track."""
        return self._hub.stats(self.remote, self.track_id)

    async def _read(self) -> AsyncGenerator[MediaFrame | TrackEvent, None]:
        """Frames and events until the track ends."""
        reader = Reader(takes_frames=True)
        self._hub.attach(self.remote, self.track_id, reader)
        try:
            while True:
                item = await reader.next()
                if isinstance(item, TrackEvent) and item.kind is TrackEvent.Kind.ENDED:
                    if item.error is not None:
                        why = f"track {self.track_id!r} of {self.remote} ended: {item.reason}"
                        raise BrokenError(why) from item.error
                    return
                yield item
        finally:
            self._hub.detach(self.remote, self.track_id, reader)
