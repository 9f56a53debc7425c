"""Deny overrides, and whom no rule allows is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_peer.errors import ConfigError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.rpc.access.patterns import Callers, Methods
from actr_peer.protocol.rpc.access.rules import AccessRule, Decision, Effect, Rule, decide

ANN = ActrId("acme", "ann", "1")
BOB = ActrId("acme", "bob", "1")


def rule(effect: str, callers: str, *methods: str) -> Rule:
    return Rule(
        Effect(effect),
        (Callers.parse(callers, realm="default"),),
        tuple(map(Methods, methods or ("*",))),
    )


def test_without_rules_everybody_may() -> None:
    assert decide((), ANN, "chat.Room.Say") == Decision(
        is_allowed=True, rule=None, why="there are no rules"
    )


def test_whom_no_rule_allows_is_refused() -> None:
    decision = decide((rule("allow", "acme:ann@*"),), BOB, "chat.Room.Say")
    assert decision == Decision(is_allowed=False, rule=None, why="no access rule allows it")


def test_a_rule_that_denies_alone_allows_nobody() -> None:
    assert not decide((rule("deny", "acme:ann@*"),), BOB, "chat.Room.Say").is_allowed


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_rule_that_denies_wins_wherever_it_stands(order: tuple[int, int]) -> None:
    both = [rule("allow", "*:*@*"), rule("deny", "acme:bob@*", "chat.Room.Kick")]
    rules = [both[place] for place in order]
    decision = decide(rules, BOB, "chat.Room.Kick")
    assert not decision.is_allowed
    assert decision.rule == order.index(1)
    assert decision.why == (
        f"access rule {order.index(1) + 1} says: deny acme:bob@*:default chat.Room.Kick"
    )
    assert decide(rules, BOB, "chat.Room.Say").is_allowed
    assert decide(rules, ANN, "chat.Room.Kick").is_allowed


def test_the_first_rule_that_allows_is_named() -> None:
    rules = (rule("allow", "acme:bob@*"), rule("allow", "*:*@*"), rule("allow", "acme:ann@*"))
    assert decide(rules, ANN, "streams").rule == 1


rules_of_any_kind = st.builds(
    rule,
    st.sampled_from(["allow", "deny"]),
    st.sampled_from(["*:*@*", "acme:ann@*", "acme:*@1", "acme:bob@1", "*:*@*:other"]),
    st.sampled_from(["*", "chat.Room.*", "chat.Room.Say", "streams", "media"]),
)


@given(
    rules=st.lists(rules_of_any_kind, min_size=1, max_size=6),
    caller=st.sampled_from([ANN, BOB]),
    method=st.sampled_from(["chat.Room.Say", "chat.Room.Kick", "streams", "media"]),
)
def test_a_caller_may_just_where_some_rule_allows_and_none_denies(
    rules: list[Rule], caller: ActrId, method: str
) -> None:
    meant = [each.effect for each in rules if each.means(caller, method)]
    decision = decide(rules, caller, method)
    assert decision.is_allowed == (Effect.ALLOW in meant and Effect.DENY not in meant)
    assert (decision.rule is None) == (not meant)


def test_a_rule_is_read_for_an_actor_of_a_realm() -> None:
    read = AccessRule("deny", ["acme:guest@*", "*:*@*:other"], ["chat.Room/Kick"]).read("home")
    assert str(read) == "deny acme:guest@*:home, *:*@*:other chat.Room.Kick"
    assert str(AccessRule("allow", ["acme:ann@1"]).read("home")) == "allow acme:ann@1:home *"


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (AccessRule("maybe", ["*:*@*"]), "write allow or deny"),  # type: ignore[arg-type]
        (AccessRule("allow", []), "callers \\[\\]: write a list of at least one pattern"),
        (AccessRule("allow", "acme:ann@1"), "write a list of at least one pattern"),
        (AccessRule("allow", ["acme:ann@1"], ()), "methods \\(\\): write a list"),
        (AccessRule("allow", ["acme:ann"]), "write manufacturer:name@instance"),
        (AccessRule("allow", ["acme:ann@1"], ["Say"]), "write a method as"),
    ],
)
def test_a_rule_that_is_none_is_refused_with_what_is(rule: AccessRule, text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        rule.read("home")
