"""Two sessions joined by wires that delay, drop, repeat, reorder and die, in simulated time.

Every message accepted and every one delivered is recorded; :meth:`World.check` compares. There
is no event loop: the world is a heap of things to happen.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count
from random import Random

from actr_peer.protocol.payload import (
    BYTE_LANES,
    MAX_WIRE_MESSAGE_BYTES,
    RELIABLE_LANES,
    RPC_LANES,
    WIRE_MESSAGE_BYTES,
    PayloadType,
    WireKind,
)
from actr_peer.protocol.session.lanes import HELD_BYTES, AnySender
from actr_peer.protocol.session.receiver import UNNUMBERED
from actr_peer.protocol.session.sender import WINDOW_FRAMES
from actr_peer.protocol.session.session import Session
from actr_peer.protocol.session.wires.ends import Changed, Refused, Restarted
from actr_peer.protocol.session.wires.policy import WireState

KINDS = (WireKind.WEBRTC, WireKind.WEBSOCKET)
LATENCY = PayloadType.STREAM_LATENCY_FIRST
STREAM = PayloadType.STREAM_RELIABLE
REPLY_LANES = (4, 5)
RELIABLE = (*RELIABLE_LANES, *REPLY_LANES)
ALL = (*BYTE_LANES, *REPLY_LANES)
"""Lanes by their numbers on the wire; those of payload types are these."""


class BreachError(AssertionError):
    """The promise of a lane was broken."""


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that the scenario does; the numbers mean what ``World.do`` makes of them."""

    name: str
    side: int = 0
    value: int = 0
    wait: float = 0.0
    """Seconds that pass afterwards."""


@dataclass(slots=True)
class Body:
    """What a message says: who sent it, when in its lane."""

    side: int
    incarnation: int
    lane: int
    number: int

    def encode(self, size: int) -> bytes:
        text = f"{self.side} {self.incarnation} {int(self.lane)} {self.number} ".encode()
        return text + b"x" * max(0, size - len(text))

    @classmethod
    def decode(cls, data: bytes) -> Body:
        side, incarnation, lane, number = (int(part) for part in data.split(b" ", 4)[:4])
        return cls(side, incarnation, lane, number)


