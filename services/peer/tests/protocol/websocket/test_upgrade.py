from __future__ import annotations

from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_peer.errors import RemoteProtocolError
from actr_peer.protocol.websocket.upgrade import (
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    MAX_HELLO,
    Accept,
    Head,
    Refusal,
    check_answer,
    judge,
    make_accept,
    plain_answer,
    plain_request,
    step_headers,
)

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455, section 1.3
HEADERS = {
    "Host": "server.example",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
}


def request(first: str = "GET /v1/wire HTTP/1.1", **changed: str | None) -> bytes:
    """A request with some headers changed, or left out."""
    headers: dict[str, str | None] = dict(HEADERS)
    headers.update({name.replace("_", "-"): value for name, value in changed.items()})
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([first, *lines]).encode()


def more(*lines: str) -> bytes:
    return b"\r\n".join([request(), *(line.encode() for line in lines)])


@pytest.mark.parametrize(
    "head",
    [
        request(),
        request(Connection="keep-alive, Upgrade"),
        request(Connection="UPGRADE", Upgrade="WebSocket"),
        request(Upgrade="h2c, websocket"),
        more("Connection: keep-alive"),
        request(first="GET http://server.example/v1/wire HTTP/1.1"),
        more("Content-Length: 0", "X-Odd:\ttab\t", "X-Empty:"),
        more("Sec-WebSocket-Extensions: permessage-deflate", "Sec-WebSocket-Protocol: a, b"),
        request().replace(b"Sec-WebSocket-Key", b"sec-websocket-KEY"),
    ],
    ids=["plain", "list", "case", "several", "twice", "absolute", "odd", "extensions", "names"],
)
def test_an_upgrade_is_taken_in_every_form_that_the_standard_allows(head: bytes) -> None:
    assert judge(head) == Accept(KEY)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"", 400),
        (b"\x16\x03\x01 hello", 400),
        (b"GET /v1/wire", 400),
        (b"GET  HTTP/1.1", 400),
        (request(first="GET /v1/wire HTTP/1.0"), 505),
        (request(first="GET /v1/wire HTTP/2.0"), 505),
        (request(first="POST /v1/wire HTTP/1.1"), 405),
        (request(first="get /v1/wire HTTP/1.1"), 405),
        (request(first="GET /v1/wire/x HTTP/1.1"), 404),
        (request(first="GET /v1/wire?a HTTP/1.1"), 404),
        (request(first="GET http://[ HTTP/1.1"), 404),
        (request(Host=None), 400),
        (more("Host: another.example"), 400),
        (more("Transfer-Encoding: chunked"), 400),
        (more("Content-Length: 5"), 400),
        (more("Origin: http://page.example"), 403),
        (more("Origin:"), 403),
        (request(Upgrade=None), 426),
        (request(Upgrade="h2c"), 426),
        (request(Connection=None), 400),
        (request(Connection="keep-alive"), 400),
        (request(Sec_WebSocket_Version="8"), 426),
        (request(Sec_WebSocket_Version=None), 426),
        (request(Sec_WebSocket_Version="13, 8"), 426),
        (request(Sec_WebSocket_Key=None), 400),
        (request(Sec_WebSocket_Key="c2hvcnQ="), 400),
        (request(Sec_WebSocket_Key="no base64 at all!"), 400),
        (request(Sec_WebSocket_Key="ÿ" * 24), 400),
        (more(f"Sec-WebSocket-Key: {KEY}"), 400),
        (more("no colon"), 400),
        (more(": no name"), 400),
        (more("Na me: v"), 400),
        (more(" folded: v"), 400),
        (more("Name: a\x00b"), 400),
        (more(*("X: y" for _ in range(MAX_HEADERS))), 431),
    ],
)
def test_any_other_request_is_refused_with_its_status(head: bytes, status: int) -> None:
    verdict = judge(head)
    assert isinstance(verdict, Refusal)
    assert verdict.status == status
    answer = verdict.to_bytes()
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    first, _, body = answer.partition(b"\r\n\r\n")
    assert b"Connection: close" in first.split(b"\r\n")
    assert b"Content-Length: %d" % len(body) in first.split(b"\r\n")
    if status == HTTPStatus.UPGRADE_REQUIRED:
        assert b"Sec-WebSocket-Version: 13" in first.split(b"\r\n")
        assert b"Upgrade: websocket" in first.split(b"\r\n")
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        assert b"Allow: GET" in first.split(b"\r\n")


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_any_head_at_all_has_an_answer(head: bytes) -> None:
    assert isinstance(judge(head), Accept | Refusal)
    try:
        check_answer(head, KEY)
    except RemoteProtocolError:
        pass
    else:
        raise AssertionError("noise upgraded")


