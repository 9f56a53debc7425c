"""Who a caller is by its token, and which methods of whom it may call."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import pytest

from actr_peer.errors import CallError, Code, ConfigError
from actr_peer.protocol.identity import ActrId, ActrType
from actr_peer.protocol.rpc.connect.rules import GatewayRules, NoRules, refused

ROOM, SECRET = ActrId("acme", "room", "1"), ActrId("acme", "room", "secret")
TYPE = ActrType("acme:room")
SAY, KICK = "chat.Room.Say", "chat.Room.Kick"


def sha256(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def caller(name: str, token: str) -> dict[str, str]:
    return {"name": name, "sha256": sha256(token)}


def access(effect: str, callers: list[str], actors: list[str], methods: list[str]) -> Any:
    return {"effect": effect, "callers": callers, "actors": actors, "methods": methods}


def read(*rules: Mapping[str, Any], **more: Any) -> GatewayRules:
    callers = [caller("web", "t-web"), caller("ops", "t-ops")]
    return GatewayRules.read({"caller": callers, "access": list(rules), **more}, "default")


def test_a_caller_is_known_by_its_token() -> None:
    rules = read()
    assert [rules.caller_of(each) for each in ("Bearer t-web", "bearer  t-ops", None)] == [
        "web",
        "ops",
        "anonymous",
    ]


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer t-we", "Bearer t-web t-web", "Basic t-web", f"Bearer {'x' * 9000}", "ü"],
)
def test_a_token_that_nobody_has_is_refused(header: str) -> None:
    with pytest.raises(CallError) as caught:
        read().caller_of(header)
    assert caught.value.code is Code.UNAUTHENTICATED


def test_whom_none_allows_is_refused_and_who_denies_wins() -> None:
    rules = read(
        access("deny", ["web"], ["acme:room@*"], [KICK]),
        access("allow", ["*"], ["acme:room@*"], ["chat.Room.*"]),
    )
    assert rules.allows("web", ROOM, SAY)
    assert not rules.allows("web", ROOM, KICK)
    assert rules.allows("ops", ROOM, KICK)
    assert not rules.allows("ops", ActrId("acme", "other", "1"), SAY)
    assert not rules.allows("ops", ROOM, "chat.Other.Say")
    assert not rules.allows("anonymous", ROOM, SAY)
    assert not read().allows("web", ROOM, SAY)


def test_anonymous_is_let_in_by_its_name_alone() -> None:
    rules = read(access("allow", ["anonymous"], ["acme:room@*"], [SAY]))
    assert rules.allows("anonymous", ROOM, SAY)
    assert not rules.allows("web", ROOM, SAY)


def test_a_call_to_a_type_needs_all_its_actors_and_is_denied_by_any() -> None:
    one = read(access("allow", ["web"], ["acme:room@1"], [SAY]))
    assert one.allows("web", ROOM, SAY)
    assert not one.allows("web", TYPE, SAY)
    all_but_one = read(
        access("allow", ["web"], ["acme:room@*"], [SAY]),
        access("deny", ["web"], ["acme:room@secret"], [SAY]),
    )
    assert all_but_one.allows("web", ROOM, SAY)
    assert not all_but_one.allows("web", SECRET, SAY)
    assert not all_but_one.allows("web", TYPE, SAY)
    assert read(access("allow", ["web"], ["*:*@*"], [SAY])).allows("web", TYPE, SAY)
    assert not read(access("allow", ["web"], ["acme:other@*"], [SAY])).allows("web", TYPE, SAY)


def test_a_pattern_is_of_the_gateways_realm_unless_it_says_another() -> None:
    elsewhere = ActrId("acme", "room", "1", "other")
    assert not read(access("allow", ["web"], ["acme:room@*"], [SAY])).allows("web", elsewhere, SAY)
    assert read(access("allow", ["web"], ["acme:room@*:*"], [SAY])).allows("web", elsewhere, SAY)


@pytest.mark.parametrize(
    ("pattern", "is_allowed"),
    [
        ("acme:room@*", True),
        ("acme:room@*:default", True),
        ("acme:room@*:*", True),
        ("acme:room@*:partner", False),
    ],
)
def test_a_type_is_allowed_by_rules_for_the_own_realm_and_denied_by_any(
    pattern: str, *, is_allowed: bool
) -> None:
    assert read(access("allow", ["web"], [pattern], [SAY])).allows("web", TYPE, SAY) == is_allowed
    everybody = access("allow", ["web"], ["*:*@*:*"], [SAY])
    denied = access("deny", ["web"], [pattern], [SAY])
    assert not read(everybody, denied).allows("web", TYPE, SAY)


def test_nobody_is_looked_for_whom_a_caller_may_not_ask() -> None:
    rules = read(
        access("allow", ["web"], ["acme:room@*"], [SAY]),
        access("deny", ["ops"], ["acme:room@*"], [KICK]),
    )
    assert rules.may_ask_any("web", SAY)
    assert not rules.may_ask_any("web", KICK)
    assert not rules.may_ask_any("ops", KICK)


def test_without_rules_everybody_may() -> None:
    assert NoRules().caller_of("Bearer whatever") == "anonymous"
    assert NoRules().allows("anonymous", ROOM, SAY)
    assert NoRules().may_ask_any("anonymous", SAY)


def test_who_shows_no_token_is_asked_for_one_and_who_does_is_refused() -> None:
    assert refused("anonymous", ROOM, SAY).code is Code.UNAUTHENTICATED
    assert refused("web", TYPE, SAY).code is Code.PERMISSION_DENIED


def test_services_name_whom_a_request_means() -> None:
    rules = read(services={"chat.Room": "acme:room", "chat.Other": "acme:room@1:default"})
    assert rules.services == {"chat.Room": TYPE, "chat.Other": ROOM}


GOOD = access("allow", ["web"], ["acme:room@*"], [SAY])


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"callers": []}, "no key 'callers'"),
        ({"caller": {"name": "web"}}, "[[caller]]"),
        ({"caller": ["web"]}, "[[caller]]"),
        ({"caller": [{"name": "web", "token": "x"}]}, "no key 'token'"),
        ({"caller": [{"name": "a b", "sha256": sha256("x")}]}, "letters"),
        ({"caller": [{"name": 1, "sha256": sha256("x")}]}, "letters"),
        ({"caller": [caller("anonymous", "x")]}, "not anonymous"),
        ({"caller": [{"name": "web", "sha256": "ABC"}]}, "64 hex digits"),
        ({"caller": [{"name": "web"}]}, "64 hex digits"),
        ({"caller": [caller("a", "x"), caller("a", "y")]}, "twice"),
        ({"caller": [caller("a", "x"), caller("b", "x")]}, "twice"),
        ({"caller": [caller(f"c{n}", str(n)) for n in range(257)]}, "limit of 256"),
        ({"access": [GOOD | {"effect": "permit"}]}, "write allow or deny"),
        ({"access": [GOOD]}, "no caller 'web'"),
        ({"access": [GOOD | {"callers": []}]}, "at least one"),
        ({"access": [GOOD | {"callers": "web"}]}, "at least one"),
        ({"access": [GOOD | {"callers": ["*"], "actors": ["room"]}]}, "manufacturer:name@instance"),
        ({"access": [GOOD | {"callers": ["*"], "methods": ["x"]}]}, "write a method"),
        ({"access": [GOOD | {"claims": ["x"]}]}, "no key 'claims'"),
        ({"services": []}, "write a table"),
        ({"services": {"chat.Room": 1}}, "chat.Room = 1"),
        ({"services": {"chat.Room": "self"}}, "chat.Room = 'self'"),
    ],
)
def test_rules_that_cannot_be_used_say_why(document: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        GatewayRules.read(document, "default")
    assert words in str(caught.value)
