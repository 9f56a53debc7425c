"""What signaling, its store, and other actors by way of it, tell a peer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from google.protobuf.message import DecodeError

from actr import signaling_pb2 as pb
from actr_peer.errors import RemoteProtocolError
from actr_peer.protocol.identity.descriptions import DescriptionError, Statements
from actr_peer.protocol.identity.identity import OwnIdentity
from actr_peer.protocol.identity.signatures import DESCRIPTION, REGISTER
from actr_peer.protocol.signaling.listing import LONG_BYTES
from actr_peer.protocol.signaling.messages import decode, decode_long
from actr_peer.protocol.signaling.presence import PresenceEvent, PresenceView, Registration
from actr_peer.protocol.signaling.proofs import Proofs
from actr_peer.protocol.signaling.session import ClientSession, Told
from actr_peer.protocol.signaling.signed import SignedReader
from actr_peer.protocol.webrtc.messages import pack_negotiate, unpack_negotiate
from actr_peer.protocol.webrtc.negotiation import Answer, NegotiateMessage, Offer
from tests.fuzz import corpus
from tests.fuzz.engine import Target
from tests.fuzz.mutation import Form, apart, series
from tests.fuzz.targets import known

REPLIES = ("replies", "refused_replies", "ignored_replies")
SDP = "v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:0\r\n"


def reader() -> SignedReader:
    """Believes who has signed."""
    more: dict[str, Any] = {}
    if "now" in SignedReader.__annotations__:
        more["now"] = lambda: float(known.NOW)
    return SignedReader(known.believe, lambda who, why: None, **more)


def message(data: bytes) -> None:
    """One message; a short one also by the way that long ones take."""
    decode(data)
    decode(data, reader())


def listing(data: bytes) -> None:
    """A long message, step by step."""
    steps = decode_long(data)
    for count, _ in enumerate(steps):
        assert count <= len(data)


def _listings() -> Iterable[bytes]:
    for each in _replies():
        if pb.ServerMessage.FromString(each).WhichOneof("body") in ("snapshot", "discovered"):
            yield each
    who = pb.Presence(id=known.YOU.to_message(), ws_address="ws://10.0.0.1:1", incarnation=1)
    yield pb.ServerMessage(snapshot=pb.PresenceSnapshot(present=[who] * 9)).SerializeToString()
    assert LONG_BYTES > 1024


def _replies() -> Iterable[bytes]:
    for each in corpus.hexes("signaling", *REPLIES):
        try:
            pb.ServerMessage.FromString(each)
        except DecodeError:
            continue
        yield each


def session(data: bytes) -> None:
    """Messages of a service, to actors with nothing, a secret, a certificate."""
    said = apart(data)
    own = OwnIdentity(known.ACTOR, lambda: known.MINE)
    for proofs, read in (
        (Proofs(), None),
        (Proofs(known.SECRET), None),
        (Proofs(None, own), reader()),
    ):
        more = {} if read is None else {"read": read}
        client = ClientSession(Registration(id=known.ME, incarnation=7), proofs, ("",), **more)
        view = PresenceView()
        try:
            for each in said:
                for effect in client.receive(each):
                    if isinstance(effect, Told) and isinstance(effect.body, PresenceEvent):
                        view.apply(effect.body)
        except RemoteProtocolError:
            pass
        client.lost(None, "")


def _sessions() -> Iterable[bytes]:
    hello = pb.ServerHello(nonce=known.NONCE, server_id="s1", time_ms=known.NOW * 1000)
    start = [
        pb.ServerMessage(hello=hello).SerializeToString(),
        pb.ServerMessage(reply_to=1, authenticated=pb.Authenticated()).SerializeToString(),
        pb.ServerMessage(
            reply_to=2, registered=pb.Registered(session_id="x", epoch=3)
        ).SerializeToString(),
    ]
    yield series(start)
    for each in corpus.hexes("signaling", *REPLIES):
        yield series([*start, each])
        yield series([*start[:1], each])


def presence(data: bytes) -> None:
    """One actor as a store shows it, with its registration signed as it stands: what is signed
    may be anything too."""
    body = _presence(data)
    if body.HasField("signed") and body.signed.signature == b"sign":
        parts = known.signed(known.OTHER, REGISTER)
        body.signed.signature = parts(body.signed.register)
    reader()(body)


def _presence(data: bytes) -> pb.Presence:
    try:
        return pb.Presence.FromString(data)
    except DecodeError as exc:
        raise RemoteProtocolError("the library's to refuse") from exc


def _presences() -> Iterable[bytes]:
    services = [pb.ServiceFingerprint(service="demo.Chat", fingerprint="ab")]
    register = pb.Register(
        id=known.YOU.to_message(),
        ws_address="wss://10.0.0.1:9100",
        incarnation=5,
        services=services,
        metadata={"k": "v"},
    )
    signed = pb.SignedRegistration(
        register=register.SerializeToString(deterministic=True),
        certificate=known.YOURS.encode(),
        signature=b"sign",
    )
    whole = pb.Presence(
        id=register.id,
        ws_address=register.ws_address,
        incarnation=5,
        services=services,
        metadata={"k": "v"},
        signed=signed,
        epoch=4,
    )
    yield whole.SerializeToString(deterministic=True)
    whole.ClearField("signed")
    yield whole.SerializeToString(deterministic=True)


def negotiation(data: bytes) -> None:
    """One step of a negotiation, whose statement is signed as it stands, held to what it says."""
    try:
        packed = pb.Negotiate.FromString(data)
    except DecodeError as exc:
        raise RemoteProtocolError("the library's to refuse") from exc
    if packed.signature == b"sign":
        packed.signature = known.signed(known.OTHER, DESCRIPTION)(packed.statement)
    step = unpack_negotiate(packed)
    for is_required in (True, False):
        statements = Statements(
            known.ME,
            9,
            identity=OwnIdentity(known.ACTOR, lambda: known.MINE),
            believe=known.believe,
            is_required=is_required,
        )
        try:
            statements.check(known.YOU, step, now=float(known.NOW), is_live=False)
        except DescriptionError:
            continue
        if isinstance(step.body, Offer):
            answer = NegotiateMessage(step.connection_id, step.exchange, Answer(SDP))
            statements.sign(known.YOU, answer, now=float(known.NOW))


def _negotiations() -> Iterable[bytes]:
    theirs = Statements(
        known.YOU,
        5,
        identity=OwnIdentity(known.OTHER, lambda: known.YOURS),
        believe=known.believe,
        is_required=True,
    )
    for body in (Offer(SDP, {"0": "camera"}), Answer(SDP), Offer("")):
        plain = NegotiateMessage("c1", 1, body)
        yield pack_negotiate(plain).SerializeToString(deterministic=True)
        made = theirs.sign(known.ME, plain, now=float(known.NOW), incarnation=9)
        packed = pack_negotiate(made)
        packed.signature = b"sign" if packed.signature else b""
        yield packed.SerializeToString(deterministic=True)
    for each in _replies():
        told = pb.ServerMessage.FromString(each)
        if told.WhichOneof("body") == "relayed":
            yield told.relayed.negotiate.SerializeToString(deterministic=True)


TARGETS = (
    Target(
        name="peer.server-message",
        run=message,
        seeds=lambda: corpus.hexes("signaling", *REPLIES),
        allowed=(RemoteProtocolError,),
        forms=(Form.PROTOBUF,),
        steps=(8_000, 60),
    ),
    Target(
        name="peer.listing",
        run=listing,
        seeds=_listings,
        allowed=(RemoteProtocolError,),
        forms=(Form.PROTOBUF,),
    ),
    Target(
        name="peer.client-session",
        run=session,
        seeds=_sessions,
        allowed=(),
        forms=(Form.SERIES, Form.PROTOBUF),
        steps=(30_000, 200),
    ),
    Target(
        name="peer.presence",
        run=presence,
        seeds=_presences,
        allowed=(RemoteProtocolError,),
        forms=(Form.PROTOBUF,),
        tokens=(known.YOURS.encode(), known.MINE.encode(), b"ws://"),
        steps=(8_000, 60),
    ),
    Target(
        name="peer.negotiation",
        run=negotiation,
        seeds=_negotiations,
        allowed=(RemoteProtocolError,),
        forms=(Form.PROTOBUF,),
        tokens=(known.YOURS.encode(), b"sign", SDP.encode()),
        steps=(16_000, 100),
    ),
)
