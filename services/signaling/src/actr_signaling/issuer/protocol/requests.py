"""Sans-I/O: what clients send, from JSON to values within bounds."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from actr_signaling.issuer.protocol import tokens
from actr_signaling.issuer.protocol.causes import Cause, RefusalError
from actr_signaling.issuer.protocol.nonces import NONCE_BYTES
from actr_signaling.issuer.protocol.subjects import Subject, check_realm
from actr_signaling.protocol.identity.keys import KEY_BYTES, decode, is_key
from actr_signaling.protocol.identity.signatures import SIGNATURE_BYTES

MAX_BODY_BYTES = 4096
MAC_BYTES = 32
_TOKEN = re.compile(rf"{tokens.PREFIX}[A-Za-z0-9_-]{{1,{tokens.MAX_CHARACTERS}}}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrol:
    """Certify ``key`` for ``subject``; exactly one of ``token`` and ``mac`` says why one may."""

    subject: Subject
    realm: str
    key: bytes
    nonce: bytes
    proof: bytes
    token: str | None = None
    mac: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Renew:
    """Another certificate for ``key``, which is enrolled."""

    key: bytes
    nonce: bytes
    proof: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotate:
    """``new_key`` in the place of ``key``, which signs for it."""

    key: bytes
    nonce: bytes
    proof: bytes
    new_key: bytes
    new_proof: bytes


def enrol(body: bytes) -> Enrol:
    """Read a request to enrol.

    Raises:
        RefusalError: If it is not JSON of just these fields, each within bounds.
    """
    fields = _fields(body, needed={"id", "realm", "key", "nonce", "proof"}, either={"token", "mac"})
    token = fields.get("token")
    if token is not None and _TOKEN.fullmatch(token) is None:
        raise RefusalError(
            Cause.MALFORMED, f"that is no token: it begins with {tokens.PREFIX} and is one line"
        )
    return Enrol(
        subject=Subject.parse(fields["id"]),
        realm=check_realm(fields["realm"]),
        key=_key(fields, "key"),
        nonce=_bytes(fields, "nonce", NONCE_BYTES),
        proof=_bytes(fields, "proof", SIGNATURE_BYTES),
        token=token,
        mac=_bytes(fields, "mac", MAC_BYTES) if "mac" in fields else None,
    )


def renew(body: bytes) -> Renew:
    """Read a request to renew.

    Raises:
        RefusalError: Likewise.
    """
    fields = _fields(body, needed={"key", "nonce", "proof"})
    return Renew(
        key=_key(fields, "key"),
        nonce=_bytes(fields, "nonce", NONCE_BYTES),
        proof=_bytes(fields, "proof", SIGNATURE_BYTES),
    )


def rotate(body: bytes) -> Rotate:
    """Read a request to change the key.

    Raises:
        RefusalError: Likewise.
    """
    fields = _fields(body, needed={"key", "nonce", "proof", "new_key", "new_proof"})
    return Rotate(
        key=_key(fields, "key"),
        nonce=_bytes(fields, "nonce", NONCE_BYTES),
        proof=_bytes(fields, "proof", SIGNATURE_BYTES),
        new_key=_key(fields, "new_key"),
        new_proof=_bytes(fields, "new_proof", SIGNATURE_BYTES),
    )


def _fields(
    body: bytes, *, needed: set[str], either: frozenset[str] | set[str] = frozenset()
) -> Mapping[str, str]:
    """The fields of an object of texts: all of ``needed``, and one of ``either``."""
    if len(body) > MAX_BODY_BYTES:
        raise RefusalError(Cause.MALFORMED, f"a request has at most {MAX_BODY_BYTES} bytes")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise RefusalError(Cause.MALFORMED, "the body is no JSON") from exc
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise RefusalError(Cause.MALFORMED, "the body is a JSON object, and its values are texts")
    if missing := sorted(needed - value.keys()):
        raise RefusalError(Cause.MALFORMED, f"{missing[0]} is missing")
    if unknown := sorted(value.keys() - needed - either):
        raise RefusalError(Cause.MALFORMED, f"unknown field {unknown[0][:64]!r}")
    if either and len(value.keys() & either) != 1:
        raise RefusalError(Cause.MALFORMED, f"exactly one of {' and '.join(sorted(either))}")
    return value


def _bytes(fields: Mapping[str, str], name: str, size: int) -> bytes:
    try:
        data = decode(fields[name])
    except ValueError:
        data = b""
    if len(data) != size:
        raise RefusalError(Cause.MALFORMED, f"{name} is {size} bytes as base64url, with no padding")
    return data


def _key(fields: Mapping[str, str], name: str) -> bytes:
    key = _bytes(fields, name, KEY_BYTES)
    if not is_key(key):
        raise RefusalError(Cause.MALFORMED, f"{name} is a key that anybody can sign for")
    return key
