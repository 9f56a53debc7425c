"""The table of named deadlines, and that a session keeps in it all that it waits for."""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_peer.protocol.payload import BYTE_LANES, RPC_LANES, PayloadType, WireKind
from actr_peer.protocol.session.deadlines import Deadline, Deadlines
from actr_peer.protocol.session.session import TICK, Session

LATENCY = PayloadType.STREAM_LATENCY_FIRST
names = st.sampled_from(Deadline)
instants = st.sampled_from([-inf, 0.0, 1.0, 2.0, 3.0, inf])


@pytest.mark.parametrize(("to", "is_eased"), [(0.5, False), (1.1, False), (1.2, True)])
def test_who_keeps_a_timer_is_told_of_a_deadline_that_is_put_off_for_long(
    to: float, is_eased: bool
) -> None:
    deadlines = Deadlines()
    deadlines.set(Deadline.HEARTBEAT, 1.0)
    deadlines.put_off(Deadline.HEARTBEAT, to)
    assert (deadlines.next, deadlines.is_eased) == (to, is_eased)


@pytest.mark.parametrize("name", Deadline)
@pytest.mark.parametrize("before", [inf, 1.0, 3.0])
@pytest.mark.parametrize("others", [inf, 2.0])
def test_each_name_is_set_hastened_and_cleared_by_itself(
    name: Deadline, before: float, others: float
) -> None:
    def table() -> Deadlines:
        deadlines = Deadlines()
        for each in Deadline:
            deadlines.set(each, before if each is name else others)
        return deadlines

    deadlines = table()
    assert deadlines.next == min(before, others)
    deadlines.set(name, 2.5)
    assert (deadlines.at[name], deadlines.next) == (2.5, min(2.5, others))

    deadlines = table()
    deadlines.hasten(name, 2.5)
    assert (deadlines.at[name], deadlines.next) == (min(2.5, before), min(2.5, before, others))

    deadlines = table()
    deadlines.clear(name)
    assert (deadlines.at[name], deadlines.next) == (inf, others)
    assert [deadlines.at[each] for each in Deadline if each is not name] == [others] * 4


@pytest.mark.parametrize(("first", "later"), list(pairwise(Deadline)))
def test_what_is_set_for_a_later_name_meanwhile_is_taken_in_the_same_round(
    first: Deadline, later: Deadline
) -> None:
    deadlines = Deadlines()
    deadlines.set(first, 1.0)
    taken = []
    for name in deadlines.take(1.0):
        taken.append(name)
        if name is first:
            deadlines.set(later, -inf)
    assert taken == [first, later]
    assert deadlines.next == inf


@given(
    st.lists(
        st.tuples(st.sampled_from(["set", "hasten", "clear", "take"]), names, instants), max_size=40
    )
)
def test_the_next_is_the_least_and_nothing_is_taken_early_or_twice_or_never(
    script: list[tuple[str, Deadline, float]],
) -> None:
    deadlines, model = Deadlines(), dict.fromkeys(Deadline, inf)
    for deed, name, at in script:
        match deed:
            case "set":
                deadlines.set(name, at)
                model[name] = at
            case "hasten":
                deadlines.hasten(name, at)
                model[name] = min(model[name], at)
            case "clear":
                deadlines.clear(name)
                model[name] = inf
            case "take" if at < inf:
                come = [each for each in Deadline if model[each] <= at]
                assert list(deadlines.take(at)) == come
                model.update(dict.fromkeys(come, inf))
        assert deadlines.at == list(model.values())
        assert deadlines.next == min(model.values())


# What a session waits for


