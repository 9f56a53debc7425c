"""docs/codegen.md says what is true."""

from __future__ import annotations

import hashlib
import re

from actr_peer.cli.codegen.compatibility.changes import Rule
from peer_kit import ROOT
from peer_kit.contracts import contract

TEXT = (ROOT / "docs/codegen.md").read_text()


def block(language: str) -> str:
    """The first block of code in this language."""
    found = re.search(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_example_is_a_contract_with_the_fingerprint_that_is_shown() -> None:
    found = contract(block("protobuf"), "chat/room.proto")
    assert found.problems == ()
    fingerprint = found.files[0].services[0].fingerprint
    assert hashlib.sha256(block("json").strip().encode()).hexdigest() == fingerprint
    assert f"`{fingerprint}`" in TEXT


def test_the_refusal_that_is_shown_is_the_one_that_is_given() -> None:
    wrong = block("protobuf").replace("RPC_SIGNAL", "STREAM_RELIABLE")
    (problem,) = contract(wrong, "chat/room.proto").problems
    assert block("text").strip() == str(problem)


def test_every_rule_of_the_check_is_named() -> None:
    assert [rule.value for rule in Rule if f"`{rule.value}`" not in TEXT] == []