class Host:
    """One process and its successors: each has a session; what is stored survives."""

    def __init__(self, world: World, side: int) -> None:
        self.world = world
        self.side = side
        self.incarnation = 0
        self.session: Session
        self.wires: dict[int, Strand] = {}
        self.accepted: dict[tuple[int, int], int] = {}
        """Messages accepted by (own incarnation, lane)."""
        self.kept_from: dict[tuple[int, int], int] = {}
        """The first message that no reset has dropped, likewise."""
        self.stored: dict[tuple[int, int], list[int]] = {}
        """Numbers stored, by (sender's incarnation, lane), in order of the first storing."""
        self.heard: dict[tuple[int, int, int], list[int]] = {}
        """Numbers delivered, by (own incarnation, sender's incarnation, lane)."""
        self.start()

    def start(self) -> None:
        """A new process."""
        self.incarnation += 1
        self.wires = {}
        self.session = self.world.session_class(
            self.side * 1_000_000 + self.incarnation, prefer=KINDS
        )

    @property
    def far(self) -> Host:
        return self.world.hosts[1 - self.side]

    # Upper layer

    def send(self, lane: int, size: int) -> bool:
        lanes = self.session.lanes
        sender: AnySender
        if lane in REPLY_LANES:
            sender = lanes.reply_sender(PayloadType(lane - 4))
        else:
            sender = lanes.sender(PayloadType(lane))
        if lane != LATENCY and not sender.has_room(size):  # type: ignore[union-attr]
            return False
        key = (self.incarnation, lane)
        number = self.accepted.get(key, 0)
        self.accepted[key] = number + 1
        sender.accept(Body(self.side, self.incarnation, lane, number).encode(size), self.world.now)
        self.flush()
        return True

    def deliver(self, lane: PayloadType, message: bytes, number: int) -> None:
        body = Body.decode(message)
        if body.lane != (lane + 4 if number == UNNUMBERED else lane) or body.side == self.side:
            raise BreachError(f"{body} came on {lane.name}")
        heard = self.heard.setdefault((self.incarnation, body.incarnation, body.lane), [])
        if body.lane == LATENCY:
            if body.number in heard:
                raise BreachError(f"{body} came twice")
        elif heard and body.number <= heard[-1]:
            raise BreachError(f"{body} after {heard[-1]}: doubled or out of order")
        elif body.lane not in RPC_LANES and heard and body.number != heard[-1] + 1:
            raise BreachError(f"{body} after {heard[-1]}: lost")
        heard.append(body.number)
        if body.lane in RPC_LANES:
            incarnation = self.incarnation
            delay = self.world.random.choice((0.0, 0.0, 0.0, 0.0, 0.001, 0.01, 0.05, 0.5))
            self.world.at(delay, lambda: self.store(incarnation, body, number))

    def store(self, incarnation: int, body: Body, number: int) -> None:
        """What a mailbox does: keep it if it is new, then acknowledge; lost by a crash before."""
        if incarnation != self.incarnation:
            return
        stored = self.stored.setdefault((body.incarnation, body.lane), [])
        if body.number not in stored:
            stored.append(body.number)
        self.session.lanes.acknowledge(PayloadType(body.lane), number, self.world.now)
        self.flush()

    # Session

    def receive(self, wire: int, channel: int, data: bytes) -> None:
        for delivery in self.deliveries(wire, channel, data):
            self.deliver(*delivery)
        self.check_bounds()
        self.flush()

    def deliveries(
        self, wire: int, channel: int, data: bytes
    ) -> Iterable[tuple[PayloadType, bytes, int]]:
        deliveries = self.session.receive(wire, channel, data, self.world.now)
        self.hear()
        return deliveries

    def hear(self) -> None:
        while self.session.news:
            item = self.session.news.popleft()
            match item:
                case Changed(wire, WireState.FAILED) | Refused(wire):
                    self.drop(wire)
                case Restarted():
                    for lane in (STREAM, LATENCY):
                        key = (self.incarnation, lane)
                        self.kept_from[key] = self.accepted.get(key, 0)
                case _:
                    pass

    def drop(self, wire: int) -> None:
        strand = self.wires.pop(wire, None)
        self.session.close(wire)
        if strand is not None:
            strand.kill()

    def flush(self) -> None:
        self.hear()
        for wire, strand in tuple(self.wires.items()):
            while True:
                size = MAX_WIRE_MESSAGE_BYTES[strand.kind]
                if self.world.random.random() < 0.1:  # it is slow at the moment
                    size = WIRE_MESSAGE_BYTES
                item = self.session.take(wire, self.world.now, is_full=strand.is_full, size=size)
                if item is None:
                    break
                strand.carry(self.side, *item)
        self.world.wake(self, self.session.due)

    def tick(self) -> None:
        if self.session.due <= self.world.now:
            self.session.tick(self.world.now)
            self.flush()

    def check_bounds(self) -> None:
        lanes = self.session.lanes
        if lanes.held_bytes > HELD_BYTES:
            raise BreachError(f"{lanes.held_bytes} bytes held")
        for receiver in lanes.receivers:
            if len(receiver.held) > WINDOW_FRAMES:
                raise BreachError(f"{len(receiver.held)} frames held back")
        for sender in lanes.senders:
            if len(sender.frames) > 2 * WINDOW_FRAMES:
                raise BreachError(f"{len(sender.frames)} frames kept")


