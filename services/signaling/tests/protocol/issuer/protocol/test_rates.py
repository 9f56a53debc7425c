from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_signaling.issuer.protocol.causes import Cause, RefusalError
from actr_signaling.issuer.protocol.rates import Rate, Rates


def made(each: tuple[float, float], all: tuple[float, float] = (1e6, 1e6), **rest: int) -> Rates:
    return Rates(Rate(*each), Rate(*all), **rest)


def wait(rates: Rates, address: str, now: float) -> float:
    with pytest.raises(RefusalError) as refused:
        rates.take(address, now)
    assert refused.value.cause is Cause.TOO_FAST
    assert refused.value.retry_after is not None
    return refused.value.retry_after


def test_an_address_has_its_burst_and_then_its_rate() -> None:
    rates = made((2, 3))
    for _ in range(3):
        rates.take("a", 100)
    assert wait(rates, "a", 100) == pytest.approx(0.5)
    rates.take("a", 100.5)
    assert wait(rates, "a", 100.6) == pytest.approx(0.4)


def test_one_address_takes_nothing_from_another() -> None:
    rates = made((1, 1))
    rates.take("a", 0)
    assert wait(rates, "a", 0) == pytest.approx(1)
    rates.take("b", 0)


def test_all_together_have_a_bound_too_and_who_is_refused_is_not_counted() -> None:
    rates = made((1, 2), (1, 1))
    rates.take("a", 0)
    assert wait(rates, "b", 0) == pytest.approx(1)
    rates.take("b", 1)
    rates.take("b", 2)


def test_addresses_are_remembered_within_a_bound() -> None:
    rates = made((1, 1), max_addresses=2)
    for address in "abc":
        rates.take(address, 0)
    rates.take("a", 0)  # forgotten: the first of three
    assert wait(rates, "c", 0) == pytest.approx(1)


@given(st.lists(st.floats(0, 5), min_size=1, max_size=200))
def test_no_more_pass_than_burst_and_rate(gaps: list[float]) -> None:
    rates, now, passed, waits = made((2, 3)), 0.0, 0, list[float]()
    for gap in gaps:
        now += gap
        try:
            rates.take("a", now)
            passed += 1
        except RefusalError as exc:
            waits.append(exc.retry_after or 0.0)
    assert passed <= 3 + 2 * now + 1e-6
    assert all(wait > 0 for wait in waits)


def test_who_waits_as_long_as_it_was_told_is_let_in() -> None:
    rates = made((3, 2))
    now = 1e9
    for _ in range(50):
        try:
            rates.take("a", now)
        except RefusalError as exc:
            now += (exc.retry_after or 0.0) + 1e-6
            rates.take("a", now)
