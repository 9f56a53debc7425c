"""Sans-I/O: what an actor asks its issuer over HTTP, and what the answers say.

One request on each connection, which ends with the answer: there are a few of them in an hour.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from actr_peer.errors import ConfigError, RemoteProtocolError
from actr_peer.protocol.identity.certificates import Certificate, read_certificate
from actr_peer.protocol.identity.ids import ActrId
from actr_peer.protocol.identity.keys import decode, encode
from actr_peer.protocol.identity.signatures import ENROL, RENEW, ROTATE, signed_text

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

MAX_ANSWER_BYTES = 128 * 1024
"""A set of 32 keys, or a certificate, with its head."""
NONCE_BYTES = 32
MAX_TEXT_CHARACTERS = 512
"""Of what an issuer says for people."""
PASSING = frozenset({"nonce", "too-fast"})
"""Causes of a refusal that is none another time."""
UNKNOWN_KEY = "unknown-key"
NOT_MODIFIED = 304
_TAG = re.compile(rb'(?:W/)?"[\x21\x23-\x7e]{0,128}"')
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})(?: [^\r\n]*)?")


@dataclass(frozen=True, slots=True)
class Issuer:
    """Where one is: of ``https://host:port/path``."""

    host: str
    port: int
    is_secure: bool
    path: str
    """Before ``/v1``; without a slash at its end."""

    @classmethod
    def parse(cls, url: str) -> Issuer:
        """Read its URL.

        Raises:
            ConfigError: If it is none.
        """
        try:
            parts = urlsplit(url)
            port, host = parts.port, parts.hostname or ""
        except ValueError:
            parts, port, host = urlsplit(""), None, ""
        plain = url.isascii() and url.isprintable() and " " not in url
        if parts.scheme not in ("http", "https") or not host or parts.username or not plain:
            raise ConfigError(
                f"identity.issuer_url = {url[:256]!r}: write http://host:port or https://host:port"
            )
        is_secure = parts.scheme == "https"
        return cls(host, port or (443 if is_secure else 80), is_secure, parts.path.rstrip("/"))

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine, where nobody is between."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"  # 127.example.org is a name like any other

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.is_secure else 'http'}://{host}:{self.port}{self.path}"


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    body: bytes
    retry_after: float
    tag: str = ""
    """Of what the body says (``ETag``); empty: none."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The issuer says no."""

    cause: str
    """One word; empty where it has none."""
    text: str
    is_final: bool
    """Asking again is of no use until somebody does something."""
    retry_after: float


def write_request(issuer: Issuer, path: str, body: bytes | None = None, *, tag: str = "") -> bytes:
    """A GET, or a POST of JSON.

    Args:
        tag: Of the answer that is known: 304 says that it is still what there is to say.
    """
    host = f"[{issuer.host}]" if ":" in issuer.host else issuer.host
    head = [
        f"{'GET' if body is None else 'POST'} {issuer.path}{path} HTTP/1.1",
        f"Host: {host}:{issuer.port}",
        "Accept: application/json",
        "Connection: close",
    ]
    if tag:
        head += [f"If-None-Match: {tag}"]
    if body is not None:
        head += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join((*head, "", "")).encode("ascii") + (body or b"")


def read_answer(data: bytes) -> Answer:
    """Read all that came until the connection ended.

    Raises:
        RemoteProtocolError: If it is no whole answer of HTTP.
    """
    head, end, body = data.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    match = _STATUS.fullmatch(first)
    if not end or match is None:
        raise RemoteProtocolError("the issuer's answer is not HTTP, or was cut short")
    headers = {
        name.strip().lower(): value.strip()
        for name, colon, value in (line.partition(b":") for line in lines)
        if colon
    }
    if headers.get(b"transfer-encoding", b"").lower() == b"chunked":
        body = _joined(body)
    status = int(match[1])
    length = headers.get(b"content-length", b"%d" % len(body))
    if length != b"%d" % len(body) and status != NOT_MODIFIED:  # that is of what is not sent
        raise RemoteProtocolError("the issuer's answer was cut short")
    after = headers.get(b"retry-after", b"0")
    retry_after = float(after) if after.isdigit() and len(after) < 10 else 0.0
    tag = headers.get(b"etag", b"")
    # What cannot be said again is none: it would end the next request's line.
    shown = tag.decode("ascii") if _TAG.fullmatch(tag) else ""
    return Answer(status, body, retry_after, shown)


