"""One wire's end: what goes before all else, and what is not sent."""

from __future__ import annotations

from actr_peer.protocol.payload import WireKind
from actr_peer.protocol.session.wires.ends import MAX_UNGREETED, End


def end() -> End:
    return End(1, WireKind.WEBSOCKET, 0.0, was_dialled=True, order=1)


def test_a_ping_goes_out_when_it_is_time_and_not_before() -> None:
    one = end()
    one.greet(0.0)
    assert one.ping(0.0)
    assert not one.ping(0.0)
    assert len(one.control) == 1


def test_what_came_before_the_hello_is_given_once_in_order() -> None:
    one = end()
    assert [one.park(channel, b"x") for channel in (0, 1)] == [1, 1]
    assert one.unpark() == [(0, b"x"), (1, b"x")]
    assert (one.unpark(), one.parked_bytes) == ([], 0)


def test_what_is_parked_has_a_bound() -> None:
    one = end()
    assert sum(one.park(0, b"x") for _ in range(MAX_UNGREETED + 5)) == MAX_UNGREETED
