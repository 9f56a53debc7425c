"""Who is served next: by time used, between addresses and between an address's connections."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_signaling.protocol.shares import Flow, Shares


def serve(shares: Shares, *, seconds: float = 1.0, goes_on: bool = True) -> Flow:
    flow = shares.take()
    shares.charge(flow, seconds, goes_on=goes_on)
    return flow


def test_two_that_want_all_get_the_same() -> None:
    shares = Shares()
    flows = [Flow("x"), Flow("x")]
    for flow in flows:
        shares.add(flow)
    assert [flows.index(serve(shares)) for _ in range(4)] == [0, 1, 0, 1]


def test_a_thousand_connections_of_one_address_have_the_share_of_one() -> None:
    shares = Shares()
    crowd = [Flow("crowd") for _ in range(1000)]
    lonely = Flow("lonely")
    for flow in crowd:
        shares.add(flow)
    shares.add(lonely)
    served = [serve(shares) for _ in range(100)]
    assert served.count(lonely) == 50


def test_who_uses_little_waits_behind_nobody_who_uses_much() -> None:
    shares = Shares()
    greedy = [Flow("x") for _ in range(50)]
    for flow in greedy:
        shares.add(flow)
    for _ in range(500):
        serve(shares)
    modest = Flow("x")
    shares.add(modest)
    assert modest in [serve(shares) for _ in range(len(greedy) + 1)]
    shares.charge(shares.take(), 1.0, goes_on=True)
    newcomer = Flow("y")
    shares.add(newcomer)
    assert newcomer in [serve(shares), serve(shares)]


def test_longer_turns_are_paid_with_fewer() -> None:
    shares = Shares()
    long, short = Flow("x"), Flow("y")
    shares.add(long)
    shares.add(short)
    served = []
    for _ in range(110):
        flow = shares.take()
        shares.charge(flow, 10.0 if flow is long else 1.0, goes_on=True)
        served.append(flow)
    assert 9 <= served.count(long) <= 11


def test_when_nobody_waits_all_is_forgotten() -> None:
    shares = Shares()
    busy, other = Flow("x"), Flow("y")
    shares.add(busy)
    serve(shares, seconds=1000.0, goes_on=False)
    assert not shares
    shares.add(busy)
    shares.add(other)
    assert serve(shares) is busy


@given(
    st.lists(
        st.tuples(st.integers(0, 7), st.floats(0.001, 5.0), st.booleans()), min_size=1, max_size=80
    )
)
def test_whoever_waits_is_served_once_for_each_time(
    steps: list[tuple[int, float, bool]],
) -> None:
    shares = Shares()
    flows = [Flow(f"address {number % 3}") for number in range(8)]
    waiting: set[Flow] = set()
    for number, seconds, goes_on in steps:
        shares.add(flows[number])
        waiting.add(flows[number])
        if goes_on:
            flow = shares.take()
            assert flow in waiting
            waiting.discard(flow)
            shares.charge(flow, seconds, goes_on=False)
    while shares:
        flow = serve(shares, goes_on=False)
        waiting.remove(flow)
    assert not waiting
    with pytest.raises(IndexError):
        shares.take()


def test_who_waits_already_waits_once() -> None:
    shares, flow = Shares(), Flow("x")
    shares.add(flow)
    shares.add(flow)
    assert serve(shares, goes_on=False) is flow
    assert not shares
