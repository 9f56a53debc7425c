from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actr_peer.errors import LimitError, RemoteProtocolError
from actr_peer.protocol.payload import (
    MAX_WIRE_MESSAGE_BYTES,
    WIRE_MESSAGE_BYTES,
    PayloadType,
    WireKind,
)
from actr_peer.protocol.session import frames
from actr_peer.protocol.session.deadlines import Deadline
from actr_peer.protocol.session.frames import (
    FRAGMENT_BYTES,
    Ack,
    ByeReason,
    Data,
    Hello,
    Ping,
    Pong,
    decode,
)
from actr_peer.protocol.session.lanes import HELD_BYTES
from actr_peer.protocol.session.receiver import HELD_COST, Delivery
from actr_peer.protocol.session.session import MAX_ACKS, Session
from actr_peer.protocol.session.wires.ends import (
    ANSWER_EVERY,
    MAX_UNGREETED,
    MAX_UNGREETED_BYTES,
    MAX_WORDS,
    Changed,
    Left,
    News,
    Refused,
    Restarted,
)
from actr_peer.protocol.session.wires.flight import BASES, LEAST_BYTES
from actr_peer.protocol.session.wires.policy import WireState

RTC, WS = WireKind.WEBRTC, WireKind.WEBSOCKET
RPC, SIGNAL, STREAM, LATENCY = tuple(PayloadType)[:4]
PREFER = (RTC, WS)
Items = list[tuple[int, bytes]]
"""Wire messages: channel and data."""


class Side:
    """One session with the ids that it has for the wires of the two that are joined."""

    def __init__(self, incarnation: int) -> None:
        self.session = Session(incarnation, prefer=PREFER)
        self.delivered: list[Delivery] = []
        self.news: list[News] = []

    def post(self, lane: PayloadType, message: bytes, now: float = 0.0) -> None:
        self.session.lanes.sender(lane).accept(message, now)

    def receive(self, wire: int, channel: int, data: bytes, now: float = 0.0) -> None:
        deliveries = self.session.receive(wire, channel, data, now)
        while self.session.news:
            self.news.append(self.session.news.popleft())
        self.delivered += deliveries

    def takes(self, wire: int, now: float = 0.0, *, is_full: bool = False) -> Items:
        found = []
        while (item := self.session.take(wire, now, is_full=is_full)) is not None:
            found.append(item)
        return found

    @property
    def bodies(self) -> list[bytes]:
        return [message for _, message, _ in self.delivered]


def decoded(items: Items) -> list[frames.Frame]:
    return [frame for _, data in items for frame in decode(data)]


def carry(source: Side, target: Side, wire: int, now: float = 0.0) -> Items:
    """Move what ``source`` has for a wire; both sides know it by the same id here."""
    items = source.takes(wire, now)
    for channel, data in items:
        target.receive(wire, channel, data, now)
    return items


def open_wire(near: Side, far: Side, wire: int, kind: WireKind = WS, now: float = 0.0) -> None:
    near.session.open(wire, kind, now, was_dialled=True)
    far.session.open(wire, kind, now, was_dialled=False)


def settle(near: Side, far: Side, *wires: int, now: float = 0.0) -> None:
    for _ in range(4):
        for wire in wires:
            carry(near, far, wire, now)
            carry(far, near, wire, now)


def joined(*kinds: WireKind) -> tuple[Side, Side]:
    near, far = Side(111), Side(222)
    for wire, kind in enumerate(kinds, 1):
        open_wire(near, far, wire, kind)
        settle(near, far, wire)
    near.news.clear()
    far.news.clear()
    return near, far


def test_the_first_message_on_a_wire_is_a_hello_and_nothing_else_goes_before_the_answer() -> None:
    near, far = Side(111), Side(222)
    open_wire(near, far, 1)
    near.post(RPC, b"a")
    assert decoded(near.takes(1)) == [Hello(111, 0, (0, 0, 0, 0, 0, 0), 16 << 20)]
    assert near.takes(1) == []
    carry(far, near, 1)
    assert Data(0, 0, 1, b"a") in decoded(near.takes(1))


def test_what_overtakes_the_hello_waits_for_it() -> None:
    near, far = Side(111), Side(222)
    open_wire(near, far, 1)
    hello = near.takes(1)
    carry(far, near, 1)
    near.post(RPC, b"early")
    carry(near, far, 1)
    assert far.bodies == []
    far.receive(1, *hello[0])
    assert far.bodies == [b"early"]


