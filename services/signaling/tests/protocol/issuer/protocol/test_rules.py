from __future__ import annotations

from typing import Any

import pytest

from actr_signaling.issuer.protocol.causes import Cause, RefusalError
from actr_signaling.issuer.protocol.rules import (
    MAX_RULES,
    Rule,
    Taken,
    decide,
    default_rules,
    parse,
)
from actr_signaling.issuer.protocol.subjects import Subject

RULES = parse(
    {
        "rule": [
            {"pattern": "acme:admin@*", "allow": False},
            {"pattern": "acme:room@*", "realm": "lab", "claims": {"role": "lab"}, "life": 60},
            {"pattern": "acme:*@*", "patterns": True, "taken": "always"},
        ]
    }
)


def subject(text: str) -> Subject:
    return Subject.parse(text)


def test_the_first_rule_that_fits_decides() -> None:
    lab = decide(RULES, subject("acme:room@2"), "lab")
    assert (lab.index, lab.claims, lab.life, lab.taken) == (2, {"role": "lab"}, 60, Taken.EXPIRED)
    assert decide(RULES, subject("acme:room@2"), "default").index == 3
    grant = lab.grant(subject("acme:room@2"), "lab")
    assert (grant.claims, grant.life, grant.realm) == ({"role": "lab"}, 60, "lab")


@pytest.mark.parametrize(
    ("who", "word"),
    [("acme:admin@1", "rule 1 forbids"), ("other:room@1", "no rule"), ("acme:*@*", "rule 1")],
    ids=["what is forbidden", "what no rule is about", "a pattern that holds what is forbidden"],
)
def test_the_secret_enrols_nothing_else(who: str, word: str) -> None:
    with pytest.raises(RefusalError, match=word) as refused:
        decide(RULES, subject(who), "default")
    assert refused.value.cause is Cause.RULE


def test_a_pattern_is_enrolled_where_a_rule_says_so_only() -> None:
    assert decide(RULES, subject("acme:room@*"), "default").index == 3
    with pytest.raises(RefusalError, match="is a pattern"):
        decide(RULES, subject("acme:room@*"), "lab")


def test_without_a_file_the_secret_enrols_ids_and_no_patterns() -> None:
    assert decide(default_rules(life=90), subject("a:b@c"), "any").life == 90
    with pytest.raises(RefusalError):
        decide(default_rules(), subject("a:b@*"), "any")


def test_no_rules_allow_nothing() -> None:
    with pytest.raises(RefusalError, match="no rule"):
        decide(parse({}), subject("a:b@c"), "default")


@pytest.mark.parametrize(
    ("table", "word"),
    [
        ({"realm": "default"}, "no pattern"),
        ("acme:room@*", "no pattern"),
        ({"pattern": "acme"}, "no id and no pattern"),
        ({"pattern": "a:b@c", "alow": True}, "unknown key alow"),
        ({"pattern": "a:b@c", "allow": "yes"}, "allow is true or false"),
        ({"pattern": "a:b@c", "taken": "often"}, "never, expired, always"),
        ({"pattern": "a:b@c", "realm": "a b"}, "no realm"),
        ({"pattern": "a:b@c", "life": 5}, "life"),
        ({"pattern": "a:b@c", "claims": {"a": 1}}, "claim"),
    ],
)
def test_a_mistake_is_named_with_its_rule(table: Any, word: str) -> None:
    with pytest.raises(RefusalError, match=rf"rule 2: .*{word}"):
        parse({"rule": [{"pattern": "a:b@c"}, table]})


@pytest.mark.parametrize("document", [{"rules": []}, {"rule": {}}, {"rule": [0] * (MAX_RULES + 1)}])
def test_a_file_of_rules_holds_rules_only(document: dict[str, Any]) -> None:
    with pytest.raises(RefusalError, match=r"\[\[rule\]\]"):
        parse(document)


def test_a_rule_forbids_what_it_has_in_common_with_a_pattern() -> None:
    rule = Rule(index=1, pattern=subject("acme:admin@*"), realm="default", allow=False)
    assert rule.bars(subject("*:*@1"), "default")
    assert not rule.bars(subject("*:*@1"), "lab")
