from __future__ import annotations

import pytest

from actr_peer.protocol.websocket.origins import ALL, is_allowed, read_origin
from actr_peer.protocol.websocket.upgrade import Accept, Refusal, judge

PAGE = "https://page.example"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="


def head(*origins: str, path: str = "/v1/wire") -> bytes:
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: bob",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {KEY}",
        *(f"Origin: {origin}" for origin in origins),
    ]
    return "\r\n".join(lines).encode("latin-1")


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        (PAGE, PAGE),
        ("https://Page.Example/", PAGE),
        ("HTTPS://page.example:443", PAGE),
        ("http://page.example:80", "http://page.example"),
        ("http://page.example:443", "http://page.example:443"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[2001:DB8::1]:8080", "http://[2001:db8::1]:8080"),
        ("chrome-extension://abcdefgh", "chrome-extension://abcdefgh"),
        (ALL, ALL),
    ],
)
def test_an_origin_is_compared_as_a_browser_writes_it(text: str, sent: str) -> None:
    assert read_origin(text) == sent


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "page.example",
        "https://",
        f"{PAGE}/page",
        f"{PAGE}/?a",
        f"{PAGE}/#a",
        "https://me@page.example",
        "https://page.example:port",
        "https://page.example:99999",
        "https://[page",
        "https://пример.example",
        "https://*",
        "https://*.example",
    ],
)
def test_what_is_no_origin_is_refused_with_what_one_is(text: str) -> None:
    with pytest.raises(ValueError, match="must be scheme://host"):
        read_origin(text)


@pytest.mark.parametrize(
    ("origins", "allowed", "verdict"),
    [
        ((), (), True),
        ((), (PAGE,), True),
        ((PAGE,), (), False),
        ((PAGE,), (PAGE,), True),
        ((PAGE,), ("https://other.example", PAGE), True),
        ((PAGE,), (ALL,), True),
        (("null",), (PAGE,), False),
        (("null",), (ALL,), True),
        (("",), (PAGE,), False),
        (("https://page.example:8443",), (PAGE,), False),
        (("http://page.example",), (PAGE,), False),
        (("https://page.example.evil.example",), (PAGE,), False),
        (("https://sub.page.example",), (PAGE,), False),
        ((PAGE, "https://evil.example"), (PAGE,), False),
        ((PAGE, PAGE), (ALL,), False),
    ],
)
def test_a_program_may_and_a_page_only_where_its_very_origin_is_listed(
    origins: tuple[str, ...], allowed: tuple[str, ...], verdict: bool
) -> None:
    assert is_allowed(origins, allowed) is verdict
    assert isinstance(judge(head(*origins), allowed), Accept if verdict else Refusal)


def test_a_page_is_told_which_setting_would_let_it_and_never_more_than_a_line_of_its_own() -> None:
    refusal = judge(head("https://evil.example/\xff" + 200 * "x"), (PAGE,))
    assert isinstance(refusal, Refusal)
    assert refusal.status == 403
    assert "'https://evil.example/\\xff" in refusal.why
    assert "wires.allowed_origins" in refusal.why
    assert len(refusal.why) < 200
    assert refusal.why.isascii()


def test_a_page_that_may_open_a_wire_may_ask_for_nothing_else() -> None:
    refusal = judge(head(PAGE, path="/"), (PAGE,))
    assert isinstance(refusal, Refusal)
    assert refusal.status == 404
