"""Sans-I/O: one lane session, above all wires between two process incarnations (docs/protocol.md).

Bytes and instants in; deliveries, news and bytes out::

    receive(wire, channel, data, now) -> deliveries        take(wire, now) -> (channel, data)
    tick(now), when ``due`` has come                       news: what the owner must hear

Wires are known by their ids: what an unknown or replaced one says is not heard.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from math import inf
from types import MappingProxyType
from typing import ClassVar

from actr_peer.errors import RemoteProtocolError
from actr_peer.protocol.payload import MAX_MESSAGE_BYTES, WIRE_MESSAGE_BYTES, WireKind
from actr_peer.protocol.session import frames
from actr_peer.protocol.session.budget import Budget
from actr_peer.protocol.session.deadlines import Deadline, Deadlines
from actr_peer.protocol.session.frames import Ack, ByeReason, Data, Frame, Hello, Reply
from actr_peer.protocol.session.lanes import ALL_RELIABLE, Lanes
from actr_peer.protocol.session.receiver import Delivery, Receiver
from actr_peer.protocol.session.sender import Sender
from actr_peer.protocol.session.wires.ends import (
    CONTROL,
    HELLO_EVERY,
    RTO_MIN,
    Changed,
    Choice,
    End,
    Left,
    News,
    Refused,
    Restarted,
)
from actr_peer.protocol.session.wires.policy import WireState

MAX_ACKS = 32
"""In one wire message; a peer has no use for more than one of each lane."""
MAX_RETIRED = 16
"""Incarnations of the far side remembered as gone."""
TICK = 0.001
"""Seconds from one look at a deadline to the next at least."""

HELLO, HEARTBEAT, ACK, RETRANSMIT, EXPIRY = Deadline


class Session:
    """One side's half.

    Args:
        incarnation: Of this end: random for each start of a process, another for each session.
        prefer: Kinds of wires, best first.
        max_message_bytes: Longest message taken from the far side.
        budget: That this session shares with others; None: one of its own.
    """

    SENDER: ClassVar[type[Sender]] = Sender
    RECEIVER: ClassVar[type[Receiver]] = Receiver

    def __init__(
        self,
        incarnation: int,
        *,
        prefer: Sequence[WireKind],
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        budget: Budget | None = None,
    ) -> None:
        self.incarnation = incarnation
        self.max_message_bytes = max_message_bytes
        self.remote_incarnation = 0
        """Of the far side; 0 until it is known."""
        self.remote_max_bytes = MAX_MESSAGE_BYTES
        self.deadlines = Deadlines()
        self.news: deque[News] = deque()
        self.ends: dict[int, End] = {}
        """Open wires by id."""
        self.account = (budget or Budget()).open()
        """What is held here for the far side, as the process counts it."""
        self.lanes = Lanes(
            max_message_bytes, self.SENDER, self.RECEIVER, self.account, self.deadlines
        )
        self._choice = Choice(self.ends, prefer, self.lanes.flight)
        self._retired: deque[int] = deque(maxlen=MAX_RETIRED)
        self._opened = 0
        self._adopted_on = 0
        """Number, in order of opening, of the wire that told of the present far side."""

    @property
    def due(self) -> float:
        """When :meth:`tick` is next needed."""
        return self.deadlines.next

    @property
    def active(self) -> End | None:
        """The wire that new frames take."""
        return self._choice.active

    # Wires

    def open(self, wire: int, kind: WireKind, now: float, *, was_dialled: bool) -> None:
        """A wire is open; its first message is the HELLO."""
        self._opened += 1
        end = self.ends[wire] = End(wire, kind, now, was_dialled=was_dialled, order=self._opened)
        self._send_hello(end, now)

    def close(self, wire: int) -> None:
        """A wire is gone: what it may have lost is sent again on another."""
        end = self.ends.pop(wire, None)
        if end is None:
            return
        self.lanes.park(-end.parked_bytes)
        self._choice.drop(end)
        self.lanes.wire_lost(wire)
        self._choose()

    def leave(self, wire: int, reason: ByeReason) -> None:
        """Say goodbye on one wire; :meth:`take` gives it as all else.

        The last word about the lanes goes before CLOSED: the far side knows what has been taken
        here, and gives the rest to another session.
        """
        end = self.ends.get(wire)
        if end is not None:
            is_last = reason is ByeReason.CLOSED and end.is_greeted
            acks = self.lanes.acks_of(ALL_RELIABLE if is_last else 0)
            end.say(b"".join(acks) + frames.encode_bye(reason))

    def _choose(self) -> None:
        self._choice.again()
        self.deadlines.set(RETRANSMIT, -inf)  # what waits for it may have another way now

    def doubt(self, wire: int, now: float) -> None:
        """Something says that this wire may be dead: any other one is better until it answers."""
        end = self.ends.get(wire)
        if end is not None and end.is_greeted:
            before = end.state
            end.heart.doubt(now)
            self.deadlines.hasten(HEARTBEAT, end.heart.due)
            self._note(end, before)

    # In

    def receive(self, wire: int, channel: int, data: bytes, now: float) -> Sequence[Delivery]:
        """Take one wire message; return what it delivers, in order. Look at ``news`` first.

        Raises:
            RemoteProtocolError: If the far side breaks the protocol: the session is over.
            LimitError: If it breaks a bound; likewise.
        """
        end = self.ends.get(wire)
        if end is None:
            return ()
        out: list[Delivery] = []
        if end.is_greeted:
            if len(data) > end.max_message_bytes:
                raise RemoteProtocolError(f"a wire message of {len(data)} bytes")
            self._read(end, channel, data, now, out)
            end.is_heard = end.is_heard or data[0] != 0x03
        elif data and data[0] == 0x03 and len(data) <= WIRE_MESSAGE_BYTES:
            self._read(end, channel, data, now, out)
            if end.is_greeted:
                self.lanes.park(-end.parked_bytes)
                parked = end.unpark()
                end.is_heard = bool(parked)
                for old_channel, old in parked:
                    self._read(end, old_channel, old, now, out)
        else:
            self.lanes.park(end.park(channel, data))
        return out

    def _read(self, end: End, channel: int, data: bytes, now: float, out: list[Delivery]) -> None:
        lanes = self.lanes
        acks = 0
        for frame in frames.decode(data):
            if type(frame) is Data:
                lanes.receive(channel, frame, now, out)
            elif type(frame) is Reply:
                lanes.receive_reply(channel, frame, now, out)
            elif type(frame) is Ack:
                acks += 1
                if acks > MAX_ACKS:
                    raise RemoteProtocolError(f"over {MAX_ACKS} ACKs in one wire message")
                self._on_ack(frame, now)
            else:
                self._on_control(end, frame, now)
        lanes.after_receive(channel)
        if lanes.was_repeated:
            lanes.was_repeated = False
            self._owe(lanes.take_news())
        if out and end.heart.busy(now):
            self.deadlines.hasten(HEARTBEAT, end.heart.due)

    def _on_ack(self, ack: Ack, now: float) -> None:
        sample = self.lanes.on_ack(ack, now)
        carrier = self.ends.get(sample.wire) if sample is not None else None
        if carrier is not None and sample is not None:
            carrier.heart.sample(now - sample.at)
            if carrier.heart.missed or carrier.state is not WireState.READY:
                before = carrier.state
                carrier.heart.alive(now)
                self._note(carrier, before)
                self._choice.brisk_again()
            else:
                carrier.heart.proof_at = now

    def _on_control(self, end: End, frame: Frame, now: float) -> None:
        end.count_word(now)
        match frame:
            case Hello():
                self._greet(end, frame, now)
            case frames.Ping(number):
                end.asked(number, now)
                self.deadlines.put_off(HEARTBEAT, self._choice.pulse_due)
            case frames.Pong(number):
                self._on_pong(end, number, now)
            case frames.Ask(lane):
                end.ask(lane, now)
            case frames.Bye(reason):
                left = Left(end.id, reason)
                if left not in self.news:  # saying it twice is saying it once
                    self.news.append(left)
            case Data() | Reply() | Ack():  # pragma: no cover - of these the caller keeps all
                raise AssertionError("taken by the caller")

    def _on_pong(self, end: End, number: int, now: float) -> None:
        before, was_trusted, missed = end.state, end.heart.is_trusted, end.heart.missed
        end.heart.pong(number, now)
        self.deadlines.put_off(HEARTBEAT, self._choice.pulse_due)
        self._note(end, before)
        if missed:
            self._choice.brisk_again()
        if end.state is WireState.SUSPECT:
            self._choose()  # it recovers: better than one that does not
        if end.heart.is_trusted and not was_trusted:
            self._choose()
            self.news.append(Changed(end.id, end.state))

    def _note(self, end: End, before: WireState) -> None:
        """Act on a change of state, if it is one."""
        if end.state is before:
            return
        self.news.append(Changed(end.id, end.state))
        self._choose()
        if end.state is not WireState.READY and end is not self._choice.active:
            self.lanes.wire_lost(end.id)

    # Greeting

    def _send_hello(self, end: End, now: float) -> None:
        known, received = self.remote_incarnation, self.lanes.received
        hello = Hello(self.incarnation, known, received, self.max_message_bytes)
        end.say(frames.encode_hello(hello))
        end.hello_at = now + HELLO_EVERY
        self.deadlines.hasten(HELLO, end.hello_at)

    def _greet(self, end: End, hello: Hello, now: float) -> None:
        if hello.incarnation != self.remote_incarnation:
            if end.is_greeted:
                raise RemoteProtocolError("two incarnations on one wire")
            # A wire older than the one that told of the present process cannot tell of a later
            # one; an incarnation that has been replaced does not come back.
            if hello.incarnation in self._retired or end.order < self._adopted_on:
                self._refuse(end)
                return
            self._adopt(end, hello.incarnation)
        if hello.known == self.incarnation:
            self.lanes.on_hello(hello.received, now)
        if end.is_greeted:
            return
        self.remote_max_bytes = hello.max_message_bytes
        before = end.state
        end.greet(now)
        self.deadlines.hasten(HEARTBEAT, end.heart.due)
        end.owed = ALL_RELIABLE
        self._note(end, before)

    def _refuse(self, end: End) -> None:
        self.close(end.id)
        self.news.append(Refused(end.id))

    def _adopt(self, end: End, incarnation: int) -> None:
        """Begin with a process that was not known."""
        previous, self.remote_incarnation = self.remote_incarnation, incarnation
        self._adopted_on = end.order
        if not previous:
            return
        self._retired.append(previous)
        for other in tuple(self.ends.values()):
            if other.is_greeted:  # the others' own HELLO will tell whose they are
                self._refuse(other)
        self.news.append(Restarted(MappingProxyType(self.lanes.restart())))

    def renew(self, incarnation: int) -> None:
        """The far side has forgotten the session, and said before what it had taken: begin
        another one, of this incarnation, with the rest of what has been accepted here."""
        self.incarnation = incarnation
        self._retired.append(self.remote_incarnation)
        self.remote_incarnation = 0
        for end in tuple(self.ends.values()):
            self._refuse(end)
        self.lanes.restart(keeps_streams=True)

    # Out

    def take(
        self, wire: int, now: float, *, is_full: bool, size: int = WIRE_MESSAGE_BYTES
    ) -> tuple[int, bytes] | None:
        """The next message for this wire as channel and data, or None; it counts as sent. Lanes
        have strict priority by rank; frames of one lane are packed together.

        Args:
            wire: Id of an open wire.
            is_full: Whether the wire takes no more bulk now; control and signals still go.
            size: Bytes up to which frames are packed together.
        """
        end = self.ends.get(wire)
        if end is None:
            return None
        if end.control or end.owed or end.pong is not None:
            return end.take_control(self.lanes)
        if not end.is_greeted:
            return None
        is_active, is_brisk = end is self._choice.active, end is self._choice.brisk
        if is_active or is_brisk or self.lanes.has_repeats:
            packed = self.lanes.pack(
                wire, now, size, is_active=is_active, is_brisk=is_brisk, is_full=is_full
            )
            if packed is not None:
                lane, parts = packed
                if is_active and self.deadlines.at[ACK] != inf:
                    parts += self.lanes.acks()
                self._sent(end, now)
                return lane, b"".join(parts)
        acks = self.lanes.acks() if is_active and self.lanes.is_ack_urgent else None
        return (CONTROL, b"".join(acks)) if acks else None

    def _sent(self, end: End, now: float) -> None:
        if now + RTO_MIN < self.deadlines.at[RETRANSMIT]:
            self.deadlines.set(RETRANSMIT, now + RTO_MIN)
        if end.heart.busy(now):
            self.deadlines.hasten(HEARTBEAT, end.heart.due)

    def _owe(self, lanes: int) -> None:
        """Every wire is to carry acknowledgements of these lanes, given as bits."""
        for end in self.ends.values():
            if end.is_greeted:
                end.owed |= lanes

    # Time

    def tick(self, now: float) -> None:
        """Do what time asks for. Look at ``news``, then :meth:`take`."""
        for name in self.deadlines.take(now):
            self.deadlines.hasten(name, max(self.ON_TIME[name](self, now), now + TICK))
        self.lanes.recount()

    def _greet_again(self, now: float) -> float:
        unheard = [end for end in self.ends.values() if not end.is_heard]
        for end in unheard:
            before = end.state
            if end.hello_at <= now:
                self._send_hello(end, now)
            end.judge(now)
            self._note(end, before)
        return min((end.hello_due for end in unheard), default=inf)

    def _ping(self, now: float) -> float:
        for end in [end for end in self.ends.values() if end.is_greeted]:
            before = end.state
            if end.ping(now) and end.heart.missed:
                self._choice.brisk_again()
            self._note(end, before)
        if self.deadlines.at[RETRANSMIT] != inf:  # round trips measured since then say anew
            self.deadlines.hasten(RETRANSMIT, now)
        return self._choice.pulse_due

    def _say_news(self, now: float) -> float:
        self._owe(self.lanes.take_news())
        return inf

    def _send_again(self, now: float) -> float:
        timings = self._choice.timings(now)
        asks, due = self.lanes.send_again(now, timings)
        for wire in timings if asks else ():
            self.ends[wire].say(b"".join(map(frames.encode_ask, asks)))
        return due

    ON_TIME: ClassVar[dict[Deadline, Callable[[Session, float], float]]] = {
        HELLO: _greet_again,
        HEARTBEAT: _ping,
        ACK: _say_news,
        RETRANSMIT: _send_again,
        EXPIRY: lambda self, now: self.lanes.expire(now),
    }
    """What each deadline asks for; each says when it is needed again, inf: not by itself."""
