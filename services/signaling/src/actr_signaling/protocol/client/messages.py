"""Sans-I/O: what a client says, from bytes to frozen dataclasses, every field within its bound.

The bounds are on this page, in docs/signaling.md and, for every language, in proto/vectors. A
message that cannot be read at all, or whose identity part is out of bounds, closes the connection
(:class:`BadMessageError`); a request out of bounds is refused alone (:class:`RefusedError`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from google.protobuf import json_format
from google.protobuf.message import DecodeError

from actr import signaling_pb2 as pb
from actr_signaling.errors import BadMessageError, Close, RefusedError
from actr_signaling.protocol.identity import (
    MAX_SERVICE_CHARACTERS,
    PART,
    SERVICE,
    TYPE,
    ActrId,
)
from actr_signaling.protocol.presence.discovery import Query
from actr_signaling.protocol.presence.records import Load, Registration

MAX_MESSAGE_BYTES = 64 * 1024
MAX_SDP_CHARACTERS = 48 * 1024
"""An offer with four channels and eight tracks has about 12 KiB; the rest is for track ids."""
MAX_CANDIDATE_CHARACTERS = 512
MAX_TEXT_CHARACTERS = 256
"""Of connection ids, reasons, mids, track ids, stickiness keys, fingerprints and addresses."""
MAX_TRACKS = 64
MAX_SERVICES = 64
MAX_METADATA_ENTRIES = 16
MAX_METADATA_ENTRY_BYTES = 256
"""Of one entry, key and value together."""
MAX_ALLOWED_REALMS = 16
MAX_PROOF_BYTES = 8 * 1024
MAX_JSON_VALUES = 1024
"""In one message: the library takes some microseconds for each."""
MAX_FOUND = 256
DEFAULT_FOUND = 16


@dataclass(frozen=True, slots=True)
class Authenticate:
    id: ActrId
    mac: bytes


@dataclass(frozen=True, slots=True)
class Register:
    registration: Registration


@dataclass(frozen=True, slots=True)
class Heartbeat:
    load: Load | None
    """None: the message carried none, and the last one stays."""


@dataclass(frozen=True, slots=True)
class Subscribe:
    actr_type: str
    """Empty: every type in the realm."""


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    actr_type: str


@dataclass(frozen=True, slots=True)
class Discover:
    query: Query


@dataclass(frozen=True, slots=True)
class Relay:
    to: ActrId | None
    """None: no such id can exist."""
    negotiate: bytes
    """Serialized; the server bounds it and never reads the SDP in it."""


@dataclass(frozen=True, slots=True)
class Unregister:
    pass


Message = (
    Authenticate | Register | Heartbeat | Subscribe | Unsubscribe | Discover | Relay | Unregister
)


def parse(data: bytes) -> pb.ClientMessage:
    """Read a binary message.

    Raises:
        BadMessageError: If the bytes are not one.
    """
    try:
        return pb.ClientMessage.FromString(data)
    except DecodeError as exc:
        raise BadMessageError("not a ClientMessage in protobuf's binary form") from exc


def parse_json(text: str) -> pb.ClientMessage:
    """Read the same message in protobuf's JSON form; unknown keys are an error there.

    Raises:
        BadMessageError: If the text is not one.
    """
    try:
        if _values(json.loads(text)) > MAX_JSON_VALUES:
            raise BadMessageError(f"over {MAX_JSON_VALUES} values in one message")
        return json_format.Parse(text, pb.ClientMessage(), max_recursion_depth=16)
    except (json_format.ParseError, ValueError, RecursionError) as exc:
        raise BadMessageError("not a ClientMessage in protobuf's JSON form") from exc


def _values(tree: object) -> int:
    """How many values there are in it; counts no further than what is allowed."""
    count, left = 0, [tree]
    while left and count <= MAX_JSON_VALUES:
        value = left.pop()
        count += 1
        if isinstance(value, dict):
            left += value.values()
        elif isinstance(value, list):
            left += value
    return count


def read(wire: pb.ClientMessage) -> Message:
    """Check a message's fields and take what the server needs of it.

    Raises:
        BadMessageError: If it has no body that this version knows, or a wrong identity.
        RefusedError: If a request is out of bounds; the connection may stay.
    """
    body = wire.WhichOneof("body")
    if body is None:
        raise BadMessageError("a ClientMessage without a body that this version knows")
    return _READERS[body](wire)


def _authenticate(wire: pb.ClientMessage) -> Authenticate:
    body = wire.authenticate
    if max(len(body.mac), len(body.certificate), len(body.signature)) > MAX_PROOF_BYTES:
        raise BadMessageError(f"a proof is over {MAX_PROOF_BYTES} bytes")
    return Authenticate(ActrId.check(body.id), body.mac)


def _register(wire: pb.ClientMessage) -> Register:
    body = wire.register
    if not _is_socket_address(body.ws_address):
        raise BadMessageError(
            f"ws_address {body.ws_address[:64]!r}: empty, or ws:// or wss:// and at most "
            f"{MAX_TEXT_CHARACTERS} characters"
        )
    if len(body.services) > MAX_SERVICES:
        raise BadMessageError(f"{len(body.services)} services are over {MAX_SERVICES}")
    for service in body.services:
        _service(service.service)
        _short("fingerprint", service.fingerprint)
    if len(body.metadata) > MAX_METADATA_ENTRIES:
        raise BadMessageError(
            f"{len(body.metadata)} metadata entries are over {MAX_METADATA_ENTRIES}"
        )
    for key, value in body.metadata.items():
        if len(key.encode()) + len(value.encode()) > MAX_METADATA_ENTRY_BYTES:
            raise BadMessageError(f"a metadata entry is over {MAX_METADATA_ENTRY_BYTES} bytes")
    if len(body.allowed_realms) > MAX_ALLOWED_REALMS:
        raise BadMessageError(f"more than {MAX_ALLOWED_REALMS} allowed realms")
    for realm in body.allowed_realms:
        if PART.fullmatch(realm) is None:
            raise BadMessageError(f"allowed realm {realm[:64]!r} is no realm name")
    return Register(Registration.from_wire(ActrId.check(body.id), body))


def _heartbeat(wire: pb.ClientMessage) -> Heartbeat:
    if not wire.heartbeat.HasField("load"):
        return Heartbeat(None)
    return Heartbeat(Load.from_wire(wire.heartbeat.load))


def _subscribe(wire: pb.ClientMessage) -> Subscribe:
    return Subscribe(_type(wire.subscribe.actr_type))


def _unsubscribe(wire: pb.ClientMessage) -> Unsubscribe:
    return Unsubscribe(_type(wire.unsubscribe.actr_type))


def _discover(wire: pb.ClientMessage) -> Discover:
    body = wire.discover
    wanted = ActrId.check(body.id) if body.HasField("id") else None
    if not body.actr_type and not body.service and wanted is None:
        raise RefusedError(Close.BAD_MESSAGE, "discover needs an actr_type, a service or an id")
    if body.service:
        _service(body.service)
    _short("fingerprint", body.fingerprint)
    _short("stickiness", body.stickiness)
    limit = min(body.limit or DEFAULT_FOUND, MAX_FOUND)
    actr_type = _type(body.actr_type)
    query = Query(actr_type, body.service, body.fingerprint, body.stickiness, limit, wanted)
    return Discover(query)


def _relay(wire: pb.ClientMessage) -> Relay:
    body = wire.relay
    negotiate = body.negotiate
    match negotiate.WhichOneof("body"):
        case "candidate":
            candidate = negotiate.candidate
            _short("candidate", candidate.candidate, MAX_CANDIDATE_CHARACTERS)
            _short("sdp_mid", candidate.sdp_mid)
        case "offer":
            _description(negotiate.offer)
        case "answer":
            _description(negotiate.answer)
        case "request_offer":
            _tracks(negotiate.request_offer.tracks)
        case "bye":
            _short("reason", negotiate.bye.reason)
        case _:
            raise RefusedError(Close.BAD_MESSAGE, "a relay without a negotiation step")
    _short("connection_id", negotiate.connection_id)
    try:
        to = ActrId.check(body.to)
    except BadMessageError:
        to = None
    return Relay(to, negotiate.SerializeToString())


def _unregister(wire: pb.ClientMessage) -> Unregister:
    del wire
    return Unregister()


def _description(wire: pb.SessionDescription) -> None:
    if len(wire.sdp) > MAX_SDP_CHARACTERS:
        raise RefusedError(Close.TOO_BIG, f"an SDP over {MAX_SDP_CHARACTERS} characters")
    _tracks(wire.track_ids)


def _tracks(tracks: Mapping[str, str]) -> None:
    if len(tracks) > MAX_TRACKS:
        raise RefusedError(Close.TOO_BIG, f"{len(tracks)} tracks are over {MAX_TRACKS}")
    for key, value in tracks.items():
        _short("track id", key)
        _short("track id", value)


def _type(actr_type: str) -> str:
    if actr_type and TYPE.fullmatch(actr_type) is None:
        raise RefusedError(Close.BAD_MESSAGE, f"{actr_type[:64]!r} is not manufacturer:name")
    return actr_type


def _service(service: str) -> None:
    if len(service) > MAX_SERVICE_CHARACTERS or SERVICE.fullmatch(service) is None:
        raise RefusedError(Close.BAD_MESSAGE, f"{service[:64]!r} is not package.Service")


def _short(what: str, text: str, limit: int = MAX_TEXT_CHARACTERS) -> None:
    if len(text) > limit:
        raise RefusedError(Close.TOO_BIG, f"{what}: {len(text)} characters are over {limit}")


def _is_socket_address(text: str) -> bool:
    return not text or (
        len(text) <= MAX_TEXT_CHARACTERS and text.isascii() and text.startswith(("ws://", "wss://"))
    )


_READERS: Mapping[str, Callable[[pb.ClientMessage], Message]] = MappingProxyType(
    {
        "authenticate": _authenticate,
        "register": _register,
        "heartbeat": _heartbeat,
        "subscribe": _subscribe,
        "unsubscribe": _unsubscribe,
        "discover": _discover,
        "relay": _relay,
        "unregister": _unregister,
    }
)
