"""Sans-I/O: the receiving half of one reliable lane (docs/protocol.md).

It delivers in order and once: what comes early is held back, what comes again is dropped and
counted. ``received`` runs ahead of ``acknowledged``: an RPC message is acknowledged only when
the upper layer has stored it, a stream item when it is delivered.
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import TypeAlias

from actr_peer.errors import LimitError, RemoteProtocolError
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.session.fragments import Joiner, frame_count
from actr_peer.protocol.session.frames import FIRST_REPLY_LANE, FRAGMENT_BYTES, Ack, Data
from actr_peer.protocol.session.runs import is_run, singles
from actr_peer.protocol.session.sender import WINDOW_BYTES, WINDOW_FRAMES

ACK_EVERY = 8
"""Messages after which an acknowledgement goes out at once."""
LONG_BYTES = 8 * 1024
"""A frame of so many counts twice: some 64 KiB of them are acknowledged at once, and some 256 KiB
where a wire is so fast that several fragments go as one."""
ACK_WITHIN = 0.02
"""Seconds after which it goes out at latest."""

HELD_COST = 256
"""Bytes that keeping a frame takes beside its payload that came early, about."""
LIGHT_BYTES = 64 * 1024
"""What may wait for the mailbox without being counted anew at each message."""

UNNUMBERED = -1
"""The number of what is acknowledged by its delivery and comes from a reply lane."""

EPOCH_BITS = 40
"""Numbers given to the upper layer count restarts of the far side above this many bits, so
that a late acknowledgement of an old message never touches a new one."""

Delivery: TypeAlias = tuple[PayloadType, bytes, int]
"""Payload type, message, and the number to acknowledge it with."""


class Receiver:
    """One reliable lane's messages on their way in.

    Args:
        payload_type: What is delivered.
        max_message_bytes: Longest message taken.
        waits: Whether messages are acknowledged by :meth:`acknowledge`, not by delivery.
        is_reply: Whether it is the reply lane of ``payload_type``.
    """

    __slots__ = (
        "_done", "_joiner", "_offset", "_waiting", "ack_at", "acknowledged", "counted",
        "counted_since", "duplicates", "expected", "has_news", "held", "held_bytes", "held_since",
        "is_heavy", "is_reply", "lane", "messages", "payload_type", "pending", "waiting_bytes",
        "waits", "was_repeated",
    )  # fmt: skip

    def __init__(
        self,
        payload_type: PayloadType,
        *,
        max_message_bytes: int,
        waits: bool,
        is_reply: bool = False,
    ) -> None:
        self.payload_type = payload_type
        self.lane = payload_type + FIRST_REPLY_LANE if is_reply else int(payload_type)
        """Its number on the wire."""
        self.is_reply = is_reply
        self.waits = waits
        self.messages = 0
        """Messages delivered."""
        self.duplicates = 0
        """Frames that had come before."""
        self._joiner = Joiner(max_message_bytes)
        self._offset = 0
        self._begin()

    def _begin(self) -> None:
        self.expected = 0
        """All frames below this number have arrived: ``received`` on the wire."""
        self.acknowledged = 0
        self.held: dict[int, Data] = {}
        """What came early, by number."""
        self.held_bytes = 0
        self.held_since = inf
        self.is_heavy = False
        """It holds so much that each change is counted; who counts resets it."""
        self.counted = 0
        """Bytes of it in the account of the session: who counts sets it."""
        self.counted_since = inf
        """Likewise: when what was not whole then began."""
        self._waiting: deque[tuple[int, int]] = deque()
        """Number and size of each message delivered and not acknowledged, in order."""
        self.waiting_bytes = 0
        self._done: set[int] = set()
        """Numbers acknowledged before older ones."""
        self.has_news = False
        """Whether the far side does not know all that :meth:`ack` says."""
        self.pending = 0
        """News that counts towards ``ACK_EVERY``."""
        self.was_repeated = False
        """Something came twice since this was last set to False."""
        self.ack_at = 0.0
        """When the news has waited ``ACK_WITHIN``; meaningless without news."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is held for the far side to complete or this side to acknowledge."""
        return not self.held and not self._waiting and self._joiner.is_empty

    @property
    def all_bytes(self) -> int:
        """Bytes held back, in unfinished messages, or waiting for :meth:`acknowledge`, with what
        holding them costs."""
        early = self.held_bytes + HELD_COST * len(self.held)
        return early + self._joiner.all_bytes + self.waiting_bytes

    @property
    def since(self) -> float:
        """When something that is not whole began to be held, seconds; inf: nothing is."""
        return min(self._joiner.since, self.held_since if self.held else inf)

    def receive(self, frame: Data, now: float, out: list[Delivery]) -> None:
        """Take one frame; append to ``out`` what can be delivered now.

        Raises:
            RemoteProtocolError: If it is beyond the credit, or contradicts its neighbours.
            LimitError: If more bytes are held than the far side had credit for.
        """
        if not self.has_news:
            self.has_news = True
            self.ack_at = now + ACK_WITHIN
        if frame.seq != self.expected:
            if is_run(frame):
                self._receive_singly(frame, now, out)
            else:
                self._hold(frame, now)
            return
        if frame.parts == 1 and not self._joiner.held_bytes:  # nearly always
            self.expected = frame.seq + 1
            self._deliver(frame.seq, bytes(frame.payload), out)
        elif self.held and is_run(frame):
            self._receive_singly(frame, now, out)
        else:
            self._advance(frame, now, out)
        while self.held and self.expected in self.held:
            frame = self.held.pop(self.expected)
            self.held_bytes -= len(frame.payload)
            self._advance(frame, now, out)

    def _receive_singly(self, run: Data, now: float, out: list[Delivery]) -> None:
        """Some of it may have come before, or be beyond what has credit."""
        for frame in singles(run):
            self.receive(frame, now, out)

    def _hold(self, frame: Data, now: float) -> None:
        seq = frame.seq
        if seq < self.expected or seq in self.held:
            self.duplicates += 1
            self.was_repeated = True
            return
        if seq >= self.expected + WINDOW_FRAMES:
            raise RemoteProtocolError(f"frame {seq} while {self.expected} is awaited")
        if not self.held:
            self.held_since = now
        self.is_heavy = True
        self.held_bytes += len(frame.payload)
        self.held[seq] = frame._replace(payload=bytes(frame.payload))
        if self.held_bytes > WINDOW_BYTES:
            raise LimitError("bytes held back", limit=WINDOW_BYTES, asked=self.held_bytes)

    def _advance(self, frame: Data, now: float, out: list[Delivery]) -> None:
        count = frame_count(len(frame.payload)) if is_run(frame) else 1
        self.expected = frame.seq + count
        message = self._joiner.add(frame, now, fragments=count)
        if message is None:
            self.is_heavy = True
            self.pending += 1 + (len(frame.payload) >= LONG_BYTES)
        else:
            self._deliver(self.expected - 1, message, out)

    def _deliver(self, seq: int, message: bytes, out: list[Delivery]) -> None:
        self.messages += 1
        number = UNNUMBERED if self.is_reply else self._offset + seq
        out.append((self.payload_type, message, number))
        if self.waits:
            self._waiting.append((number, len(message)))
            self.waiting_bytes += len(message)
            if self.waiting_bytes > LIGHT_BYTES:
                self.is_heavy = True
            self._check_waiting()
        else:
            self.acknowledged = seq + 1
            self.pending += 1 + (len(message) >= LONG_BYTES)

    def _check_waiting(self) -> None:
        """No credit covers more than this: a remote that ignores it would fill this process."""
        count, size = len(self._waiting), self.waiting_bytes
        if count > 2 * WINDOW_FRAMES:
            raise LimitError("messages not yet stored", limit=2 * WINDOW_FRAMES, asked=count)
        if size > WINDOW_BYTES:
            # The last frame that has credit may end a message of which the rest had it before.
            limit = WINDOW_BYTES + self._joiner.max_bytes + FRAGMENT_BYTES
            if size > limit:
                raise LimitError("bytes not yet stored", limit=limit, asked=size)

    def acknowledge(self, number: int, now: float) -> None:
        """The upper layer has stored the message that was delivered with ``number``.

        Any order, and twice, is harmless; what the far side may forget grows in order.
        """
        waiting = self._waiting
        if not waiting or number < waiting[0][0]:
            return
        if number != waiting[0][0]:
            if number <= waiting[-1][0]:
                self._done.add(number)
            return
        self._forget_first()
        done = self._done
        while done and waiting and waiting[0][0] in done:
            done.discard(waiting[0][0])
            self._forget_first()
        self.pending += 1
        if not self.has_news:
            self.has_news = True
            self.ack_at = now + ACK_WITHIN

    def _forget_first(self) -> None:
        number, size = self._waiting.popleft()
        self.waiting_bytes -= size
        self.acknowledged = number - self._offset + 1

    def ack(self) -> Ack:
        """What the far side should know now."""
        return Ack(
            self.lane,
            self.expected,
            self.acknowledged,
            max(0, WINDOW_FRAMES - len(self._waiting)),
            max(0, WINDOW_BYTES - self.waiting_bytes),
        )

    def told(self) -> None:
        """The far side has been sent :meth:`ack`."""
        self.has_news = False
        self.pending = 0

    def restart(self) -> None:
        """The far side is a new process: its numbers begin at 0 again."""
        self._joiner.clear()
        self._offset += 1 << EPOCH_BITS
        self._begin()
