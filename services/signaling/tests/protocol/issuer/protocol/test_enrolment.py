from __future__ import annotations

from dataclasses import replace

import pytest

from actr_signaling.issuer.protocol.actors import Actor, State, Way
from actr_signaling.issuer.protocol.causes import Cause, RefusalError
from actr_signaling.issuer.protocol.enrolment import (
    READERS,
    Block,
    Held,
    enrol,
    renew,
    rotate,
)
from actr_signaling.issuer.protocol.requests import Enrol
from actr_signaling.issuer.protocol.rules import Taken, default_rules, parse
from actr_signaling.issuer.protocol.subjects import Subject
from actr_signaling.issuer.protocol.tokens import Token

NOW = 1000.0
KEY, OTHER = b"k" * 32, b"o" * 32
ROOM = Subject.parse("acme:room@2")
ROOMS = Subject.parse("acme:room@*")
RULES = default_rules()
BY_SECRET = Enrol(subject=ROOM, realm="default", key=KEY, nonce=b"", proof=b"", mac=b"")
BY_TOKEN = replace(BY_SECRET, token="actr-join-x", mac=None)
TOKEN = Token(
    id="t", digest=b"", pattern=ROOMS, realm="default", created_at=NOW - 9, expires_at=NOW + 9
)
USED = replace(TOKEN, used_at=NOW - 1, used_by=KEY)
ACTOR = Actor(
    key=KEY, subject=ROOM, realm="default", way=Way.SECRET, enrolled_at=1, renewed_at=1,
    serial="s", expires_at=NOW + 100,
)  # fmt: skip
HOLDER = replace(ACTOR, key=OTHER)


def cause(request: Enrol, held: Held, taken: Taken = Taken.EXPIRED) -> Cause:
    with pytest.raises(RefusalError) as refused:
        enrol(request, held, default_rules(taken=taken), NOW)
    return refused.value.cause


def test_the_secret_enrols_by_the_rules() -> None:
    rules = parse({"rule": [{"pattern": "acme:room@*", "claims": {"role": "room"}, "life": 60}]})
    made = enrol(BY_SECRET, Held(), rules, NOW)
    assert made.superseded is None
    assert made.actor == Actor(
        key=KEY, subject=ROOM, realm="default", claims={"role": "room"}, life=60, way=Way.SECRET,
        enrolled_at=NOW, renewed_at=NOW,
    )  # fmt: skip
    with pytest.raises(RefusalError) as refused:
        enrol(replace(BY_SECRET, subject=Subject.parse("a:b@c")), Held(), rules, NOW)
    assert refused.value.cause is Cause.RULE


def test_a_token_enrols_what_the_rules_do_not() -> None:
    assert enrol(BY_TOKEN, Held(token=TOKEN), (), NOW).actor.way is Way.TOKEN
    assert cause(BY_TOKEN, Held()) is Cause.TOKEN_UNKNOWN


def test_who_asks_again_keeps_the_day_of_its_enrolment() -> None:
    assert enrol(BY_SECRET, Held(own=ACTOR), RULES, NOW).actor.enrolled_at == 1


def test_a_key_that_was_revoked_is_enrolled_by_nothing() -> None:
    own = replace(ACTOR, state=State.REVOKED)
    assert cause(BY_SECRET, Held(own=own)) is Cause.REVOKED
    assert cause(BY_TOKEN, Held(own=own, token=TOKEN)) is Cause.REVOKED


@pytest.mark.parametrize("pattern", [ROOM, ROOMS, Subject.parse("*:*@*")], ids=str)
def test_an_id_that_was_revoked_needs_a_token_made_after(pattern: Subject) -> None:
    before = Held(token=TOKEN, blocks=[Block(pattern=pattern, realm="default", at=NOW - 10)])
    after = replace(before, blocks=[Block(pattern=pattern, realm="default", at=NOW - 5)])
    assert cause(BY_SECRET, before) is Cause.REVOKED
    assert enrol(BY_TOKEN, before, RULES, NOW).actor.subject == ROOM
    assert cause(BY_TOKEN, after) is Cause.REVOKED


