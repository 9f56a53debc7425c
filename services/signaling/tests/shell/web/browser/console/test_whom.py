"""Whom the console is given to, by where they are and how they call this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from actr_signaling.settings import Settings
from actr_signaling.web.browser.console.whom import Refused, reach, refusal


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
