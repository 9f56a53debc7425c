"""Sans-I/O: the latency-first lane, where late is worthless (docs/protocol.md#session-frames).

Nothing is acknowledged or sent again. What waits too long before sending is dropped and counted;
what comes twice is dropped by a window over the newest sequence numbers.
"""

from __future__ import annotations

from collections import deque
from math import inf

from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.session.deadlines import Deadline, Deadlines
from actr_peer.protocol.session.fragments import Reassembler, cut
from actr_peer.protocol.session.frames import FRAGMENT_BYTES, Data
from actr_peer.protocol.session.receiver import Delivery
from actr_peer.protocol.session.runs import is_run, singles
from actr_peer.protocol.session.sender import Outgoing

MAX_QUEUED = 256
"""Messages that wait before sending; one more drops the oldest."""
WINDOW = 1024
"""Newest sequence numbers among which a repeated one is known."""
LOOK_EVERY = 1.0
"""Seconds between two looks at unfinished messages."""
MAX_NUMBER = (1 << 64) - 1
EXPIRY = Deadline.EXPIRY
_ALL = (1 << WINDOW) - 1


class LatencySender:
    """Messages on their way out, none older than their life.

    Args:
        deadlines: Of the session: it sets ``EXPIRY`` there.
        lifetime: Seconds after which a message is not worth sending.
        max_queued: Messages that wait.
    """

    __slots__ = (
        "_current", "_deadlines", "_queue", "dropped", "held_bytes", "lifetime", "max_queued",
        "messages", "next_seq", "sent",
    )  # fmt: skip

    def __init__(
        self, deadlines: Deadlines, *, lifetime: float, max_queued: int = MAX_QUEUED
    ) -> None:
        self._deadlines = deadlines
        self.lifetime = lifetime
        self.max_queued = max_queued
        self.next_seq = 0
        self.sent = 0
        """Frames sent."""
        self.messages = 0
        """Messages accepted."""
        self.dropped = 0
        """Messages dropped for age or number."""
        self.held_bytes = 0
        self._queue: deque[tuple[bytes, float]] = deque()
        """Message and when it was accepted, oldest first."""
        self._current: deque[Outgoing] = deque()
        """What is left of a message of which fragments have gone."""

    @property
    def is_empty(self) -> bool:
        return not self._queue and not self._current

    @property
    def queued(self) -> int:
        """Messages that wait."""
        return len(self._queue) + bool(self._current)

    def accept(self, message: bytes, now: float) -> None:
        """Take one message; drop the oldest if too many wait."""
        self.messages += 1
        self.held_bytes += len(message)
        self._queue.append((message, now))
        if len(self._queue) > self.max_queued:
            self._drop_oldest()
        self._deadlines.hasten(EXPIRY, self.due())

    def has_work(self, wire: int, *, is_active: bool) -> bool:
        """Whether :meth:`take` may give a frame for this wire."""
        return is_active and (bool(self._queue) or bool(self._current))

    def take(self, wire: int, now: float, room: int, *, is_active: bool) -> Outgoing | None:
        """The next frame to send if its payload is at most ``room`` bytes, or None."""
        if not is_active:
            return None
        self.expire(now)
        if not self._current and self._queue:
            message, at = self._queue[0]
            if len(message) > room and room < FRAGMENT_BYTES:
                return None
            self._queue.popleft()
            self._cut(message, at)
        if not self._current or self._current[0].size > room:
            return None
        frame = self._current.popleft()
        self.held_bytes -= frame.size
        self.sent += 1
        return frame

    def _cut(self, message: bytes, at: float) -> None:
        first = self.next_seq
        for seq, (head, data) in enumerate(cut(message, first), first):
            frame = Outgoing(first, seq, head, data, len(data))
            frame.at = at
            self._current.append(frame)
        self.next_seq = first + len(self._current)

    def expire(self, now: float) -> None:
        """Drop what is older than its life."""
        oldest = now - self.lifetime
        if self._current and self._current[0].at < oldest:
            self.dropped += 1
            self.held_bytes -= sum(frame.size for frame in self._current)
            self._current.clear()
        while self._queue and self._queue[0][1] < oldest:
            self._drop_oldest()

    def due(self) -> float:
        """When the oldest message that waits becomes too old; inf if none waits."""
        if self._current:
            return self._current[0].at + self.lifetime
        return self._queue[0][1] + self.lifetime if self._queue else inf

    def restart(self) -> int:
        """The far side is a new process; what waits may still go there.

        Returns:
            The last number used, -1 if none.
        """
        last = self.next_seq - 1
        if self._current:
            self.held_bytes -= sum(frame.size for frame in self._current)
            self._current.clear()
            self.dropped += 1
        self.next_seq = 0
        return last

    def _drop_oldest(self) -> None:
        message, _ = self._queue.popleft()
        self.held_bytes -= len(message)
        self.dropped += 1


