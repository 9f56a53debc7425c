"""Refusals: counted, told once each, and never of the actor itself."""

from __future__ import annotations

import logging

import pytest

from actr_peer.errors import Code
from actr_peer.node.config import NodeConfig
from actr_peer.node.contract import access
from actr_peer.node.contract.access import AccessRules
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.rpc.access.principals import Principals
from actr_peer.protocol.rpc.access.rules import AccessRule
from actr_peer.protocol.wire.lines import AT_ONCE

OWN = ActrId("acme", "room", "1")
ANN = ActrId("acme", "ann", "1")
BOB = ActrId("acme", "bob", "1")
SAY = "demo.Chat.Say"


def made(*rules: AccessRule) -> AccessRules:
    config = NodeConfig(id=OWN, signaling_url="ws://127.0.0.1:1/v1/ws", access=rules)
    return AccessRules(config, (), Principals())


def of_ann() -> AccessRules:
    return made(AccessRule("allow", ["acme:ann@*"], ["demo.Chat.*"]))


def test_without_rules_nothing_is_asked() -> None:
    rules = made()
    assert rules.interceptors == ()
    assert rules.of_requests is None

    def open_channel(*_: object) -> None: ...
    def described(*_: object) -> None: ...

    assert rules.of_channels(open_channel) is open_channel
    assert rules.of_tracks(described) is described


def test_a_refusal_names_caller_and_method_and_not_the_rule() -> None:
    rules = of_ann()
    assert rules.refusal(ANN, SAY) is None
    error = rules.refusal(BOB, SAY)
    assert error is not None
    assert error.code is Code.PERMISSION_DENIED
    assert error.message == f"{BOB} may not ask {OWN} for {SAY}"
    assert rules.refused == 1


def test_an_actor_may_ask_itself_whatever_its_rules_say() -> None:
    rules = made(AccessRule("deny", ["*:*@*"]))
    assert rules.refusal(OWN, SAY) is None
    assert rules.refusal(ANN, SAY) is not None


def test_each_pair_is_told_once_with_the_rule(caplog: pytest.LogCaptureFixture) -> None:
    rules = of_ann()
    for _ in range(3):
        rules.refusal(BOB, SAY)
        rules.refusal(BOB, "streams")
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert told == [
        f"refused: caller={BOB} method={method} cause=no access rule allows it left_out=0"
        for method in (SAY, "streams")
    ]
    assert rules.refused == 6


def test_a_caller_that_asks_for_ever_new_things_fills_neither_memory_nor_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(access, "MAX_TOLD", 4)
    rules = of_ann()
    for number in range(20_000):
        rules.refusal(BOB, f"demo.Chat.M{number}")
    assert rules.refused == 20_000
    assert len(rules._told) == 4
    assert AT_ONCE <= len(caplog.records) < 2 * AT_ONCE
