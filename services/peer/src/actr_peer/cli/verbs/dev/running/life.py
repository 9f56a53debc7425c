"""The life of one workload under ``actr dev``: when it starts, and what its end leads to; pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final

from actr_peer.protocol.wire.backoff import doubled

FIRST_REST: Final = 1.0
MOST_REST: Final = 30.0
STEADY: Final = 10.0
"""Seconds online after which a crash is the first one again."""


class State(Enum):
    """What there is of a workload."""

    STARTING = "starting"
    """A process that is not an actor yet."""
    ONLINE = "online"
    ENDING = "ending"
    """Asked to end, for it is to start anew."""
    WAITING = "waiting for a change"
    """No process: the same code would end the same way."""
    RESTING = "resting"
    """No process, for a while: it crashed."""


class Event(Enum):
    """What happens to it."""

    READY = "ready"
    REFUSED = "refused"
    """It ended and cannot start: its code or configuration is at fault."""
    CRASHED = "crashed"
    FINISHED = "finished"
    """It ended by itself, in good order."""
    CHANGE = "change"
    RESTED = "rested"


_S, _E = State, Event
TABLE: Final[Mapping[State, Mapping[Event, State]]] = MappingProxyType(
    {
        _S.STARTING: {
            _E.READY: _S.ONLINE,
            _E.REFUSED: _S.WAITING,
            _E.CRASHED: _S.RESTING,
            _E.FINISHED: _S.WAITING,
            _E.CHANGE: _S.ENDING,
            _E.RESTED: _S.STARTING,
        },
        _S.ONLINE: {
            _E.READY: _S.ONLINE,
            _E.REFUSED: _S.WAITING,
            _E.CRASHED: _S.RESTING,
            _E.FINISHED: _S.WAITING,
            _E.CHANGE: _S.ENDING,
            _E.RESTED: _S.ONLINE,
        },
        _S.ENDING: {
            _E.READY: _S.ENDING,
            _E.REFUSED: _S.STARTING,
            _E.CRASHED: _S.STARTING,
            _E.FINISHED: _S.STARTING,
            _E.CHANGE: _S.ENDING,
            _E.RESTED: _S.ENDING,
        },
        _S.WAITING: {
            _E.READY: _S.WAITING,
            _E.REFUSED: _S.WAITING,
            _E.CRASHED: _S.WAITING,
            _E.FINISHED: _S.WAITING,
            _E.CHANGE: _S.STARTING,
            _E.RESTED: _S.WAITING,
        },
        _S.RESTING: {
            _E.READY: _S.RESTING,
            _E.REFUSED: _S.RESTING,
            _E.CRASHED: _S.RESTING,
            _E.FINISHED: _S.RESTING,
            _E.CHANGE: _S.STARTING,
            _E.RESTED: _S.STARTING,
        },
    }
)


class Life:
    """One workload, from start to start.

    Attributes:
        state: What there is of it now.
        rest: Seconds until the next start, while it is RESTING.
    """

    def __init__(self) -> None:
        self.state = State.STARTING
        self.rest = 0.0
        self._crashes = 0
        """In a row."""
        self._online_since: float | None = None

    def take(self, event: Event, now: float) -> State:
        """Go on by one event, and return the new state."""
        before, self.state = self.state, TABLE[self.state][event]
        if self.state is State.ONLINE and before is not State.ONLINE:
            self._online_since = now
        if event is Event.CHANGE:
            self._crashes = 0
        if self.state is State.RESTING and before is not State.RESTING:
            self._crash(now)
        if self.state is not State.ONLINE:
            self._online_since = None
        return self.state

    def _crash(self, now: float) -> None:
        was_steady = self._online_since is not None and now - self._online_since >= STEADY
        self._crashes = 1 if was_steady else self._crashes + 1
        self.rest = doubled(FIRST_REST, self._crashes, MOST_REST)