def test_what_waits_for_a_hello_is_bounded() -> None:
    far = Side(222)
    far.session.open(1, WS, 0.0, was_dialled=False)
    for _ in range(10 * MAX_UNGREETED):
        far.receive(1, 0, bytes(100))
    far.receive(1, 0, bytes(1 << 20))
    parked = far.session.ends[1].parked
    assert len(parked) == MAX_UNGREETED
    assert max(len(data) for _, data in parked) == 100


def test_a_hello_is_repeated_until_something_is_heard() -> None:
    near = Side(111)
    near.session.open(1, WS, 0.0, was_dialled=True)
    near.takes(1)
    near.session.tick(0.3)
    far = Side(222)
    far.session.open(1, WS, 0.3, was_dialled=False)
    assert [type(frame) for frame in decoded(carry(near, far, 1, 0.3))] == [Hello]
    settle(near, far, 1, now=0.3)
    near.session.tick(2.0)
    assert Hello not in [type(frame) for frame in decoded(near.takes(1, 2.0))]


def test_lanes_go_out_by_rank_and_packed() -> None:
    near, _ = joined(WS)
    for lane in (STREAM, LATENCY, RPC, SIGNAL):
        near.post(lane, b"1")
        near.post(lane, b"2")
    items = near.takes(1)
    assert [channel for channel, _ in items] == [SIGNAL, RPC, LATENCY, STREAM]
    assert [len(decoded([item])) for item in items] == [2, 2, 2, 2]


def test_a_full_wire_gets_control_and_signals_only() -> None:
    near, _ = joined(WS)
    for lane in (RPC, LATENCY, STREAM):
        near.post(lane, b"x")
    near.receive(1, 3, frames.encode_ping(7))
    assert decoded(near.takes(1, is_full=True)) == [Pong(7)]
    near.post(SIGNAL, b"now")
    near.session.lanes.reply_sender(SIGNAL).accept(b"reply")
    found = decoded(near.takes(1, is_full=True))
    assert sorted(frame.payload for frame in found if isinstance(frame, Data)) == [b"now", b"reply"]
    assert len(decoded(near.takes(1))) == 3


@pytest.mark.parametrize("kind", WireKind)
def test_as_much_bulk_is_under_way_as_suits_the_wire_in_use(kind: WireKind) -> None:
    near, far = joined(kind)
    near.post(STREAM, bytes(4 << 20))
    sent = sum(len(data) for _, data in carry(near, far, 1))
    assert 0.8 * BASES[kind] < sent <= BASES[kind]
    near.post(RPC, b"short")
    assert [channel for channel, _ in carry(near, far, 1)] == [RPC]
    carry(far, near, 1)
    assert near.takes(1) != []


def test_what_was_measured_on_one_wire_says_nothing_of_another() -> None:
    near, _ = joined(RTC, WS)
    flight = near.session.lanes.flight
    flight.limit = 1
    near.session.close(1)
    assert flight.limit == BASES[WS]


def test_about_64_kib_are_acknowledged_at_once_before_all_that_may_be_under_way_has_come() -> None:
    near, far = joined(WS)
    for size in (100, 5_000, 8_191, 8_192, FRAGMENT_BYTES, 100_000):
        near.session.lanes.flight.limit = LEAST_BYTES
        for _ in range(400):
            near.post(STREAM, bytes(size))
            carry(near, far, 1)
            if far.session.lanes.is_ack_urgent:
                break
        assert far.session.lanes.is_ack_urgent, size
        settle(near, far, 1)


def test_no_wire_message_is_longer_than_its_bound() -> None:
    near, far = joined(WS)
    random = Random(1)
    for _ in range(300):
        near.post(random.choice((RPC, SIGNAL, STREAM)), bytes(random.randrange(40_000)))
        near.post(LATENCY, bytes(random.randrange(10_000)))
        far.post(RPC, bytes(random.randrange(5_000)))
    for _ in range(40):
        for source, target in ((near, far), (far, near)):
            sizes = [len(data) for _, data in carry(source, target, 1)]
            assert max(sizes, default=0) <= WIRE_MESSAGE_BYTES


def test_acknowledgements_ride_with_traffic_going_back() -> None:
    near, far = joined(WS)
    near.post(STREAM, b"x")
    carry(near, far, 1)
    far.post(RPC, b"y")
    assert [type(frame) for frame in decoded(far.takes(1))] == [Data, Ack]
    assert far.session.deadlines.at[Deadline.ACK] == float("inf")


