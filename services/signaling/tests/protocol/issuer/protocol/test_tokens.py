from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_signaling.issuer.protocol.causes import Cause, RefusalError
from actr_signaling.issuer.protocol.subjects import Subject
from actr_signaling.issuer.protocol.tokens import (
    TABLE,
    Event,
    State,
    Token,
    digest_of,
    handle,
    redeem,
)

ROOMS = Subject.parse("acme:room@*")
ROOM = Subject.parse("acme:room@2")
KEY, OTHER = b"k" * 32, b"o" * 32
TOKEN = Token(
    id="t1",
    digest=digest_of("actr-join-x"),
    pattern=ROOMS,
    realm="default",
    claims={"role": "room"},
    life=60,
    created_at=0,
    expires_at=100,
)
IN = {
    State.WAITING: (TOKEN, 50.0),
    State.USED: (replace(TOKEN, used_at=10, used_by=KEY), 500.0),
    State.EXPIRED: (TOKEN, 100.0),
    State.REVOKED: (replace(TOKEN, revoked_at=10), 50.0),
}


@pytest.mark.parametrize(("state", "event"), [*product(State, Event)])
def test_every_event_in_every_state_is_a_row(state: State, event: Event) -> None:
    token, now = IN[state]
    assert token.state(now) is state
    after = TABLE[state, event]
    if isinstance(after, State):
        assert handle(token, event, now) is after
    else:
        with pytest.raises(RefusalError) as refused:
            handle(token, event, now)
        assert refused.value.cause is after


@given(st.lists(st.sampled_from(Event)))
def test_once_used_or_revoked_no_other_key_takes_it(events: list[Event]) -> None:
    token, is_over = TOKEN, False
    for event in events:
        try:
            after = handle(token, event, 50)
        except RefusalError:
            continue
        assert not (is_over and event is Event.TAKE)
        is_over = True
        token = replace(
            token,
            used_at=50 if after is State.USED else token.used_at,
            revoked_at=50 if after is State.REVOKED else None,
        )


def test_a_token_gives_what_it_is_bound_to() -> None:
    grant = redeem(TOKEN, ROOM, "default", KEY, 50)
    assert (grant.subject, grant.realm, grant.claims, grant.life) == (
        ROOM,
        "default",
        {"role": "room"},
        60,
    )


def test_a_token_enrols_a_pattern_only_where_it_was_made_for_that() -> None:
    """Else whoever finds one would be all actors of its pattern, and not one of them."""
    for wide in (ROOMS, Subject.parse("*:*@*")):
        with pytest.raises(RefusalError) as refused:
            redeem(replace(TOKEN, pattern=wide), wide, "default", KEY, 50)
        assert refused.value.cause is Cause.PATTERN
    assert redeem(replace(TOKEN, patterns=True), ROOMS, "default", KEY, 50).subject == ROOMS


@pytest.mark.parametrize(
    ("who", "realm"),
    [("acme:hall@2", "default"), ("acme:room@2", "lab"), ("acme:*@2", "default")],
    ids=["another type", "another realm", "a wider pattern"],
)
def test_a_token_is_for_its_ids_and_its_realm_only(who: str, realm: str) -> None:
    with pytest.raises(RefusalError) as refused:
        redeem(TOKEN, Subject.parse(who), realm, KEY, 50)
    assert refused.value.cause is Cause.PATTERN


def test_a_used_token_is_good_for_the_key_that_used_it_and_for_no_other() -> None:
    used, now = IN[State.USED]
    assert redeem(used, ROOM, "default", KEY, now).subject == ROOM
    with pytest.raises(RefusalError) as refused:
        redeem(used, ROOM, "default", OTHER, now)
    assert refused.value.cause is Cause.TOKEN_USED


def test_an_unknown_token_is_refused() -> None:
    with pytest.raises(RefusalError) as refused:
        redeem(None, ROOM, "default", KEY, 50)
    assert refused.value.cause is Cause.TOKEN_UNKNOWN


def test_a_token_is_good_until_the_instant_it_expires() -> None:
    assert redeem(TOKEN, ROOM, "default", KEY, 99.9)
    with pytest.raises(RefusalError) as refused:
        redeem(TOKEN, ROOM, "default", KEY, 100)
    assert refused.value.cause is Cause.TOKEN_EXPIRED
