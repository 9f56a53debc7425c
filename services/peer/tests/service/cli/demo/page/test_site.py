"""The site of the demo's page, asked over TCP."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse

import pytest

from actr_peer.cli.demo.page import site as module
from actr_peer.cli.demo.page.site import FILES, SUBJECT, Site, new_token
from actr_peer.errors import BrokenError

pytestmark = pytest.mark.service

SETTINGS = {"signaling": "ws://127.0.0.1:1234/v1/ws", "issuer": "x", "stage": "y"}


@pytest.fixture
def made() -> list[str]:
    """Tokens that the issuer would make; empty: it makes none."""
    return ["one", "two", "three"]


@pytest.fixture
def port(made: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    def make() -> str:
        if not made:
            raise BrokenError("the issuer makes no join token: x")
        return made.pop(0)

    monkeypatch.setattr(module, "new_token", make)
    listener = socket.create_server(("127.0.0.1", 0))
    with Site(listener, SETTINGS) as site:
        thread = threading.Thread(target=site.serve_forever, daemon=True)
        thread.start()
        yield site.server_port
        site.shutdown()
        thread.join()


def ask(port: int, path: str, method: str = "GET", **headers: str) -> HTTPResponse:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, headers=named)
    return connection.getresponse()


@pytest.mark.parametrize("path", FILES)
def test_each_file_is_there_under_a_strict_policy(port: int, path: str) -> None:
    answer = ask(port, path)
    assert answer.status == 200
    assert answer.read()
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "connect-src 'self' ws://127.0.0.1:1234 http://127.0.0.1:1234;" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_page_is_told_where_all_is(port: int) -> None:
    assert json.loads(ask(port, "/settings.json").read()) == SETTINGS | {"subject": SUBJECT}
    assert ask(port, "/../site.py").status == 404


def test_a_token_is_for_this_page_and_each_for_one(port: int, made: list[str]) -> None:
    assert ask(port, "/token", "POST").status == 403
    assert ask(port, "/token", "POST", sec_fetch_site="cross-site").status == 403
    assert ask(port, "/other", "POST", **{"sec_fetch_site": "same-origin"}).status == 403
    assert ask(port, "/token").status == 404
    for token in (b"one", b"two", b"three"):
        assert ask(port, "/token", "POST", sec_fetch_site="same-origin").read() == token
    refused = ask(port, "/token", "POST", sec_fetch_site="same-origin")
    assert (refused.status, refused.read()) == (503, b"the issuer makes no join token: x")


def test_a_name_of_elsewhere_that_leads_here_is_refused(port: int) -> None:
    assert ask(port, "/", host="evil.example").status == 421
    assert (
        ask(port, "/token", "POST", host="evil.example", **{"sec_fetch_site": "same-origin"}).status
        == 421
    )


def test_an_issuer_that_is_not_there_is_said_to_be(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("ACTR_ISSUER__HOME", "/proc/none")
    with pytest.raises(BrokenError, match="the issuer makes no join token"):
        new_token()