def test_eight_messages_are_acknowledged_at_once_on_the_wire_in_use() -> None:
    near, far = joined(RTC, WS)
    for _ in range(8):
        near.post(STREAM, b"x")
    carry(near, far, 1)
    in_use = far.session.active
    assert in_use is not None
    found = {wire: decoded(far.takes(wire)) for wire in (1, 2)}
    assert found.pop(in_use.id) == [Ack(STREAM, 8, 8, 1024, 4 << 20)]
    assert list(found.values()) == [[]]


def test_a_delayed_acknowledgement_goes_on_every_wire() -> None:
    near, far = joined(RTC, WS)
    near.post(STREAM, b"x")
    carry(near, far, 1)
    assert far.session.due <= 0.02
    far.session.tick(0.02)
    for wire in (1, 2):
        assert Ack(STREAM, 1, 1, 1024, 4 << 20) in decoded(far.takes(wire, 0.02))


def test_what_comes_twice_is_acknowledged_at_once_on_every_wire() -> None:
    near, far = joined(RTC, WS)
    near.post(STREAM, b"x")
    (item,) = near.takes(1)
    far.receive(1, *item)
    far.receive(2, *item)
    for wire in (1, 2):
        assert Ack(STREAM, 1, 1, 1024, 4 << 20) in decoded(far.takes(wire))


def test_an_rpc_message_is_acknowledged_after_it_is_stored() -> None:
    near, far = joined(WS)
    near.post(RPC, b"x")
    carry(near, far, 1)
    far.session.tick(0.02)
    carry(far, near, 1, 0.02)
    assert near.session.lanes.senders[RPC].held_bytes == 1
    for lane, _, number in far.delivered:
        far.session.lanes.acknowledge(lane, number, 0.03)
    far.session.tick(0.05)
    carry(far, near, 1, 0.05)
    assert near.session.lanes.is_empty


def test_a_question_is_answered_on_the_wire_it_came_by() -> None:
    _, far = joined(RTC, WS)
    far.receive(1, 1, frames.encode_ask(RPC))
    assert decoded(far.takes(2)) == []
    assert decoded(far.takes(1)) == [Ack(RPC, 0, 0, 1024, 4 << 20)]


def test_new_wires_are_told_what_was_received() -> None:
    near, far = joined(WS)
    near.post(STREAM, b"x")
    carry(near, far, 1)
    far.session.open(9, RTC, 0.0, was_dialled=False)
    (hello,) = decoded(far.takes(9))
    assert hello == Hello(222, 111, (0, 0, 1, 0, 0, 0), 16 << 20)


def test_a_hello_can_be_said_whatever_number_a_latency_first_item_had() -> None:
    near, far = joined(WS)
    item = frames.data_head((1 << 64) - 1, 1) + b"x"
    assert far.session.receive(1, 3, item, 0.0)
    open_wire(near, far, 2)
    settle(near, far, 1, 2)
    assert all(end.is_greeted for end in far.session.ends.values())


def test_the_hello_of_a_new_wire_frees_what_the_lost_one_delivered() -> None:
    near, far = joined(WS)
    near.post(STREAM, b"x")
    near.post(STREAM, b"y")
    items = near.takes(1)
    far.receive(1, *items[0])
    for side in (near, far):
        side.session.close(1)
    open_wire(near, far, 2)
    settle(near, far, 2)
    assert near.session.lanes.senders[STREAM].resent == 0
    assert far.bodies == [b"x", b"y"]
    assert near.session.lanes.is_empty


def test_what_a_lost_wire_did_not_deliver_goes_out_on_the_other() -> None:
    near, far = joined(RTC, WS)
    near.post(STREAM, b"x")
    in_use = near.session.active
    assert in_use is not None
    near.takes(in_use.id)
    near.session.close(in_use.id)
    carry(near, far, 3 - in_use.id)
    assert far.bodies == [b"x"]


def test_a_wire_that_becomes_suspect_hands_over_at_once() -> None:
    near, far = joined(RTC, WS)
    near.post(STREAM, b"x")
    in_use = near.session.active
    assert in_use is not None
    near.takes(in_use.id)
    near.session.doubt(in_use.id, 1.0)
    assert near.session.active is near.session.ends[3 - in_use.id]
    carry(near, far, 3 - in_use.id, 1.0)
    assert far.bodies == [b"x"]