@pytest.mark.parametrize(
    "block",
    [
        Block(pattern=ROOM, realm="lab", at=NOW),
        Block(pattern=Subject.parse("acme:room@3"), realm="default", at=NOW),
    ],
    ids=["another realm", "another id"],
)
def test_what_was_revoked_elsewhere_bars_nobody(block: Block) -> None:
    assert enrol(BY_SECRET, Held(blocks=[block]), RULES, NOW)


def test_a_pattern_that_holds_a_revoked_id_is_barred() -> None:
    held = Held(
        token=replace(TOKEN, patterns=True), blocks=[Block(pattern=ROOM, realm="default", at=NOW)]
    )
    assert cause(replace(BY_TOKEN, subject=ROOMS), held) is Cause.REVOKED


@pytest.mark.parametrize(
    ("taken", "left", "is_taken"),
    [
        (Taken.NEVER, -1, True),
        (Taken.EXPIRED, 1, True),
        (Taken.EXPIRED, 0, False),
        (Taken.ALWAYS, 1, False),
    ],
)
def test_another_key_gets_an_id_by_the_secret_as_the_rule_says(
    taken: Taken, left: float, is_taken: bool
) -> None:
    held = Held(holder=replace(HOLDER, expires_at=NOW + left))
    if is_taken:
        assert cause(BY_SECRET, held, taken) is Cause.TAKEN
        return
    superseded = enrol(BY_SECRET, held, default_rules(taken=taken), NOW).superseded
    assert superseded is not None
    assert (superseded.key, superseded.state) == (OTHER, State.SUPERSEDED)


def test_who_must_wait_is_told_how_long() -> None:
    with pytest.raises(RefusalError) as refused:
        enrol(BY_SECRET, Held(holder=HOLDER), RULES, NOW)
    assert refused.value.retry_after == 100
    with pytest.raises(RefusalError) as refused:
        enrol(BY_SECRET, Held(holder=HOLDER), default_rules(taken=Taken.NEVER), NOW)
    assert refused.value.retry_after is None


def test_a_token_takes_an_id_from_another_key() -> None:
    superseded = enrol(BY_TOKEN, Held(token=TOKEN, holder=HOLDER), RULES, NOW).superseded
    assert superseded == replace(HOLDER, state=State.SUPERSEDED)


def test_a_token_whose_answer_was_lost_is_answered_again() -> None:
    own = replace(ACTOR, way=Way.TOKEN)
    assert enrol(BY_TOKEN, Held(own=own, token=USED), RULES, NOW).actor.subject == ROOM


def test_a_used_token_enrols_no_second_id_and_wins_nothing_back() -> None:
    other = replace(BY_TOKEN, subject=Subject.parse("acme:room@3"))
    assert cause(other, Held(own=ACTOR, token=USED)) is Cause.TOKEN_USED
    own = replace(ACTOR, state=State.SUPERSEDED)
    assert cause(BY_TOKEN, Held(own=own, token=USED, holder=HOLDER)) is Cause.SUPERSEDED
    assert cause(BY_TOKEN, Held(token=USED)) is Cause.UNKNOWN_KEY


def test_a_full_register_renews_and_takes_nobody_new() -> None:
    assert cause(BY_SECRET, Held(is_full=True)) is Cause.FULL
    assert enrol(BY_SECRET, Held(own=ACTOR, is_full=True), RULES, NOW)


def test_who_came_by_the_secret_renews_by_the_rules_of_today() -> None:
    rules = parse({"rule": [{"pattern": "acme:room@*", "claims": {"role": "new"}, "life": 60}]})
    renewed = renew(ACTOR, rules, NOW)
    assert (renewed.claims, renewed.life, renewed.renewed_at) == ({"role": "new"}, 60, NOW)
    with pytest.raises(RefusalError) as refused:
        renew(ACTOR, (), NOW)
    assert refused.value.cause is Cause.RULE


def test_who_came_by_a_token_renews_what_the_token_gave() -> None:
    own = replace(ACTOR, way=Way.TOKEN, claims={"role": "old"})
    assert renew(own, (), NOW).claims == {"role": "old"}


