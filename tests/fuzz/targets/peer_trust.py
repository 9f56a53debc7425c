"""What a peer is shown to believe: certificates, keys, answers of an issuer, ids, addresses."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from actr.envelope_pb2 import ActrId as ActrIdMessage
from actr_peer.errors import CertificateError, ConfigError, RemoteProtocolError
from actr_peer.protocol.identity import ActrId, parse_destination
from actr_peer.protocol.identity import certificates as peer
from actr_peer.protocol.identity import keys as peer_keys
from actr_peer.protocol.identity.asking import (
    Issuer,
    read_answer,
    read_given,
    read_nonce,
    read_refusal,
)
from actr_peer.protocol.webrtc.candidates import AddressRule
from actr_peer.protocol.wire.addresses import is_loopback, is_loopback_name
from actr_peer.wire import tcp
from actr_signaling import errors as signaling_errors
from actr_signaling.protocol.identity import ActrId as SignalingId
from actr_signaling.protocol.identity import certificates as signaling
from actr_signaling.protocol.identity import keys as signaling_keys
from tests.fuzz import corpus
from tests.fuzz.engine import Target
from tests.fuzz.mutation import Form
from tests.fuzz.targets import known


def certificate(data: bytes) -> None:
    """Any text; both services say the same of it."""
    theirs: object
    try:
        theirs = signaling.verify_certificate(data, known.KEYS, now=known.NOW)
    except signaling_errors.CertificateError as error:
        theirs = error.fault.value
    try:
        ours = peer.verify_certificate(data, known.KEYS, now=known.NOW)
    except CertificateError as error:
        if error.fault.value != theirs:
            raise AssertionError(f"signaling says {theirs}") from error
        raise
    assert isinstance(theirs, signaling.Certificate)
    assert (ours.subject, ours.key, ours.claims) == (theirs.subject, theirs.key, theirs.claims)
    here, there = ours.covers(known.YOU), theirs.covers(SignalingId.parse(known.YOU.text))
    assert here is there


def payload(data: bytes) -> None:
    """What an issuer may have signed."""
    certificate(known.signed_payload(data))


def own_certificate(data: bytes) -> None:
    """What an issuer gives, before anything is checked."""
    peer.read_certificate(data)


def _certificates() -> Iterable[bytes]:
    texts = [each["certificate"] for each in corpus.vectors("certificates", "accepted", "refused")]
    return known.encoded([known.MINE, known.YOURS, *texts])


def _payloads() -> Iterable[bytes]:
    good = known.payload(known.YOURS)
    yield good
    yield known.payload(known.MINE)
    yield good.replace(b'"operator"', b'["operator","other"]')
    yield good.replace(str(known.NOW).encode(), str(known.NOW + 4000).encode())


def issuer_keys(data: bytes) -> None:
    """An issuer's keys; both services take the same."""
    text = data.decode(errors="replace")
    theirs: object
    try:
        theirs = signaling_keys.read_keys(text)
    except signaling_errors.ConfigError:
        theirs = None
    try:
        ours = peer_keys.read_keys(text)
    except ConfigError:
        assert theirs is None
        raise
    assert dict(ours) == theirs


def _issuer_keys() -> Iterable[bytes]:
    groups = "issuer_keys", "malformed_issuer_keys"
    texts = [each["text"] for each in corpus.vectors("certificates", *groups)]
    return known.encoded([*texts, peer_keys.write_keys([known.ISSUER_KEY])])


def issuer_answer(data: bytes) -> None:
    """All that an issuer's port may say, read for each thing that is asked of it."""
    answer = read_answer(data)
    refusal = read_refusal(answer)
    assert refusal.text.isprintable()
    for read in (read_nonce, read_given):
        try:
            read(answer)
        except RemoteProtocolError:
            continue


def _issuer_answers() -> Iterable[bytes]:
    nonce = peer_keys.encode(known.NONCE)
    yield _http(200, known.dumped({"nonce": nonce, "time": known.NOW}))
    yield _http(201, known.dumped({"certificate": known.MINE}))
    yield _http(429, known.dumped({"cause": "too-fast", "detail": "slower"}), "Retry-After: 3")
    yield _http(403, known.dumped({"cause": "rule", "detail": "no\u202e\0"}))
    body = known.dumped({"nonce": nonce})
    chunks = b"%x;a=b\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
    yield b"HTTP/1.0 500 \r\n\r\n"