def test_latency_first_leaves_a_wire_that_misses_one_ping() -> None:
    near, far = joined(RTC, WS)
    in_use = near.session.active
    assert in_use is not None
    other, now = 3 - in_use.id, 0.0
    while not in_use.heart.missed:
        now = max(now + 0.001, near.session.due)
        near.session.tick(now)
        near.takes(in_use.id, now)
        carry(near, far, other, now)
        carry(far, near, other, now)
    assert in_use.state is WireState.READY
    assert now < 0.5
    near.post(LATENCY, b"quick", now)
    near.post(RPC, b"sure", now)
    assert [channel for channel, _ in near.takes(other, now)] == [LATENCY]
    assert [channel for channel, _ in near.takes(in_use.id, now)] == [RPC]
    near.receive(in_use.id, 3, frames.encode_pong(in_use.heart.number), now)
    near.post(LATENCY, b"back", now)
    assert [channel for channel, _ in near.takes(in_use.id, now)] == [LATENCY]


def test_what_is_overdue_goes_out_on_a_wire_that_only_recovers() -> None:
    """1. The second wire was suspect and has answered once since.
    2. The first one, in use, falls silent; nothing tells yet.
    3. After 200 ms its frames go out on the second.
    """
    near, far = joined(RTC, WS)
    in_use = near.session.active
    assert in_use is not None
    other = 3 - in_use.id
    near.session.doubt(other, 1.0)
    near.session.tick(1.0)
    carry(near, far, other, 1.0)
    carry(far, near, other, 1.0)
    assert near.session.ends[other].state is WireState.SUSPECT
    near.post(STREAM, b"x", 1.0)
    near.takes(in_use.id, 1.0)
    near.session.tick(1.2)
    carry(near, far, other, 1.2)
    assert far.bodies == [b"x"]


def test_after_a_break_the_backlogs_round_trips_do_not_delay_the_other_wire() -> None:
    near, _ = joined(RTC, WS)
    end = near.session.ends[1]
    for _ in range(50):
        end.heart.sample(0.5)
    assert end.timing(100.0).other > 1.0
    end.heart.doubt(100.0)
    while end.state is WireState.SUSPECT:
        number = end.heart.ping(end.heart.due)
        assert number is not None
        end.heart.pong(number, end.heart.due)
    now = end.heart.recovered_at
    assert (end.timing(now).other, end.timing(now + 3.1).other > 1.0) == (0.2, True)


def test_a_silent_wire_fails_and_its_owner_hears_of_it() -> None:
    near, _ = joined(WS)
    now = 0.0
    while now < 12.0:
        now = max(now + 0.001, near.session.due)
        near.session.tick(now)
        near.takes(1, now)
    assert [item for item in near.session.news if isinstance(item, Changed)] == [
        Changed(1, WireState.SUSPECT),
        Changed(1, WireState.FAILED),
    ]
    assert near.session.active is None


def test_a_far_side_that_never_greets_fails() -> None:
    near = Side(111)
    near.session.open(1, WS, 0.0, was_dialled=True)
    near.session.tick(9.9)
    near.session.tick(10.0)
    assert list(near.session.news) == [Changed(1, WireState.FAILED)]


def test_an_idle_session_wakes_for_its_pulse_only() -> None:
    near, far = joined(WS)
    now, wakes = 1.0, 0
    for side in (near, far):
        side.session.tick(now)
    settle(near, far, 1, now=now)
    while now < 61.0:
        now = max(now + 0.001, min(near.session.due, far.session.due))
        for side in (near, far):
            if side.session.due <= now:
                side.session.tick(now)
                wakes += 1
        settle(near, far, 1, now=now)
    assert wakes <= 80


def test_a_ping_is_answered_with_its_number_on_the_same_channel() -> None:
    near, _ = joined(WS)
    near.receive(1, 3, frames.encode_ping(77))
    assert [(channel, list(decode(data))) for channel, data in near.takes(1)] == [(3, [Pong(77)])]


def test_traffic_brings_the_next_ping_nearer() -> None:
    near, far = joined(WS)
    now = 0.0
    while now < 20.0:
        now = max(now + 0.001, min(near.session.due, far.session.due))
        for side in (near, far):
            side.session.tick(now)
        settle(near, far, 1, now=now)
    assert near.session.ends[1].heart.due > now + 0.5
    near.post(STREAM, b"x")
    carry(near, far, 1, now)
    near.session.tick(now + 0.15)
    assert Ping in [type(frame) for frame in decoded(near.takes(1, now + 0.15))]


