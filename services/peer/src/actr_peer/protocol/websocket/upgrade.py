"""Sans-I/O: the HTTP upgrade of a WebSocket wire, at both ends (RFC 6455, section 4).

One request, one answer, no body. A head has a bound in bytes and in lines, which holds before
anything in it is read. What a listener says no with, in this order::

    400  TLS, where none is spoken
    400  not HTTP, or a header that is none    431  a head over the bounds
    405  another method than GET               505  another HTTP than 1.1
    404  another path                          403  a page (Origin) that is not allowed here
    426  no upgrade to WebSocket, or another version of it than 13
    400  no Connection: upgrade, not one key of 16 bytes, or a first step that cannot be read

The dialler's first step of the handshake comes with the request, in a header, which saves a round
trip. Who knows nothing of that passes the header over, and has the step as the first frame.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha1
from http import HTTPStatus
from types import MappingProxyType
from urllib.parse import urlsplit

from actr_peer.errors import RemoteProtocolError
from actr_peer.protocol.identity.keys import decode, encode
from actr_peer.protocol.websocket.origins import is_allowed

PATH = "/v1/wire"
MAX_HEAD_BYTES = 8 * 1024
MAX_HEADERS = 100
VERSION = "13"
KEY_BYTES = 16
HELLO = "Actr-Hello"
"""In a request the dialler's first step, in base64url; in an answer ``TAKEN``."""
TAKEN = "taken"
PROOF = "Actr-Proof"
"""In a request, the dialler's second step likewise: in TLS it waits for no answer to the first."""
MAX_HELLO = 6 * 1024
"""Characters of it: the rest of the head fits as well, also for who has never heard of it."""
MAX_PROOF = 256
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_END = b"\r\n\r\n"
_TLS_START = b"\x16"
"""The first byte of who begins with TLS."""
# RFC 9110, section 5.6.2.
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")

Headers = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Accept:
    """Upgrade; the far side's key is ``key``."""

    key: str
    hello: bytes = b""
    """Its first step; empty: it comes as the first frame."""
    proof: bytes = b""
    """Its second step; empty: it comes as a frame."""


class Refusal(Exception):  # noqa: N818  an answer, raised where it is found
    """Answer with ``status`` and close."""

    def __init__(
        self, status: HTTPStatus, why: str, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(status, why)
        self.status = status
        self.why = why
        self.headers = headers

    def __str__(self) -> str:
        return f"{self.status.value} {self.why}"

    def to_bytes(self) -> bytes:
        """The whole answer."""
        body = self.why.encode()
        lines = [
            f"HTTP/1.1 {self.status.value} {self.status.phrase}",
            *(f"{name}: {value}" for name, value in self.headers),
            "Content-Type: text/plain; charset=utf-8",
            f"Content-Length: {len(body)}",
            "Connection: close",
        ]
        return "\r\n".join(lines).encode() + _END + body


class Head:
    """The head of a message, from its bytes in any pieces."""

    def __init__(self) -> None:
        self._held = bytearray()

    def __len__(self) -> int:
        return len(self._held)

    def feed(self, data: bytes | memoryview) -> tuple[bytes, bytes] | None:
        """Take the next bytes; return the head and what follows it once it is whole.

        Raises:
            Refusal: If the head is longer than ``MAX_HEAD_BYTES``, or TLS.
        """
        seen = max(0, len(self._held) - len(_END) + 1)
        self._held += data
        end = self._held.find(_END, seen)
        if self._held[:1] == _TLS_START:
            raise Refusal(
                HTTPStatus.BAD_REQUEST,
                "TLS, which is not spoken here: the address begins with ws://",
            )
        if end > MAX_HEAD_BYTES or (end < 0 and len(self._held) > MAX_HEAD_BYTES):
            raise Refusal(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                f"a head over {MAX_HEAD_BYTES} bytes",
            )
        if end < 0:
            return None
        return bytes(self._held[:end]), bytes(self._held[end + len(_END) :])


def judge(head: bytes, allowed: Collection[str] = ()) -> Accept | Refusal:
    """Say what is answered to the request with this head, of a program or a page of these."""
    try:
        first, headers = _parse(head)
        return _judge(first, headers, allowed)
    except Refusal as refusal:
        return refusal


def _judge(first: str, headers: Headers, allowed: Collection[str]) -> Accept:
    parts = first.split(" ")
    if len(parts) != 3 or not parts[1]:
        raise Refusal(HTTPStatus.BAD_REQUEST, "not a request of HTTP")
    method, target, version = parts
    if not (version.startswith("HTTP/") and version[5:].replace(".", "").isdecimal()):
        raise Refusal(HTTPStatus.BAD_REQUEST, "not a request of HTTP")
    if version != "HTTP/1.1":
        raise Refusal(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "write HTTP/1.1")
    if method != "GET":
        raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "only GET", (("Allow", "GET"),))
    if len(headers.get("host", ())) != 1:
        raise Refusal(HTTPStatus.BAD_REQUEST, "one Host is due")
    if "transfer-encoding" in headers or any(
        length.strip("0") for length in headers.get("content-length", ())
    ):
        raise Refusal(HTTPStatus.BAD_REQUEST, "a body is not taken")
    if _path_of(target) != PATH:
        raise Refusal(HTTPStatus.NOT_FOUND, f"only {PATH} is here")
    if not is_allowed(pages := headers.get("origin", ()), allowed):
        why = f"not for pages of {', '.join(pages)[:80]!a}: wires.allowed_origins says for whose"
        raise Refusal(HTTPStatus.FORBIDDEN, why)
    _check_upgrade(headers)
    keys = headers.get("sec-websocket-key", ())
    if len(keys) != 1 or not _is_key(keys[0]):
        raise Refusal(HTTPStatus.BAD_REQUEST, "one Sec-WebSocket-Key of 16 bytes in base64 is due")
    hello = _step(headers, HELLO, MAX_HELLO)
    return Accept(keys[0], hello, _step(headers, PROOF, MAX_PROOF) if hello else b"")


