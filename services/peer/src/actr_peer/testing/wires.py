"""Two wires joined inside one process, for tests and the testing kit: same rules, no socket.

What one side sends in a turn of the loop reaches the far side's sink in the next one, in order.
A :class:`Fault` in each direction may decide otherwise.
"""

from __future__ import annotations

from asyncio import Event, get_running_loop
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import TypeAlias

from actr_peer.errors import (
    BrokenError,
    LimitError,
    PeerError,
    RemoteProtocolError,
    UnreachableError,
)
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import MAX_WIRE_MESSAGE_BYTES, WireKind
from actr_peer.wire.base import CHANNELS, Wire, WireSink, next_wire_id
from actr_peer.wire.parking import Parking, blame_sink

HIGH_WATER_BYTES = 64 * 1024
LOW_WATER_BYTES = 16 * 1024

Item: TypeAlias = tuple[int, bytes]
"""Channel and message."""
Fault: TypeAlias = Callable[[Item], Iterable[Item]]
"""What the far side gets for one message sent: itself, nothing, or others, in order."""


class MemoryWire:
    """One end; made in pairs by :func:`join`.

    Attributes:
        fault: Applied to each message sent here; None: it arrives as it is.
        is_held: While true, messages wait in the line; see :meth:`release`.
    """

    is_relayed = False
    certificate = None

    def __init__(
        self,
        local: ActrId,
        remote: ActrId,
        *,
        kind: WireKind,
        max_message_bytes: int,
        was_dialled: bool,
    ) -> None:
        self.id = next_wire_id()
        self.kind = kind
        self.local = local
        self.remote = remote
        self.was_dialled = was_dialled
        self.max_message_bytes = max_message_bytes
        self.pack_bytes = min(max_message_bytes, MAX_WIRE_MESSAGE_BYTES[kind])
        self.buffered_bytes = 0
        self.is_full = False
        self.is_open = True
        self.is_held = False
        self.fault: Fault | None = None
        self._far: MemoryWire
        self._loop = get_running_loop()
        self._line: deque[Item] = deque()
        self._is_moving = False
        self._ending: Callable[[], None] | None = None
        self._parking = Parking()
        self._verdict: PeerError | None = None
        self._gone = Event()

    def __repr__(self) -> str:
        state = "open" if self.is_open else "closed"
        return f"<MemoryWire {self.id} {self.local} to {self.remote} {state}>"

    # What a wire is (wire/base.py)

    def attach(self, sink: WireSink) -> None:
        was_open = self.is_open
        for item in self._parking.attach(sink):
            if self.is_open is was_open:  # the sink may close the wire
                self._give(item)
        if not self.is_open:
            self._tell()

    def send(self, channel: int, data: bytes) -> None:
        if not self.is_open:
            raise BrokenError(f"the wire to {self.remote} is closed")
        if len(data) > self.max_message_bytes:
            raise LimitError(
                "bytes of a wire message", limit=self.max_message_bytes, asked=len(data)
            )
        self._line.append((channel, data))
        self.buffered_bytes += len(data)
        self.is_full = self.is_full or self.buffered_bytes > HIGH_WATER_BYTES
        self._schedule()

    async def close(self) -> None:
        if self.is_open:
            self.is_open = False
            # What was sent arrives first; a held line has no time-out, it is dropped at once.
            if self.is_held:
                self._line.clear()
                self.is_held = False
            self._ending = self._far._lose_cleanly
            self._schedule()
        try:
            await self._gone.wait()
        except BaseException:
            self._end(None)
            raise

    def abort(self) -> None:
        """As the protocol says; ``closed`` is reported in a later turn, on both sides."""
        if self.is_open:
            self.is_open = False
            self._line.clear()
            self._loop.call_soon(self._end, None)
            self._loop.call_soon(
                self._far._end,
                BrokenError(f"the connection to {self.local} was lost"),
            )

    # For tests

    def cut(self, why: str = "cut") -> None:
        """Break the line: both sides are told :class:`BrokenError` in the next turn."""
        for end in (self, self._far):
            if end.is_open:
                end.is_open = False
                end._line.clear()
                self._loop.call_soon(end._end, BrokenError(f"the wire was {why}"))

    def release(self, count: int | None = None) -> None:
        """Let the ``count`` oldest held messages through, or all and stop holding."""
        if count is None:
            self.is_held = False
            self._schedule()
            return
        for _ in range(min(count, len(self._line))):
            self._move_one()
        self._drained()

    @property
    def held(self) -> tuple[Item, ...]:
        """What waits in the line, oldest first."""
        return tuple(self._line)

    # The line

    def _schedule(self) -> None:
        if not self._is_moving and not self.is_held:
            self._is_moving = True
            self._loop.call_soon(self._move)

    def _move(self) -> None:
        """Carry what was in the line when this turn began; what comes meanwhile, in the next."""
        self._is_moving = False
        for _ in range(len(self._line)):
            if self.is_held or not self._line:
                break
            self._move_one()
        self._drained()
        if self._line:
            self._schedule()
        elif self._ending is not None:
            ending, self._ending = self._ending, None
            ending()
            self._end(None)

    def _move_one(self) -> None:
        item = self._line.popleft()
        self.buffered_bytes -= len(item[1])
        for arriving in (item,) if self.fault is None else self.fault(item):
            self._far._arrive(arriving)

    def _drained(self) -> None:
        if self.is_full and self.buffered_bytes <= LOW_WATER_BYTES:
            self.is_full = False
            if self.is_open:
                self._parking.writable(self)

    def _arrive(self, item: Item) -> None:
        if self.is_open:
            self._give(item)

    def _give(self, item: Item) -> None:
        channel, data = item
        try:
            if channel >= CHANNELS:
                raise RemoteProtocolError(f"channel {channel} is not one of 0 to {CHANNELS - 1}")
            self._parking.deliver(self, channel, data)
        except (RemoteProtocolError, LimitError) as error:
            self._fail(error)
        except Exception as exc:  # noqa: BLE001  boundary, as on a real wire
            self._fail(blame_sink(self, exc))

    # The end

    def _fail(self, error: PeerError) -> None:
        self._end(error)
        self._far._end(BrokenError(f"{self.local} closed the wire: {error}"))

    def _lose_cleanly(self) -> None:
        self._end(None)

    def _end(self, verdict: PeerError | None) -> None:
        if not self._gone.is_set():
            self.is_open = False
            self._line.clear()
            self._verdict = verdict
            self._gone.set()
            self._tell()

    def _tell(self) -> None:
        if self._gone.is_set():
            self._parking.closed(self, self._verdict)