@given(st.lists(st.integers(1, 40), max_size=20))
def test_a_head_is_read_from_any_pieces(sizes: list[int]) -> None:
    data = request() + b"\r\n\r\n" + b"what follows"
    head, at = Head(), 0
    for size in [*sizes, len(data)]:
        whole = head.feed(data[at : at + size])
        at += size
        if whole is not None:
            assert whole[0] == request()
            assert data.startswith(whole[0] + b"\r\n\r\n" + whole[1])
            return
    raise AssertionError("never whole")


@pytest.mark.parametrize("end", [b"", b"\r\n\r\n"])
def test_a_head_over_its_bound_is_refused_whether_it_ends_or_not(end: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        Head().feed(b"GET / HTTP/1.1\r\nX: " + b"y" * MAX_HEAD_BYTES + end)
    assert caught.value.status == 431


def answer(first: str = "HTTP/1.1 101 Switching Protocols", **changed: str | None) -> bytes:
    headers: dict[str, str | None] = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Accept": make_accept(KEY),
    }
    headers.update({name.replace("_", "-"): value for name, value in changed.items()})
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([first, *lines]).encode()


def test_the_accept_of_a_key_is_that_of_the_standard_s_example() -> None:
    assert make_accept(KEY) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@pytest.mark.parametrize(
    "head",
    [
        answer(),
        answer(first="HTTP/1.1 101 "),
        answer(first="HTTP/1.1 101"),
        answer(Connection="keep-alive, Upgrade"),
        answer(Upgrade="WebSocket", Connection="upgrade"),
        plain_answer(KEY).removesuffix(b"\r\n\r\n"),
    ],
)
def test_an_answer_is_taken_in_every_form_that_the_standard_allows(head: bytes) -> None:
    check_answer(head, KEY)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\x00\x01\x02",
        answer(first="HTTP/1.0 101 Switching Protocols"),
        answer(first="HTTP/1.1 200 OK"),
        answer(first="HTTP/1.1 302 Found", Location="ws://127.0.0.1/"),
        answer(first="HTTP/1.1 1010 X"),
        answer(Upgrade=None),
        answer(Upgrade="h2c"),
        answer(Connection=None),
        answer(Connection="close"),
        answer(Sec_WebSocket_Accept=None),
        answer(Sec_WebSocket_Accept="s3pPLMBiTxaQ9kYGzzhZRbK+xOa="),
        answer(Sec_WebSocket_Extensions="permessage-deflate"),
        answer(Sec_WebSocket_Protocol="chat"),
        answer() + b"\r\nno colon",
    ],
)
def test_an_answer_that_does_not_upgrade_as_asked_is_a_violation(head: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        check_answer(head, KEY)


def test_the_plain_request_is_one_that_is_taken() -> None:
    assert judge(plain_request(KEY).removesuffix(b"\r\n\r\n")) == Accept(KEY)


def test_a_head_comes_in_any_pieces_and_says_what_follows_it() -> None:
    head = Head()
    assert head.feed(request() + b"\r\n\r") is None
    assert len(head) == len(request()) + 3
    assert head.feed(b"\nrest") == (request(), b"rest")


@pytest.mark.parametrize("version", ["HTTPS/1.1", "HTTP/one", "SIP/2.0"])
def test_a_request_of_another_protocol_is_refused(version: str) -> None:
    refusal = judge(request(first=f"GET /v1/wire {version}"))
    assert isinstance(refusal, Refusal)
    assert str(refusal) == "400 not a request of HTTP"


def test_who_begins_with_tls_is_told_so_at_once() -> None:
    with pytest.raises(Refusal, match="begins with ws://"):
        Head().feed(b"\x16\x03\x01\x02\x00\x01")


@given(hello=st.binary(min_size=1, max_size=600), proof=st.binary(max_size=190))
def test_steps_go_with_the_request_as_they_are(hello: bytes, proof: bytes) -> None:
    lines = [f"{name}: {text}" for name, text in step_headers(hello, proof)]
    assert judge(more(*lines)) == Accept(KEY, hello, proof)


@pytest.mark.parametrize(("size", "count"), [(MAX_HELLO // 4 * 3, 2), (MAX_HELLO // 4 * 3 + 1, 0)])
def test_a_first_step_that_is_too_long_for_a_head_goes_in_a_frame(size: int, count: int) -> None:
    assert len(step_headers(bytes(size), b"proof")) == count


def test_a_head_with_the_longest_first_step_is_one_for_every_listener() -> None:
    ((name, text),) = step_headers(bytes(MAX_HELLO // 4 * 3), b"")
    head = request(**{name.replace("-", "_"): text, "Host": "h" * 255})
    assert Head().feed(head + b"\r\n\r\n") == (head, b"")
