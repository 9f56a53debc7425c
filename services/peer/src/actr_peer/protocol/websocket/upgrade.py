"""Sans-I/O: the HTTP upgrade of a WebSocket wire, at both ends (RFC 6455, section 4).

One request, one answer, no body. A head has a bound in bytes and in lines, which holds before
anything in it is read. What a listener says no with, in this order::

    400  not HTTP, or a header that is none    431  a head over the bounds
    405  another method than GET               505  another HTTP than 1.1
    404  another path                          403  a browser's page asks (it says so by Origin)
    426  no upgrade to WebSocket, or another version of it than 13
    400  no Connection: upgrade, or not one key of 16 bytes
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha1
from http import HTTPStatus
from types import MappingProxyType
from urllib.parse import urlsplit

from actr_peer.errors import RemoteProtocolError

PATH = "/v1/wire"
MAX_HEAD_BYTES = 8 * 1024
MAX_HEADERS = 100
VERSION = "13"
KEY_BYTES = 16
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_END = b"\r\n\r\n"
# RFC 9110, section 5.6.2.
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")

Headers = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Accept:
    """Upgrade; the far side's key is ``key``."""

    key: str


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
            Refusal: If the head is longer than ``MAX_HEAD_BYTES``.
        """
        seen = max(0, len(self._held) - len(_END) + 1)
        self._held += data
        end = self._held.find(_END, seen)
        if end > MAX_HEAD_BYTES or (end < 0 and len(self._held) > MAX_HEAD_BYTES):
            raise Refusal(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                f"a head over {MAX_HEAD_BYTES} bytes",
            )
        if end < 0:
            return None
        return bytes(self._held[:end]), bytes(self._held[end + len(_END) :])


def judge(head: bytes, path: str = PATH) -> Accept | Refusal:
    """Say what is answered to the request with this head."""
    try:
        first, headers = _parse(head)
        return _judge(first, headers, path)
    except Refusal as refusal:
        return refusal


def _judge(first: str, headers: Headers, path: str) -> Accept:
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
    if _path_of(target) != path:
        raise Refusal(HTTPStatus.NOT_FOUND, f"only {path} is here")
    if "origin" in headers:
        # A page in a browser on this machine could otherwise reach a local listener.
        raise Refusal(HTTPStatus.FORBIDDEN, "browsers may not open a wire")
    _check_upgrade(headers)
    keys = headers.get("sec-websocket-key", ())
    if len(keys) != 1 or not _is_key(keys[0]):
        raise Refusal(HTTPStatus.BAD_REQUEST, "one Sec-WebSocket-Key of 16 bytes in base64 is due")
    return Accept(keys[0])


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


def check_answer(head: bytes, key: str) -> None:
    """Take a listener's answer to an upgrade with ``key``, which asked for no extension.

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
        if not (colon and name and _TOKEN.issuperset(name)) or not _is_value(value):
            raise Refusal(HTTPStatus.BAD_REQUEST, "a header that cannot be read")
        headers.setdefault(name, []).append(value)
    return lines[0], MappingProxyType(headers)


def _is_value(value: str) -> bool:
    return all(char == "\t" or (char >= " " and char != "\x7f") for char in value)


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