# Incarnations


def restart(near: Side, *, wire: int, incarnation: int = 333) -> Side:
    """The far side is a new process that has one new wire."""
    far = Side(incarnation)
    open_wire(near, far, wire)
    settle(near, far, wire)
    return far


def test_a_new_process_gets_whole_rpc_messages_again_and_no_stream_items() -> None:
    near, old = joined(WS)
    long = bytes(range(256)) * 200
    for lane, body in ((RPC, b"first"), (RPC, long), (STREAM, b"item"), (SIGNAL, b"urgent")):
        near.post(lane, body)
    carry(near, old, 1)
    far = restart(near, wire=2)
    assert far.bodies == [b"urgent", b"first", long]
    last = {RPC: -1, SIGNAL: -1, STREAM: -1, LATENCY: -1}
    assert near.news[:2] == [Refused(1), Restarted(last)]


def test_a_restart_reports_the_last_numbers_acknowledged() -> None:
    near, old = joined(WS)
    for body in (b"a", b"b"):
        near.post(STREAM, body)
    carry(near, old, 1)
    old.session.tick(0.02)
    carry(old, near, 1, 0.02)
    near.post(STREAM, b"c")
    restart(near, wire=2)
    (restarted,) = [item for item in near.news if isinstance(item, Restarted)]
    assert restarted.last_delivered[STREAM] == 1


def test_late_words_of_an_old_process_are_not_heard() -> None:
    near, old = joined(WS)
    old.post(STREAM, b"late")
    late = old.takes(1)
    far = restart(near, wire=2)
    for item in late:
        near.receive(1, *item)
    assert near.bodies == []
    far.post(STREAM, b"fresh")
    carry(far, near, 2)
    assert near.bodies == [b"fresh"]


def test_a_late_wire_of_an_old_process_is_refused() -> None:
    near, old = joined(WS)
    for side in (near, old):
        side.session.open(5, RTC, 0.0, was_dialled=False)
    restart(near, wire=2)
    near.news.clear()
    for item in old.takes(5):
        near.receive(5, *item)
    assert near.news == [Refused(5)]
    assert near.session.remote_incarnation == 333


def test_a_wire_older_than_the_present_process_cannot_tell_of_another() -> None:
    near, _ = Side(111), Side(222)
    near.session.open(1, WS, 0.0, was_dialled=False)
    near.session.open(2, WS, 0.0, was_dialled=False)
    near.receive(2, 1, frames.encode_hello(Hello(333, 0, (0, 0, 0, 0, 0, 0), 1 << 20)))
    near.receive(1, 1, frames.encode_hello(Hello(222, 0, (0, 0, 0, 0, 0, 0), 1 << 20)))
    assert near.session.remote_incarnation == 333
    assert Refused(1) in near.news


def test_an_incarnation_that_was_replaced_does_not_come_back_on_a_newer_wire() -> None:
    near, _ = joined(WS)
    restart(near, wire=2)
    near.news.clear()
    near.session.open(7, WS, 0.0, was_dialled=False)
    near.receive(7, 1, frames.encode_hello(Hello(222, 111, (0,) * 6, 1 << 20)))
    assert near.news == [Refused(7)]
    assert near.session.remote_incarnation == 333


def test_after_a_renewal_the_incarnation_before_it_does_not_come_back() -> None:
    near, _ = joined(WS)
    near.session.renew(112)
    near.session.news.clear()
    near.session.open(7, WS, 0.0, was_dialled=False)
    near.receive(7, 1, frames.encode_hello(Hello(222, 111, (0,) * 6, 1 << 20)))
    assert near.news == [Refused(7)]
    assert near.session.remote_incarnation == 0


def test_what_a_far_side_says_of_another_incarnation_counts_for_nothing() -> None:
    near, _ = joined(WS)
    near.session.open(2, RTC, 0.0, was_dialled=True)
    near.receive(2, 1, frames.encode_hello(Hello(222, 999, (50,) * 6, 1 << 20)))
    assert near.session.lanes.senders[RPC].received == 0


