"""Whom the console is given to, by where they are and how they call this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actr_signaling.settings import Settings
from actr_signaling.web.browser.console.whom import (
    Refused,
    is_loopback,
    is_name_of_here,
    reach,
    refusal,
)


@pytest.mark.parametrize(
    ("host", "is_here"),
    [
        ("localhost", True),
        ("localhost:8080", True),
        ("LOCALHOST:8080", True),
        ("127.0.0.1:8080", True),
        ("127.8.9.1", True),
        ("[::1]:8080", True),
        ("[::1]", True),
        ("", False),
        (":8080", False),
        ("signaling.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.:8080", False),
        ("evil@localhost", False),
        ("localhost/x", False),
        ("localhost:evil", False),
        ("localhost:99999", False),
        ("[::1", False),
        ("192.168.1.2:8080", False),
        ("0.0.0.0:8080", False),
        ("10.0.0.1", False),
    ],
)
def test_only_names_that_lead_nowhere_else_are_this_machine(host: str, is_here: bool) -> None:
    assert is_name_of_here(host) is is_here


@pytest.mark.parametrize(
    ("address", "is_here"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:10.0.0.1", False),
        ("10.0.0.1", False),
        ("172.17.0.1", False),
        ("localhost", False),
        ("", False),
    ],
)
def test_only_loopback_addresses_are_this_machine(address: str, is_here: bool) -> None:
    assert is_loopback(address) is is_here


def test_here_it_takes_both_the_address_and_the_name() -> None:
    assert refusal("here", "127.0.0.1", "localhost:8080") is None
    assert refusal("here", "10.0.0.1", "localhost:8080") is Refused.ELSEWHERE
    assert refusal("here", "127.0.0.1", "evil.example") is Refused.ELSEWHERE
    assert refusal("here", None, "localhost") is Refused.ELSEWHERE


def test_off_is_for_nobody_and_on_for_everybody() -> None:
    assert refusal("off", "127.0.0.1", "localhost") is Refused.OFF
    assert refusal("on", "10.0.0.1", "signaling.example") is None
    assert refusal("on", None, "") is None


def test_by_itself_it_is_there_only_where_nobody_proves_anything(tmp_path: Path) -> None:
    secret: dict[str, Any] = {"realm_secret_file": tmp_path / "secret"}
    keys: dict[str, Any] = {"issuer_keys": str(tmp_path / "keys.json")}
    assert reach(Settings()) == "here"
    assert reach(Settings(**secret)) == "off"
    assert reach(Settings(**keys)) == "off"
    assert reach(Settings(console="off")) == "off"
    assert reach(Settings(console="on", **secret)) == "on"
    assert reach(Settings(console="here", **keys)) == "here"