class Side:
    """A session, and what its wires carry to the other one."""

    def __init__(self, incarnation: int) -> None:
        self.session = Session(incarnation, prefer=list(WireKind))
        self.carried: dict[int, deque[tuple[int, bytes]]] = {}
        self.unstored: deque[tuple[PayloadType, int]] = deque()

    def flush(self, now: float) -> None:
        for wire in self.session.ends:
            while (item := self.session.take(wire, now, is_full=False)) is not None:
                self.carried.setdefault(wire, deque()).append(item)

    def store(self, now: float) -> None:
        while self.unstored:
            self.session.lanes.acknowledge(*self.unstored.popleft(), now)

    def waits_rightly(self) -> None:
        """All that may need time has a deadline that is no later than when it does."""
        session, at = self.session, self.session.deadlines.at
        for end in session.ends.values():
            if not end.is_heard:
                assert at[Deadline.HELLO] <= end.hello_at + TICK
            if end.is_greeted:
                assert at[Deadline.HEARTBEAT] <= end.heart.due + TICK
        lanes = session.lanes
        news = [receiver.ack_at for receiver in lanes.receivers if receiver.has_news]
        assert at[Deadline.ACK] <= min(news, default=inf) + TICK
        assert bool(news) == (at[Deadline.ACK] < inf)
        assert at[Deadline.EXPIRY] <= lanes.latency_sender.due() + TICK
        if not lanes.latency_receiver.is_empty:
            assert at[Deadline.EXPIRY] < inf
        if any(end.is_greeted for end in session.ends.values()):
            for sender in lanes.senders:
                on_way = [sender.frames[seq] for seq in range(sender.received, sender.unsent)]
                if any(not frame.is_queued for frame in on_way):
                    assert at[Deadline.RETRANSMIT] < inf
        assert session.due == min(at)

    def tick(self, now: float) -> None:
        session = self.session
        if session.due > now:  # nothing has come: nothing happens
            before = list(session.deadlines.at), len(session.news)
            session.tick(now)
            assert (session.deadlines.at, len(session.news)) == before
        else:
            session.tick(now)
            assert session.due > now


DEEDS = ["open", "cut", "post", "big", "carry", "carry", "carry", "lose", "time", "wake"]


class Pair:
    def __init__(self) -> None:
        self.sides = Side(1), Side(2)
        self.now = 0.0
        self.opened = 0

    def do(self, deed: str, who: int, pick: int) -> None:
        side, other = self.sides[who], self.sides[1 - who]
        session, now = side.session, self.now
        wires = sorted(session.ends)
        wire = wires[pick % len(wires)] if wires else 0
        match deed:
            case "open" if len(wires) < 3:
                self.opened += 1
                for each in self.sides:
                    is_mine = each is side
                    each.session.open(self.opened, WireKind.WEBSOCKET, now, was_dialled=is_mine)
            case "cut" if wires:
                for each in self.sides:
                    each.session.close(wire)
                    each.carried.pop(wire, None)
            case "post" | "big":
                lane = BYTE_LANES[pick % len(BYTE_LANES)]
                body = bytes(40_000 if deed == "big" else 10)
                session.lanes.sender(lane).accept(body, now)
            case "carry" | "lose" if side.carried.get(wire):
                item = side.carried[wire].popleft()
                if deed == "carry" or item[0] != LATENCY:
                    self.hear(other, wire, item)
            case "time" | "wake":
                due = min(each.session.due for each in self.sides)
                self.now = max(now, due) if deed == "wake" and due < inf else now + pick / 10

    def hear(self, side: Side, wire: int, item: tuple[int, bytes]) -> None:
        for lane, _, number in side.session.receive(wire, *item, self.now):
            if lane in RPC_LANES:
                side.unstored.append((lane, number))


@given(
    st.lists(st.tuples(st.sampled_from(DEEDS), st.integers(0, 1), st.integers(0, 11)), max_size=80)
)
def test_all_that_a_session_waits_for_has_its_deadline_and_none_comes_early(
    script: list[tuple[str, int, int]],
) -> None:
    pair = Pair()
    pair.do("open", 0, 0)
    for deed, who, pick in script:
        pair.do(deed, who, pick)
        for side in pair.sides:
            if pick % 3 == 0:
                side.store(pair.now)
            side.flush(pair.now)
            side.waits_rightly()
            side.tick(pair.now)
            side.flush(pair.now)
            side.waits_rightly()
            side.session.news.clear()
