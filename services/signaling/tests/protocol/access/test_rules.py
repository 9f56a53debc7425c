"""Which rules let one actor ask another for anything at all."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_signaling.errors import ConfigError
from actr_signaling.protocol.access.rules import Claims, lets, parse
from actr_signaling.protocol.identity import ActrId

ROOM = ActrId("acme", "room", "1", "default")
ANN, BEN = (ActrId("acme", "ann", name, "default") for name in ("1", "2"))
FAR = ActrId("acme", "ann", "1", "elsewhere")
ALL = "*:*@*"


def rule(effect: str, callers: list[str], **more: Any) -> dict[str, Any]:
    return {"effect": effect, "callers": callers, **more}


ALLOW = rule("allow", ["acme:ann@*"])


@pytest.mark.parametrize(
    ("tables", "caller", "is_let"),
    [
        ([], ANN, False),
        ([], ROOM, True),
        ([ALLOW], ANN, True),
        ([ALLOW], FAR, False),
        ([rule("allow", ["acme:ann@1:elsewhere"])], FAR, True),
        ([rule("allow", ["*:*@*:*"])], FAR, True),
        ([rule("allow", ["acme:ann@2"])], ANN, False),
        ([rule("allow", ["other:ann@*"])], ANN, False),
        ([ALLOW, rule("deny", ["acme:ann@1"])], ANN, False),
        ([ALLOW, rule("deny", ["acme:ann@1"])], BEN, True),
        ([rule("deny", ["acme:ann@1"]), ALLOW], ANN, False),
        ([ALLOW, rule("deny", [ALL], methods=["demo.Chat.Kick"])], ANN, True),
        (
            [
                rule("allow", [ALL], methods=["demo.Chat.Kick"]),
                rule("deny", [ALL], methods=["demo.Chat/Kick"]),
            ],
            ANN,
            False,
        ),
        (
            [
                rule("allow", [ALL], methods=["demo.Chat.*"]),
                rule("deny", [ALL], methods=["demo.*"]),
            ],
            ANN,
            False,
        ),
        (
            [
                rule("allow", [ALL], methods=["demo.Chat.*"]),
                rule("deny", [ALL], methods=["demo.Chat.Kick"]),
            ],
            ANN,
            True,
        ),
        (
            [
                rule("allow", [ALL], methods=["streams", "demo.Chat.*"]),
                rule("deny", [ALL], methods=["demo.*"]),
            ],
            ANN,
            True,
        ),
        ([rule("allow", [ALL], targets=["acme:room@*"])], ANN, True),
        ([rule("allow", [ALL], targets=["acme:room@2"])], ANN, False),
        ([rule("allow", [ALL], targets=["acme:room@*:elsewhere"])], ANN, False),
        ([rule("allow", [ALL], targets=["acme:room@*:default"])], ANN, True),
    ],
)
def test_what_is_left_when_all_that_deny_are_taken_away(
    tables: list[dict[str, Any]], caller: ActrId, is_let: bool
) -> None:
    assert lets(parse(tables), caller, {}, ROOM) is is_let


@pytest.mark.parametrize(
    ("needed", "claims", "is_let"),
    [
        (["operator"], {}, False),
        (["operator"], {"operator": "yes"}, True),
        (["role=operator"], {"role": "operator"}, True),
        (["role=operator"], {"role": ("guest", "operator")}, True),
        (["role=operator"], {"role": ("guest",)}, False),
        (["role=operator"], {"role": "guest"}, False),
        (["role=operator", "team"], {"role": "operator"}, False),
    ],
)
def test_a_rule_with_claims_is_about_those_who_have_all_of_them(
    needed: list[str], claims: Claims, is_let: bool
) -> None:
    assert lets(parse([rule("allow", [ALL], claims=needed)]), ANN, claims, ROOM) is is_let
    both = [rule("allow", [ALL]), rule("deny", [ALL], claims=needed)]
    assert lets(parse(both), ANN, claims, ROOM) is not is_let


_TABLES = st.lists(
    st.builds(
        rule,
        st.sampled_from(["allow", "deny"]),
        st.lists(st.sampled_from([ALL, "acme:ann@1", "acme:ann@2"]), min_size=1, max_size=2),
        methods=st.lists(st.sampled_from(["*", "a.*", "a.B.*", "a.B.C", "media"]), min_size=1),
    ),
    max_size=6,
)


@given(_TABLES)
def test_one_more_rule_that_denies_never_lets_more(tables: list[dict[str, Any]]) -> None:
    before = lets(parse(tables), ANN, {}, ROOM)
    after = lets(parse([*tables, rule("deny", [ALL], methods=["a.B.C"])]), ANN, {}, ROOM)
    assert before or not after
    assert not lets(parse([*tables, rule("deny", [ALL])]), ANN, {}, ROOM)


@pytest.mark.parametrize(
    ("listed", "text"),
    [
        ({}, "at most 256"),
        ([ALLOW] * 257, "at most 256"),
        (["x"], "access rule 1: it is no table; known are callers, claims, effect, methods"),
        ([ALLOW, {**ALLOW, "caller": []}], "access rule 2: unknown key caller"),
        ([rule("maybe", [ALL])], "effect 'maybe': write allow or deny"),
        ([{"callers": [ALL]}], "effect None: write allow or deny"),
        ([rule("allow", [])], "callers: write a list of 1 to 64 texts"),
        ([{"effect": "allow"}], "callers: write a list"),
        ([rule("allow", [ALL] * 65)], "callers: write a list of 1 to 64 texts"),
        ([rule("allow", [7])], "callers: write a list"),  # type: ignore[list-item]
        ([rule("allow", ["acme:room"])], "write manufacturer:name@instance"),
        ([rule("allow", [ALL], targets=["acme"])], "write manufacturer:name@instance"),
        ([rule("allow", [ALL], methods=["Say"])], "write a method as chat.Room.Say"),
        ([rule("allow", [ALL], methods=[])], "methods: write a list"),
        ([rule("allow", [ALL], claims=["a b"])], "write a name, or name=value"),
        ([rule("allow", [ALL], claims=["a=\n"])], "write a name, or name=value"),
        ([rule("allow", [ALL], claims=["a"] * 17)], "claims: write a list of 1 to 16 texts"),
    ],
)
def test_the_first_mistake_is_said(listed: object, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(listed)
    assert text in str(caught.value)
