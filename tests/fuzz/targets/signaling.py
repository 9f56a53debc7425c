"""The signaling service: heads, frames and messages of strangers, and what a store tells it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress

from google.protobuf.message import DecodeError

from actr import signaling_pb2 as pb
from actr_peer.protocol.identity.signatures import AUTHENTICATE, REGISTER
from actr_signaling.errors import BadMessageError, ConfigError, RefusedError, SignalingError
from actr_signaling.ledger.redis import answers
from actr_signaling.protocol import json_form
from actr_signaling.protocol.client import messages
from actr_signaling.protocol.client.effects import Search
from actr_signaling.protocol.client.limits import Terms
from actr_signaling.protocol.client.relays import look
from actr_signaling.protocol.client.session import Session
from actr_signaling.protocol.client.trust import Challenge, Trust, read_revoked
from actr_signaling.protocol.identity import ActrId
from actr_signaling.protocol.identity.ids import read_id
from actr_signaling.protocol.identity.keys import read_keys
from actr_signaling.protocol.presence import stored
from actr_signaling.protocol.presence.discovery import rank
from actr_signaling.protocol.presence.records import Entry, Load, Registration
from actr_signaling.protocol.relay import parcels
from actr_signaling.protocol.relay.routing import Undelivered
from actr_signaling.protocol.relay.wires import read_ticket
from actr_signaling.protocol.websocket.frames import FrameError, Kind, Splitter, read_text
from actr_signaling.protocol.websocket.request import Standing, judge
from actr_signaling.protocol.websocket.upgrade import is_upgrade, read_upgrade
from actr_signaling.web.browser.console.whom import refusal
from actr_signaling.web.door.doors import network_of
from actr_signaling.web.service import is_allowed
from tests.fuzz import corpus
from tests.fuzz.engine import Target
from tests.fuzz.mutation import Form, apart, series
from tests.fuzz.targets import known

REQUESTS = ("requests", "refused_requests")


def head(data: bytes) -> None:
    """The head of a connection's only request as it grows, and what a page says of itself."""
    step = max(1, len(data) // 4)
    for end in range(0, len(data), step):
        judge(data[: end + step])
    if judge(data) is Standing.WHOLE and is_upgrade(data):
        read_upgrade(data)
    text = data.decode("latin-1")
    is_allowed(text, "example.org", ("https://page.example",))
    network_of(text)
    refusal("here", "127.0.0.1", text)


def ticket(data: bytes) -> None:
    """Of a relayed wire: as a socket shows it, and as an actor asks for it."""
    read_ticket(data)
    step = pb.Negotiate(connection_id=data.decode("latin-1"), wire=pb.RelayedWire())
    messages.read(pb.ClientMessage(relay=pb.Relay(negotiate=step)))


def frames(data: bytes) -> None:
    """Frames in pieces: no more is kept than what one message may have."""
    splitter, hasty = Splitter(2048), Splitter(2048)
    step = max(1, len(data) // 3)
    for start in range(0, len(data), step):
        hasty.feed(data[start : start + step])
        for frame in splitter.feed(data[start : start + step]):
            assert len(frame.data) <= 2048 + 125
            whole = hasty.whole_binary()
            assert (hasty.next() if whole is None else whole) in (frame, frame.data)
            if frame.kind is Kind.TEXT:
                read_text(frame.data)


def _frames() -> Iterable[bytes]:
    mask = b"\0\0\0\0"
    yield b"\x82\x85" + mask + b"hello\x89\x80" + mask + b"\x88\x82" + mask + b"\x03\xe8"
    yield b"\x01\x82" + b"\1\2\3\4ab" + b"\x00\x80" + mask + b"\x80\x81" + mask + b"c"
    yield b"\x82\xfe\x00\x7e" + mask + bytes(126)
    yield b"\x82\xff" + (2**16).to_bytes(8, "big") + mask
    yield b"\x88\x86" + mask + b"\x0f\xa0bye\xff" + b"\x81\x81" + mask + b"\xff"


def binary(data: bytes) -> None:
    """One message in protobuf's form; a relay also as a client with JSON is told it.

    Where a relay is seen in its bytes alone, protobuf reads the same of them.
    """
    seen = look(data)
    try:
        target = None if seen is None else read_id.__wrapped__(seen[1])  # never the kept answer
    except DecodeError:
        seen = None
    wire = messages.parse(data)
    said = messages.read(wire)
    if seen is not None:
        assert isinstance(said, messages.Relay)
        assert (wire.id, said.to) == (seen[0], target)
        step = pb.Negotiate.FromString(seen[2])
        assert step == pb.Negotiate.FromString(said.negotiate)
    if isinstance(said, messages.Relay):
        told = pb.ServerMessage(
            relayed=pb.Relayed(negotiate=pb.Negotiate.FromString(said.negotiate))
        )
        json_form.to_json(told.SerializeToString())


def text(data: bytes) -> None:
    """One message in JSON."""
    messages.read(messages.parse_json(read_text(data)))


def _texts() -> Iterable[bytes]:
    for each in corpus.vectors("signaling", "requests"):
        yield known.dumped(each["json"])


def told(data: bytes) -> None:
    """What another replica relays, for a client with JSON."""
    try:
        json_form.to_json(data)
    except DecodeError as exc:
        raise BadMessageError("the library's to refuse") from exc


def session(data: bytes) -> None:
    """Messages of a stranger, to services that ask for nothing, a secret, a certificate."""
    said = apart(data)
    for trust in (
        Trust(),
        Trust(secret_of=lambda realm: known.SECRET if realm == "default" else None),
        Trust(issuer_keys=known.KEYS),
    ):
        client = Session(Challenge(server_id="s1", nonce=known.NONCE, trust=trust), Terms(), 0.0)
        try:
            for count, each in enumerate(said):
                client.admit(len(each), 0.0)
                _say(client, each, count)
        except SignalingError:
            pass
        client.expire(100.0)
        assert len(client.watches) <= Terms().max_watches


def _say(client: Session, data: bytes, count: int) -> None:
    try:
        read = messages.read(messages.parse(data))
        todo = client.receive(read, count, 0.0, unix=float(known.NOW))
    except RefusedError:
        return
    for effect in todo:
        if isinstance(effect, Search):
            rank(ENTRIES, effect.query, asker="x")
    if client.state.name == "ENROLLING":
        client.registered(4, 0.0)


def _sessions() -> Iterable[bytes]:
    who = known.YOU.to_message()
    proof = known.signed(known.OTHER, AUTHENTICATE)(b"s1", known.NONCE, str(known.YOU).encode())
    authenticate = pb.Authenticate(id=who, certificate=known.YOURS.encode(), signature=proof)
    register = pb.Register(id=who, incarnation=5, ws_address="wss://10.0.0.1:1")
    data = register.SerializeToString()
    register.signed.register = data
    register.signed.certificate = known.YOURS.encode()
    register.signed.signature = known.signed(known.OTHER, REGISTER)(data)
    start = [
        pb.ClientMessage(id=1, authenticate=authenticate).SerializeToString(),
        pb.ClientMessage(id=2, register=register).SerializeToString(),
    ]
    yield series(start)
    yield series([*start, *start])
    place = pb.Discover(actr_type="acme:guest", after="0.1.-1.5.x", limit=3)
    yield series([*start, pb.ClientMessage(id=3, discover=place).SerializeToString()])
    for each in corpus.hexes("signaling", *REQUESTS):
        yield series([*start, each])
        yield series([each])


def _entry() -> Entry:
    said = Registration.from_wire(
        ActrId.parse(str(known.YOU)), pb.Register(incarnation=5, metadata={"k": "v"})
    )
    return Entry(registration=said, load=Load(3, 0.5), epoch=4, session="s" * 32, replica="r" * 16)


ENTRIES = [_entry()]


def value(data: bytes) -> None:
    """A value of the store, whoever wrote it there: all that is made of it is made."""
    entry = stored.unpack(data)
    entry.write()
    assert entry.packed
    assert entry.listed
    assert entry.shown
    assert stored.pack_tail(entry)


def _values() -> Iterable[bytes]:
    yield b"%016d" % 4 + stored.pack_tail(ENTRIES[0])
    yield b"0" * 16


def change(data: bytes) -> None:
    """What replicas publish."""
    _, said = stored.unpack_change(data)
    assert said.version is not None


def _changes() -> Iterable[bytes]:
    numbers = b"%016d%016d" % (1, 2)
    for each in _values():
        yield b"P" + numbers + each
    yield b"R" + numbers + b"1" + b"%016d" % 4 + b"acme:guest@1:default"
    yield b"X" + numbers


def answer(data: bytes) -> None:
    """What the store answers to each thing that is asked of it: a tree of texts and numbers."""
    try:
        tree = _answer(json.loads(data))
    except (ValueError, RecursionError):
        return
    for read in (answers.number, answers.message, answers.text):
        with suppress(answers.StoreError):
            read(tree)
    with suppress(answers.StoreError):
        answers.named_primary(tree)
    with suppress(answers.StoreError):
        answers.slot_primary(tree, 5, "asked")
    answers.state(tree if isinstance(tree, list) else [])


def _answer(tree: object) -> object:
    if isinstance(tree, list):
        return [_answer(each) for each in tree]
    return tree.encode(errors="replace") if isinstance(tree, str) else tree


def batch(data: bytes) -> None:
    """What one replica has for another."""
    _, items = parcels.unpack(data)
    for count, item in enumerate(items):
        assert count <= len(data)
        parcels.pack_item(item)


def _batches() -> Iterable[bytes]:
    parcel = parcels.Parcel(7, "acme:room@2:default", "acme:guest@1:default", b"data")
    answer, done = parcels.Answer(7, Undelivered.OFFLINE), parcels.Answer(8, None)
    items = [parcels.pack_item(item) for item in (parcel, answer, done)]
    yield parcels.pack("r" * 16, items)
    yield parcels.pack("r" * 16, items[1:])


def revoked(data: bytes) -> None:
    """What an issuer has taken back."""
    read_revoked(data)


def keys(data: bytes) -> None:
    """An issuer's keys, as bytes."""
    read_keys(data.decode(errors="replace"))


STRANGE = (b"\x7f\x80\x00\x00", b"\x7f\xc0\x00\x00", b"\xff\x80\0\0", b"-", b"_", b" 1", b"9" * 16)
TARGETS = (
    Target(
        name="signaling.head",
        run=head,
        seeds=lambda: [
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /v1/ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Protocol: actr.v1.json, x\r\nOrigin: https://page\r\n\r\n\x82\x80",
            b"http://example.org",
            b"fe80::1%e",
            b"\r\n\r\n",
        ],
        allowed=(),
        forms=(Form.LINES,),
        tokens=(b"a: b", b"http://[", b"://", b"]", b"\r\n"),
        most=12_000,
    ),
    Target(
        name="signaling.ticket",
        run=ticket,
        seeds=lambda: [b"0af1" * 8, b"0" * 31, b"\xff" * 32],
        allowed=(RefusedError,),
    ),
    Target(
        name="signaling.frames",
        run=frames,
        seeds=_frames,
        allowed=(FrameError,),
        tokens=(b"\x82\xfe", b"\x82\xff", b"\x00\x80\0\0\0\0", b"\x88\x82", b"\x01\x80\0\0\0\0"),
    ),
    Target(
        name="signaling.binary",
        run=binary,
        seeds=lambda: corpus.hexes("signaling", *REQUESTS),
        allowed=(SignalingError,),
        forms=(Form.PROTOBUF,),
        steps=(8_000, 120),
    ),
    Target(
        name="signaling.json",
        run=text,
        seeds=_texts,
        allowed=(SignalingError, FrameError),
        forms=(Form.JSON,),
        tokens=(b'"relay":', b'{"@type":"x"}', b"1e400", b"-0", b"NaN", b'"\\ud800"', b"9" * 5000),
        steps=(60_000, 120),
    ),
    Target(
        name="signaling.told",
        run=told,
        seeds=lambda: corpus.hexes("signaling", "replies"),
        allowed=(BadMessageError,),
        forms=(Form.PROTOBUF,),
        steps=(8_000, 400),
    ),
    Target(
        name="signaling.session",
        run=session,
        seeds=_sessions,
        allowed=(),
        forms=(Form.SERIES, Form.PROTOBUF),
        tokens=(known.YOURS.encode(), b"0.0.0.0.x", bytes(64)),
        steps=(30_000, 200),
    ),
    Target(
        name="signaling.value",
        run=value,
        seeds=_values,
        allowed=(BadMessageError,),
        forms=(Form.PROTOBUF,),
        tokens=STRANGE,
    ),
    Target(
        name="signaling.change",
        run=change,
        seeds=_changes,
        allowed=(BadMessageError,),
        tokens=STRANGE,
    ),
    Target(
        name="signaling.answer",
        run=answer,
        seeds=lambda: [
            known.dumped(["g", ["0" * 16, ["v"]]]),
            known.dumped(["message", "actr:presence", "P"]),
            known.dumped("0000000000000005"),
            known.dumped(["ip", "10.0.0.7", "port", "6380", "config-epoch", "3"]),
            known.dumped([[0, 9, ["10.0.0.7", 7000, "id"]]]),
        ],
        allowed=(answers.StoreError,),
        forms=(Form.JSON,),
        tokens=(b'"message"', b"null", b"7"),
    ),
    Target(
        name="signaling.batch",
        run=batch,
        seeds=_batches,
        allowed=(BadMessageError,),
        tokens=(b"\x01" + bytes(8), b"\x02" + bytes(8), b"\xff" * 4),
    ),
    Target(
        name="signaling.revoked",
        run=revoked,
        seeds=lambda: [
            known.dumped({"revoked": [{"key": "A" * 43}, {"serial": "s1"}], "version": 3}),
            known.dumped({"revoked": []}),
        ],
        allowed=(BadMessageError,),
        forms=(Form.JSON,),
        tokens=(b'"key"', b'"serial"', b"{}"),
    ),
    Target(
        name="signaling.issuer-keys",
        run=keys,
        seeds=lambda: known.encoded(
            [each["text"] for each in corpus.vectors("certificates", "issuer_keys")]
        ),
        allowed=(ConfigError,),
        forms=(Form.JSON,),
    ),
)
