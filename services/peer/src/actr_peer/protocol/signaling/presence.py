"""Sans-I/O: who is online, as the signaling service tells it (docs/signaling.md).

The client's session is ``session.py``, the protobuf form ``messages.py``.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from types import MappingProxyType

from actr_peer.protocol.identity import ActrId

MAX_HELD = 65_536
"""Actors that are shown; a service that tells of more is not believed."""
MAX_LEFT = 4096


def _nothing() -> Mapping[str, str]:
    return MappingProxyType({})


class Visibility(Enum):
    """To whom an actor is shown."""

    REALM = "realm"
    HIDDEN = "hidden"
    """Reachable by who knows the id; in no snapshot, event or discovery."""


@dataclass(frozen=True, slots=True)
class Load:
    """How busy an actor is: discovery prefers who is less so."""

    mailbox_backlog: int = 0
    """Requests waiting."""
    power_reserve: float = 1.0
    """0 (none left) to 1 (idle)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What an actor says of itself."""

    id: ActrId
    incarnation: int
    """Random, new with each start of the process; 64 bits."""
    ws_address: str = ""
    """Of its WebSocket listener; empty: it has none."""
    services: tuple[tuple[str, str], ...] = ()
    """``package.Service`` and the fingerprint of each."""
    metadata: Mapping[str, str] = field(default_factory=_nothing)
    """Shown to others; at most 16 entries of 256 bytes."""
    visibility: Visibility = Visibility.REALM
    allowed_realms: tuple[str, ...] = ()
    """Realms besides its own whose actors may see and reach this one."""
    takes_over: bool = True
    """Whether it takes its identity from another process that holds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """An actor that is online."""

    id: ActrId
    incarnation: int = 0
    ws_address: str = ""
    services: tuple[tuple[str, str], ...] = ()
    metadata: Mapping[str, str] = field(default_factory=_nothing)
    load: Load = Load()
    epoch: int = 0
    """Rises with each registration of the same identity."""


class Change(Enum):
    JOIN = "join"
    UPDATE = "update"
    LEAVE = "leave"


class Reason(Enum):
    """Why an actor left."""

    NONE = "none"
    CLOSED = "closed"
    EXPIRED = "expired"
    REPLACED = "replaced"
    DRAINED = "drained"
    KICKED = "kicked"


@dataclass(frozen=True, slots=True)
class PresenceEvent:
    """An actor came, changed or left."""

    kind: Change
    presence: Presence
    version: int = 0
    reason: Reason = Reason.NONE

    # Read as PresenceEvent.Kind.LEAVE where only the event is imported.
    Kind = Change
    Reason = Reason


class SignalingState(Enum):
    """Where the connection to the signaling service stands."""

    CONNECTING = "connecting"
    REGISTERED = "registered"
    WAITING = "waiting"
    """Lost; the next attempt waits for its back-off."""
    REPLACED = "replaced"
    """A newer process has this identity. Final."""
    REFUSED = "refused"
    """The service does not take this actor: final at the start, asked again later."""
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class _Held:
    presence: Presence
    version: int


class PresenceView:
    """Who is online among the types subscribed to, from snapshots and events.

    On one connection a snapshot and what follows come in order. A replica that was behind may
    still tell of an older session: (epoch, version) never goes back for an actor that is held, and
    the epoch of one that left is remembered for a while: an older session does not come back.
    """

    def __init__(self) -> None:
        self._held: dict[ActrId, _Held] = {}
        self._left: OrderedDict[ActrId, int] = OrderedDict()
        """Epochs of those that left, the last ``MAX_LEFT``, newest last."""

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[Presence]:
        return (held.presence for held in self._held.values())

    def find(self, actr_id: ActrId) -> Presence | None:
        held = self._held.get(actr_id)
        return None if held is None else held.presence

    def of_type(self, actr_type: str) -> list[Presence]:
        """Those of one type, or all when it is empty."""
        return [presence for presence in self if actr_type in ("", presence.id.actr_type)]

    def reset(
        self, actr_type: str, version: int, present: Iterable[Presence]
    ) -> list[PresenceEvent]:
        """Take a snapshot of one type, or of all when it is empty; return what is new by it."""
        events: list[PresenceEvent] = []
        missing = {presence.id: presence for presence in self.of_type(actr_type)}
        for presence in present:
            old = missing.pop(presence.id, None)
            if self._is_old(presence) or (old is None and len(self._held) >= MAX_HELD):
                continue
            self._held[presence.id] = _Held(presence, version)
            if old is None:
                events.append(PresenceEvent(Change.JOIN, presence, version))
            elif old.incarnation != presence.incarnation:
                gone = PresenceEvent(Change.LEAVE, old, version, Reason.REPLACED)
                events += gone, PresenceEvent(Change.JOIN, presence, version)
            elif replace(old, load=presence.load, epoch=presence.epoch) != presence:
                events.append(PresenceEvent(Change.UPDATE, presence, version))
        for presence in missing.values():
            self._drop(presence)
            events.append(PresenceEvent(Change.LEAVE, presence, version))
        return events

    def apply(self, event: PresenceEvent) -> bool:
        """Take an event; false when it says nothing new and is to be dropped."""
        presence = event.presence
        held = self._held.get(presence.id)
        if event.kind is Change.LEAVE:
            if held is None or presence.epoch < held.presence.epoch:
                return False
            self._drop(presence)
            return True
        if self._is_old(presence) or (held is None and len(self._held) >= MAX_HELD):
            return False
        if held is not None:
            rank = held.presence.epoch, held.version
            if (presence.epoch, event.version) <= rank:
                return False
        self._held[presence.id] = _Held(presence, event.version)
        return True

    def _is_old(self, presence: Presence) -> bool:
        held = self._held.get(presence.id)
        known = self._left.get(presence.id, 0) if held is None else held.presence.epoch
        return presence.epoch < known

    def _drop(self, presence: Presence) -> None:
        held = self._held.pop(presence.id)
        self._left[presence.id] = max(presence.epoch, held.presence.epoch)
        self._left.move_to_end(presence.id)
        if len(self._left) > MAX_LEFT:
            self._left.popitem(last=False)

    def forget(self, actr_type: str, still_wanted: Iterable[str]) -> None:
        """Drop a type that is no longer subscribed to, unless another subscription holds it."""
        wanted = set(still_wanted)
        if "" in wanted:
            return
        for presence in self.of_type(actr_type):
            if presence.id.actr_type not in wanted:
                del self._held[presence.id]
