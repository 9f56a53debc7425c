"""Two actors with small mailboxes over the sessions of ``session.sim``: do they always go on?

Each has a shell that tells and calls the other as fast as its lanes take it, a mailbox with few
places and one handler at a time. What finds no place in a mailbox waits at its door and is not
acknowledged. A handler of a tell may call the other actor and wait for the reply.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import inf

from actr_peer.protocol.payload import PayloadType, WireKind
from actr_peer.protocol.session.receiver import UNNUMBERED
from peer_kit.session.sim import KINDS, Action, BreachError, Host, World

RPC = PayloadType.RPC_RELIABLE
PLACES = 4
"""In each mailbox."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the two do."""

    tells: int = 1400
    """Of each side's shell."""
    calls: int = 20
    """Likewise; their handlers wait for nothing."""
    size: int = 30
    """Bytes of a request; a window holds 1024 frames or 4 MiB."""
    callers: tuple[int, ...] = (1,)
    """Sides whose handlers of tells call the other side."""
    deadline: float = inf
    """Seconds that a handler waits for its reply."""
    are_replies_apart: bool = True
    """Whether replies have lanes of their own; False is what must be found."""


@dataclass(slots=True)
class Item:
    """One request in a mailbox or at its door."""

    kind: str
    name: str
    number: int


@dataclass
class Box:
    """A mailbox: who is inside, who waits at the door, and what is handled now."""

    inside: deque[Item] = field(default_factory=deque)
    door: deque[Item] = field(default_factory=deque)
    handled: Item | None = None


class ActorHost(Host):
    """One process of an :class:`ActorWorld`."""

    world: ActorWorld

    def __init__(self, world: World, side: int) -> None:
        super().__init__(world, side)
        self.box = Box()
        self.to_send: deque[bytes] = deque()
        """Requests that wait for room in the lane, oldest first."""
        self.names = 0
        self.awaited = ""
        """The reply that the handler waits for."""
        self.done: list[str] = []
        """Names of requests handled, in order."""
        self.replied: list[str] = []
        """Names of the shell's calls whose reply has come."""
        self.timed_out = 0

    def begin(self) -> None:
        plan = self.world.plan
        for number in range(max(plan.tells, plan.calls)):
            if number < plan.tells:
                self.ask("tell")
            if number < plan.calls:
                self.ask("call")

    def ask(self, kind: str) -> str:
        self.names += 1
        name = f"{self.side}-{self.names}"
        text = f"{kind} {name} ".encode()
        self.to_send.append(text.ljust(self.world.plan.size, b"."))
        self.push()
        return name

    def push(self) -> None:
        sender = self.session.lanes.senders[RPC]
        while self.to_send and sender.has_room(len(self.to_send[0])):
            sender.accept(self.to_send.popleft())
        self.flush()

    def answer(self, text: str) -> None:
        lanes = self.session.lanes
        apart = self.world.plan.are_replies_apart
        (lanes.reply_sender(RPC) if apart else lanes.senders[RPC]).accept(text.encode())
        self.flush()

    # In

    def receive(self, wire: int, channel: int, data: bytes) -> None:
        super().receive(wire, channel, data)
        self.push()

    def deliver(self, lane: PayloadType, message: bytes, number: int) -> None:
        kind, name = message.split(b" ", 2)[:2]
        item = Item(kind.decode(), name.decode(), number)
        if item.kind in ("reply", "cancel"):
            if number != UNNUMBERED:
                self.session.lanes.acknowledge(RPC, number, self.world.now)
            self.hear_reply(item.name) if item.kind == "reply" else self.drop_call(item.name)
        else:
            self.box.door.append(item)
            self.admit()

    def admit(self) -> None:
        box = self.box
        while box.door and len(box.inside) < PLACES:
            item = box.door.popleft()
            box.inside.append(item)
            self.session.lanes.acknowledge(RPC, item.number, self.world.now)
        if box.inside and box.handled is None:
            box.handled = box.inside[0]
            self.world.at(0.001, self.handle)

    def drop_call(self, name: str) -> None:
        """Its caller has left: it takes no place any more, unless it is handled already."""
        box = self.box
        for line in (box.inside, box.door):
            for item in list(line):
                if item.name == name and item is not box.handled:
                    line.remove(item)
                    if line is box.door:
                        self.session.lanes.acknowledge(RPC, item.number, self.world.now)
        self.admit()
        self.flush()

    # Handlers

    def handle(self) -> None:
        item = self.box.handled
        assert item is not None
        if item.kind == "tell" and self.side in self.world.plan.callers:
            self.awaited = name = self.ask("call")
            if self.world.plan.deadline < inf:
                self.world.at(self.world.plan.deadline, lambda: self.give_up(name))
            return
        if item.kind == "call":
            self.answer(f"reply {item.name} ")
        self.finish()

    def give_up(self, name: str) -> None:
        if self.awaited == name:
            self.timed_out += 1
            self.answer(f"cancel {name} ")
            self.awaited = ""
            self.finish()

    def hear_reply(self, name: str) -> None:
        if name == self.awaited:
            self.awaited = ""
            self.finish()
        else:
            self.replied.append(name)

    def finish(self) -> None:
        box = self.box
        item = box.inside.popleft()
        assert item is box.handled
        box.handled = None
        self.done.append(item.name)
        self.admit()
        self.push()


class ActorWorld(World):
    """Two actors, their wires, and the time."""

    host_class = ActorHost

    def __init__(self, plan: Plan, seed: int) -> None:
        self.plan = plan
        super().__init__(seed)

    @property
    def actors(self) -> list[ActorHost]:
        return [host for host in self.hosts if isinstance(host, ActorHost)]

    def told(self, side: int) -> list[int]:
        """Numbers of the shell's tells and calls of ``side`` that the other has handled."""
        shell = self.plan.tells + self.plan.calls
        done = [int(name.split("-")[1]) for name in self.actors[1 - side].done]
        return [number for number in done if number <= shell]


def play_actors(
    plan: Plan, seed: int, actions: list[Action] | None = None, seconds: float = 300.0
) -> ActorWorld:
    """Run two actors to their end.

    Raises:
        BreachError: If they stand still before all is handled and answered, in its order.
    """
    world = ActorWorld(plan, seed)
    for kind in KINDS:
        world.open(kind)
    world.run(1.0)
    for host in world.actors:
        host.begin()
    for action in actions or ():
        world.do(action)
    for strand in world.strands:
        strand.loss, strand.repeat, strand.delay, strand.full_until = (0.0, 0.0), 0.0, 0.005, 0.0
    world.open(WireKind.WEBSOCKET)
    world.run(seconds)
    for side, host in enumerate(world.actors):
        expected = list(range(1, plan.tells + plan.calls + 1))
        if world.told(side) != expected:
            done = len(world.told(side))
            raise BreachError(f"side {side} has said {len(expected)}, {done} were handled")
        if plan.deadline == inf and len(host.replied) != plan.calls:
            raise BreachError(f"side {side}: {len(host.replied)} replies to {plan.calls} calls")
    return world
