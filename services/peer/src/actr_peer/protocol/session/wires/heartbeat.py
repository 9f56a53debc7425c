"""Sans-I/O: whether one wire is alive, told by its own round trips.

A wire that accepts every send is not thereby alive: the WebRTC library notices a dead path after
some seconds. So each wire is pinged, often while there is traffic, seldom while there is none.
An answer proves both directions. Word that frames sent on this wire have arrived proves the one
that this side uses it for, and counts as much: a full wire may answer late.

When the last message is some time ago, the next ping comes after as long again, within the bounds:
most traffic is a call now and then, and pings for seconds after each would cost more than it. A
ping without an answer, and the next message, bring the quick pace back at once.

Where nothing goes on, one side's pings do for both: that which has dialled the wire asks, and who
is asked at an idle pace knows that the answer before has arrived. When pings come faster, or none
comes, it asks itself.
"""

from __future__ import annotations

from math import inf

from actr_peer.protocol.session.wires.policy import WireState
from actr_peer.protocol.wire.grid import near_fine_grid, on_fine_grid, on_grid

FASTEST = 0.15
SLOWEST = 0.5
IDLE = 3.0
"""Seconds between two pings: bounds of the interval under traffic, and without."""
ASKED = 3.5
"""Seconds after which a side that did not dial pings an idle wire, since the far side did."""
HURRIED = IDLE / 2
"""Seconds between two pings of the far side's below which the wire is not idle there."""
BUSY_FOR = 2.0
"""Seconds that the last traffic counts as traffic."""
MAX_MISSED = 3
"""Pings without an answer that make a wire suspect."""
TRUSTED_AFTER = 3
"""Answers in a row that make it good again."""
FAILED_AFTER = 10.0
"""Seconds without an answer that make it failed."""
OUTLIER = 0.05
"""Seconds above four round trips from where on a longer one is taken as no longer."""
FIRST_RTT = 0.05
"""Seconds assumed before the first measurement."""