@pytest.mark.parametrize(
    ("own", "why"),
    [
        (None, Cause.UNKNOWN_KEY),
        (replace(ACTOR, state=State.REVOKED), Cause.REVOKED),
        (replace(ACTOR, state=State.SUPERSEDED), Cause.SUPERSEDED),
    ],
    ids=["unknown", "revoked", "superseded"],
)
def test_nobody_else_renews_or_hands_over(own: Actor | None, why: Cause) -> None:
    with pytest.raises(RefusalError) as refused:
        renew(own, RULES, NOW)
    assert refused.value.cause is why
    with pytest.raises(RefusalError) as refused:
        rotate(own, None, OTHER, RULES, NOW)
    assert refused.value.cause is why


@pytest.mark.parametrize(
    ("way", "after"), [(Way.SECRET, Way.SECRET), (Way.TOKEN, Way.KEY), (Way.KEY, Way.KEY)]
)
def test_a_new_key_takes_the_place_of_the_old_one(way: Way, after: Way) -> None:
    made = rotate(replace(ACTOR, way=way), None, OTHER, RULES, NOW)
    assert (made.actor.key, made.actor.subject, made.actor.way) == (OTHER, ROOM, after)
    assert (made.actor.serial, made.actor.expires_at) == ("", 0)
    assert made.superseded is not None
    assert (made.superseded.key, made.superseded.state) == (KEY, State.SUPERSEDED)


def test_a_revoked_key_takes_nobody_s_place() -> None:
    with pytest.raises(RefusalError) as refused:
        rotate(ACTOR, replace(HOLDER, state=State.REVOKED), OTHER, RULES, NOW)
    assert refused.value.cause is Cause.REVOKED


def test_a_new_key_is_held_to_the_rules_of_today_where_the_old_one_came_by_the_secret() -> None:
    rules = parse({"rule": [{"pattern": "acme:room@*", "claims": {"role": "new"}, "life": 60}]})
    made = rotate(ACTOR, None, OTHER, rules, NOW)
    assert (made.actor.claims, made.actor.life) == ({"role": "new"}, 60)
    with pytest.raises(RefusalError) as refused:
        rotate(ACTOR, None, OTHER, (), NOW)
    assert refused.value.cause is Cause.RULE
    by_token = replace(ACTOR, way=Way.TOKEN, claims={"role": "old"})
    assert rotate(by_token, None, OTHER, (), NOW).actor.claims == {"role": "old"}


HALL = Subject.parse("acme:hall@1")


@pytest.mark.parametrize("state", [State.ENROLLED, State.SUPERSEDED])
@pytest.mark.parametrize("own", [replace(ACTOR, subject=HALL), replace(ACTOR, realm="lab")])
def test_a_key_has_no_second_id_while_a_certificate_for_the_first_lives(
    own: Actor, state: State
) -> None:
    """Else the first would be revoked, or taken over, and that certificate good all the same."""
    own = replace(own, state=state)
    held = Held(own=own)
    assert cause(BY_SECRET, held) is Cause.TAKEN
    assert cause(BY_TOKEN, replace(held, token=TOKEN)) is Cause.TAKEN
    with pytest.raises(RefusalError) as refused:
        rotate(HOLDER, own, KEY, RULES, NOW)
    assert refused.value.cause is Cause.TAKEN
    assert refused.value.retry_after == 100 + READERS
    over = replace(own, expires_at=NOW - READERS)
    assert enrol(BY_SECRET, Held(own=over), RULES, NOW).actor.subject == ROOM
    assert rotate(HOLDER, over, KEY, RULES, NOW).actor.subject == ROOM


def test_a_key_is_remembered_until_its_last_certificate_is_over() -> None:
    """Not until the newest one is, which may be the shorter."""
    assert enrol(BY_SECRET, Held(own=ACTOR), RULES, NOW).actor.expires_at == NOW + 100
    back = replace(ACTOR, state=State.SUPERSEDED)
    assert rotate(HOLDER, back, KEY, RULES, NOW).actor.expires_at == NOW + 100
