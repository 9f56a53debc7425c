"""The site of the demo's page, asked over TCP."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from contextlib import ExitStack
from http.client import HTTPConnection, HTTPResponse

import pytest

from actr_peer.cli.demo.page import site as module
from actr_peer.cli.demo.page.site import (
    FILES,
    KEPT,
    SUBJECT,
    Site,
    Tokens,
    new_token,
    since_boot,
)
from actr_peer.errors import BrokenError, ConfigError

pytestmark = pytest.mark.service

SECRET = "s-ecret"
OURS = {"sec_fetch_site": "same-origin", "x_actr_demo": SECRET}
SETTINGS = {"signaling": "ws://127.0.0.1:1234/v1/ws", "issuer": "x", "stage": "y"}


@pytest.fixture
def new_tokens() -> Iterator[Callable[..., Tokens]]:
    """Makes tokens, whose thread ends with the test: a late one would take the next test's."""
    with ExitStack() as stack:

        def make(now: Callable[[], float] = since_boot) -> Tokens:
            tokens = Tokens(now)
            stack.callback(tokens.close)
            return tokens

        yield make


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
    with Site(listener, SETTINGS, SECRET) as site:
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
    assert ask(port, "/token", "POST", x_actr_demo=SECRET).status == 403
    crossed = ask(port, "/token", "POST", sec_fetch_site="cross-site", x_actr_demo=SECRET)
    assert crossed.status == 403
    assert ask(port, "/other", "POST", **OURS).status == 403
    assert ask(port, "/token").status == 404
    for token in (b"one", b"two", b"three"):
        assert ask(port, "/token", "POST", **OURS).read() == token
    refused = ask(port, "/token", "POST", **OURS)
    assert (refused.status, refused.read()) == (503, b"the issuer makes no join token: x")


@pytest.mark.parametrize("given", [None, "", "s", "s-ecret2", "s-ecre\xe9"])
def test_who_does_not_know_the_secret_gets_no_token(
    port: int, made: list[str], given: str | None
) -> None:
    headers = {"sec_fetch_site": "same-origin"} | ({} if given is None else {"x_actr_demo": given})
    refused = ask(port, "/token", "POST", **headers)
    assert refused.status == 403
    assert b"open the whole address" in refused.read()
    assert ask(port, "/token", "POST", **OURS).read() == b"one"


def test_an_empty_secret_is_none() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        pytest.raises(ConfigError, match="ACTR_DEMO_SECRET is empty"),
    ):
        Site(listener, SETTINGS, "")


def test_a_token_that_has_waited_too_long_is_thrown_away(
    monkeypatch: pytest.MonkeyPatch, new_tokens: Callable[..., Tokens]
) -> None:
    now, began = [0.0], threading.Semaphore(0)

    def make() -> str:
        began.release()
        return f"of {now[0]}"

    monkeypatch.setattr(module, "new_token", make)
    tokens = new_tokens(lambda: now[0])
    assert began.acquire(timeout=60)
    now[0] = KEPT - 1
    assert tokens.take() == "of 0.0"
    assert began.acquire(timeout=60)
    now[0] += KEPT
    assert tokens.take() == f"of {now[0]}"


def test_one_that_was_made_while_the_issuer_was_away_is_not_given(
    monkeypatch: pytest.MonkeyPatch, new_tokens: Callable[..., Tokens]
) -> None:
    tried = iter([False, False, True])

    def make() -> str:
        if not next(tried):
            raise BrokenError("the issuer is away")
        return "a token"

    monkeypatch.setattr(module, "new_token", make)
    tokens = new_tokens()
    with pytest.raises(BrokenError):
        tokens.take()
    wait([tokens._next])  # the next one was made then, too
    tried = iter([True, True])
    assert tokens.take() == "a token"


def test_a_site_that_is_closed_makes_no_token_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    began, may_end, made = threading.Event(), threading.Event(), list[str]()

    def make() -> str:
        began.set()
        assert may_end.wait(60)
        made.append("one")
        return "one"

    monkeypatch.setattr(module, "new_token", make)
    site = Site(socket.create_server(("127.0.0.1", 0)), SETTINGS, SECRET)
    assert began.wait(60)
    closing = threading.Thread(target=site.server_close)
    closing.start()
    may_end.set()
    closing.join()
    assert made == ["one"]
    with pytest.raises(RuntimeError, match="after shutdown"):
        site._tokens.take()


def test_two_that_ask_at_once_get_two(
    monkeypatch: pytest.MonkeyPatch, new_tokens: Callable[..., Tokens]
) -> None:
    numbers = iter(range(100_000))
    monkeypatch.setattr(module, "new_token", lambda: str(next(numbers)))
    tokens, taken, before = new_tokens(), list[str](), sys.getswitchinterval()
    threads = [
        threading.Thread(target=lambda: taken.extend(tokens.take() for _ in range(300)))
        for _ in range(6)
    ]
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert len(set(taken)) == len(taken) == 1800


def test_the_clock_goes_on() -> None:
    assert 0 < since_boot() <= since_boot()


def test_a_name_of_elsewhere_that_leads_here_is_refused(port: int) -> None:
    assert ask(port, "/", host="evil.example").status == 421
    assert ask(port, "/token", "POST", host="evil.example", **OURS).status == 421


def test_an_issuer_that_is_not_there_is_said_to_be(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("ACTR_ISSUER__HOME", "/proc/none")
    with pytest.raises(BrokenError, match="the issuer makes no join token"):
        new_token()