class LatencyReceiver:
    """Messages on their way in: in any order, each at most once.

    Args:
        deadlines: Of the session: it sets ``EXPIRY`` there.
        max_message_bytes: Bytes held for unfinished messages.
    """

    __slots__ = (
        "_deadlines", "_mask", "_newest", "_parts", "duplicates", "messages", "payload_type",
    )  # fmt: skip

    def __init__(
        self, payload_type: PayloadType, deadlines: Deadlines, *, max_message_bytes: int
    ) -> None:
        self.payload_type = payload_type
        self._deadlines = deadlines
        self.messages = 0
        """Messages delivered."""
        self.duplicates = 0
        """Frames that had come before, or came too late to tell."""
        self._parts = Reassembler(max_bytes=max_message_bytes)
        self._newest = -1
        self._mask = 0
        """Bit ``n``: number ``newest - n`` has come."""

    @property
    def expected(self) -> int:
        """One above the newest number seen, or the highest that a HELLO can say."""
        return min(self._newest + 1, MAX_NUMBER)

    @property
    def is_empty(self) -> bool:
        return self._parts.is_empty

    @property
    def all_bytes(self) -> int:
        """Bytes of unfinished messages, with what holding them costs."""
        return self._parts.all_bytes

    @property
    def since(self) -> float:
        """When the oldest unfinished message began, seconds; inf: there is none."""
        return self._parts.since

    @property
    def unfinished(self) -> int:
        """Messages given up because fragments of them did not come."""
        return self._parts.given_up

    def receive(self, frame: Data, now: float, out: list[Delivery]) -> None:
        """Take one frame; append the message that it completes to ``out``.

        Raises:
            RemoteProtocolError: If it contradicts another fragment of its message.
        """
        if is_run(frame):
            for single in singles(frame):
                self.receive(single, now, out)
            return
        if self._is_repeated(frame.seq):
            self.duplicates += 1
            return
        message = self._parts.add(frame, now) if frame.parts > 1 else bytes(frame.payload)
        if message is None:
            self._deadlines.hasten(EXPIRY, self.due(now))
        else:
            self.messages += 1
            out.append((self.payload_type, message, frame.seq - frame.part))

    def _is_repeated(self, seq: int) -> bool:
        ahead = seq - self._newest
        if ahead > 0:
            self._mask = ((self._mask << ahead) & _ALL) | 1 if ahead < WINDOW else 1
            self._newest = seq
            return False
        bit = 1 << -ahead if ahead > -WINDOW else 0
        if not bit or self._mask & bit:
            return True
        self._mask |= bit
        return False

    def due(self, now: float) -> float:
        """When to look at unfinished messages again; inf if there is none."""
        return inf if self._parts.is_empty else now + LOOK_EVERY

    def expire(self, now: float) -> None:
        """Forget unfinished messages that are too old."""
        if not self._parts.is_empty:
            self._parts.expire(now)

    def restart(self) -> None:
        """The far side is a new process: its numbers begin at 0 again."""
        self._parts.clear()
        self._newest = -1
        self._mask = 0
