"""A request for the WebSocket: what is taken, what is refused, and as the library would answer."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.server import ServerProtocol

from actr_signaling.protocol.websocket.upgrade import (
    BINARY,
    JSON,
    OTHER_VERSION,
    Upgrade,
    is_upgrade,
    read_upgrade,
)

FIELDS = {
    "Host": "signaling:7000",
    "Upgrade": "websocket",
    "Connection": "keep-alive, Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


def request(line: str = "GET /v1/ws HTTP/1.1", *more: str, **changed: str | None) -> bytes:
    """With header fields as given; None leaves one out."""
    fields = FIELDS | {name.replace("_", "-"): value for name, value in changed.items()}
    lines = [line, *(f"{name}: {value}" for name, value in fields.items() if value is not None)]
    return "\r\n".join([*lines, *more, "", ""]).encode("latin-1")


def test_the_example_of_the_standard_is_accepted() -> None:
    upgrade = read_upgrade(request() + b"\x82\x80frames")
    assert upgrade == Upgrade(
        response=b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
        rest=b"\x82\x80frames",
        is_json=False,
        origin=None,
        host="signaling:7000",
    )


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ("actr.v1", BINARY),
        ("actr.v1.json", JSON),
        ("other, actr.v1.json ,actr.v1", JSON),
        ("other", None),
        (None, None),
    ],
)
def test_the_first_form_that_is_known_is_chosen(offered: str | None, chosen: str | None) -> None:
    upgrade = read_upgrade(request(Sec_WebSocket_Protocol=offered))
    assert isinstance(upgrade, Upgrade)
    assert upgrade.is_json is (chosen == JSON)
    said = b"Sec-WebSocket-Protocol: " + (chosen or "").encode() + b"\r\n"
    assert (said in upgrade.response) is (chosen is not None)


def test_fields_that_come_again_are_one_list_and_names_have_no_case() -> None:
    more = "sec-websocket-protocol: other", "SEC-WEBSOCKET-PROTOCOL:\tactr.v1.json\t"
    upgrade = read_upgrade(request("GET /v1/ws?x=1 HTTP/1.1", *more, Origin="https://page"))
    assert isinstance(upgrade, Upgrade)
    assert upgrade.is_json
    assert upgrade.origin == "https://page"


@pytest.mark.parametrize(
    "line",
    [
        "GET /v1/ws HTTP/1.0",
        "POST /v1/ws HTTP/1.1",
        "GET /v1/wsx HTTP/1.1",
        "GET http://signaling/v1/ws HTTP/1.1",
        "GET  /v1/ws HTTP/1.1",
        "GET /v1/ws?\x80 HTTP/1.1",
    ],
)
def test_another_request_line_is_for_a_page(line: str) -> None:
    assert not is_upgrade(request(line))


@pytest.mark.parametrize("upgrade", [None, "h2c", "websocket, h2c"])
def test_without_an_upgrade_it_is_for_a_page(upgrade: str | None) -> None:
    assert is_upgrade(request())
    assert not is_upgrade(request(Upgrade=upgrade))
    assert not is_upgrade(request(Upgrade=None) + b"\nupgrade: websocket\r\n")


@pytest.mark.parametrize("version", [None, "12", "x", "013"])
def test_another_version_is_told_the_right_one(version: str | None) -> None:
    assert read_upgrade(request(Sec_WebSocket_Version=version)) == OTHER_VERSION


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (request(Host=None), b"no host"),
        (request(Host=""), b"no host"),
        (request("GET /v1/ws HTTP/1.1", "Host: other"), b"host comes twice"),
        (request("GET /v1/ws HTTP/1.1", "Sec-WebSocket-Version: 13"), b"version comes twice"),
        (request(Connection=None), b"connection is not upgrade"),
        (request(Connection="close"), b"connection is not upgrade"),
        (request(Connection="Upgrade, not one"), b"connection is not upgrade"),
        (request("GET /v1/ws HTTP/1.1", "Upgrade: h2c"), b"upgrade is not websocket alone"),
        (request(Sec_WebSocket_Protocol=""), b"sec-websocket-protocol names none"),
        (request(Sec_WebSocket_Protocol="actr.v1, a b"), b"sec-websocket-protocol names none"),
        (request(Content_Length="3"), b"a body"),
        (request(Sec_WebSocket_Key=None), b"sec-websocket-key"),
        (request(Sec_WebSocket_Key="AAAA"), b"sec-websocket-key"),
        (request(Sec_WebSocket_Key="x" * 24), b"sec-websocket-key"),
        (request(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ=="[:-1] + "\xe9"), b"sec-websocket-key"),
        (request("GET /v1/ws HTTP/1.1", " folded"), b"a header field that is none"),
        (request("GET /v1/ws HTTP/1.1", "X : 1"), b"a header field that is none"),
        (request("GET /v1/ws HTTP/1.1", "X: a\x00b"), b"a header field that is none"),
        (request("GET /v1/ws HTTP/1.1", "X: a\nb: c"), b"a header field that is none"),
        (request("GET /v1/ws HTTP/1.1", "noise"), b"a header field that is none"),
    ],
)
def test_what_is_no_upgrade_is_refused_and_says_why(data: bytes, why: bytes) -> None:
    assert is_upgrade(data)
    answer = read_upgrade(data)
    assert isinstance(answer, bytes)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert why in body
    assert b"content-length: %d" % len(body) in head


NAMES = st.sampled_from([*FIELDS, "Sec-WebSocket-Protocol", "Origin", "Content-Length", "X", "x y"])
VALUES = st.one_of(
    st.sampled_from([*FIELDS.values(), "actr.v1", "actr.v1.json, x", "0", "12", "a\tb", ""]),
    st.text(st.characters(codec="latin-1"), max_size=30),
)


@settings(max_examples=300)
@given(st.lists(st.tuples(NAMES, VALUES), max_size=4), st.sets(st.sampled_from([*FIELDS])))
def test_what_is_accepted_the_library_accepts_with_the_same_answer(
    more: list[tuple[str, str]], without: set[str]
) -> None:
    left_out: dict[str, str | None] = {name.replace("-", "_"): None for name in without}
    data = request("GET /v1/ws HTTP/1.1", *(f"{name}: {value}" for name, value in more), **left_out)
    # The library refuses an empty member of a list, which RFC 9110, section 5.6.1.2, lets pass.
    has_empty = any(not part.strip(" \t") for _, value in more for part in value.split(","))
    if has_empty or not is_upgrade(data):
        return
    upgrade = read_upgrade(data)
    if isinstance(upgrade, bytes):
        return
    library = ServerProtocol(
        subprotocols=[BINARY, JSON],  # type: ignore[list-item]
        select_subprotocol=lambda _, offered: next(
            (name for name in offered if name in (BINARY, JSON)), None
        ),
    )
    library.receive_data(data)
    [asked] = library.events_received()
    response = library.accept(asked)  # type: ignore[arg-type]
    del response.headers["Date"]
    assert response.serialize() == upgrade.response
    assert upgrade.is_json is (library.subprotocol == JSON)
