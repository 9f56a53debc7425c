"""Sans-I/O: the lanes of one session, both halves of each (docs/protocol.md).

Four carry the payload types that are bytes. Two more carry what answers RPC messages: replies,
and word that a caller has left. Nothing of those waits for a mailbox, so they always move, also
where the requests of both sides stand still (docs/decisions/0012).

This is what is above all wires: numbers, windows, acknowledgements. Which wires there are, and
which is in use, is :mod:`~actr_peer.protocol.session.session`'s business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import TypeAlias

from actr_peer.errors import LimitError, RemoteProtocolError
from actr_peer.protocol.payload import (
    BYTE_LANES,
    RELIABLE_LANES,
    RPC_LANES,
    TRAFFIC,
    WIRE_MESSAGE_BYTES,
    PayloadType,
)
from actr_peer.protocol.session.budget import Account
from actr_peer.protocol.session.deadlines import Deadline, Deadlines
from actr_peer.protocol.session.frames import (
    BESIDE_BYTES,
    DATA_HEAD_BYTES,
    FIRST_REPLY_LANE,
    LATENCY_LANE,
    REPLY_FLAG,
    Ack,
    Data,
    encode_ack,
)
from actr_peer.protocol.session.latency import LatencyReceiver, LatencySender
from actr_peer.protocol.session.receiver import ACK_EVERY, Delivery, Receiver
from actr_peer.protocol.session.runs import run_of
from actr_peer.protocol.session.sender import Outgoing, Sender, Timing
from actr_peer.protocol.session.wires.flight import Flight

HELD_BYTES = 96 * 1024 * 1024
"""Bytes that one remote may have held back, unfinished or waiting for the mailbox: less than the
windows and the longest messages of all lanes, for nobody uses them all at once."""

KEPT_COST = 400
"""Bytes of a frame's own that a sender keeps beside its payload, about."""
URGENT = 2
"""Of the senders by rank, those of signals and what answers them."""

ACK = Deadline.ACK
LATENCY = PayloadType.STREAM_LATENCY_FIRST
ALL_RELIABLE = 0b110111
"""The reliable lanes as bits."""
AnySender: TypeAlias = Sender | LatencySender


def slot(lane: int) -> int:
    """Where a reliable lane stands among the senders and the receivers."""
    return lane if lane < LATENCY_LANE else lane - 1