def test_a_renewed_session_has_all_that_was_not_taken() -> None:
    near, _ = joined(WS)
    near.post(STREAM, b"item")
    near.post(RPC, b"call")
    near.takes(1)
    near.session.renew(444)
    far = Side(555)
    open_wire(near, far, 2)
    settle(near, far, 2)
    assert sorted(far.bodies) == [b"call", b"item"]
    assert far.session.remote_incarnation == 444
    assert not any(isinstance(item, Restarted) for item in near.news)


# Goodbye, and far sides that break rules


def test_a_goodbye_is_news() -> None:
    near, far = joined(WS)
    near.session.leave(1, ByeReason.CLOSED)
    carry(near, far, 1)
    assert far.news == [Left(1, ByeReason.CLOSED)]


@pytest.mark.parametrize(
    ("channel", "data"),
    [
        pytest.param(0, b"", id="nothing"),
        pytest.param(0, b"\xff", id="an unknown kind"),
        pytest.param(4, frames.data_head(0, 1) + b"x", id="a fifth channel"),
        pytest.param(0, frames.data_head(5000, 1) + b"x", id="beyond the credit"),
        pytest.param(1, frames.encode_ack(Ack(0, 9, 0, 0, 0)), id="received what was never sent"),
        pytest.param(
            1,
            frames.encode_hello(Hello(999, 0, (0, 0, 0, 0, 0, 0), 1 << 20)),
            id="another incarnation",
        ),
        pytest.param(0, frames.fragment_head(0, 1, 1, 2)[:0] + b"\x81\x00", id="cut short"),
    ],
)
def test_a_far_side_that_breaks_the_protocol_is_told_on(channel: int, data: bytes) -> None:
    near, _ = joined(WS)
    with pytest.raises(RemoteProtocolError):
        near.receive(1, channel, data)


def hostile_messages(size: int = 16_000, parts: int = 1040) -> Iterator[tuple[int, bytes]]:
    """All that the windows let a far side make this one hold, on all lanes."""
    lanes = [(lane, 0) for lane in (RPC, SIGNAL, STREAM, LATENCY)]
    lanes += [(lane, frames.REPLY_FLAG) for lane in (RPC, SIGNAL)]
    for lane, flag in lanes:
        for n in range(parts - 1):
            yield lane, frames.fragment_head(n, size, n, parts, flag=flag) + bytes(size)
        for n in range(parts, parts + 250):
            yield lane, frames.data_head(n, size, flag) + bytes(size)


def test_bytes_held_for_one_remote_are_bounded_over_all_lanes() -> None:
    near, _ = joined(WS)
    with pytest.raises(LimitError) as caught:
        deque((near.session.receive(1, *item, 0.0) for item in hostile_messages()), maxlen=0)
    assert caught.value.limit == HELD_BYTES


def test_unknown_wires_are_not_heard() -> None:
    near, _ = joined(WS)
    assert near.session.receive(77, 0, b"\xff", 0.0) == ()
    assert near.session.take(77, 0.0, is_full=False) is None
    near.session.close(77)
    near.session.leave(77, ByeReason.IDLE)
    near.session.doubt(77, 0.0)
    assert list(near.session.news) == []


def test_a_flood_of_pings_and_questions_has_one_answer() -> None:
    near, _ = joined(WS)
    for number in range(250):
        near.receive(1, 3, frames.encode_ping(number), 5.0)
        near.receive(1, 1, frames.encode_ask(RPC), 5.0)
    assert decoded(near.takes(1)) == [Pong(249), Ack(RPC, 0, 0, 1024, 4 << 20)]


def test_a_question_asked_again_at_once_is_not_answered_again() -> None:
    near, _ = joined(WS)
    answers = 0
    for turn in range(100):
        now = 5.0 + turn * ANSWER_EVERY / 10
        near.receive(1, 1, frames.encode_ask(RPC) + frames.encode_ask(STREAM), now)
        answers += len([f for f in decoded(near.takes(1, now)) if isinstance(f, Ack)])
    assert answers in (20, 22)


WORDS = {
    "hello": frames.encode_hello(Hello(222, 111, (0,) * 6, 1 << 20)),
    "ping": frames.encode_ping(7),
    "pong": frames.encode_pong(7),
    "ask": frames.encode_ask(RPC),
    "bye": frames.encode_bye(ByeReason.IDLE),
}


