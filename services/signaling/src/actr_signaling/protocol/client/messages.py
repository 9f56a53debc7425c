"""Sans-I/O: what a client says, from bytes to frozen dataclasses, every field within its bound.

The bounds are on this page, in docs/signaling.md and, for every language, in proto/vectors. A
message that cannot be read at all, or whose identity part is out of bounds, closes the connection
(:class:`BadMessageError`); a request out of bounds is refused alone (:class:`RefusedError`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from google.protobuf import json_format
from google.protobuf.message import DecodeError

from actr import signaling_pb2 as pb
from actr_signaling.errors import BadMessageError, Close, RefusedError
from actr_signaling.protocol.client.registers import (
    MAX_PROOF_BYTES,
    check_service,
    check_short,
    read_register,
)
from actr_signaling.protocol.identity import TYPE, ActrId
from actr_signaling.protocol.presence.discovery import Query, read_place
from actr_signaling.protocol.presence.records import Load, Registration
from actr_signaling.protocol.relay.wires import TICKET

MAX_MESSAGE_BYTES = 64 * 1024
MAX_SDP_CHARACTERS = 48 * 1024
"""An offer with four channels and eight tracks has about 12 KiB; the rest is for track ids."""
MAX_CANDIDATE_CHARACTERS = 512
MAX_PLACE_CHARACTERS = 1024
MAX_TRACKS = 64
_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
"""One of JSON, whole or cut off: it matches at every quote, so that no text is walked twice."""
MAX_JSON_VALUES = 1024
"""In one message: the library takes some microseconds for each."""
MAX_FOUND = 256
DEFAULT_FOUND = 16


@dataclass(frozen=True, slots=True)
class Authenticate:
    id: ActrId
    mac: bytes
    certificate: bytes = b""
    signature: bytes = b""


@dataclass(frozen=True, slots=True)
class Register:
    registration: Registration
    only_if_free: bool = False


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


class Relay(NamedTuple):  # there are many: it is made in half of a dataclass's time
    to: ActrId | None
    """None: no such id can exist."""
    negotiate: bytes
    """Serialized; the server bounds it and never reads the SDP in it."""
    ticket: str = ""
    """Of a wire that this service is asked to relay; else empty."""


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
        if _at_least(text) > MAX_JSON_VALUES or _values(json.loads(text)) > MAX_JSON_VALUES:
            raise BadMessageError(f"over {MAX_JSON_VALUES} values in one message")
        return json_format.Parse(text, pb.ClientMessage(), max_recursion_depth=16)
    except (json_format.ParseError, ValueError, RecursionError) as exc:
        raise BadMessageError("not a ClientMessage in protobuf's JSON form") from exc


def _at_least(text: str) -> int:
    """How many values there are in it, told without making them: that many are its own cost."""
    if _separators(text) > MAX_JSON_VALUES:
        text = _STRING.sub("", text)
    return _separators(text)


def _separators(text: str) -> int:
    """Of the two kinds the more frequent: each opens a value, or stands before one."""
    return max(text.count(","), text.count("{") + text.count("["))


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
    return Authenticate(ActrId.check(body.id), body.mac, body.certificate, body.signature)


def _register(wire: pb.ClientMessage) -> Register:
    return Register(read_register(wire.register), wire.register.only_if_free)


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
        check_service(body.service)
    check_short("fingerprint", body.fingerprint)
    check_short("stickiness", body.stickiness)
    check_short("after", body.after, MAX_PLACE_CHARACTERS)
    try:
        after = read_place(body.after) if body.after else None
    except ValueError as exc:
        text = "after is not what an answer had in next"
        raise RefusedError(Close.BAD_MESSAGE, text) from exc
    limit = min(body.limit or DEFAULT_FOUND, MAX_FOUND)
    actr_type = _type(body.actr_type)
    asked = actr_type, body.service, body.fingerprint, body.stickiness
    return Discover(Query(*asked, limit, wanted, after))


def _relay(wire: pb.ClientMessage) -> Relay:
    body = wire.relay
    negotiate = body.negotiate
    ticket = ""
    match negotiate.WhichOneof("body"):
        case "wire":
            ticket = _ticket(negotiate)
        case "candidate":
            candidate = negotiate.candidate
            check_short("candidate", candidate.candidate, MAX_CANDIDATE_CHARACTERS)
            check_short("sdp_mid", candidate.sdp_mid)
        case "offer":
            _description(negotiate.offer)
        case "answer":
            _description(negotiate.answer)
        case "request_offer":
            _tracks(negotiate.request_offer.tracks)
        case "bye":
            check_short("reason", negotiate.bye.reason)
        case _:
            raise RefusedError(Close.BAD_MESSAGE, "a relay without a negotiation step")
    check_short("connection_id", negotiate.connection_id)
    try:
        to = ActrId.check(body.to)
    except BadMessageError:
        to = None
    return Relay(to, negotiate.SerializeToString(), ticket)


def _ticket(negotiate: pb.Negotiate) -> str:
    if TICKET.fullmatch(negotiate.connection_id) is None:
        raise RefusedError(Close.BAD_MESSAGE, "a relayed wire's connection_id is 32 digits of hex")
    return negotiate.connection_id


def _unregister(wire: pb.ClientMessage) -> Unregister:
    del wire
    return Unregister()


def _description(wire: pb.SessionDescription) -> None:
    if len(wire.sdp) > MAX_SDP_CHARACTERS:
        raise RefusedError(Close.TOO_BIG, f"an SDP over {MAX_SDP_CHARACTERS} characters")
    if wire.track_ids:
        _tracks(wire.track_ids)


def _tracks(tracks: Mapping[str, str]) -> None:
    if len(tracks) > MAX_TRACKS:
        raise RefusedError(Close.TOO_BIG, f"{len(tracks)} tracks are over {MAX_TRACKS}")
    for key, value in tracks.items():
        check_short("track id", key)
        check_short("track id", value)


def _type(actr_type: str) -> str:
    if actr_type and TYPE.fullmatch(actr_type) is None:
        raise RefusedError(Close.BAD_MESSAGE, f"{actr_type[:64]!r} is not manufacturer:name")
    return actr_type


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
