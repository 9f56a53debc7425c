"""Sans-I/O: the sending half of one reliable lane (docs/protocol.md).

It keeps every message until the far side has acknowledged its last frame, and says which frame
goes out next, on which wire. One frame is in one of four stretches of the sequence::

    acknowledged ... received ... unsent ... next_seq
      |  retained only  |  in flight  |  waiting  |

A frame in flight that is not acknowledged in time is sent again on another wire: no wire is
called dead for that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from math import inf
from typing import NamedTuple

from actr_peer.errors import RemoteProtocolError
from actr_peer.protocol.session.fragments import frame_count
from actr_peer.protocol.session.frames import FRAGMENT_BYTES, Ack, data_head
from actr_peer.protocol.session.wires.flight import FRAME_COST, Flight
from actr_peer.protocol.wire.backoff import doubled

WINDOW_FRAMES = 1024
WINDOW_BYTES = 4 * 1024 * 1024
MAX_WAIT = 8.0
"""Seconds: the longest that doubling lets the same frame wait for its next sending."""
ANY_WIRE = 0


class Timing(NamedTuple):
    """How long to wait for an acknowledgement of what went over one wire, in seconds."""

    other: float
    """Before it is sent again on another wire."""
    same: float
    """Before it is sent again on the same wire; doubles."""


class Outgoing:
    """One frame that the far side has not acknowledged."""

    __slots__ = ("at", "data", "first", "head", "is_queued", "seq", "size", "tries", "wire")

    def __init__(
        self, first: int, seq: int, head: bytes, data: bytes | memoryview, size: int
    ) -> None:
        self.first = first
        """Number of the first frame of its message."""
        self.seq = seq
        self.head = head
        """Empty, of a fragment of a reliable lane: ``runs`` writes it when it is known what goes
        beside it."""
        self.data = data
        """Its payload; of such a fragment the whole message."""
        self.size = size
        """Of its payload, bytes."""
        self.at = 0.0
        """When it was last sent."""
        self.wire = ANY_WIRE
        """Id of the wire on which it was last sent."""
        self.tries = 0
        self.is_queued = False
        """Whether it waits in ``Sender.repeats``."""

    def __repr__(self) -> str:
        return f"<Outgoing {self.seq}: {self.size} bytes, {self.tries} tries>"


class Sender:
    """One reliable lane's messages on their way out.

    Args:
        flag: Of its frames: ``REPLY_FLAG`` or 0.
        flight: How much of it may be under way; None: as much as the far side takes.
        is_bulk: Whether that holds for all its frames: else it holds for fragments only, and
            what is urgent and short is not held.
    """

    __slots__ = (
        "acknowledged", "ask_after", "ask_at", "credit_bytes", "edge", "flag", "flight",
        "flight_bytes", "frames", "held_bytes", "is_bulk", "messages", "next_seq", "received",
        "repeats", "resent", "sent", "unsent",
    )  # fmt: skip

    def __init__(
        self, flag: int = 0, flight: Flight | None = None, *, is_bulk: bool = False
    ) -> None:
        self.flag = flag
        self.flight = flight or Flight()
        self.is_bulk = is_bulk
        self.sent = 0
        """Frames sent for the first time."""
        self.resent = 0
        self.messages = 0
        """Messages accepted."""
        self._begin()

    def _begin(self) -> None:
        self.frames: dict[int, Outgoing] = {}
        """Keys are sequence numbers, ``acknowledged`` to ``next_seq`` without gaps."""
        self.acknowledged = 0
        self.received = 0
        self.unsent = 0
        self.next_seq = 0
        self.edge = WINDOW_FRAMES
        """The first number that the far side has no room for."""
        self.credit_bytes = WINDOW_BYTES
        self.held_bytes = 0
        self.flight_bytes = 0
        self.repeats: dict[int, deque[Outgoing]] = {}
        """To be sent again, by the id of the wire to take, or ``ANY_WIRE``; mostly empty."""
        self.ask_at = inf
        self.ask_after = 0.0

    @property
    def is_empty(self) -> bool:
        """Whether everything accepted is acknowledged."""
        return self.acknowledged == self.next_seq

    @property
    def queued(self) -> int:
        """Frames that wait for their first sending."""
        return self.next_seq - self.unsent

    @property
    def spare_bytes(self) -> int:
        """How much more bulk may be under way; below 0 where the bound has become less."""
        frames = self.unsent - self.received
        return self.flight.limit - self.flight_bytes - FRAME_COST * frames

    def has_room(self, size: int) -> bool:
        """Whether a message of ``size`` bytes fits the window; any message fits an empty one."""
        frames = self.next_seq - self.acknowledged
        if not frames:
            return True
        if size > WINDOW_BYTES - self.held_bytes:
            return False
        return frames + frame_count(size) <= WINDOW_FRAMES

    def accept(self, message: bytes, now: float = 0.0) -> None:
        """Take one message, whatever the window says. ``now`` is for lanes that age."""
        first = seq = self.next_seq
        size = len(message)
        if size <= FRAGMENT_BYTES:  # nearly always
            head = data_head(seq, size, self.flag)
            self.frames[seq] = Outgoing(seq, seq, head, message, size)
            self.next_seq = seq + 1
        else:
            left = size
            while left > 0:
                self.frames[seq] = Outgoing(first, seq, b"", message, min(left, FRAGMENT_BYTES))
                left -= FRAGMENT_BYTES
                seq += 1
            self.next_seq = seq
        self.held_bytes += size
        self.messages += 1

    def has_work(self, wire: int, *, is_active: bool) -> bool:
        """Whether :meth:`take` would give a frame for this wire; may say so in vain."""
        if self.repeats and (wire in self.repeats or (is_active and ANY_WIRE in self.repeats)):
            return True
        return is_active and self.unsent < self.next_seq and self.unsent < self.edge

    def take(self, wire: int, now: float, room: int, *, is_active: bool) -> Outgoing | None:
        """The next frame to send on this wire, or None; it counts as sent.

        Args:
            wire: Id of a wire.
            now: Seconds.
            room: Payload bytes that the wire message can still take.
            is_active: Whether new frames go this way; repeats may go any way.
        """
        if self.repeats:
            frame = self._take_repeat(wire, room, is_active=is_active)
            if frame is not None:
                frame.at = now
                frame.wire = wire
                frame.tries += 1
                self.resent += 1
                return frame
        seq = self.unsent
        if not is_active or seq >= self.next_seq or seq >= self.edge:
            return None
        frame = self.frames[seq]
        size = frame.size
        if size > room:
            return None
        if self.flight_bytes + size > self.credit_bytes and (
            self.flight_bytes or not self.credit_bytes
        ):
            return None
        is_bulk = self.is_bulk or not frame.head  # a fragment
        if is_bulk and self.flight_bytes and size > self.spare_bytes:
            self.flight.was_held = True
            return None
        self.unsent = seq + 1
        self.flight_bytes += size
        self.sent += 1
        frame.at = now
        frame.wire = wire
        frame.tries = 1
        return frame

    def _take_repeat(self, wire: int, room: int, *, is_active: bool) -> Outgoing | None:
        for target in (wire, ANY_WIRE) if is_active else (wire,):
            queue = self.repeats.get(target)
            while queue:
                frame = queue[0]
                if frame.seq < self.received:  # it arrived after all
                    queue.popleft()
                    continue
                if frame.size > room:
                    return None
                queue.popleft()
                frame.is_queued = False
                return frame
            self.repeats.pop(target, None)
        return None

    def on_ack(self, ack: Ack, now: float) -> Outgoing | None:
        """Take word from the far side.

        Returns:
            A frame that was sent once and has just arrived, to measure its round trip
            (Karn's rule leaves out what was sent again), or None.

        Raises:
            RemoteProtocolError: If it speaks of frames that were never sent.
        """
        sample = self._on_received(ack.received, now)
        has_moved = sample is not None or ack.acknowledged > self.acknowledged
        edge = ack.received + ack.credit_messages
        if edge > self.edge:
            self.edge = edge
        if ack.acknowledged > self.acknowledged:
            frames = self.frames
            for seq in range(self.acknowledged, ack.acknowledged):
                self.held_bytes -= frames.pop(seq).size
            self.acknowledged = ack.acknowledged
        if ack.received == self.received and ack.acknowledged == self.acknowledged:
            self.credit_bytes = ack.credit_bytes  # an older one that comes late says less
        if has_moved:
            self._plan_ask(now)
        if sample is None or sample.tries > 1:
            return None
        self.flight.round_trip(now - sample.at, now)
        return sample

    def on_hello(self, received: int, now: float) -> None:
        """The far side says on a new wire that it has all frames below ``received``.

        Raises:
            RemoteProtocolError: If so many were never sent.
        """
        self._on_received(received, now)
        self._plan_ask(now)

    def _on_received(self, received: int, now: float) -> Outgoing | None:
        """The newest frame that has just arrived, or None."""
        if received <= self.received:
            return None
        if received > self.unsent:
            raise RemoteProtocolError(f"{received} frames acknowledged, {self.unsent} sent")
        frames, size = self.frames, 0
        for seq in range(self.received, received):
            size += frames[seq].size
        self.flight_bytes -= size
        self.flight.arrived(size + FRAME_COST * (received - self.received), now)
        self.received = received
        return frames[received - 1]

    def _plan_ask(self, now: float) -> None:
        # All has arrived, not all is acknowledged: the acknowledgement may yet be lost.
        if self.acknowledged < self.received and self.received == self.unsent:
            self.ask_after = 1.0
            self.ask_at = now + self.ask_after
        else:
            self.ask_at = inf

    def wire_lost(self, wire: int) -> None:
        """Send again what went out on this wire and is not known to have arrived."""
        for frame in self.repeats.pop(wire, ()):
            self._repeat(frame, ANY_WIRE)
        for seq in range(self.received, self.unsent):
            frame = self.frames[seq]
            if frame.wire == wire and not frame.is_queued:
                self._repeat(frame, ANY_WIRE)

    def _repeat(self, frame: Outgoing, target: int) -> None:
        frame.is_queued = True
        self.repeats.setdefault(target, deque()).append(frame)

    def repeat_overdue(self, now: float, wires: Mapping[int, Timing]) -> None:
        """Queue what has waited too long, each for the best wire that did not carry it last.

        Args:
            now: Seconds.
            wires: The usable wires, best first, by id.
        """
        for target in [wire for wire in self.repeats if wire not in wires]:
            if target != ANY_WIRE:
                for frame in self.repeats.pop(target):
                    self._repeat(frame, ANY_WIRE)
        if self._due(wires) > now:
            return
        for seq in range(self.received, self.unsent):
            frame = self.frames[seq]
            if not frame.is_queued and self._frame_due(frame, wires) <= now:
                other = next((wire for wire in wires if wire != frame.wire), frame.wire)
                self._repeat(frame, other)

    def due(self, wires: Mapping[int, Timing]) -> float:
        """When :meth:`repeat_overdue` or an ASK is next needed, in seconds."""
        return min(self.ask_at, self._due(wires)) if wires else inf

    def _due(self, wires: Mapping[int, Timing]) -> float:
        # The first frame holds up all others at the far side: it is the one to watch.
        if self.received == self.unsent or not wires:
            return inf
        frame = self.frames[self.received]
        return inf if frame.is_queued else self._frame_due(frame, wires)

    @staticmethod
    def _frame_due(frame: Outgoing, wires: Mapping[int, Timing]) -> float:
        timing = wires.get(frame.wire)
        if timing is None:
            return frame.at
        if frame.tries == 1 and len(wires) > 1:
            return frame.at + timing.other
        failures = frame.tries - 1 if len(wires) > 1 else frame.tries
        return frame.at + doubled(timing.same, failures, max(MAX_WAIT, timing.same))

    def ask(self, now: float) -> bool:
        """Whether to ask the far side now for a lost acknowledgement; rarer each time."""
        if now < self.ask_at:
            return False
        self.ask_after = min(2 * self.ask_after, MAX_WAIT)
        self.ask_at = now + self.ask_after
        return True

    def restart(self, *, is_kept: bool) -> int:
        """The far side is a new process: number from 0 again.

        Args:
            is_kept: Whether messages that are not acknowledged are sent again, whole and in
                order; otherwise they are dropped.

        Returns:
            The last number that the old process acknowledged, -1 if none.
        """
        last = self.acknowledged - 1
        kept = self._messages() if is_kept else []
        messages = self.messages
        self._begin()
        for message in kept:
            self.accept(message)
        self.messages = messages
        return last

    def _messages(self) -> list[bytes]:
        """All messages that are not acknowledged, whole, in order."""
        messages: list[bytes] = []
        last = -1
        for frame in self.frames.values():
            if frame.first != last:
                last = frame.first
                assert isinstance(frame.data, bytes)
                messages.append(frame.data)
        return messages