@pytest.mark.parametrize("word", WORDS.values(), ids=WORDS)
@pytest.mark.parametrize("count", [1, 8, 100], ids="{} in a wire message".format)
def test_a_flood_of_words_breaks_the_rules_and_makes_nothing_grow(word: bytes, count: int) -> None:
    near, _ = joined(WS)
    for _ in range(MAX_WORDS // count):
        near.session.receive(1, 1, word * count, 5.0)
    with pytest.raises(RemoteProtocolError, match="in a second"):
        near.session.receive(1, 1, word * count, 5.9)
    assert len(near.session.news) <= 1
    assert len(near.takes(1, 5.0)) <= 2


def test_as_many_words_may_come_in_each_second() -> None:
    near, _ = joined(WS)
    for second in range(5):
        near.session.receive(1, 3, WORDS["ping"] * MAX_WORDS, 5.0 + second)


def test_words_that_a_slow_wire_held_up_come_at_once_and_break_nothing() -> None:
    near, _ = joined(WS)
    for _ in range(10 * 10):  # ten seconds at the fastest pulse, and all else
        near.session.receive(1, 3, b"".join(WORDS[name] for name in ("hello", "ping", "pong")), 5.0)


def test_many_acknowledgements_in_one_wire_message_break_the_rules() -> None:
    near, _ = joined(WS)
    ack = frames.encode_ack(Ack(RPC, 0, 0, 1024, 1 << 20))
    near.receive(1, 1, ack * MAX_ACKS)
    with pytest.raises(RemoteProtocolError):
        near.receive(1, 1, ack * (MAX_ACKS + 1))


def test_a_wire_message_longer_than_any_breaks_the_rules() -> None:
    for kind, most in MAX_WIRE_MESSAGE_BYTES.items():
        near, _ = joined(kind)
        head = frames.data_head(0, most - 13)
        near.receive(1, STREAM, head + bytes(most - 13))
        assert len(near.bodies) == 1
        with pytest.raises(RemoteProtocolError):
            near.receive(1, STREAM, frames.data_head(1, most - 12) + bytes(most - 12))


def test_what_comes_before_a_hello_is_counted_until_it_is_read_or_its_wire_is_gone() -> None:
    far = Side(222)
    for wire in (1, 2):
        far.session.open(wire, WS, 0.0, was_dialled=False)
        for _ in range(MAX_UNGREETED):
            far.receive(wire, 3, frames.data_head(0, 10_000) + bytes(10_000))
    account = far.session.account
    assert account.held_bytes == far.session.lanes.held_bytes
    assert 2 * MAX_UNGREETED_BYTES - 40_000 < account.held_bytes <= 2 * MAX_UNGREETED_BYTES
    far.session.close(1)
    far.receive(2, 1, frames.encode_hello(Hello(111, 0, (0,) * 6, 1 << 20)))
    assert account.held_bytes == 0


def test_a_latency_first_message_without_a_wire_is_dropped_when_it_is_old() -> None:
    near = Side(111)
    near.session.lanes.sender(LATENCY).accept(b"x", 5.0)
    assert near.session.due == pytest.approx(5.1)
    near.session.tick(5.11)
    assert near.session.lanes.latency_sender.dropped == 1
    assert near.session.due == float("inf")


NUMBER = st.integers(0, 40) | st.integers(0, 2**64 - 1)
FLAG = st.sampled_from((0, frames.REPLY_FLAG))
HOSTILE = st.one_of(
    st.binary(max_size=40),
    st.builds(frames.data_head, NUMBER, st.integers(0, 3), FLAG).map(lambda head: head + b"abc"),
    st.builds(
        frames.fragment_head,
        NUMBER,
        st.just(3),
        st.integers(0, 4),
        st.integers(0, 5),
        flag=FLAG,
    ).map(lambda head: head + b"abc"),
    st.builds(Ack, st.integers(0, 5), NUMBER, NUMBER, st.integers(0, 9), st.integers(0, 9)).map(
        frames.encode_ack
    ),
    st.builds(
        Hello,
        st.sampled_from((222, 333)),
        st.sampled_from((0, 111)),
        st.tuples(*[NUMBER] * 6),
        st.just(1 << 20),
    ).map(frames.encode_hello),
    st.sampled_from([frames.encode_ask(lane) for lane in frames.RELIABLE_LANES]),
    st.sampled_from([frames.encode_bye(reason) for reason in ByeReason]),
    st.integers(0, 9).map(frames.encode_pong),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 4), HOSTILE), max_size=30))