@dataclass(eq=False, slots=True)
class Strand:
    """One wire between the two processes of the moment.

    Messages of one channel keep their order; channels, and wires, overtake each other.
    """

    world: World
    kind: WireKind
    ids: tuple[int, int]
    incarnations: tuple[int, int]
    delay: float = 0.01
    loss: tuple[float, float] = (0.0, 0.0)
    """Of what each side sends."""
    repeat: float = 0.0
    full_until: float = 0.0
    is_dead: bool = False
    arrives: dict[tuple[int, int], float] = field(default_factory=dict)
    """When the last message of (side, channel) arrives."""

    @property
    def is_full(self) -> bool:
        return self.world.now < self.full_until

    def carry(self, side: int, channel: int, data: bytes) -> None:
        random = self.world.random
        if self.is_dead or random.random() < self.loss[side]:
            return
        copies = 2 if random.random() < self.repeat else 1
        for _ in range(copies):
            delay = self.delay * (0.5 + random.random())
            at = max(self.arrives.get((side, channel), 0.0), self.world.now + delay)
            self.arrives[side, channel] = at
            self.world.at(at - self.world.now, lambda: self.arrive(1 - side, channel, data))

    def arrive(self, side: int, channel: int, data: bytes) -> None:
        if not self.is_dead:
            self.reach(side, channel, data)
        elif self.world.random.random() < 0.7:  # still in some buffer
            late = self.world.random.choice((0.0, 0.1, 0.5, 2.0))
            self.world.at(late, lambda: self.reach(side, channel, data))

    def reach(self, side: int, channel: int, data: bytes) -> None:
        host = self.world.hosts[side]
        if host.incarnation == self.incarnations[side]:
            host.receive(self.ids[side], channel, data)

    def kill(self) -> None:
        """Break; each side is told later, or finds out."""
        if self.is_dead:
            return
        self.is_dead = True
        for side in (0, 1):
            after = self.world.random.choice((0.0, 0.05, 1.0, 20.0))
            self.world.at(after, lambda side=side: self.tell(side))  # type: ignore[misc]

    def tell(self, side: int) -> None:
        host = self.world.hosts[side]
        if host.incarnation == self.incarnations[side]:
            host.wires.pop(self.ids[side], None)
            host.session.close(self.ids[side])
            host.flush()


