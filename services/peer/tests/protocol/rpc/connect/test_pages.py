"""Whose web pages may use a gateway, and by which name it is asked."""

from __future__ import annotations

import pytest

from actr_peer.protocol.rpc.connect.pages import Pages

APP = "https://app.example"
HERE = {"host": "127.0.0.1:8088"}
LISTED = Pages((APP,))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": APP},
        {"origin": APP, "sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "none"},
    ],
)
def test_programs_and_listed_pages_are_let_in(headers: dict[str, str]) -> None:
    assert LISTED.refuses(HERE | headers) == ""


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": f"{APP}.evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "same-origin"},
    ],
)
def test_other_pages_are_not_also_where_they_name_no_origin(headers: dict[str, str]) -> None:
    assert LISTED.refuses(HERE | headers) != ""
    assert Pages(("*",)).refuses(HERE | headers) == ""


@pytest.mark.parametrize(
    ("host", "is_let_in"),
    [("app.example", True), ("rebound.example", False), ("", False), (None, False)],
)
def test_with_rules_a_page_of_the_gateways_own_origin_must_be_listed_too(
    host: str | None, *, is_let_in: bool
) -> None:
    headers = {"sec-fetch-site": "same-origin"} | ({} if host is None else {"host": host})
    assert (Pages((APP,), is_local=False).refuses(headers) == "") == is_let_in
    assert Pages(is_local=False).refuses(headers) != ""


@pytest.mark.parametrize(
    ("host", "is_known"),
    [
        ("localhost:1", True),
        ("LOCALHOST", True),
        ("127.0.0.1", True),
        ("127.9.9.9:80", True),
        ("[::1]:8088", True),
        ("rebound.example:8088", False),
        ("10.0.0.1", False),
        ("", False),
        ("[::1", False),
        ("user@evil.example", False),
    ],
)
def test_without_rules_only_loopback_names_are_answered(host: str, *, is_known: bool) -> None:
    assert (Pages().refuses({"host": host}) == "") == is_known
    assert Pages(is_local=False).refuses({"host": host}) == ""


def test_a_page_that_was_let_in_may_read_its_reply() -> None:
    assert LISTED.shown_to(HERE) == ()
    shown = dict(LISTED.shown_to({"origin": APP}))
    assert (shown["access-control-allow-origin"], shown["vary"]) == (APP, "Origin")
    assert dict(Pages(("*",)).shown_to({"origin": APP}))["access-control-allow-origin"] == "*"


def test_a_preflight_allows_what_calls_need_and_nothing_else() -> None:
    asked = "Content-Type, connect-timeout-ms,actr-metadata-color, cookie, actr-metadata-a b"
    reply = LISTED.preflight({"origin": APP, "access-control-request-headers": asked})
    headers = dict(reply.headers)
    assert (reply.status, reply.body) == (204, b"")
    assert headers["access-control-allow-methods"] == "GET, POST"
    assert headers["access-control-allow-headers"] == (
        "actr-metadata-color, connect-timeout-ms, content-type"
    )
