"""One bound over all sessions of a process, and who goes when it is passed."""

from __future__ import annotations

import random
from collections.abc import Callable
from math import inf

import pytest

from actr_peer.errors import LimitError
from actr_peer.protocol.payload import PayloadType, WireKind
from actr_peer.protocol.session import frames
from actr_peer.protocol.session.budget import Account, Budget, Holding
from actr_peer.protocol.session.fragments import PART_COST
from actr_peer.protocol.session.frames import Hello
from actr_peer.protocol.session.receiver import HELD_COST, LIGHT_BYTES
from actr_peer.protocol.session.session import Session

RPC, STREAM = PayloadType.RPC_RELIABLE, PayloadType.STREAM_RELIABLE
SIZE = 16_000


class Fall:
    """Accounts by name, and who was dropped, in order."""

    def __init__(self, max_bytes: int) -> None:
        self.budget = Budget(max_bytes)
        self.dropped: list[str] = []
        self.errors: list[LimitError] = []

    def account(self, name: str) -> Account:
        def drop(error: LimitError) -> None:
            self.dropped.append(name)
            self.errors.append(error)

        return self.budget.open(drop)


def test_the_oldest_unfinished_message_goes_first() -> None:
    fall = Fall(100)
    for name, held, since in (("new", 30, 9.0), ("whole", 60, inf), ("old", 20, 3.0)):
        fall.account(name).note(held, since)
    fall.budget.keep()
    assert (fall.dropped, fall.budget.held_bytes, fall.budget.dropped) == (["old"], 90, 1)
    (error,) = fall.errors
    assert (error.limit, error.asked) == (100, 110)


def test_where_all_is_whole_the_largest_goes() -> None:
    fall = Fall(100)
    for name, held in (("small", 40), ("large", 50), ("middle", 45)):
        fall.account(name).note(held, inf)
    fall.budget.keep()
    assert (fall.dropped, fall.budget.held_bytes) == (["large"], 85)


def test_who_is_to_hear_may_be_said_after_the_account_was_opened() -> None:
    budget = Budget(10)
    heard: list[LimitError] = []
    unheard, late = budget.open(None), budget.open(None)
    late.on_drop(heard.append)
    for account, since in ((unheard, 1.0), (late, 2.0)):
        account.note(11, since)
    budget.keep()
    assert (budget.held_bytes, len(heard)) == (0, 1), "nobody hears of the first, and it goes too"


def test_as_many_go_as_must_and_an_ended_account_holds_nothing() -> None:
    fall = Fall(100)
    accounts = [fall.account(str(n)) for n in range(5)]
    for n, account in enumerate(accounts):
        account.note(80, float(n))
    fall.budget.keep()
    assert fall.dropped == ["0", "1", "2", "3"]
    accounts[0].note(1000, 0.0)
    accounts[4].close()
    accounts[4].close()
    assert (fall.budget.held_bytes, fall.budget.is_over) == (0, False)


def a_session(budget: Budget, incarnation: int = 111) -> Session:
    session = Session(incarnation, prefer=(WireKind.WEBSOCKET,), budget=budget)
    session.open(1, WireKind.WEBSOCKET, 0.0, was_dialled=False)
    session.receive(1, 1, frames.encode_hello(Hello(222, incarnation, (0,) * 6, 1 << 20)), 0.0)
    return session


def piece(seq: int, parts: int = 1000, flag: int = 0) -> bytes:
    return frames.fragment_head(seq, SIZE, seq, parts, flag=flag) + bytes(SIZE)


@pytest.mark.parametrize(
    ("channel", "flag"),
    [(0, 0), (1, 0), (2, 0), (3, 0), (0, frames.REPLY_FLAG), (1, frames.REPLY_FLAG)],
)
def test_what_any_lane_holds_is_counted_while_it_is_unfinished(channel: int, flag: int) -> None:
    budget = Budget()
    session = a_session(budget)
    for seq in range(3):
        session.receive(1, channel, piece(seq, 4, flag), 5.0 + seq)
    assert budget.held_bytes == session.account.held_bytes == 3 * (SIZE + PART_COST)
    assert session.account.since == 5.0
    session.receive(1, channel, piece(3, 4, flag), 9.0)
    if channel < 2 and not flag:  # it waits for the mailbox
        assert (budget.held_bytes, session.account.since) == (4 * SIZE, inf)
        session.lanes.acknowledge(PayloadType(channel), 3, 9.0)
    assert (budget.held_bytes, session.account.since) == (0, inf)