class Lanes:
    """Senders and receivers of all lanes.

    Attributes:
        senders: Of the reliable lanes of payload types, by these, and then of the reply lanes:
            see :func:`slot`.
        receivers: Likewise.
        is_ack_urgent: So much has come that word should go out in this turn.
        was_repeated: Something came twice: word got lost, so say it on every wire.
    """

    __slots__ = (
        "_account", "_by_rank", "_deadlines", "_parked_bytes", "flight", "is_ack_urgent",
        "latency_receiver", "latency_sender", "receivers", "senders", "was_repeated",
    )  # fmt: skip

    def __init__(
        self,
        max_message_bytes: int,
        sender: type[Sender],
        receiver: type[Receiver],
        account: Account,
        deadlines: Deadlines,
    ) -> None:
        self._account = account
        self._deadlines = deadlines
        """Of the session: word that must go out, and messages that become too old."""
        self._parked_bytes = 0
        self.flight = Flight()
        """How much bulk may be under way, over the active wire."""
        self.senders = [
            sender(0, self.flight, is_bulk=lane not in RPC_LANES) for lane in RELIABLE_LANES
        ]
        self.senders += [sender(REPLY_FLAG, self.flight) for _ in RPC_LANES]
        self.receivers = [
            receiver(lane, max_message_bytes=max_message_bytes, waits=lane in RPC_LANES)
            for lane in RELIABLE_LANES
        ]
        self.receivers += [
            receiver(lane, max_message_bytes=max_message_bytes, waits=False, is_reply=True)
            for lane in RPC_LANES
        ]
        self.latency_sender = LatencySender(deadlines, lifetime=TRAFFIC[LATENCY].lifetime or inf)
        self.latency_receiver = LatencyReceiver(
            LATENCY, deadlines, max_message_bytes=max_message_bytes
        )
        self._by_rank: list[tuple[PayloadType, AnySender]] = []
        """The sender next in turn first; a lane's replies stand beside it."""
        for lane in sorted(BYTE_LANES, key=lambda lane: TRAFFIC[lane].rank):
            if lane in RPC_LANES:
                self._by_rank.append((lane, self.reply_sender(lane)))
            self._by_rank.append((lane, self.sender(lane)))
        self.is_ack_urgent = False
        self.was_repeated = False

    def sender(self, lane: PayloadType) -> AnySender:
        return self.latency_sender if lane is LATENCY else self.senders[lane]

    def reply_sender(self, lane: PayloadType) -> Sender:
        """Of what answers the messages of an RPC lane."""
        return self.senders[slot(FIRST_REPLY_LANE + lane)]

    @property
    def is_empty(self) -> bool:
        """Whether all that was accepted here is acknowledged, or dropped."""
        return all(s.is_empty for s in self.senders) and self.latency_sender.is_empty

    @property
    def is_settled(self) -> bool:
        """Whether nothing is held for the far side either."""
        return all(r.is_empty for r in self.receivers) and self.latency_receiver.is_empty

    @property
    def held_bytes(self) -> int:
        """Bytes held for the far side: parked, held back, unfinished, or not stored yet."""
        lanes = self.latency_receiver.all_bytes + sum(r.all_bytes for r in self.receivers)
        return self._parked_bytes + lanes

    @property
    def posted_bytes(self) -> int:
        """Bytes that wait here for acknowledgement, and what keeping them costs."""
        return sum(s.held_bytes + KEPT_COST * len(s.frames) for s in self.senders)

    def park(self, size: int) -> None:
        """So much more, or less, has come by wires that are not greeted yet."""
        if size:
            self._parked_bytes += size
            self._count()

    # In

    def receive(self, channel: int, frame: Data, now: float, out: list[Delivery]) -> None:
        """Take one DATA frame; append what it lets be delivered.

        Raises:
            RemoteProtocolError: If the frame cannot be right.
            LimitError: If it breaks a bound.
        """
        if channel < LATENCY:
            self.receivers[channel].receive(frame, now, out)
        elif channel == LATENCY:
            self.latency_receiver.receive(frame, now, out)
        else:
            raise RemoteProtocolError(f"DATA on channel {channel}")

    def receive_reply(self, channel: int, frame: Data, now: float, out: list[Delivery]) -> None:
        """Take one REPLY frame, as :meth:`receive` takes DATA."""
        if channel not in RPC_LANES:
            raise RemoteProtocolError(f"REPLY on channel {channel}")
        receiver = self.receivers[slot(FIRST_REPLY_LANE + channel)]
        receiver.receive(frame, now, out)
        self._weigh(receiver)
        if receiver.is_heavy:
            self._recount(receiver)

    def after_receive(self, channel: int) -> None:
        """All frames of one wire message have been taken: see what there is to say."""
        if channel >= LATENCY:
            if self._account.held_bytes or not self.latency_receiver.is_empty:
                self._count()
            return
        receiver = self.receivers[channel]
        if receiver.has_news:
            self._weigh(receiver)
        if receiver.is_heavy:
            self._recount(receiver)

    def _weigh(self, receiver: Receiver) -> None:
        if receiver.ack_at < self._deadlines.at[ACK]:
            self._deadlines.set(ACK, receiver.ack_at)
        if receiver.pending >= ACK_EVERY:
            self.is_ack_urgent = True
        if receiver.was_repeated:
            receiver.was_repeated = False
            self.was_repeated = True

    def _count(self) -> None:
        """See what is held for the far side.

        Raises:
            LimitError: If it is more than one remote may have.
        """
        held = self._parked_bytes + self.latency_receiver.all_bytes
        for receiver in self.receivers:
            receiver.counted = receiver.all_bytes
            receiver.counted_since = receiver.since
            receiver.is_heavy = receiver.counted > 0
            held += receiver.counted
        self._note(held, self._since())

    def _recount(self, receiver: Receiver) -> None:
        """The same where only one lane has changed, for this is done at each message.

        Raises:
            LimitError: As :meth:`_count`.
        """
        held, before = receiver.all_bytes, receiver.counted
        receiver.counted = held
        receiver.is_heavy = held > 0
        account, since = self._account, receiver.since
        is_as_before = since == receiver.counted_since  # in the midst of one message
        receiver.counted_since = since
        self._note(
            account.held_bytes + held - before, account.since if is_as_before else self._since()
        )

    def _since(self) -> float:
        return min(self.latency_receiver.since, *(r.since for r in self.receivers))

    def _note(self, held: int, since: float) -> None:
        self._account.note(held, since)
        if held > HELD_BYTES:
            raise LimitError("bytes held for one remote", limit=HELD_BYTES, asked=held)

    def acknowledge(self, lane: PayloadType, number: int, now: float) -> bool:
        """The upper layer has stored the message delivered with ``number``; return whether to
        send word of it now."""
        receiver = self.receivers[lane]
        receiver.acknowledge(number, now)
        if receiver.has_news:
            self._weigh(receiver)
        if receiver.is_heavy:
            self._recount(receiver)
        return self.is_ack_urgent

    def on_ack(self, ack: Ack, now: float) -> Outgoing | None:
        """Take an ACK; return a frame whose round trip it measures, if it does."""
        lane = ack.lane
        return None if lane == LATENCY_LANE else self.senders[slot(lane)].on_ack(ack, now)

    # What HELLO says

    @property
    def received(self) -> tuple[int, ...]:
        marks = [receiver.expected for receiver in self.receivers]
        marks.insert(LATENCY_LANE, self.latency_receiver.expected)
        return tuple(marks)

    def on_hello(self, received: Sequence[int], now: float) -> None:
        marks = [*received[:LATENCY_LANE], *received[LATENCY_LANE + 1 :]]
        for sender, mark in zip(self.senders, marks, strict=True):
            sender.on_hello(mark, now)

    def restart(self, *, keeps_streams: bool = False) -> dict[PayloadType, int]:
        """The far side is a new process; return the last number the old one acknowledged."""
        last = {
            lane: self.senders[lane].restart(is_kept=keeps_streams or lane in RPC_LANES)
            for lane in RELIABLE_LANES
        }
        for lane in RPC_LANES:
            self.reply_sender(lane).restart(is_kept=True)
        last[LATENCY] = self.latency_sender.restart()
        for receiver in self.receivers:
            receiver.restart()
        self.latency_receiver.restart()
        self._deadlines.clear(ACK)
        self.is_ack_urgent = self.was_repeated = False
        self._count()
        return last

    def let_go(self) -> None:
        """The session is over: free what is held at once, for its parts refer to each other."""
        for receiver in self.receivers:
            receiver.restart()
        self.latency_receiver.restart()

    # Out

    def acks(self) -> list[bytes]:
        """ACK frames of the lanes that have news; they have none after this."""
        return self.acks_of(self.take_news())

    def take_news(self) -> int:
        """The lanes that have news, as bits: the caller sees to it that the far side hears."""
        lanes = 0
        for receiver in self.receivers:
            if receiver.has_news:
                receiver.told()
                lanes |= 1 << receiver.lane
        self.is_ack_urgent = False
        self._deadlines.clear(ACK)
        return lanes

    def acks_of(self, lanes: int) -> list[bytes]:
        """ACK frames of these lanes, given as bits, as things stand now."""
        return [encode_ack(r.ack()) for r in self.receivers if lanes & 1 << r.lane]

    def pack(
        self, wire: int, now: float, size: int, *, is_active: bool, is_brisk: bool, is_full: bool
    ) -> tuple[PayloadType, list[bytes | memoryview]] | None:
        """The first lane by rank that has something for this wire, and one wire message of it.

        Args:
            wire: Id of the wire.
            now: Seconds.
            size: Bytes of a wire message.
            is_active: Whether new frames of reliable lanes take it.
            is_brisk: Whether latency-first frames do.
            is_full: Whether it takes only what is urgent: behind bulk that it has, little waits.
        """
        takes_runs = size > WIRE_MESSAGE_BYTES
        for turn, (lane, sender) in enumerate(self._by_rank[:URGENT] if is_full else self._by_rank):
            if isinstance(sender, LatencySender):
                is_mine = is_brisk
            elif sender.unsent == sender.next_seq and not sender.repeats:  # nearly always
                continue
            else:
                is_mine = is_active
            if not sender.has_work(wire, is_active=is_mine):
                continue
            parts: list[bytes | memoryview] = []
            room = size - BESIDE_BYTES
            while room > 0:
                frame = sender.take(wire, now, room, is_active=is_mine)
                if frame is None:
                    break
                head, data = frame.head, frame.data
                if not head and isinstance(sender, Sender):
                    head, data = run_of(sender, frame, room if takes_runs else frame.size)
                parts += (head, data)
                room -= len(data) + DATA_HEAD_BYTES
            if parts:
                if turn == 0 or turn == 2:
                    self._had_turn(turn)
                return lane, parts
        return None

    def _had_turn(self, turn: int) -> None:
        """Replies and requests of one rank take turns, so that neither starves the other."""
        by_rank = self._by_rank
        by_rank[turn], by_rank[turn + 1] = by_rank[turn + 1], by_rank[turn]

    @property
    def has_repeats(self) -> bool:
        """Whether any frame waits to be sent again."""
        rpc, signal, stream, reply, signal_reply = self.senders
        return bool(
            rpc.repeats or signal.repeats or stream.repeats or reply.repeats or signal_reply.repeats
        )

    def wire_lost(self, wire: int) -> None:
        """What went over this wire and is not known to have arrived goes out again."""
        for sender in self.senders:
            sender.wire_lost(wire)

    # Time

    def expire(self, now: float) -> float:
        """Drop what is too old; return when to call again."""
        self.latency_sender.expire(now)
        self.latency_receiver.expire(now)
        return min(self.latency_sender.due(), self.latency_receiver.due(now))

    def recount(self) -> None:
        """See what is held for the far side, if anything is.

        Raises:
            LimitError: If it is more than one remote may have.
        """
        if self._account.held_bytes:
            self._count()

    def send_again(self, now: float, timings: Mapping[int, Timing]) -> tuple[list[int], float]:
        """Queue what is overdue.

        Returns:
            The lanes to ASK about on every usable wire, and when to call again.
        """
        asks = []
        due = inf
        for sender, receiver in zip(self.senders, self.receivers, strict=True):
            sender.repeat_overdue(now, timings)
            if timings and sender.ask(now):
                asks.append(receiver.lane)
            due = min(due, sender.due(timings))
        return asks, due