def _joined(body: bytes) -> bytes:
    """The chunks of a body."""
    joined = b""
    while True:
        size, end, body = body.partition(b"\r\n")
        digits = size.partition(b";")[0].strip()
        if not end or not re.fullmatch(rb"[0-9A-Fa-f]{1,8}", digits):
            raise RemoteProtocolError("the issuer's answer was cut short")
        length = int(digits, 16)
        if not length:
            return joined
        if len(body) < length + 2:
            raise RemoteProtocolError("the issuer's answer was cut short")
        joined, body = joined + body[:length], body[length + 2 :]


def enrol(
    key: Ed25519PrivateKey, actor: ActrId, nonce: bytes, *, token: str = "", secret: bytes = b""
) -> bytes:
    """Ask for a certificate of a new key, by a join token, or else by the realm's secret."""
    public = key.public_key().public_bytes_raw()
    name = f"{actor.actr_type}@{actor.instance}"
    text = signed_text(ENROL, nonce, name.encode(), actor.realm.encode(), public)
    if token:
        leave = {"token": token}
    else:
        leave = {"mac": encode(hmac.digest(secret, text, hashlib.sha256))}
    proven = _proven(key, nonce, key.sign(text))
    return _json({"id": name, "realm": actor.realm, **proven, **leave})


def renew(key: Ed25519PrivateKey, nonce: bytes) -> bytes:
    """Ask for another certificate of an enrolled key."""
    public = key.public_key().public_bytes_raw()
    return _json(_proven(key, nonce, key.sign(signed_text(RENEW, nonce, public))))


def rotate(key: Ed25519PrivateKey, new: Ed25519PrivateKey, nonce: bytes) -> bytes:
    """Ask for a certificate of a new key in the place of an enrolled one."""
    old, public = (each.public_key().public_bytes_raw() for each in (key, new))
    text = signed_text(ROTATE, nonce, old, public)
    both = {"new_key": encode(public), "new_proof": encode(new.sign(text))}
    return _json({**_proven(key, nonce, key.sign(text)), **both})


def _proven(key: Ed25519PrivateKey, nonce: bytes, proof: bytes) -> dict[str, str]:
    public = key.public_key().public_bytes_raw()
    return {"key": encode(public), "nonce": encode(nonce), "proof": encode(proof)}


def _json(tree: Mapping[str, str]) -> bytes:
    return json.dumps(tree, separators=(",", ":")).encode("ascii")


def read_nonce(answer: Answer) -> bytes:
    """The nonce of an answer.

    Raises:
        RemoteProtocolError: If it has none.
    """
    try:
        nonce = decode(str(_tree(answer).get("nonce")))
    except ValueError:
        nonce = b""
    if len(nonce) != NONCE_BYTES:
        raise RemoteProtocolError("the issuer gives no nonce")
    return nonce


def read_given(answer: Answer) -> Certificate | Refusal:
    """The certificate of an answer, or why there is none.

    Raises:
        RemoteProtocolError: If it is neither.
    """
    tree = _tree(answer)
    if answer.status in (200, 201):
        text = tree.get("certificate")
        if not isinstance(text, str) or not text.isascii():
            raise RemoteProtocolError("the issuer gives no certificate")
        return read_certificate(text.encode("ascii"))
    return read_refusal(answer)


def read_refusal(answer: Answer) -> Refusal:
    """Why there is nothing, of an answer that gives nothing."""
    tree = _tree(answer)
    cause, detail = tree.get("cause"), tree.get("detail")
    cause = cause if isinstance(cause, str) and re.fullmatch("[a-z-]{1,32}", cause) else ""
    text = detail if isinstance(detail, str) else f"status {answer.status}"
    shown = "".join(each if each.isprintable() else "?" for each in text[:MAX_TEXT_CHARACTERS])
    is_mine = 400 <= answer.status < 500 and answer.status != 429 and cause not in PASSING
    is_final = is_mine and not answer.retry_after  # who says when thinks that it may work then
    return Refusal(cause, shown, is_final, answer.retry_after)


def _tree(answer: Answer) -> Mapping[str, object]:
    try:
        tree = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return tree if isinstance(tree, dict) else {}
