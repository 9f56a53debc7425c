"""What stands in for the far side and the network in tests.

``Recorder`` is a sink that remembers. ``ScriptedWire`` is a wire with no far side, driven by
the test. For two joined ends take ``actr_peer.testing.wires.join``; the faults below are set as
an end's ``fault`` and act on what is sent there::

    near, far = join(A, B)
    near.fault = Drop(every=3)
    near.is_held = True        # nothing moves until near.release() or near.release(2)
    near.cut()                 # both ends are told BrokenError
"""

from __future__ import annotations

import random
from asyncio import Event, sleep
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from actr_peer.errors import BrokenError, LimitError, PeerError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.certificates import Certificate
from actr_peer.protocol.payload import MAX_WIRE_MESSAGE_BYTES, WireKind
from actr_peer.protocol.signaling.presence import PresenceEvent, SignalingState
from actr_peer.protocol.webrtc.negotiation import NegotiateMessage
from actr_peer.testing.wires import Item
from actr_peer.wire.base import Wire, WireSink, next_wire_id

ALICE = ActrId("acme", "chat", "alice")
BOB = ActrId("acme", "chat", "bob")
CAROL = ActrId("acme", "chat", "carol")


class Recorder:
    """A sink that remembers every event, and that a test can wait on.

    Attributes:
        messages: (channel, data) in order of arrival.
        ends: The error of each ``closed``; longer than one is a fault of the wire.
        late: Events that came after ``closed``: must stay empty.
        on_message: Called for each message, after it is recorded; may raise.
    """

    def __init__(self, on_message: Callable[[Wire, int, bytes], None] | None = None) -> None:
        self.messages: list[Item] = []
        self.ends: list[PeerError | None] = []
        self.late: list[str] = []
        self.writable_count = 0
        self.on_message = on_message
        self.gone = Event()
        self._changed = Event()

    def message(self, wire: Wire, channel: int, data: bytes) -> None:
        self._note("message")
        self.messages.append((channel, data))
        if self.on_message is not None:
            self.on_message(wire, channel, data)

    def writable(self, wire: Wire) -> None:
        self._note("writable")
        self.writable_count += 1

    def closed(self, wire: Wire, error: PeerError | None) -> None:
        self._note("closed")
        self.ends.append(error)
        self.gone.set()

    def on(self, channel: int) -> list[bytes]:
        """Messages of one channel, in order."""
        return [data for at, data in self.messages if at == channel]

    async def until(self, is_true: Callable[[], bool]) -> None:
        """Wait for events until ``is_true``."""
        while not is_true():
            self._changed.clear()
            await self._changed.wait()

    async def received(self, count: int) -> list[Item]:
        """Wait for ``count`` messages in all and return them."""
        await self.until(lambda: len(self.messages) >= count)
        return self.messages

    def _note(self, event: str) -> None:
        if self.ends:
            self.late.append(event)
        self._changed.set()


class ScriptedWire:
    """A wire with no far side: the test reads ``sent`` and plays the network.

    Attributes:
        sent: (channel, data) handed over, oldest first.
        closes: How often ``close`` or ``abort`` was called.
    """

    def __init__(
        self,
        remote: ActrId = BOB,
        *,
        kind: WireKind = WireKind.WEBSOCKET,
        was_dialled: bool = True,
        is_relayed: bool = False,
        max_message_bytes: int = 256 * 1024,
    ) -> None:
        self.id = next_wire_id()
        self.remote = remote
        self.kind = kind
        self.was_dialled = was_dialled
        self.is_relayed = is_relayed
        self.certificate: Certificate | None = None
        self.max_message_bytes = max_message_bytes
        self.pack_bytes = MAX_WIRE_MESSAGE_BYTES[kind]
        self.sent: list[Item] = []
        self.buffered_bytes = 0
        self.is_full = False
        self.is_open = True
        self.closes = 0
        self.sink: WireSink | None = None

    def attach(self, sink: WireSink) -> None:
        self.sink = sink

    def send(self, channel: int, data: bytes) -> None:
        if not self.is_open:
            raise BrokenError("the wire is closed")
        if len(data) > self.max_message_bytes:
            raise LimitError("bytes", limit=self.max_message_bytes, asked=len(data))
        self.sent.append((channel, data))

    async def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        self.closes += 1
        self.break_(None)

    # The test's side

    def deliver(self, channel: int, data: bytes) -> None:
        """A message arrives."""
        if self.is_open and self.sink is not None:
            self.sink.message(self, channel, data)

    def fill(self, buffered_bytes: int = 1 << 20) -> None:
        """From now on the network takes nothing."""
        self.is_full, self.buffered_bytes = True, buffered_bytes

    def drain(self) -> None:
        """The network took everything."""
        self.is_full, self.buffered_bytes = False, 0
        if self.is_open and self.sink is not None:
            self.sink.writable(self)

    def break_(self, error: PeerError | None = None) -> None:
        """The wire is gone."""
        if self.is_open:
            self.is_open = False
            if self.sink is not None:
                self.sink.closed(self, error)

    def take(self) -> list[Item]:
        """Return what was sent since the last call."""
        sent, self.sent = self.sent, []
        return sent


