"""Sans-I/O: the wires of a session as it sees them, which one it uses, and its news."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import TypeAlias

from actr_peer.errors import RemoteProtocolError
from actr_peer.protocol.payload import MAX_WIRE_MESSAGE_BYTES, PayloadType, WireKind
from actr_peer.protocol.session.frames import ByeReason, encode_ping, encode_pong
from actr_peer.protocol.session.lanes import Lanes
from actr_peer.protocol.session.sender import Timing
from actr_peer.protocol.session.wires.flight import BASES, Flight
from actr_peer.protocol.session.wires.heartbeat import FAILED_AFTER, Heartbeat
from actr_peer.protocol.session.wires.policy import WireState, WireView, best

CONTROL = 1
"""The channel of HELLO, ACK, ASK and BYE."""
PULSE = 3
"""The channel of PING and PONG: unordered, so that a lost one does not hold up the next."""

MAX_UNGREETED = 64
"""Messages that wait for the far side's HELLO; lanes send again what is dropped here."""
MAX_UNGREETED_BYTES = 256 * 1024
HELLO_EVERY = 0.3
"""Seconds between two HELLOs while the far side has not been heard."""

MAX_WORDS = 512
"""HELLOs, PINGs, PONGs, ASKs and BYEs on one wire in a second. A peer sends about ten; what a wire
held up for seconds comes at once."""
ANSWER_EVERY = 0.02
"""Seconds between two answers to ASKs: one word of two bytes makes one of twenty-four."""

RTO_MIN = 0.2
"""Seconds: a frame waits at least so long before it goes out again on another wire."""
PATIENCE_MIN = 1.0
"""Seconds: likewise on the same wire."""
PROBATION = 3.0
"""Seconds after which a wire that was suspect is like any other."""


class End:
    """This side's end of one wire.

    A wire belongs to one pair of incarnations. It carries nothing but HELLO until the far
    side's HELLO has come (`is_greeted`).
    """

    __slots__ = (
        "_words", "_words_since", "answered_at", "control", "heart", "hello_at", "id", "is_greeted",
        "is_heard", "kind", "max_message_bytes", "opened_at", "order", "owed", "parked",
        "parked_bytes", "pong", "was_dialled",
    )  # fmt: skip

    def __init__(
        self, wire: int, kind: WireKind, now: float, *, was_dialled: bool, order: int = 0
    ) -> None:
        self.id = wire
        self.kind = kind
        self.max_message_bytes = MAX_WIRE_MESSAGE_BYTES[kind]
        """Longest wire message taken from the far side."""
        self.was_dialled = was_dialled
        self.opened_at = now
        self.order = order
        """Among all wires of the session, in order of opening."""
        self.heart = Heartbeat(now)
        self.is_greeted = False
        """The far side's HELLO has come."""
        self.is_heard = False
        """Something else has come: the far side has this side's HELLO."""
        self.hello_at = now
        """When HELLO is sent again if nothing is heard."""
        self.parked: list[tuple[int, bytes]] = []
        """Channel and data of what came before the HELLO."""
        self.parked_bytes = 0
        self.pong: int | None = None
        """Number of the newest ping that is not answered: a flood of them has one answer."""
        self.owed = 0
        """Lanes of which an acknowledgement goes out here, as bits."""
        self.answered_at = -inf
        """When an ASK was last answered here."""
        self._words = 0
        self._words_since = -inf
        self.control: deque[tuple[int, bytes]] = deque()
        """Channel and data of wire messages that go before all others."""

    def __repr__(self) -> str:
        return f"<End {self.id} {self.kind.value} {self.state.name}>"

    @property
    def state(self) -> WireState:
        if self.heart.state is WireState.READY and not self.is_greeted:
            return WireState.CONNECTING
        return self.heart.state

    @property
    def is_sound(self) -> bool:
        """Whether it is usable and answers every ping."""
        return self.is_greeted and self.state is WireState.READY and not self.heart.missed

    def park(self, channel: int, data: bytes) -> int:
        """Keep what came before the HELLO, within bounds; returns how many bytes that took."""
        size = len(data)
        if len(self.parked) >= MAX_UNGREETED or self.parked_bytes + size > MAX_UNGREETED_BYTES:
            return 0
        self.parked.append((channel, data))
        self.parked_bytes += size
        return size

    def unpark(self) -> list[tuple[int, bytes]]:
        """What was parked, oldest first; nothing is, after this."""
        parked, self.parked = self.parked, []
        self.parked_bytes = 0
        return parked

    def count_word(self, now: float) -> None:
        """A HELLO, PING, PONG, ASK or BYE has come; peers say few.

        Raises:
            RemoteProtocolError: If that is a flood.
        """
        if now - self._words_since >= 1.0:
            self._words, self._words_since = 0, now
        self._words += 1
        if self._words > MAX_WORDS:
            raise RemoteProtocolError(f"over {MAX_WORDS} words about one wire in a second")

    def ask(self, lane: int, now: float) -> None:
        """The far side asks for word of a lane; it is given at most every ``ANSWER_EVERY``."""
        if now == self.answered_at or now - self.answered_at >= ANSWER_EVERY:
            self.answered_at = now
            self.owed |= 1 << lane

    def greet(self, now: float) -> None:
        """The far side's HELLO has come; the pulse begins."""
        self.is_greeted = True
        self.heart = Heartbeat(now)

    def judge(self, now: float) -> None:
        """A far side that never greets has failed."""
        if not self.is_greeted and now - self.opened_at >= FAILED_AFTER:
            self.heart.state = WireState.FAILED

    @property
    def hello_due(self) -> float:
        """When HELLO is sent again or :meth:`judge` has something to say, seconds."""
        if self.is_greeted or self.state is WireState.FAILED:
            return self.hello_at
        return min(self.hello_at, self.opened_at + FAILED_AFTER)

    def say(self, frames: bytes) -> None:
        """Send this before all else here."""
        self.control.append((CONTROL, frames))

    def ping(self, now: float) -> bool:
        """Send a PING if it is time; return whether it was."""
        number = self.heart.ping(now)
        if number is not None:
            self.control.append((PULSE, encode_ping(number)))
        return number is not None

    def asked(self, number: int, now: float) -> None:
        """The far side has pinged: it gets an answer, and this side may need none of its own."""
        self.pong = number
        if not self.was_dialled:
            self.heart.asked(now)

    def take_control(self, lanes: Lanes) -> tuple[int, bytes]:
        """The next of what goes before all else here, as channel and data; there is some."""
        if self.control:
            return self.control.popleft()
        if self.pong is not None:
            pong, self.pong = self.pong, None
            return PULSE, encode_pong(pong)
        owed, self.owed = self.owed, 0
        return CONTROL, b"".join(lanes.acks_of(owed))

    def timing(self, now: float) -> Timing:
        """When frames sent here are overdue.

        For a while after a break the round trips measured are those of the backlog: the other
        wire is tried as soon as on a fast path.
        """
        rtt = self.heart.rtt
        on_probation = now - self.heart.recovered_at < PROBATION
        other = RTO_MIN if on_probation else max(RTO_MIN, 4 * rtt)
        return Timing(other, max(PATIENCE_MIN, 8 * rtt))

    @property
    def view(self) -> WireView:
        return WireView(
            self.id,
            self.kind,
            self.state,
            self.heart.is_trusted,
            self.was_dialled,
            self.opened_at,
            self.heart.trusted_at,
            self.heart.good > 0,
        )


