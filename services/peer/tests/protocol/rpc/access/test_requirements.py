"""A method may need claims of its caller: by name, or by name and value, and all of them."""

from __future__ import annotations

from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_peer.errors import ConfigError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.certificates import Certificate
from actr_peer.protocol.rpc.access.principals import Claims, Principal, Trust
from actr_peer.protocol.rpc.access.requirements import (
    MAX_REQUIRED,
    Requirement,
    missing,
    requirements,
    sentence,
)

ANN = ActrId("acme", "ann", "1")


@pytest.mark.parametrize(
    ("text", "claims", "is_met"),
    [
        ("operator", {}, False),
        ("operator", {"operator": "yes"}, True),
        ("operator", {"operator": ("a", "b")}, True),
        ("operator", {"Operator": "yes"}, False),
        ("operator", {"role": "operator"}, False),
        ("role=operator", {"role": "operator"}, True),
        ("role=operator", {"role": "operators"}, False),
        ("role=operator", {"role": ("guest", "operator")}, True),
        ("role=operator", {"role": ("guest",)}, False),
        ("role=operator", {"operator": "role"}, False),
        ("role=a=b", {"role": "a=b"}, True),
    ],
)
def test_a_claim_is_there_or_has_the_value(text: str, claims: Claims, is_met: bool) -> None:
    need = Requirement.parse(text)
    assert str(need) == text
    assert need.is_met(claims) is is_met


@pytest.mark.parametrize("text", ["", "a b", "a,b", "a=", "=b", "a=b,c", "a=\n", "x" * 65, "ü"])
def test_what_is_no_claim_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="write the name of a claim"):
        Requirement.parse(text)


def test_more_than_a_certificate_can_have_are_refused() -> None:
    texts = [f"claim{number}" for number in range(MAX_REQUIRED + 1)]
    assert len(requirements(texts[:-1])) == MAX_REQUIRED
    with pytest.raises(ConfigError, match="at most 16 can be needed"):
        requirements(texts)


def test_all_are_needed_and_the_first_that_lacks_is_named() -> None:
    needed = requirements(["operator", "team=a"])
    assert missing(needed, {"operator": "yes", "team": "a"}) is None
    assert missing(needed, {"operator": "yes", "team": "b"}) == needed[1]
    assert missing(needed, {"team": "a"}) == needed[0]
    assert missing((), {}) is None


@given(st.dictionaries(st.sampled_from("abc"), st.sampled_from(["x", ("x", "y")])))
def test_who_has_no_claim_meets_nothing_and_more_claims_never_meet_less(
    claims: dict[str, str | tuple[str, ...]],
) -> None:
    needed = requirements(["a", "b=y"])
    assert missing(needed[:1], {}) is not None
    if missing(needed, claims) is None:
        assert missing(needed, {**claims, "more": "z"}) is None


def test_the_sentence_names_the_claim_and_what_to_do() -> None:
    said = MappingProxyType[str, str | tuple[str, ...]]({})
    own = Certificate("t", "acme:ann@1", "default", bytes(32), said, 0, 0, 1, "n", "text")
    need = Requirement.parse("operator")
    assert sentence(need, Principal.certified(ANN, own)) == (
        "the claim operator, which the certificate of acme:ann@1:default does not have"
    )
    for trust in (Trust.DEVELOPMENT, Trust.SECRET):
        text = sentence(need, Principal.unproven(ANN, trust))
        assert f"here nobody shows one (realm.trust is {trust.value})" in text
