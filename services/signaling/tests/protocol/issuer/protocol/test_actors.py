from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_signaling.issuer.protocol.actors import TABLE, Actor, Event, State, Way, handle
from actr_signaling.issuer.protocol.causes import RefusalError
from actr_signaling.issuer.protocol.subjects import Subject

ACTOR = Actor(
    key=b"k" * 32,
    subject=Subject.parse("acme:room@2"),
    realm="default",
    way=Way.TOKEN,
    enrolled_at=0,
    renewed_at=0,
)


@pytest.mark.parametrize(("state", "event"), [*product(State, Event)])
def test_every_event_in_every_state_is_a_row(state: State, event: Event) -> None:
    actor = None if state is State.UNKNOWN else replace(ACTOR, state=state)
    after = TABLE[state, event]
    if isinstance(after, State):
        assert handle(actor, event) is after
    else:
        with pytest.raises(RefusalError) as refused:
            handle(actor, event)
        assert refused.value.cause is after


@given(st.lists(st.sampled_from(Event)))
def test_who_was_revoked_never_gets_a_certificate_again(events: list[Event]) -> None:
    actor: Actor | None = None
    was_revoked = False
    for event in events:
        try:
            after = handle(actor, event)
        except RefusalError:
            continue
        assert not (was_revoked and event in (Event.ENROL, Event.RENEW))
        was_revoked = was_revoked or after is State.REVOKED
        actor = replace(ACTOR, state=after)


def test_a_grant_says_what_the_actor_is() -> None:
    grant = ACTOR.grant()
    assert (grant.subject, grant.realm, grant.life) == (ACTOR.subject, "default", ACTOR.life)