class Heartbeat:
    """One wire's pulse. It starts READY, not yet trusted."""

    __slots__ = (
        "_asked_at", "_ping_at", "_waiting", "busy_until", "good", "missed", "number", "proof_at",
        "recovered_at", "srtt", "state", "trusted_at",
    )  # fmt: skip

    def __init__(self, now: float) -> None:
        self.state = WireState.READY
        self.good = 0
        """Answers in a row."""
        self.missed = 0
        """Pings in a row that had no answer when the next was due."""
        self.number = 0
        self.srtt: float | None = None
        """Smoothed round trip, seconds."""
        self.proof_at = now
        """When the wire last proved both directions."""
        self.trusted_at = inf
        """When it was first trusted."""
        self.recovered_at = -inf
        """When it was last good again after having been suspect."""
        self.busy_until = -inf
        self._asked_at = -inf
        """When the far side last pinged."""
        self._ping_at = now
        self._waiting: dict[int, float] = {}
        """When each of the newest pings went out that have no answer."""

    @property
    def is_trusted(self) -> bool:
        """Whether it has answered several times in a row."""
        return self.good >= TRUSTED_AFTER

    @property
    def rtt(self) -> float:
        """Smoothed round trip, or a guess before the first; seconds."""
        return FIRST_RTT if self.srtt is None else self.srtt

    @property
    def due(self) -> float:
        """When :meth:`ping` is next needed."""
        return self._ping_at

    @property
    def pace(self) -> float:
        """Seconds from one ping to the next where it matters most."""
        return min(SLOWEST, max(FASTEST, 2 * self.rtt))

    def interval(self, now: float) -> float:
        """Seconds from one ping to the next, if this one is answered."""
        if not self.is_trusted or self.missed:
            return self.pace
        if now >= self.busy_until:
            return IDLE
        return min(SLOWEST, max(self.pace, now + BUSY_FOR - self.busy_until))

    def busy(self, now: float) -> bool:
        """Traffic goes over this wire; return whether :attr:`due` has come nearer."""
        is_flowing = now + BUSY_FOR - self.busy_until < FASTEST
        self.busy_until = now + BUSY_FOR
        if is_flowing:
            return False
        soon = on_fine_grid(now + self.pace)
        if soon >= self._ping_at:
            return False
        self._ping_at = soon
        return True

    def ping(self, now: float) -> int | None:
        """The number of the ping to send now, or None if it is not time."""
        if now < self._ping_at:
            return None
        if self._waiting:
            self.missed += 1
            self.good = 0
            self._judge(now)
        self.number = (self.number + 1) & 0xFFFFFFFF
        self._waiting[self.number] = now
        while len(self._waiting) > 2 * MAX_MISSED:
            del self._waiting[next(iter(self._waiting))]
        # An answer puts it off, where little goes on: one that is missing is noticed at once.
        self._ping_at = near_fine_grid(now + min(self.interval(now), self._patience(now)))
        return self.number

    def asked(self, now: float) -> None:
        """The far side, which has dialled this wire, has pinged: :attr:`due` may have moved."""
        before, self._asked_at = self._asked_at, now
        if self.interval(now) < IDLE:
            return
        if now - before < HURRIED:  # it has traffic, or hears nothing from here
            self.busy(now)
            self._ping_at = now
        elif not self._waiting:
            self.proof_at = now
            self._ping_at = max(self._ping_at, on_grid(now + ASKED))

    def pong(self, number: int, now: float) -> None:
        """An answer came; one that nobody asked for changes nothing."""
        sent_at = self._waiting.get(number)
        if sent_at is None:
            return
        for older in [waiting for waiting in self._waiting if waiting <= number]:
            del self._waiting[older]
        self.good += 1
        if self.good == TRUSTED_AFTER and self.trusted_at == inf:
            self.trusted_at = now
        if not self.missed:  # else it waited out a break, which says nothing of the path
            self.sample(now - sent_at)
        self.alive(now)
        if not self._waiting:
            self._put_off(sent_at, now)

    def _patience(self, now: float) -> float:
        return self.pace if now < self.busy_until else SLOWEST

    def _put_off(self, sent_at: float, now: float) -> None:
        """The newest ping, sent at ``sent_at``, is answered: the next has time."""
        interval = self.interval(now)
        # A ping at the end of the busy time would look hurried to a far side whose own is over.
        if self.is_trusted and not self.missed and sent_at + interval >= self.busy_until:
            self._ping_at = on_grid(max(now + IDLE, self._asked_at + ASKED))
        else:
            self._ping_at = max(self._ping_at, near_fine_grid(sent_at + interval))

    def alive(self, now: float) -> None:
        """What went over this wire is known to have arrived."""
        self.missed = 0
        self.proof_at = now
        if self.state is WireState.SUSPECT and self.is_trusted:
            self.state = WireState.READY
            self.recovered_at = now

    def doubt(self, now: float) -> None:
        """Prefer any other wire until this one has answered several times."""
        if self.state is WireState.READY:
            self.state = WireState.SUSPECT
            self.good = 0
            self._ping_at = now

    def sample(self, seconds: float) -> None:
        """Take one measured round trip (RFC 6298's smoothing, with its weight of 1/8).

        One that stands out counts for less: what waited in a wire that stood still for a
        moment must not make this side wait as long the next time.
        """
        if self.srtt is None:
            self.srtt = seconds
        else:
            self.srtt += (min(seconds, 4 * self.srtt + OUTLIER) - self.srtt) / 8

    def _judge(self, now: float) -> None:
        if self.missed < MAX_MISSED or self.state is WireState.FAILED:
            return
        # Both conditions: a process that was stopped for long finds old times, not missed pings.
        overdue = now - self.proof_at >= FAILED_AFTER
        self.state = WireState.FAILED if overdue else WireState.SUSPECT
