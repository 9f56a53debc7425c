"""When a certificate is renewed, whatever its issuer does meanwhile."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actr_peer.errors import LocalProtocolError
from actr_peer.protocol.identity.certificates import Certificate
from actr_peer.protocol.identity.keeping import (
    LEAST_GAP,
    MOST_RETRY,
    NEXT,
    REFUSED_RETRY,
    Event,
    Keeping,
    State,
    renewal,
)

NOW = 1_800_000_000.0


def made(at: float = NOW, life: int = 900) -> Certificate:
    issued = int(at)
    times = issued, issued, issued + life
    return Certificate("tests", "acme:room@1", "default", bytes(32), {}, *times, "c1", "a.b.c")


def in_state(state: State) -> Keeping:
    """One that has come to a state by a way that there is; it is a second past the last answer."""
    keeping = Keeping(None, now=NOW, dice=0.0)
    if state in (State.HOLDING, State.RENEWING, State.LAPSED):
        keeping.given(made(), now=NOW, dice=0.0)
    if state in (State.RENEWING, State.LAPSED):
        assert keeping.step(NOW + 600)
    if state is State.LAPSED:
        assert keeping.step(NOW + 900)
    if state is State.REFUSED:
        keeping.refused(now=NOW)
    assert keeping.state is state
    return keeping


def happen(keeping: Keeping, event: Event, now: float) -> None:
    if event is Event.GIVEN:
        keeping.given(made(now), now=now, dice=0.0)
    elif event is Event.AWAY:
        keeping.away(now=now, dice=0.0)
    elif event is Event.REFUSED:
        keeping.refused(now=now)
    else:
        keeping.step(now)


@pytest.mark.parametrize(
    ("state", "event"), list(product(State, (Event.GIVEN, Event.AWAY, Event.REFUSED)))
)
def test_every_answer_in_every_state_is_in_the_table_or_is_a_bug(
    state: State, event: Event
) -> None:
    keeping = in_state(state)
    if (state, event) in NEXT:
        happen(keeping, event, NOW + 1000)
        assert keeping.state is NEXT[state, event]
    else:
        with pytest.raises(LocalProtocolError, match=f"{event.name} in state {state.name}"):
            happen(keeping, event, NOW + 1000)


def test_time_alone_takes_one_from_holding_to_renewing_to_lapsed() -> None:
    keeping = in_state(State.HOLDING)
    assert not keeping.step(NOW + 599)
    assert keeping.step(NOW + 600)
    assert keeping.state is State.RENEWING
    assert keeping.lives(NOW + 899)
    assert keeping.step(NOW + 900)
    assert keeping.state is State.LAPSED
    assert not keeping.lives(NOW + 900)


def test_renewal_is_at_two_thirds_of_the_life_or_up_to_a_tenth_of_it_earlier() -> None:
    assert renewal(made(), 0.0) == NOW + 600
    assert renewal(made(), 1.0) == pytest.approx(NOW + 510)


def test_a_kept_certificate_is_renewed_when_it_would_have_been() -> None:
    keeping = Keeping(made(), now=NOW + 300, dice=0.0)
    assert (keeping.state, keeping.at) == (State.HOLDING, NOW + 600)


def test_a_kept_certificate_that_has_ended_is_asked_for_at_once() -> None:
    keeping = Keeping(made(), now=NOW + 1000, dice=0.0)
    assert keeping.step(NOW + 1000)
    assert keeping.state is State.LAPSED


def test_an_issuer_that_is_away_is_asked_later_each_time_up_to_a_minute() -> None:
    keeping = in_state(State.RENEWING)
    waits = []
    for _ in range(10):
        keeping.away(now=NOW + 600, dice=1.0)
        waits.append(keeping._at - NOW - 600)
    assert waits == sorted(waits)
    assert waits[0] == 1.0
    assert waits[-1] == MOST_RETRY


def test_the_end_of_the_life_is_seen_between_two_questions() -> None:
    keeping = Keeping(made(), now=NOW, dice=0.0)
    assert keeping.step(NOW + 899)
    keeping.away(now=NOW + 899, dice=1.0, retry_after=30)
    assert keeping.at == NOW + 900
    assert not keeping.step(NOW + 900)
    assert keeping.state is State.LAPSED
    assert keeping.at == NOW + 929


def test_an_issuer_that_asks_for_time_gets_it_and_not_forever() -> None:
    keeping = in_state(State.WANTING)
    keeping.away(now=NOW, dice=0.0, retry_after=1e9)
    assert keeping.at == NOW + REFUSED_RETRY


def test_one_that_refuses_is_asked_again_for_somebody_may_have_allowed_it_since() -> None:
    keeping = in_state(State.REFUSED)
    assert keeping.at == NOW + REFUSED_RETRY
    assert not keeping.step(NOW + REFUSED_RETRY - 1)
    assert keeping.step(NOW + REFUSED_RETRY)


def test_certificates_of_no_life_are_not_asked_for_without_end() -> None:
    keeping = in_state(State.WANTING)
    keeping.given(made(NOW, 1), now=NOW, dice=1.0)
    assert keeping.at == NOW + LEAST_GAP


@settings(max_examples=300)
@given(
    answers=st.lists(
        st.tuples(st.sampled_from([Event.GIVEN, Event.AWAY, Event.REFUSED]), st.floats(0, 1)),
        max_size=40,
    ),
    late=st.floats(0, 2000),
)
def test_whatever_the_issuer_does_it_is_asked_again_and_never_at_once(
    answers: list[tuple[Event, float]], late: float
) -> None:
    now = NOW
    keeping = Keeping(None, now=now, dice=0.0)
    assert keeping.step(now)
    for event, dice in answers:
        if event is Event.GIVEN:
            keeping.given(made(now), now=now, dice=dice)
        elif event is Event.AWAY:
            keeping.away(now=now, dice=dice)
        else:
            keeping.refused(now=now)
        assert not keeping.step(now)
        asks = False
        while not asks:
            assert keeping.at > now
            now = keeping.at + (late if keeping.state is not State.HOLDING else 0)
            asks = keeping.step(now)
        certificate = keeping.certificate
        is_alive = certificate is not None and now < certificate.expires_at
        assert keeping.lives(now) == is_alive
        if keeping.state in (State.RENEWING, State.LAPSED):
            assert is_alive == (keeping.state is State.RENEWING)
