"""Sans-I/O: which tracks of one remote there are, over the wires that come and go.

A track *lives* while a wire's description has it, is *suspended* while none has it and it may
come back, and has *ended* when its sender took it away, did not bring it back in time, or is gone.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final

from actr_peer.errors import LeftError, PeerError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.webrtc.negotiation import TrackKind

RESUME_SECONDS: Final = 10.0
"""Within which a track comes back, from when there is a wire for it: an exchange takes less."""
MAX_KNOWN: Final = 64
"""Tracks of one remote; those beyond have no events, and their frames come all the same."""


class TrackState(Enum):
    """How one track of a remote stands; one that has ended is forgotten."""

    LIVE = "live"
    SUSPENDED = "suspended"
    ENDED = "ended"


class Happening(Enum):
    """What a wire, or the link, says of one track."""

    CARRIED = "carried"
    """A wire has it in its description now."""
    UNCARRIED = "uncarried"
    """No wire has it, and it may yet come on another."""
    TAKEN_AWAY = "taken away"
    """The far side has it in no description any more."""
    OVERDUE = "overdue"
    """It did not come back in time."""
    GONE = "gone"
    """The remote is gone, or is another process."""


@dataclass(frozen=True, slots=True)
class TrackEvent:
    """Something happened to a track of a remote."""

    class Kind(Enum):
        BEGAN = "began"
        SUSPENDED = "suspended"
        """No wire carries it; it may go on with the same id."""
        RESUMED = "resumed"
        """It goes on, with a key frame."""
        ENDED = "ended"

    kind: Kind
    remote: ActrId
    track_id: str
    media: TrackKind
    reason: str = ""
    """Why it was suspended, or ended."""
    error: PeerError | None = None
    """Of an end that its sender did not want."""


_LIVE, _SUSPENDED, _ENDED = TrackState
_KIND = TrackEvent.Kind
STEPS: Final[Mapping[tuple[TrackState, Happening], tuple[TrackState, TrackEvent.Kind]]] = (
    MappingProxyType(
        {
            (_SUSPENDED, Happening.CARRIED): (_LIVE, _KIND.RESUMED),
            (_LIVE, Happening.UNCARRIED): (_SUSPENDED, _KIND.SUSPENDED),
            (_LIVE, Happening.TAKEN_AWAY): (_ENDED, _KIND.ENDED),
            (_SUSPENDED, Happening.OVERDUE): (_ENDED, _KIND.ENDED),
            (_LIVE, Happening.GONE): (_ENDED, _KIND.ENDED),
            (_SUSPENDED, Happening.GONE): (_ENDED, _KIND.ENDED),
        }
    )
)
"""State and what happens: the state after, and what is told; all else is nothing new. A track that
is not known begins when it is carried."""


@dataclass(slots=True)
class _Track:
    kind: TrackKind
    state: TrackState
    due: float | None = None
    """When a suspended one is given up; None while there is no wire for it to come on."""


class IncomingTracks:
    """The tracks of one remote. It owns no clock: the caller passes ``now``."""

    def __init__(self, remote: ActrId) -> None:
        self.remote = remote
        self._wires: dict[Hashable, Mapping[str, TrackKind]] = {}
        self._tracks: dict[str, _Track] = {}

    def __bool__(self) -> bool:
        """Whether there are wires, or tracks that may come back."""
        return bool(self._wires or self._tracks)

    def find(self, track_id: str) -> tuple[TrackState, TrackKind] | None:
        """How a track stands; None: there is none."""
        track = self._tracks.get(track_id)
        return (track.state, track.kind) if track is not None else None

    @property
    def due(self) -> float | None:
        """When :meth:`expire` has something to do next."""
        return min((t.due for t in self._tracks.values() if t.due is not None), default=None)

    def carried(
        self, wire: Hashable, tracks: Mapping[str, TrackKind], now: float
    ) -> list[TrackEvent]:
        """The description of ``wire`` has these tracks, and no others."""
        before = self._wires.get(wire, {})
        self._wires[wire] = dict(tracks)
        events = []
        for track_id, kind in tracks.items():
            if track_id not in self._tracks and len(self._tracks) < MAX_KNOWN:
                self._tracks[track_id] = _Track(kind, TrackState.LIVE)
                events.append(self._event(track_id, TrackEvent.Kind.BEGAN))
            else:
                events += self._step(track_id, Happening.CARRIED)
        # One that moves to another wire leaves this one first; which of two it stays on is its
        # sender's choice, who may have had them in another order.
        is_alone = len(self._wires) == 1
        what = Happening.TAKEN_AWAY if is_alone else Happening.UNCARRIED
        for track_id in before.keys() - tracks.keys():
            if not self._is_carried(track_id):
                events += self._step(track_id, what, "its sender took it away")
        self._await(now)
        return events

    def lost(self, wire: Hashable, now: float) -> list[TrackEvent]:
        """``wire`` is gone: what it alone carried may come back on another."""
        events = []
        for track_id in self._wires.pop(wire, {}):
            if not self._is_carried(track_id):
                events += self._step(track_id, Happening.UNCARRIED, "its wire is gone")
        self._await(now)
        return events

    def expire(self, now: float) -> list[TrackEvent]:
        """Give up what did not come back in time."""
        late = [key for key, t in self._tracks.items() if t.due is not None and t.due <= now]
        why = f"it did not come back within {RESUME_SECONDS:g} s"
        return [event for key in late for event in self._step(key, Happening.OVERDUE, why)]

    def gone(self, error: PeerError) -> list[TrackEvent]:
        """The remote is gone, or another process: all its tracks end with ``error``; without one,
        if it left in good order."""
        self._wires.clear()
        failure = None if isinstance(error, LeftError) else error
        return [
            event
            for track_id in list(self._tracks)
            for event in self._step(track_id, Happening.GONE, str(error), failure)
        ]

    def _is_carried(self, track_id: str) -> bool:
        return any(track_id in tracks for tracks in self._wires.values())

    def _await(self, now: float) -> None:
        """Suspended tracks have so much time from when there is a wire for them."""
        for track in self._tracks.values():
            if track.state is not TrackState.SUSPENDED or not self._wires:
                track.due = None
            elif track.due is None:
                track.due = now + RESUME_SECONDS

    def _step(
        self, track_id: str, what: Happening, reason: str = "", error: PeerError | None = None
    ) -> list[TrackEvent]:
        track = self._tracks.get(track_id)
        step = STEPS.get((track.state, what)) if track is not None else None
        if track is None or step is None:
            return []
        track.state, told = step
        event = self._event(track_id, told, reason, error)
        if track.state is TrackState.ENDED:
            del self._tracks[track_id]
        return [event]

    def _event(
        self,
        track_id: str,
        told: TrackEvent.Kind,
        reason: str = "",
        error: PeerError | None = None,
    ) -> TrackEvent:
        kind = self._tracks[track_id].kind
        return TrackEvent(told, self.remote, track_id, kind, reason, error)