def join(
    dialler: ActrId,
    listener: ActrId,
    *,
    kind: WireKind = WireKind.WEBSOCKET,
    max_message_bytes: int = 256 * 1024,
) -> tuple[MemoryWire, MemoryWire]:
    """Return the dialler's end and the listener's, open."""
    near = MemoryWire(
        dialler, listener, kind=kind, max_message_bytes=max_message_bytes, was_dialled=True
    )
    far = MemoryWire(
        listener, dialler, kind=kind, max_message_bytes=max_message_bytes, was_dialled=False
    )
    near._far, far._far = far, near
    return near, far


class MemoryNet:
    """Where processes that live in one process dial each other; stands for the network.

    Attributes:
        wires: Every dialler's end made so far, oldest first, for tests that cut or hold them.
    """

    def __init__(self, kind: WireKind = WireKind.WEBSOCKET) -> None:
        self.wires: list[MemoryWire] = []
        self._kind = kind
        self._listeners: dict[ActrId, Callable[[Wire], None]] = {}

    def listen(self, actr_id: ActrId, on_wire: Callable[[Wire], None]) -> None:
        """Give wires that others dial to ``actr_id`` to ``on_wire``."""
        self._listeners[actr_id] = on_wire

    def leave(self, actr_id: ActrId) -> None:
        """Stop listening; wires that are open stay."""
        self._listeners.pop(actr_id, None)

    def dialler(self, source: ActrId) -> Callable[[ActrId], Awaitable[Wire]]:
        """Return what dials as ``source``."""
        return partial(self.dial, source)

    async def dial(self, source: ActrId, remote: ActrId) -> MemoryWire:
        """Return the dialler's end of a new wire.

        Raises:
            UnreachableError: If nobody listens as ``remote``.
        """
        on_wire = self._listeners.get(remote)
        if on_wire is None:
            raise UnreachableError(str(remote), "nobody listens as this actor")
        near, far = join(source, remote, kind=self._kind)
        self.wires.append(near)
        on_wire(far)
        return near