class World:
    """Two hosts, their wires, and the time."""

    host_class = Host

    def __init__(self, seed: int, session_class: type[Session] = Session) -> None:
        self.now = 100.0
        self.random = Random(seed)
        self.session_class = session_class
        self._order = count()
        self._ids = count(1)
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._wakes: dict[int, float] = {}
        self.strands: list[Strand] = []
        self.hosts: list[Host] = []
        for side in (0, 1):
            self.hosts.append(self.host_class(self, side))

    def at(self, delay: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (self.now + delay, next(self._order), action))

    def wake(self, host: Host, due: float) -> None:
        """Have the host's session ticked when it is due; a heap entry at a time."""
        due = max(due, self.now)
        if due == float("inf") or self._wakes.get(host.side, float("inf")) <= due:
            return
        self._wakes[host.side] = due

        def go() -> None:
            if self._wakes.get(host.side) == due:
                del self._wakes[host.side]
            host.tick()
            self.wake(host, host.session.due)

        self.at(due - self.now, go)

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self._heap and self._heap[0][0] <= end:
            self.now, _, action = heapq.heappop(self._heap)
            action()
        self.now = end

    # Scenario

    def do(self, action: Action) -> None:
        host = self.hosts[action.side]
        alive = [strand for strand in self.strands if not strand.is_dead]
        match action.name:
            case "send":
                size = (10, 50, 1000, 30_000, 200_000)[action.value % 5]
                lane = ALL[action.value % len(ALL)]
                for _ in range(1 + action.value % 7):
                    host.send(lane, size)
            case "flood":
                lane = RELIABLE[action.value % len(RELIABLE)]
                size = (100, 5_000, 400_000)[action.value // len(RELIABLE) % 3]
                while host.send(lane, size):
                    pass
            case "open":
                if len(alive) < 4:
                    self.open(KINDS[action.value % 2])
            case "kill" if alive:
                alive[action.value % len(alive)].kill()
            case "vary" if alive:
                self.vary(alive[action.value % len(alive)])
            case "restart":
                self.restart(host)
            case _:
                pass
        self.run(action.wait)

    def open(self, kind: WireKind) -> Strand:
        ids = (next(self._ids), next(self._ids))
        incarnations = (self.hosts[0].incarnation, self.hosts[1].incarnation)
        strand = Strand(self, kind, ids, incarnations)
        self.strands.append(strand)
        for side in (0, 1):
            self.at(self.random.choice((0.0, 0.02, 0.4)), lambda s=side: self.born(strand, s))  # type: ignore[misc]
        return strand

    def born(self, strand: Strand, side: int) -> None:
        host = self.hosts[side]
        if host.incarnation == strand.incarnations[side] and not strand.is_dead:
            host.wires[strand.ids[side]] = strand
            host.session.open(strand.ids[side], strand.kind, self.now, was_dialled=side == 0)
            host.flush()

    def vary(self, strand: Strand) -> None:
        random = self.random
        strand.delay = random.choice((0.0005, 0.01, 0.1, 0.4))
        strand.loss = (random.choice((0, 0.1, 0.5, 1)), random.choice((0, 0.1, 0.5, 1)))
        strand.repeat = random.choice((0.0, 0.3))
        strand.full_until = self.now + random.choice((0.0, 0.0, 0.5))

    def restart(self, host: Host) -> None:
        host.start()
        for strand in self.strands:
            if strand.incarnations[host.side] != host.incarnation:
                strand.kill()
        if self.random.random() < 0.7:
            self.open(WireKind.WEBSOCKET)

    def settle(self) -> None:
        """Heal what is left, and give it time."""
        for strand in self.strands:
            strand.loss, strand.repeat, strand.delay = (0.0, 0.0), 0.0, 0.01
            strand.full_until = 0.0
        for host in self.hosts:
            host.send(PayloadType.RPC_RELIABLE, 20)
        for _ in range(4):
            self.open(WireKind.WEBSOCKET)
            self.run(40.0)

    # Verdict

    def check(self) -> None:
        for host in self.hosts:
            self.check_lanes(host)
            lanes = host.session.lanes
            if not (lanes.is_empty and lanes.is_settled):
                raise BreachError(f"side {host.side} is not empty: {lanes.senders}")
            held = [s.held_bytes for s in lanes.senders] + [s.flight_bytes for s in lanes.senders]
            if any(held) or lanes.held_bytes or lanes.latency_sender.held_bytes:
                raise BreachError(f"side {host.side} holds {held}")

    def check_lanes(self, host: Host) -> None:
        for (incarnation, lane), accepted in host.accepted.items():
            if lane in RPC_LANES:
                self.check_stored(host, incarnation, lane, accepted)
            elif lane in REPLY_LANES and incarnation == host.incarnation:
                heard = {
                    n
                    for (_, theirs, at), numbers in host.far.heard.items()
                    if (theirs, at) == (incarnation, lane)
                    for n in numbers
                }
                if heard != set(range(accepted)):
                    raise BreachError(f"replies to {accepted}: heard {heard}")
            elif lane == STREAM and incarnation == host.incarnation:
                first = host.kept_from.get((incarnation, lane), 0)
                heard = host.far.heard.get((host.far.incarnation, incarnation, lane), [])
                if heard != list(range(first, accepted)):
                    raise BreachError(f"stream from {first} to {accepted}: heard {heard}")

    def check_stored(self, host: Host, incarnation: int, lane: int, accepted: int) -> None:
        stored = host.far.stored.get((incarnation, lane), [])
        if incarnation == host.incarnation and len(stored) != accepted:
            lost = sorted(set(range(accepted)) - set(stored))
            raise BreachError(f"lane {lane}: lost {lost}")


def play(actions: Iterable[Action], seed: int, session_class: type[Session] = Session) -> World:
    """Run a scenario to its end and check it."""
    world = World(seed, session_class)
    world.open(WireKind.WEBRTC)
    world.open(WireKind.WEBSOCKET)
    for action in actions:
        world.do(action)
    world.settle()
    world.check()
    return world


def some_actions(seed: int, length: int = 60) -> list[Action]:
    """A scenario without a strategy, for long runs."""
    random = Random(seed)
    weights = {"send": 24, "flood": 1, "open": 6, "kill": 4, "vary": 8, "restart": 2}
    return [
        Action(
            random.choices(list(weights), list(weights.values()))[0],
            random.randrange(2),
            random.randrange(1000),
            random.choice((0.0, 0.0, 0.005, 0.03, 0.3, 1.0)),
        )
        for _ in range(length)
    ]
