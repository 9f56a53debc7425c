"""What is asked of an issuer, and whatever it answers."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from actr_peer.errors import CertificateError, ConfigError, RemoteProtocolError
from actr_peer.protocol.identity import ActrId, asking
from actr_peer.protocol.identity.asking import Answer, Issuer, Refusal
from actr_peer.protocol.identity.certificates import Certificate
from actr_peer.protocol.identity.keys import decode
from actr_peer.protocol.identity.signatures import ENROL, RENEW, ROTATE, verify
from peer_kit.vectors import vectors

HERE = Issuer.parse("http://127.0.0.1:8090")
KEY, NEW = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2))
PUBLIC, NEXT = (key.public_key().public_bytes_raw() for key in (KEY, NEW))
NONCE = bytes(range(32))
ROOM = ActrId("acme", "room", "2")
GOOD = vectors("certificates", "accepted")[0]["certificate"]


@pytest.mark.parametrize(
    ("url", "shown", "is_here"),
    [
        ("http://127.0.0.1:8090", "http://127.0.0.1:8090", True),
        ("http://localhost/issuer/", "http://localhost:80/issuer", True),
        ("https://[::1]:9", "https://[::1]:9", True),
        ("https://issuer.example", "https://issuer.example:443", False),
    ],
)
def test_an_issuer_has_a_url(url: str, shown: str, *, is_here: bool) -> None:
    issuer = Issuer.parse(url)
    assert (str(issuer), issuer.is_here) == (shown, is_here)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "issuer:8090",
        "ftp://x",
        "http://",
        "http://a:b@c",
        "http://x:99999",
        "http://x/a b",
        "http://ü/",
    ],
)
def test_what_is_no_url_of_an_issuer_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"identity\.issuer_url"):
        Issuer.parse(url)


def test_a_question_is_one_request_whose_connection_ends_with_it() -> None:
    assert asking.write_request(Issuer.parse("http://[::1]:90/issuer"), "/v1/nonce") == (
        b"GET /issuer/v1/nonce HTTP/1.1\r\nHost: [::1]:90\r\nAccept: application/json\r\n"
        b"Connection: close\r\n\r\n"
    )
    assert asking.write_request(HERE, "/v1/renew", b"{}") == (
        b"POST /v1/renew HTTP/1.1\r\nHost: 127.0.0.1:8090\r\nAccept: application/json\r\n"
        b"Connection: close\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    )


def test_a_key_enrols_by_a_token_or_by_the_secret_and_proves_that_it_is_its_own() -> None:
    said = json.loads(asking.enrol(KEY, ROOM, NONCE, token="t", secret=b"s"))
    assert (said["id"], said["realm"], said["token"]) == ("acme:room@2", "default", "t")
    assert "mac" not in said
    parts = NONCE, b"acme:room@2", b"default", PUBLIC
    assert verify(decode(said["key"]), decode(said["proof"]), ENROL, *parts)
    said = json.loads(asking.enrol(KEY, ROOM, NONCE, secret=b"s"))
    assert "token" not in said
    assert len(decode(said["mac"])) == 32


def test_a_key_renews_by_itself_and_signs_for_the_one_that_follows() -> None:
    said = json.loads(asking.renew(KEY, NONCE))
    assert verify(PUBLIC, decode(said["proof"]), RENEW, NONCE, PUBLIC)
    said = json.loads(asking.rotate(KEY, NEW, NONCE))
    assert decode(said["new_key"]) == NEXT
    assert verify(PUBLIC, decode(said["proof"]), ROTATE, NONCE, PUBLIC, NEXT)
    assert verify(NEXT, decode(said["new_proof"]), ROTATE, NONCE, PUBLIC, NEXT)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\n\r\n{}",
        b"HTTP/1.1 200\r\nX\r\nTransfer-Encoding: chunked\r\n\r\n1;x=y\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
    ],
    ids=["counted", "to the end", "in chunks"],
)
def test_an_answer_is_read_to_its_end(data: bytes) -> None:
    assert asking.read_answer(data) == Answer(200, b"{}", 0.0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"SSH-2.0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n{}\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
    ],
)
def test_an_answer_that_is_cut_short_is_none(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="issuer's answer"):
        asking.read_answer(data)


@pytest.mark.parametrize(("said", "seconds"), [(b"7", 7.0), (b"soon", 0.0), (b"9" * 10, 0.0)])
def test_it_may_ask_for_time(said: bytes, seconds: float) -> None:
    data = b"HTTP/1.1 429 Slow\r\nRetry-After: " + said + b"\r\n\r\n"
    assert asking.read_answer(data).retry_after == seconds


def answer(status: int, tree: object) -> Answer:
    return Answer(status, json.dumps(tree).encode(), 0.0)


def test_a_nonce_is_32_bytes() -> None:
    assert asking.read_nonce(answer(200, {"nonce": "A" * 43})) == bytes(32)
    for tree in ({}, {"nonce": "AAAA"}, {"nonce": "+"}, [], {"nonce": 1}):
        with pytest.raises(RemoteProtocolError, match="no nonce"):
            asking.read_nonce(answer(200, tree))


def test_a_certificate_is_given_or_refused() -> None:
    given = asking.read_given(answer(201, {"certificate": GOOD}))
    assert isinstance(given, Certificate)
    refused = asking.read_given(answer(403, {"cause": "revoked", "detail": "since\nnoon"}))
    assert refused == Refusal("revoked", "since?noon", is_final=True, retry_after=0.0)


@pytest.mark.parametrize("tree", [{}, {"certificate": 1}, {"certificate": "ü"}, "x"])
def test_an_answer_that_gives_nothing_is_none(tree: object) -> None:
    with pytest.raises(RemoteProtocolError, match="no certificate"):
        asking.read_given(answer(200, tree))


def test_a_certificate_that_is_none_is_told() -> None:
    with pytest.raises(CertificateError):
        asking.read_given(answer(200, {"certificate": "a.b.c"}))


@pytest.mark.parametrize(
    ("status", "cause", "is_final"),
    [
        (403, "revoked", True),
        (404, "unknown-key", True),
        (401, "nonce", False),
        (429, "too-fast", False),
        (503, "unready", False),
        (400, "Not a cause", True),
        (400, 7, True),
    ],
)
def test_a_refusal_is_for_good_or_for_now(status: int, cause: object, *, is_final: bool) -> None:
    refusal = asking.read_refusal(answer(status, {"cause": cause}))
    assert refusal.is_final == is_final
    assert refusal.text == f"status {status}"


@settings(max_examples=500)
@given(
    status=st.sampled_from([b"200", b"201", b"403", b"503"]),
    body=st.one_of(
        st.binary(max_size=80),
        st.text('{}[]":,ab1 \\u', max_size=80).map(str.encode),
        st.just(GOOD.encode()),
    ),
    head=st.sampled_from([b"", b"\r\nTransfer-Encoding: chunked", b"\r\nContent-Length: 3"]),
)
def test_no_answer_raises_anything_unexpected(status: bytes, body: bytes, head: bytes) -> None:
    try:
        read = asking.read_answer(b"HTTP/1.1 " + status + head + b"\r\n\r\n" + body)
        asking.read_refusal(read)
        asking.read_given(read)
    except RemoteProtocolError:
        pass


def test_a_refusal_that_is_no_json_says_its_status() -> None:
    refusal = asking.read_refusal(Answer(502, b"<html>", 0.0))
    assert refusal == Refusal("", "status 502", is_final=False, retry_after=0.0)


def test_one_that_says_when_it_may_work_is_not_final() -> None:
    body = json.dumps({"cause": "taken", "detail": "another key has the id"}).encode()
    assert not asking.read_refusal(Answer(409, body, 900.0)).is_final
    assert asking.read_refusal(Answer(409, body, 0.0)).is_final


def test_what_is_known_is_asked_for_by_its_tag() -> None:
    asked = asking.write_request(HERE, "/v1/revoked", tag='"1"')
    assert b'\r\nIf-None-Match: "1"\r\n' in asked
    data = b'HTTP/1.1 304 x\r\nETag: "1"\r\nContent-Length: 70\r\n\r\n'
    assert asking.read_answer(data) == Answer(304, b"", 0.0, '"1"')


@pytest.mark.parametrize("tag", [b"", b"1", b'"a b"', b'"\xe4"', b'"' + b"x" * 200 + b'"'])
def test_a_tag_that_could_not_be_said_again_is_none(tag: bytes) -> None:
    data = b"HTTP/1.1 200 x\r\nETag: " + tag + b"\r\n\r\n{}"
    assert asking.read_answer(data).tag == ""
