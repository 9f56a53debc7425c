"""The tracks of one WebRTC wire: publishing is an exchange, then frames flow beside the data."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from actr_peer.errors import BrokenError, PeerError, RemoteProtocolError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.media.frames import MediaFrame, TrackStats
from actr_peer.protocol.webrtc.negotiation import TrackKind
from actr_peer.tasks import Tasks as BackgroundTasks
from actr_peer.wire.webrtc.engine import MediaEngine, MediaSource, TrackSender
from actr_peer.wire.webrtc.exchanges import Exchanges
from actr_peer.wire.webrtc.source import guard

MAX_EXCHANGES = 3
"""Until a track is in the description: an offer that was on its way does not have it yet."""

LINGER = 0.5
"""Seconds after the end of a source in which the far side may ask for what it misses; then the
track leaves the description."""

log = logging.getLogger(__name__)


Outcome = Callable[["SentTrack | PeerError"], None]


class SentTrack:
    """One track that goes out on one wire.

    Attributes:
        ended: Set when no frame will follow: the source ended or failed, the track was
            stopped, or the wire is gone.
        is_finished: Whether it ended because the source did, well or with ``error``.
        error: Why the source failed, if it did.
    """

    def __init__(self, tracks: Tracks, track: TrackSender, *, linger: float = LINGER) -> None:
        self.source = track.source
        self.ended = asyncio.Event()
        self.is_finished = False
        self.error: PeerError | None = None
        self._tracks = tracks
        self._track = track
        self._linger = linger
        self._sending: asyncio.Task[None] | None = None
        self._when_finished: Callable[[PeerError | None], None] | None = None

    def __repr__(self) -> str:
        state = "ended" if self.ended.is_set() else "live"
        return f"<SentTrack {self.source.track_id} {state}>"

    def when_finished(self, told: Callable[[PeerError | None], None]) -> None:
        """Call ``told`` once when the source has ended, with why it failed if so."""
        self._when_finished = told

    def stats(self) -> TrackStats | None:
        """How it fares; None where the wire is gone, or the track was taken out."""
        own = (s for s in self._tracks.stats() if s.is_outbound)
        return next((s for s in own if s.track_id == self.source.track_id), None)

    async def stop(self) -> None:
        """Send no more, and take the track out of the description. Harmless when repeated.

        Returns when the far side has agreed, or at once where the wire is gone.
        """
        self.halt()
        await self._tracks.unpublish(self._track)

    def halt(self) -> None:
        """Send no more, at once; the far side is told nothing, another wire may go on."""
        if self._sending is not None and self._sending is not asyncio.current_task():
            self._sending.cancel()
        self.ended.set()

    def withdraw(self) -> None:
        """As :meth:`stop`, without waiting for the far side."""
        self.halt()
        self._tracks.withdraw(self._track)

    def start(self, background: BackgroundTasks, name: str) -> None:
        self._sending = background.start(name, self._send(), failed=self._failed)

    def _failed(self, exc: BaseException) -> None:
        """Something that nobody expected: the track ends, and the wire goes on."""
        if not self.is_finished:
            self.is_finished, self.error = True, BrokenError(f"the track failed: {exc!r}")
            self.ended.set()
            self._tell_finished()

    async def _send(self) -> None:
        try:
            self.is_finished = await self._track.run()
        except PeerError as error:
            self.is_finished, self.error = True, error
            log.warning("track failed: track=%s cause=%s", self.source.track_id, error)
        finally:
            self.ended.set()
        if self.is_finished:
            self._tell_finished()
            if self._linger:
                await asyncio.sleep(self._linger)
            self._tracks.withdraw(self._track)

    def _tell_finished(self) -> None:
        if self._when_finished is not None:
            self._when_finished(self.error)


class Tracks:
    """Publishes and receives on one connection; owned by its wire, which ends it.

    Attributes:
        on_frame: Given each frame that arrives; None: they are dropped and counted.
        received: Id and kind of the far side's tracks that the connection carries.
    """

    def __init__(
        self,
        remote: ActrId,
        media: MediaEngine | None,
        exchanges: Exchanges,
        background: BackgroundTasks,
    ) -> None:
        self.on_frame: Callable[[MediaFrame], None] | None = None
        self.unwanted = 0
        """Frames that nobody took."""
        self.received: Mapping[str, TrackKind] = {}
        self._on_tracks: Callable[[Mapping[str, TrackKind] | None], None] | None = None
        self._when_gone: Callable[[], None] | None = None
        self._remote = remote
        self._media = media
        self._exchanges = exchanges
        self._background = background
        self._sent: dict[TrackSender, SentTrack] = {}
        if media is not None:
            media.on_frame = self._arrived
            media.on_tracks = self._settled

    async def publish(self, source: MediaSource) -> SentTrack:
        """Send ``source`` to the far side, by a new exchange on the live connection.

        Cancelling takes the track back.

        Raises:
            BrokenError: If the connection is gone.
            BusyError: If a track with this id is published on it.
            ConfigError: If it is no source, or the codec is none of ours.
            LimitError: If there are too many tracks.
            RemoteProtocolError: If the far side does not take it.
        """
        source = guard(source)
        if self._media is None:
            raise BrokenError("this WebRTC engine carries no media")
        for ended in tuple(self._sent.values()):
            if ended.is_finished and ended.source.track_id == source.track_id:
                ended.withdraw()  # its name is free
        track = self._media.publish(source)
        sent = SentTrack(self, track)
        self._sent[track] = sent
        try:
            for _ in range(MAX_EXCHANGES):
                await self._exchanges.settled()
                if track.is_negotiated:
                    break
            else:
                raise RemoteProtocolError(f"{self._remote} takes no {source.codec} {source.kind}")
        except BaseException:
            self.withdraw(track)
            raise
        sent.start(self._background, f"rtp/{self._remote}/{source.track_id}")
        return sent

    def publish_soon(self, source: MediaSource, settled: Outcome) -> None:
        """As :meth:`publish`, in the background; ``settled`` is told how it went, once.

        A wire that is gone tells ``BrokenError``.
        """
        self._background.start(
            f"publish/{self._remote}/{source.track_id}",
            self._publish(source, settled),
            failed=lambda exc: settled(BrokenError(f"publishing failed: {exc!r}")),
        )

    async def _publish(self, source: MediaSource, settled: Outcome) -> None:
        try:
            sent = await self.publish(source)
        except PeerError as error:
            settled(error)
        else:
            settled(sent)

    async def unpublish(self, track: TrackSender) -> None:
        """Take a track out of the description and wait for the exchange."""
        if self._take_back(track):
            try:
                await self._exchanges.settled()
            except BrokenError:
                return  # it is gone with everything else

    def withdraw(self, track: TrackSender) -> None:
        """Take a track out of the description, without waiting for the exchange."""
        if self._take_back(track):
            self._exchanges.changed()

    def _take_back(self, track: TrackSender) -> bool:
        if self._sent.pop(track, None) is None or self._media is None:
            return False
        self._media.unpublish(track)
        return True

    def request_keyframe(self, track_id: str) -> None:
        """Ask the far side for a key frame of its track; does nothing if there is none."""
        if self._media is not None:
            self._media.request_keyframe(track_id)

    def stats(self) -> list[TrackStats]:
        """How the tracks of both directions fare."""
        return self._media.stats() if self._media is not None else []

    def end(self) -> None:
        """The wire is gone: what it sends ends, its sources may go on elsewhere."""
        for sent in tuple(self._sent.values()):
            sent.halt()
        self._sent.clear()
        told, self._when_gone = self._when_gone, None
        if told is not None:
            told()
        follows, self._on_tracks = self._on_tracks, None
        if follows is not None:
            follows(None)

    def when_gone(self, told: Callable[[], None]) -> None:
        """Call ``told`` once when the wire is gone, in place of one before."""
        self._when_gone = told

    def follow(self, told: Callable[[Mapping[str, TrackKind] | None], None]) -> None:
        """Tell which tracks of the far side there are, now and after each exchange; None when
        the wire is gone, once."""
        self._on_tracks = told
        told(self.received)

    def _settled(self, tracks: Mapping[str, TrackKind]) -> None:
        self.received = tracks
        if self._on_tracks is not None:
            self._on_tracks(tracks)

    def _arrived(self, frame: MediaFrame) -> None:
        if self.on_frame is None:
            self.unwanted += 1
            return
        try:
            self.on_frame(frame)
        except Exception as exc:  # noqa: BLE001  boundary: aiortc would kill its transport with it
            asyncio.get_running_loop().call_exception_handler(
                {"message": "media callback failed", "exception": exc}
            )
