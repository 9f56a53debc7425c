"""Sans-I/O: a request for the WebSocket of this service, and its answer (RFC 6455, section 4).

A parser of all that HTTP may say costs more than everything else that a new connection does; this
one takes one request line and the header fields of RFC 9112, section 5, and refuses the rest.
"""

from __future__ import annotations

import re
from binascii import Error, a2b_base64
from dataclasses import dataclass

from websockets.utils import accept_key

PATH = "/v1/ws"
WIRE_PATH = "/v1/wire"
"""Of a wire between two actors that this service relays (docs/protocol/relayed.md)."""
BINARY = "actr.v1"
JSON = "actr.v1.json"
OTHER_VERSION = (
    b"HTTP/1.1 426 Upgrade Required\r\nconnection: close, upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-version: 13\r\ncontent-length: 0\r\n\r\n"
)
"""RFC 6455, section 4.4."""
_END = b"\r\n\r\n"
_KEY_BYTES = 16
_PATHS = b"|".join(re.escape(path.encode()) for path in (PATH, WIRE_PATH))
_WIRE_TARGETS = tuple(f"{WIRE_PATH}{after}".encode() for after in " ?")
_LINE = re.compile(rb"GET (%b)(?:\?[!-~]*)? HTTP/1\.1\r\n" % _PATHS)
_UPGRADE = re.compile(rb"\nupgrade:[ \t]*websocket[ \t]*\r\n", re.IGNORECASE)
_is_token = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]*").fullmatch
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([\t\x20-\x7e\x80-\xff]*)\r\n")
_ONCE = frozenset(("host", "origin", "sec-websocket-key", "sec-websocket-version"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgrade:
    """One that was asked for and may be.

    Attributes:
        response: Bytes of the head that accepts it.
        rest: What came behind the request: its first frames.
        is_json: Whether messages are text in protobuf's JSON form.
        origin: Of the web page that asks; None: a program does.
        host: As the client calls this service.
        is_wire: Whether it is for a wire between two actors, and not for a session.
    """

    response: bytes
    rest: bytes
    is_json: bool
    origin: str | None
    host: str
    is_wire: bool = False


def is_upgrade(data: bytes) -> bool:
    """Whether a whole request is for the WebSocket; any other one is for a page."""
    end = data.find(_END) + 2
    return bool(_LINE.match(data, 0, end) and _UPGRADE.search(data, 0, end))


def read_upgrade(data: bytes) -> Upgrade | bytes:
    """Read such a request; bytes are what to answer in place of an upgrade, before the end."""
    end = data.find(_END) + 2
    fields = _read_fields(data, data.find(b"\n") + 1, end)
    if isinstance(fields, str):
        return _refusal(fields)
    if fields.get("sec-websocket-version") != "13":
        return OTHER_VERSION
    fault = _fault(fields)
    if fault:
        return _refusal(fault)
    offered = _tokens(fields.get("sec-websocket-protocol", ""))
    chosen = next((name for name in offered if name in (BINARY, JSON)), "")
    response = (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept_key(fields['sec-websocket-key'])}\r\n"
    )
    if chosen:
        response += f"Sec-WebSocket-Protocol: {chosen}\r\n"
    return Upgrade(
        response=response.encode() + b"\r\n",
        rest=data[end + 2 :],
        is_json=chosen == JSON,
        origin=fields.get("origin"),
        host=fields["host"],
        is_wire=data[4:end].startswith(_WIRE_TARGETS),
    )


def _read_fields(data: bytes, at: int, end: int) -> dict[str, str] | str:
    """By name in lower case, those that came again joined; a text says what is wrong."""
    fields: dict[str, str] = {}
    while at < end:
        field = _FIELD.match(data, at, end)
        if field is None:
            return "a header field that is none"
        at = field.end()
        name = field[1].decode().lower()
        value = field[2].decode("latin-1").strip(" \t")
        if name in fields:
            if name in _ONCE:
                return f"{name} comes twice"
            value = f"{fields[name]}, {value}"
        fields[name] = value
    return fields


def _fault(fields: dict[str, str]) -> str:
    """What is wrong with an upgrade of this version; empty: nothing is."""
    if not fields.get("host"):
        return "no host"
    if _tokens(fields["upgrade"].lower()) != ["websocket"]:
        return "upgrade is not websocket alone"
    if "upgrade" not in _tokens(fields.get("connection", "").lower()):
        return "connection is not upgrade"
    if not _tokens(fields.get("sec-websocket-protocol", BINARY)):
        return "sec-websocket-protocol names none"
    if fields.get("content-length", "0") != "0":
        return "a body"
    key = fields.get("sec-websocket-key", "")
    try:
        is_key = len(a2b_base64(key, strict_mode=True)) == _KEY_BYTES
    except (Error, ValueError):  # the second where it is not of ASCII
        is_key = False
    return "" if is_key else "sec-websocket-key is not 16 bytes in base64"


def _tokens(value: str) -> list[str]:
    """A list of RFC 9110, section 5.6.1; empty where one of it is no token."""
    tokens = [token.strip(" \t") for token in value.split(",")]
    return [token for token in tokens if token] if all(map(_is_token, tokens)) else []


def _refusal(why: str) -> bytes:
    body = f"not a WebSocket's request: {why}\n".encode()
    return (
        b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: text/plain\r\n"
        b"content-length: %d\r\n\r\n%b" % (len(body), body)
    )