def _http(status: int, body: bytes, *headers: str) -> bytes:
    head = [f"HTTP/1.1 {status} x", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(head).encode() + body


def ids(data: bytes) -> None:
    """Any text as an id, in each form; what is taken comes back as it was."""
    text = data.decode(errors="surrogatepass")
    taken = []
    for read in (ActrId.parse, ActrId.parse_uri, ActrId.read):
        try:
            taken.append(read(text))
        except ConfigError:
            continue
    for each in taken:
        assert text in (str(each), each.uri)
        assert SignalingId.parse(str(each)).text == str(each)
    parse_destination(text)


def id_message(data: bytes) -> None:
    """The protobuf form; both services take the same."""
    try:
        message = ActrIdMessage.FromString(data)
    except Exception as exc:
        raise RemoteProtocolError("the library's to refuse") from exc
    try:
        theirs = SignalingId.check(message).text
    except signaling_errors.BadMessageError:
        theirs = ""
    try:
        ours = ActrId.from_message(message)
    except RemoteProtocolError:
        assert not theirs
        raise
    assert ours.text == theirs


def _texts() -> Iterable[bytes]:
    groups = ("texts", "malformed_texts", "destinations", "malformed_destinations")
    texts = [each["text"] for each in corpus.vectors("ids", *groups)]
    uris = [each["uri"] for each in corpus.vectors("ids", "uris", "malformed_uris")]
    return known.encoded([*texts, *uris])


def address(data: bytes) -> None:
    """What an actor advertises, and where it would lead; what an issuer's address may be."""
    text = data.decode(errors="replace")
    is_loopback_name(text)
    if tcp.is_websocket_url(text):
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port or 80
        AddressRule().admits(host)
        is_loopback(host)
        tcp.authority(host, port)
    AddressRule().admits(text)
    issuer = Issuer.parse(text)
    assert issuer.is_here in (True, False)
    assert str(issuer)


def _addresses() -> Iterable[bytes]:
    texts = (
        "ws://10.0.0.1:9100/v1/wire",
        "wss://[::1]:9100",
        "ws://[fe80::1%25eth0]:1",
        "ws://[v1.a]",
    )
    others = (
        "http://issuer.example:80/a/",
        "https://[::1]",
        "https://a:b@c",
        "ws://a:99999",
        "::ffff:10.0.0.1",
    )
    return known.encoded([*texts, *others, "2002:7f00:1::", "64:ff9b::7f00:1", "2001:0:7f00:1::"])


CLAIMS = (b'"sub":"*:*@*"', b'"exp":1800000900', b"\\u0000", b"1e9", b"{}", b'{"jwk":{}}', b"-1")
TARGETS = (
    Target(
        name="peer.certificate",
        run=certificate,
        seeds=_certificates,
        allowed=(CertificateError,),
        forms=(Form.TEXT,),
        tokens=(b".", b"==", b"eyJ", b"e30", b"bnVsbA"),
        most=9000,
        steps=(8_000, 60),
    ),
    Target(
        name="peer.certificate-payload",
        run=payload,
        seeds=_payloads,
        allowed=(CertificateError,),
        forms=(Form.JSON,),
        tokens=CLAIMS,
        steps=(8_000, 60),
    ),
    Target(
        name="peer.own-certificate",
        run=own_certificate,
        seeds=_certificates,
        allowed=(CertificateError,),
        forms=(Form.TEXT,),
    ),
    Target(
        name="peer.issuer-keys",
        run=issuer_keys,
        seeds=_issuer_keys,
        allowed=(ConfigError,),
        forms=(Form.JSON,),
        tokens=(b'"kid"', b'"d":""', b'"x":"', b"OKP"),
    ),
    Target(
        name="peer.issuer-answer",
        run=issuer_answer,
        seeds=_issuer_answers,
        allowed=(RemoteProtocolError,),
        forms=(Form.LINES, Form.JSON),
        tokens=(
            b"Content-Length: 5",
            b"Retry-After: 9999999999",
            b"Transfer-Encoding: chunked",
            b"0\r\n",
        ),
        steps=(8_000, 60),
    ),
    Target(
        name="peer.ids",
        run=ids,
        seeds=_texts,
        allowed=(ConfigError, UnicodeDecodeError),
        forms=(Form.TEXT,),
        tokens=(b"actr://", b"@", b":", b"a" * 63, b"\n"),
    ),
    Target(
        name="peer.id-message",
        run=id_message,
        seeds=lambda: corpus.hexes(
            "ids", "messages", "malformed_messages", "texts", name="message"
        ),
        allowed=(RemoteProtocolError,),
        forms=(Form.PROTOBUF,),
    ),
    Target(
        name="peer.address",
        run=address,
        seeds=_addresses,
        allowed=(ConfigError,),
        forms=(Form.TEXT,),
        tokens=(b"ws://", b"[::", b"]", b"%25", b":65536", b"//", b"@", b"\xe2\x84\x80"),
    ),
)