class SignalingRecorder:
    """A sink of the signaling client, and of what is relayed, that remembers, and that a test can
    wait on."""

    def __init__(self) -> None:
        self.relays: list[tuple[ActrId, NegotiateMessage]] = []
        self.events: list[PresenceEvent] = []
        self.refusals: list[tuple[ActrId, str]] = []
        self.states: list[SignalingState] = []
        self.replacements = 0
        self._changed = Event()

    def relayed(self, source: ActrId, negotiate: NegotiateMessage) -> None:
        self.relays.append((source, negotiate))
        self._changed.set()

    def presence(self, event: PresenceEvent) -> None:
        self.events.append(event)
        self._changed.set()

    def refused(self, actor: ActrId, why: str) -> None:
        self.refusals.append((actor, why))
        self._changed.set()

    def state_changed(self, state: SignalingState) -> None:
        self.states.append(state)
        self._changed.set()

    def replaced(self) -> None:
        self.replacements += 1
        self._changed.set()

    async def until(self, is_true: Callable[[], bool]) -> None:
        """Wait for events until ``is_true``."""
        while not is_true():
            self._changed.clear()
            await self._changed.wait()


# Faults for an end of actr_peer.testing.wires.join


@dataclass
class Drop:
    """Loses messages.

    Attributes:
        every: One of so many is lost, counted from the first; 1 loses all.
        channel: Of this channel only; None: of all.
    """

    every: int = 1
    channel: int | None = None
    dropped: list[Item] = field(default_factory=list)
    _count: int = 0

    def __call__(self, item: Item) -> Iterable[Item]:
        if self.channel is not None and item[0] != self.channel:
            return (item,)
        self._count += 1
        if (self._count - 1) % self.every:
            return (item,)
        self.dropped.append(item)
        return ()


@dataclass
class Repeat:
    """Delivers each message ``times`` times."""

    times: int = 2

    def __call__(self, item: Item) -> Iterable[Item]:
        return (item,) * self.times


@dataclass
class Shuffle:
    """Holds back up to ``window`` messages and lets them go in the random order of ``seed``.

    What is held when the test ends never arrives, unless :meth:`rest` is delivered.
    """

    seed: int = 0
    window: int = 4
    held: list[Item] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)

    def __call__(self, item: Item) -> Iterable[Item]:
        self.held.append(item)
        if len(self.held) < self.window:
            return ()
        return (self.held.pop(self._dice.randrange(len(self.held))),)

    def rest(self) -> list[Item]:
        held, self.held = self.held, []
        return held


@dataclass
class Chaos:
    """Drops, repeats and swaps neighbours with the chances given (0 to 1)."""

    seed: int = 0
    drop: float = 0.1
    repeat: float = 0.1
    swap: float = 0.1
    _late: Item | None = None

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)

    def __call__(self, item: Item) -> Iterable[Item]:
        out = [] if self._dice.random() < self.drop else [item]
        if out and self._dice.random() < self.repeat:
            out.append(item)
        late, self._late = self._late, None
        if late is not None:
            out.append(late)
        elif out and self._dice.random() < self.swap:
            self._late = out.pop(0)
        return out


async def turns(count: int = 5) -> None:
    """Let the loop run ``count`` turns."""
    for _ in range(count):
        await sleep(0)