class Choice:
    """Which of a session's wires new frames take.

    Args:
        ends: The open wires by id; the session keeps it up to date.
        prefer: Kinds, best first.
        flight: Told of each wire that is chosen.
    """

    __slots__ = ("_ends", "_flight", "_prefer", "active", "brisk")

    def __init__(self, ends: Mapping[int, End], prefer: Sequence[WireKind], flight: Flight) -> None:
        self._flight = flight
        self._ends = ends
        self._prefer = tuple(prefer)
        self.active: End | None = None
        """What frames of reliable lanes take."""
        self.brisk: End | None = None
        """What latency-first frames take: another wire as soon as a ping of the active one is
        missed, for these frames are not sent again."""

    def again(self) -> None:
        """A wire has come, gone, or changed."""
        greeted = [end.view for end in self._ends.values() if end.is_greeted]
        chosen = best(greeted, self._prefer, self.active.id if self.active else None)
        before, self.active = self.active, None if chosen is None else self._ends[chosen]
        if self.active is not None and self.active is not before:
            self._flight.begin(BASES[self.active.kind])
        self.brisk_again()

    def brisk_again(self) -> None:
        """A ping was missed, or answered after that."""
        self.brisk = self.active
        if self.active is not None and self.active.heart.missed:
            sound = (end for end in self._ends.values() if end.is_sound)
            self.brisk = next(sound, self.active)

    @property
    def pulse_due(self) -> float:
        """When some wire is next to be pinged."""
        return min((end.heart.due for end in self._ends.values() if end.is_greeted), default=inf)

    def drop(self, end: End) -> None:
        """A wire is gone; :meth:`again` follows."""
        if end is self.active:
            self.active = None

    def timings(self, now: float) -> dict[int, Timing]:
        """The usable wires by id, the active one first, those that only recover last."""
        greeted = [end for end in self._ends.values() if end.is_greeted]
        suspect = [end for end in greeted if end.state is WireState.SUSPECT]
        usable = [end for end in greeted if end.state is WireState.READY]
        usable += [end for end in suspect if end.heart.good]
        usable = usable or suspect
        usable.sort(key=lambda end: end is not self.active)
        return {end.id: end.timing(now) for end in usable}


@dataclass(frozen=True, slots=True)
class Changed:
    """A wire's state is another one now."""

    wire: int
    state: WireState


@dataclass(frozen=True, slots=True)
class Refused:
    """A wire that cannot be used: it belongs to a process that is no more."""

    wire: int


@dataclass(frozen=True, slots=True)
class Restarted:
    """The far side is a new process; wires to the old one are ``Refused`` before this."""

    last_delivered: Mapping[PayloadType, int]
    """The last number of this side's that the old process acknowledged, -1: none."""


@dataclass(frozen=True, slots=True)
class Left:
    """The far side said BYE on a wire."""

    wire: int
    reason: ByeReason


News: TypeAlias = Changed | Refused | Restarted | Left
