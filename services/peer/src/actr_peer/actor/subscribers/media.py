"""Tracks of remotes, for who takes them: callbacks by track id, and iterations by remote and id.

Each has its own bounded queue, so one that is slow holds up itself only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial

from actr_peer.actor.subscribers.callbacks import Subscription
from actr_peer.actor.subscribers.frames import Reader, ReadTrack
from actr_peer.actor.subscribers.guarded import Guarded, Who
from actr_peer.actor.subscribers.tracks import RemoteTrack, RemoteTrackStats
from actr_peer.errors import BusyError, LimitError, PeerError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.media.frames import MediaFrame, TrackStats
from actr_peer.protocol.media.incoming import IncomingTracks, TrackEvent, TrackState
from actr_peer.protocol.rpc.access.principals import Principal
from actr_peer.protocol.webrtc.negotiation import TrackKind
from actr_peer.tasks import Start

MAX_READERS = 16
"""Iterations over one track at a time."""

MediaCallback = Callable[[MediaFrame, Principal], Awaitable[None] | None]
EventCallback = Callable[[TrackEvent, Principal], Awaitable[None] | None]
Stats = Callable[[ActrId], tuple[list[TrackStats], float | None]]


@dataclass(slots=True)
class Came:
    """What has come of all tracks of a kind, since the start."""

    frames: int = 0
    bytes: int = 0
    keyframes: int = 0


class MediaSubscribers:
    """Who takes the tracks of remotes; late frames are worth nothing, so they go.

    A track has a task only while something of it waits for a callback: nothing is left of one
    that has ended.

    Attributes:
        unknown: Frames of tracks that nobody wants.
        dropped: Frames that slow callbacks and iterations lost.
        came: All frames of remotes, by kind, whoever wants them.
    """

    def __init__(
        self,
        start: Start,
        ask: Callable[[ActrId, str], None] = lambda remote, track_id: None,
        wire_stats: Stats = lambda remote: ([], None),
        who: Who = Principal.unproven,
    ) -> None:
        self._who = who
        self.unknown = self.dropped = 0
        self.came = {"audio": Came(), "video": Came()}
        self._start = start
        self._ask = ask
        self._wire_stats = wire_stats
        self._subscriptions: dict[str | None, Subscription] = {}
        self._tracks: dict[ActrId, dict[str, ReadTrack]] = {}
        self._incoming: dict[ActrId, IncomingTracks] = {}
        self._timers: dict[ActrId, asyncio.TimerHandle] = {}
        self._error: PeerError | None = None

    # Who takes

    def register(
        self,
        track_id: str | None,
        callback: MediaCallback,
        on_event: EventCallback | None = None,
    ) -> Callable[[], None]:
        """Call ``callback(frame, sender)`` for frames of ``track_id``; None is any other track.

        Args:
            on_event: Called with a :class:`TrackEvent` and its sender, in order with the frames.

        Returns:
            What unregisters it, at once: what waits is dropped, and the next frame is for who
            registers next. A call that runs goes on to its end.

        Raises:
            BusyError: If the track has a callback already.
        """
        if track_id in self._subscriptions:
            raise BusyError(f"track {track_id!r} has a callback; unregister it first")
        name = f"media/{track_id or 'any'}"
        event = Guarded(name, on_event, self._who) if on_event is not None else None
        made = Subscription(Guarded(name, callback, self._who), event, self._start)
        self._subscriptions[track_id] = made
        return partial(self._unregister, track_id, made)

    def _unregister(self, track_id: str | None, subscription: Subscription) -> None:
        if self._subscriptions.get(track_id) is subscription:
            del self._subscriptions[track_id]
            subscription.end()

    def track(self, remote: ActrId, track_id: str) -> RemoteTrack:
        """A track of ``remote``, there or not."""
        return RemoteTrack(self, remote, track_id)

    def attach(self, remote: ActrId, track_id: str, reader: Reader) -> None:
        """Have an iteration fed; how the track stands is its first event.

        Raises:
            ClosedError: If the actor is closed.
            LimitError: If the track has too many.
        """
        if self._error is not None:
            raise self._error
        track = self._tracks.setdefault(remote, {}).setdefault(track_id, ReadTrack())
        if len(track.readers) >= MAX_READERS:
            limit = MAX_READERS
            raise LimitError("iterations over one track", limit=limit, asked=limit + 1)
        track.readers.append(reader)
        incoming = self._incoming.get(remote)
        found = incoming.find(track_id) if incoming is not None else None
        if found is None:
            return
        state, kind = found
        reader.tell(TrackEvent(TrackEvent.Kind.BEGAN, remote, track_id, kind))
        if state is TrackState.SUSPENDED:
            reader.tell(TrackEvent(TrackEvent.Kind.SUSPENDED, remote, track_id, kind))
        elif kind == "video" and reader.takes_frames:
            self._ask(remote, track_id)

    def detach(self, remote: ActrId, track_id: str, reader: Reader) -> None:
        """Feed it no longer."""
        track = self._tracks.get(remote, {}).get(track_id)
        if track is None or reader not in track.readers:
            return
        track.readers.remove(reader)
        if not track.readers:
            del self._tracks[remote][track_id]
            if not self._tracks[remote]:
                del self._tracks[remote]

    @property
    def waiting(self) -> int:
        """Tracks of which something waits for a callback, each with a task."""
        return sum(len(tracks) for s in self._subscriptions.values() for tracks in s.lines.values())

    # How tracks stand

    def state(self, remote: ActrId, track_id: str) -> TrackState | None:
        incoming = self._incoming.get(remote)
        found = incoming.find(track_id) if incoming is not None else None
        return found[0] if found is not None else None

    def request_keyframe(self, remote: ActrId, track_id: str) -> None:
        self._ask(remote, track_id)

    def stats(self, remote: ActrId, track_id: str) -> RemoteTrackStats:
        found, rtt = self._wire_stats(remote)
        own = next((s for s in found if s.track_id == track_id and not s.is_outbound), None)
        track = self._tracks.get(remote, {}).get(track_id)
        frame_rate, bit_rate = track.rates(self._now()) if track is not None else (0.0, 0.0)
        return RemoteTrackStats(
            packets=own.packets if own else 0,
            lost=own.lost if own else 0,
            jitter=own.jitter if own else None,
            rtt=rtt,
            frames=own.frames if own else 0,
            frames_lost=own.dropped if own else 0,
            frames_dropped=track.dropped if track is not None else 0,
            keyframe_requests=own.keyframe_requests if own else 0,
            frame_rate=frame_rate,
            bit_rate=bit_rate,
        )

    # What comes

    def receive(self, sender: ActrId, frame: MediaFrame) -> None:
        """Take one frame from a wire."""
        came = self.came[frame.kind]
        came.frames += 1
        came.bytes += len(frame.data)
        came.keyframes += frame.keyframe
        track = self._tracks.get(sender, {}).get(frame.track_id)
        if track is not None:
            self._read(sender, frame, track)
        subscription = self._subscription(frame.track_id)
        if subscription is None:
            self.unknown += track is None
            return
        line = subscription.line(sender, frame.track_id)
        if line is None:
            self.dropped += 1
            return
        before = line.queue.dropped
        if line.queue.put(frame):
            self._ask(sender, frame.track_id)
        self.dropped += line.queue.dropped - before

    def _read(self, sender: ActrId, frame: MediaFrame, track: ReadTrack) -> None:
        track.count(len(frame.data), self._now())
        wants_keyframe = False
        for reader in track.readers:
            before = reader.queue.dropped
            wants_keyframe |= reader.put(frame)
            lost = reader.queue.dropped - before
            track.dropped += lost
            self.dropped += lost
        if wants_keyframe:
            self._ask(sender, frame.track_id)

    def _subscription(self, track_id: str) -> Subscription | None:
        return self._subscriptions.get(track_id) or self._subscriptions.get(None)

    def described(self, remote: ActrId, wire: int, tracks: Mapping[str, TrackKind] | None) -> None:
        """A wire of ``remote`` carries these tracks; None: it is gone."""
        now = self._now()
        if tracks is None:
            incoming = self._incoming.get(remote)
            events = incoming.lost(wire, now) if incoming is not None else []
        else:
            incoming = self._incoming.setdefault(remote, IncomingTracks(remote))
            events = incoming.carried(wire, tracks, now)
        self._tell(remote, events)

    def forget_remote(self, remote: ActrId, error: PeerError | None = None) -> None:
        """The remote is gone, or another process: its tracks end, and what waits of them goes."""
        for subscription in self._subscriptions.values():
            subscription.forget(remote)
        incoming = self._incoming.get(remote)
        if incoming is not None:
            self._tell(remote, incoming.gone(error or PeerError("the remote is gone")))

    def close(self, error: PeerError) -> None:
        """The actor is closed: whoever iterates hears of it."""
        self._error = error
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        for tracks in self._tracks.values():
            for track in tracks.values():
                for reader in track.readers:
                    reader.fail(error)

    def _tell(self, remote: ActrId, events: list[TrackEvent]) -> None:
        for event in events:
            track = self._tracks.get(remote, {}).get(event.track_id)
            for reader in track.readers if track is not None else ():
                reader.tell(event)
            subscription = self._subscription(event.track_id)
            if subscription is not None and subscription.event is not None:
                line = subscription.line(remote, event.track_id)
                if line is not None:
                    line.queue.tell(event)
        self._watch(remote)

    def _watch(self, remote: ActrId) -> None:
        """Come back when a suspended track is to be given up; forget who has none."""
        timer = self._timers.pop(remote, None)
        if timer is not None:
            timer.cancel()
        incoming = self._incoming.get(remote)
        if incoming is None or self._error is not None:
            return
        if not incoming:
            del self._incoming[remote]
        elif incoming.due is not None:
            loop = asyncio.get_running_loop()
            self._timers[remote] = loop.call_at(incoming.due, self._expire, remote)

    def _expire(self, remote: ActrId) -> None:
        del self._timers[remote]
        self._tell(remote, self._incoming[remote].expire(self._now()))

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
