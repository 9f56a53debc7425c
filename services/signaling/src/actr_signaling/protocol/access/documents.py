"""Sans-I/O: an issuer's access rules as they are published: one JWS, signed with an issuer's key.

Who carries it, a file, HTTP, signaling, cannot change it. Its version never falls, so that an older
one is known as such by whoever has seen a newer; its time says how long ago the issuer stood by it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt import PyJWS

from actr_signaling.errors import ConfigError
from actr_signaling.protocol.access.rules import Rule, parse
from actr_signaling.protocol.identity.certificates import key_name, signed_payload
from actr_signaling.protocol.identity.keys import decode, key_id

TYPE: Final = "actr-access+jwt"
MAX_DOCUMENT_BYTES: Final = 1024 * 1024
_END_OF_TIME: Final = 2**53


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What an issuer says of access."""

    version: int
    """Higher than that of all before it."""
    issued_at: int
    """Unix seconds: when it was signed, anew each minute."""
    rules: tuple[Rule, ...] | None
    """None: the issuer has none, and lets everybody."""


def make_document(
    key: Ed25519PrivateKey,
    *,
    issuer: str,
    version: int,
    now: int,
    rules: list[Mapping[str, object]] | None,
) -> str:
    """Sign rules, as they were written; what :func:`read_document` takes as a file."""
    payload = {"iss": issuer, "version": version, "iat": now, "rules": rules}
    data = json.dumps(payload, separators=(",", ":")).encode()
    header = {"typ": TYPE, "kid": key_id(key.public_key().public_bytes_raw())}
    return PyJWS().encode(data, key, "EdDSA", headers=header, sort_headers=True)


def read_document(data: bytes, keys: Mapping[str, bytes]) -> Document:
    """Read ``{"access": JWS}``.

    Args:
        keys: Raw public keys of the issuers that are believed, by their names.

    Raises:
        ConfigError: If it is no such file, or none of the keys has signed it.
    """
    tree = _json(data)
    text = tree.get("access") if isinstance(tree, dict) else None
    if len(data) > MAX_DOCUMENT_BYTES or not isinstance(text, str):
        raise ConfigError("access rules: write what the issuer has at /v1/access")
    match _json(_payload(text, keys)):
        case {"version": int(version), "iat": int(issued_at), "rules": rules} if (
            0 <= version < _END_OF_TIME and 0 <= issued_at < _END_OF_TIME
        ):
            read = None if rules is None else parse(rules)
            return Document(version=version, issued_at=issued_at, rules=read)
    raise ConfigError("access rules: they lack version, iat or rules, as they must be")


def _payload(text: str, keys: Mapping[str, bytes]) -> bytes:
    try:
        name = key_name(decode(text.partition(".")[0]), TYPE)
    except ValueError:
        name = None
    if name is None:
        raise ConfigError(f"access rules: not a JWS of alg EdDSA, typ {TYPE} and a kid")
    public = keys.get(name)
    if public is None:
        raise ConfigError(f"access rules: signed with the issuer key {name}, which is not known")
    payload = signed_payload(text, public)
    if payload is None:
        raise ConfigError("access rules: their issuer did not sign them as they are")
    return payload


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None