def test_whatever_a_far_side_says_ends_in_a_typed_error_or_in_nothing(
    said: list[tuple[int, int, bytes]],
) -> None:
    near, _ = joined(RTC, WS)
    near.session.open(3, WS, 0.0, was_dialled=False)
    for lane in (RPC, STREAM):
        near.post(lane, bytes(20_000))
    now = 0.0
    try:
        for wire, channel, data in said:
            near.receive(wire, channel, data, now)
            near.takes(wire, now)
            now += 0.05
            near.session.tick(now)
    except (RemoteProtocolError, LimitError):
        return
    frames_said = sum(1 + len(data) // len(frames.data_head(0, 0)) for _, _, data in said)
    bound = sum(len(data) for _, _, data in said) + HELD_COST * frames_said
    assert near.session.lanes.held_bytes <= bound


def test_a_wire_that_is_not_greeted_carries_no_acknowledgements() -> None:
    near, far = joined(WS)
    open_wire(near, far, 2, RTC)
    near.post(RPC, b"x")
    item = near.takes(1)[0]
    for _ in range(2):  # the second time says that word got lost
        far.receive(1, *item)
    assert not [frame for frame in decoded(far.takes(2)) if isinstance(frame, Ack)]
    assert [frame for frame in decoded(far.takes(1)) if isinstance(frame, Ack)]


def test_what_is_held_here_and_for_the_far_side_can_be_seen_and_let_go() -> None:
    near, far = joined(WS)
    assert far.session.lanes.is_settled
    near.post(STREAM, b"x" * 100)
    assert near.session.lanes.posted_bytes >= 100
    items = near.takes(1)
    near.post(STREAM, b"y" * 100)
    for channel, data in near.takes(1):  # the second of two
        far.receive(1, channel, data)
    assert not far.session.lanes.is_settled
    assert far.session.lanes.held_bytes == 100 + HELD_COST
    far.session.lanes.let_go()
    assert far.session.lanes.is_settled
    assert items


def test_word_that_got_lost_is_asked_for_on_every_usable_wire() -> None:
    near, far = joined(WS, RTC)
    near.post(RPC, b"x")
    settle(near, far, 1, 2)
    far.session.tick(0.1)  # it says what was received; acknowledged it is not, for it is not stored
    settle(near, far, 1, 2, now=0.1)
    assert far.bodies == [b"x"]
    asked = []
    for tenth in range(2, 40):
        near.session.tick(tenth / 10)
        asked += [
            wire
            for wire in (1, 2)
            for frame in decoded(near.takes(wire, tenth / 10))
            if isinstance(frame, frames.Ask)
        ]
    assert set(asked) == {1, 2}


def test_a_wire_that_missed_a_ping_is_alive_when_what_went_over_it_is_acknowledged() -> None:
    near, far = joined(WS)
    now = 0.0
    while not near.session.ends[1].heart.missed:
        now += 0.1
        near.session.tick(now)
        near.takes(1, now)
    near.post(STREAM, b"x", now)
    carry(near, far, 1, now)
    far.session.tick(now + 0.05)
    for channel, data in far.takes(1, now + 0.05):
        if any(isinstance(frame, Ack) for frame in decode(data)):
            near.receive(1, channel, data, now + 0.05)
    assert near.session.ends[1].heart.missed == 0


def test_what_one_long_wire_message_carried_and_lost_goes_again_in_short_ones() -> None:
    near, far = joined(WS)
    message = Random(1).randbytes(65_536)
    near.post(STREAM, b"before")
    near.post(STREAM, message)
    near.post(STREAM, b"behind")
    most = MAX_WIRE_MESSAGE_BYTES[WS]
    lost = near.session.take(1, 0.0, is_full=False, size=most)
    assert lost is not None
    assert WIRE_MESSAGE_BYTES < len(lost[1]) <= most
    assert near.session.take(1, 0.0, is_full=False, size=most) is None, "all of it is in one"
    far.receive(1, lost[0], frames.data_head(0, 6) + b"before")
    open_wire(near, far, 2, RTC)
    settle(near, far, 2)
    near.session.close(1)
    again = carry(near, far, 2, 0.1)
    assert len(again) > 4
    assert max(len(data) for _, data in again) <= WIRE_MESSAGE_BYTES
    assert far.bodies == [b"before", message, b"behind"]
    far.receive(1, *lost)  # it was late and not lost
    assert far.bodies == [b"before", message, b"behind"]
