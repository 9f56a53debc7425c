"""Sans-I/O: Ed25519 public keys: their text, their name, and an issuer's file of them.

It is a JWK set (RFC 7517), ``{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": …, "x": …}]}``;
several keys are good at once, so that an issuer's key can be replaced with no break.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from actr_peer.errors import ConfigError

KEY_BYTES = 32
MAX_KEYS = 32
"""In one file: who replaces a key has two, and a replaced one is taken out."""
MAX_KEYS_CHARACTERS = 64 * 1024
KEY_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
KEY_ID_CHARACTERS = 16
"""Of those that are made here: 96 bits of a hash, which nobody finds a second key for."""

# Points of small order, without the sign: with one of them as the key, anybody can make a signature
# that is good, for the key takes no part in it.
WEAK_KEYS = frozenset(
    bytes.fromhex(text)
    for text in (
        "00" * 32,
        "01" + "00" * 31,
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ec" + "ff" * 30 + "7f",
        "ed" + "ff" * 30 + "7f",
        "ee" + "ff" * 30 + "7f",
    )
)


def encode(data: bytes) -> str:
    """base64url without padding (RFC 7515)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode(text: str) -> bytes:
    """Read base64url without padding; bytes have one text, so that nothing passes in two forms.

    Raises:
        ValueError: If it is not, or not the one text of its bytes.
    """
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if encode(data) != text:
        raise ValueError("not base64url without padding")
    return data


def key_id(public: bytes) -> str:
    """What a key is called: the beginning of its SHA-256, in base64url."""
    return encode(hashlib.sha256(public).digest())[:KEY_ID_CHARACTERS]


def is_key(public: bytes) -> bool:
    """Whether these are 32 bytes that only one holder can sign for."""
    return len(public) == KEY_BYTES and (bytes([*public[:-1], public[-1] & 0x7F]) not in WEAK_KEYS)


def to_jwk(public: bytes) -> dict[str, str]:
    """A public key as RFC 8037 has it."""
    return {"kty": "OKP", "crv": "Ed25519", "x": encode(public)}


def from_jwk(jwk: object) -> bytes:
    """The raw key of a JWK.

    Raises:
        ValueError: If it is no Ed25519 public key, or one that anybody can sign for.
    """
    if not isinstance(jwk, dict) or "d" in jwk:
        raise ValueError("not the JWK of a public key")
    if (jwk.get("kty"), jwk.get("crv")) != ("OKP", "Ed25519") or not isinstance(jwk.get("x"), str):
        raise ValueError("not the JWK of an Ed25519 key")
    public = decode(jwk["x"])
    if not is_key(public):
        raise ValueError("not 32 bytes that only one holder can sign for")
    return public


def write_keys(keys: Iterable[bytes]) -> str:
    """An issuer's file of these public keys."""
    listed = [{**to_jwk(key), "kid": key_id(key)} for key in keys]
    return json.dumps({"keys": listed}, indent=2) + "\n"


def read_keys(text: str) -> Mapping[str, bytes]:
    """The keys of an issuer's file, by their names; keys of other kinds are passed over.

    Raises:
        ConfigError: If it is no such file, names no Ed25519 key or one twice, or has a private one.
    """
    if len(text) > MAX_KEYS_CHARACTERS:
        raise ConfigError(f"issuer keys: over {MAX_KEYS_CHARACTERS} characters")
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise ConfigError("issuer keys: not JSON; write what the issuer has at /v1/keys") from exc
    match tree:
        case {"keys": list(listed)} if len(listed) <= MAX_KEYS:
            pass
        case _:
            raise ConfigError(f'issuer keys: write {{"keys": […]}} with at most {MAX_KEYS} of them')
    found: dict[str, bytes] = {}
    for jwk in listed:
        if isinstance(jwk, dict) and (jwk.get("kty"), jwk.get("crv")) == ("OKP", "Ed25519"):
            name, public = _key(jwk)
            if name in found:
                raise ConfigError(f"issuer keys: {name!r} is there twice")
            found[name] = public
    if not found:
        raise ConfigError("issuer keys: no Ed25519 key in the file")
    return MappingProxyType(found)


def _key(jwk: dict[str, Any]) -> tuple[str, bytes]:
    name = jwk.get("kid")
    if not (isinstance(name, str) and KEY_ID.fullmatch(name)):
        raise ConfigError(
            f"issuer keys: kid {str(name)[:64]!r}: write 8 to 64 letters, digits, '-' or '_'"
        )
    if "d" in jwk:
        raise ConfigError(f"issuer keys: {name!r} has its private key: take it out, and make a new")
    try:
        return name, from_jwk(jwk)
    except ValueError as exc:
        raise ConfigError(f"issuer keys: {name!r}: x is no Ed25519 public key") from exc