@pytest.mark.parametrize("channel", [0, 2, 3])
@pytest.mark.parametrize("first", [0, 1], ids=["in order", "early"])
def test_what_a_crowd_of_short_fragments_costs_is_counted(channel: int, first: int) -> None:
    """Of a fragment of one byte a process keeps a hundred and more."""
    session = a_session(Budget())
    for seq in range(first, 500):
        head = frames.fragment_head(seq, 1, seq, 65_535)
        session.receive(1, channel, head + b"x", 5.0)
    assert session.account.held_bytes >= (500 - first) * (1 + PART_COST)
    assert session.account.held_bytes == session.lanes.held_bytes


def test_what_came_early_is_counted_until_it_is_delivered() -> None:
    budget = Budget()
    session = a_session(budget)
    for seq in (2, 1):
        session.receive(1, STREAM, frames.data_head(seq, 5) + b"early", 7.0 + seq)
    assert (budget.held_bytes, session.account.since) == (10 + 2 * HELD_COST, 9.0)
    session.receive(1, STREAM, frames.data_head(0, 5) + b"first", 9.5)
    assert (budget.held_bytes, session.account.since) == (0, inf)


def test_a_latency_first_message_that_is_given_up_is_not_counted_any_more() -> None:
    budget = Budget()
    session = a_session(budget)
    session.receive(1, 3, piece(0), 5.0)
    session.tick(20.0)
    assert budget.held_bytes == 0


def test_a_far_side_that_restarts_holds_nothing() -> None:
    budget = Budget()
    session = a_session(budget)
    session.receive(1, STREAM, piece(0), 5.0)
    session.open(2, WireKind.WEBSOCKET, 6.0, was_dialled=False)
    session.receive(2, 1, frames.encode_hello(Hello(333, 111, (0,) * 6, 1 << 20)), 6.0)
    assert budget.held_bytes == 0


def holdings(fall: Fall, *names: str) -> list[Holding]:
    def drop(name: str) -> Callable[[LimitError], None]:
        return lambda error: fall.dropped.append(name)

    return [Holding(fall.budget, drop(name)) for name in names]


def test_who_takes_nothing_for_longest_goes_for_what_others_hold() -> None:
    fall = Fall(100)
    stands, moves, idle = holdings(fall, "stands", "moves", "idle")
    idle.weigh(5, 0.0)
    idle.weigh(0, 0.5)
    moves.weigh(60, 1.0)
    stands.weigh(30, 2.0)
    moves.weigh(50, 3.0)  # something of it was taken
    stands.weigh(40, 4.0)
    assert fall.dropped == []
    moves.weigh(70, 5.0)
    assert fall.dropped == ["stands"]
    assert fall.budget.held_bytes == 70
    assert (bool(stands), bool(moves), bool(idle)) == (False, True, False)


def test_a_holding_that_is_closed_is_not_counted() -> None:
    fall = Fall(100)
    one, other = holdings(fall, "one", "other")
    one.weigh(90, 1.0)
    one.close()
    one.weigh(90, 2.0)
    other.weigh(90, 3.0)
    assert fall.dropped == []
    assert fall.budget.held_bytes == 90


def test_what_waits_for_the_mailbox_is_counted_to_the_byte_in_any_order() -> None:
    budget = Budget()
    session = a_session(budget)
    chance = random.Random(7)
    number, waiting = [0, 0], [list[int](), list[int]()]
    heavy = 0
    for _ in range(600):
        lane = PayloadType(chance.randrange(2))
        if chance.random() < 0.55 and len(waiting[lane]) < 100:
            body = bytes(chance.randrange(1, 9000))
            data = frames.data_head(number[lane], len(body)) + body
            session.receive(1, lane, data, 5.0)
            waiting[lane].append(number[lane])
            number[lane] += 1
        elif waiting[lane]:
            stored = waiting[lane].pop(chance.randrange(len(waiting[lane])))
            session.lanes.acknowledge(lane, stored, 5.0)
        counted = session.lanes.receivers[0].is_heavy + session.lanes.receivers[1].is_heavy
        heavy += counted == 2
        uncounted = session.lanes.held_bytes - budget.held_bytes
        assert 0 <= uncounted <= (2 - counted) * LIGHT_BYTES
    assert heavy > 100
    for lane in (RPC, PayloadType.RPC_SIGNAL):
        for each in waiting[lane]:
            session.lanes.acknowledge(lane, each, 6.0)
    assert (budget.held_bytes, session.lanes.held_bytes) == (0, 0)