def _step(headers: Headers, name: str, longest: int) -> bytes:
    """A step that came with a request; empty: none."""
    values = headers.get(name.lower(), ())
    if not values:
        return b""
    unreadable = Refusal(HTTPStatus.BAD_REQUEST, f"an {name} that cannot be read")
    if len(values) > 1 or not 0 < len(values[0]) <= longest:
        raise unreadable
    try:
        return decode(values[0])
    except ValueError:
        raise unreadable from None


def step_headers(hello: bytes, proof: bytes) -> tuple[tuple[str, str], ...]:
    """What a dialler adds to its request; nothing where its first step is too long for that.

    Args:
        proof: Its second step; empty: it waits for the answer to the first.
    """
    text = encode(hello)
    if len(text) > MAX_HELLO:
        return ()
    return ((HELLO, text), (PROOF, encode(proof))) if proof else ((HELLO, text),)


def _check_upgrade(headers: Headers) -> None:
    if "websocket" not in _tokens(headers, "upgrade"):
        upgrade = ("Upgrade", "websocket"), ("Sec-WebSocket-Version", VERSION)
        raise Refusal(HTTPStatus.UPGRADE_REQUIRED, "only WebSocket is spoken here", upgrade)
    if "upgrade" not in _tokens(headers, "connection"):
        raise Refusal(HTTPStatus.BAD_REQUEST, "Connection: Upgrade is due")
    if list(headers.get("sec-websocket-version", ())) != [VERSION]:
        version = ("Upgrade", "websocket"), ("Sec-WebSocket-Version", VERSION)
        raise Refusal(HTTPStatus.UPGRADE_REQUIRED, f"only version {VERSION} is spoken", version)


def make_accept(key: str) -> str:
    """Return the ``Sec-WebSocket-Accept`` of a key."""
    return b64encode(sha1(key.encode() + _GUID).digest()).decode()  # noqa: S324  RFC 6455, 4.2.2


def check_answer(head: bytes, key: str) -> bool:
    """Take a listener's answer to an upgrade with ``key``, which asked for no extension.

    Returns:
        Whether it has taken the first step that came with the request.

    Raises:
        RemoteProtocolError: If it does not upgrade, or not as it should.
    """
    try:
        first, headers = _parse(head)
    except Refusal as refusal:
        raise RemoteProtocolError(f"an answer that is not HTTP: {refusal.why}") from refusal
    version, _, rest = first.partition(" ")
    status = rest[:3]
    if version != "HTTP/1.1" or not status.isdecimal() or rest[3:4] not in ("", " "):
        raise RemoteProtocolError("an answer that is not HTTP/1.1")
    if status != "101":
        raise RemoteProtocolError(f"the upgrade is refused with {rest[:80]}")
    if list(_tokens(headers, "upgrade")) != ["websocket"]:
        raise RemoteProtocolError("an upgrade to something else than WebSocket")
    if "upgrade" not in _tokens(headers, "connection"):
        raise RemoteProtocolError("an upgrade without Connection: Upgrade")
    if list(headers.get("sec-websocket-accept", ())) != [make_accept(key)]:
        raise RemoteProtocolError("an upgrade with another key's Sec-WebSocket-Accept")
    for name in ("sec-websocket-extensions", "sec-websocket-protocol"):
        if name in headers:
            raise RemoteProtocolError(f"an upgrade with a {name} that nobody asked for")
    return list(headers.get(HELLO.lower(), ())) == [TAKEN]


# What the framing below is told: it reads heads in one form only.


def plain_request(key: str) -> bytes:
    """Return the least request with ``key``, ended."""
    return (
        f"GET {PATH} HTTP/1.1\r\nHost: wire\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: {VERSION}\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    ).encode()


def plain_answer(key: str) -> bytes:
    """Return the least answer to ``key``, ended."""
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {make_accept(key)}\r\n\r\n"
    ).encode()


def _parse(head: bytes) -> tuple[str, Headers]:
    """Split a head into its first line and its headers, names in small letters."""
    lines = head.decode("latin-1").split("\r\n")
    if len(lines) - 1 > MAX_HEADERS:
        raise Refusal(
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"more than {MAX_HEADERS} headers"
        )
    if not lines[0].isprintable():
        raise Refusal(HTTPStatus.BAD_REQUEST, "not a request of HTTP")
    headers: dict[str, list[str]] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        name, value = name.lower(), value.strip(" \t")
        if not (colon and name and _TOKEN.issuperset(name)) or not _VALUE.fullmatch(value):
            raise Refusal(HTTPStatus.BAD_REQUEST, "a header that cannot be read")
        headers.setdefault(name, []).append(value)
    return lines[0], MappingProxyType(headers)


def _tokens(headers: Headers, name: str) -> list[str]:
    """The parts of a header that is a list, in small letters."""
    parts = (part for value in headers.get(name, ()) for part in value.split(","))
    return [part.strip(" \t").lower() for part in parts if part.strip(" \t")]


def _path_of(target: str) -> str:
    """The path of a request's target, which may be a whole address (RFC 9112, section 3.2.2)."""
    if target.startswith("/"):
        return target
    try:
        parts = urlsplit(target)
    except ValueError:
        return ""
    is_whole = parts.scheme in ("http", "https", "ws", "wss") and not parts.query
    return parts.path if is_whole else ""


def _is_key(key: str) -> bool:
    try:
        return len(b64decode(key, validate=True)) == KEY_BYTES
    except (binascii.Error, ValueError):
        return False
