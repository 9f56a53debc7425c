"""Sans-I/O: certificates: what an issuer says of an actor's key (docs/protocol/trust.md).

A certificate is a JWT (RFC 7519), signed with Ed25519 by a key that its header names. It says for
which id or pattern of ids of one realm the holder of a key (``cnf``, RFC 7800) may speak, and until
when. Its text goes through strangers' hands: everything is bounded before it is read, nothing of
the payload is read before the signature is checked, and no certificate has two texts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NoReturn

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from jwt import PyJWS
from jwt.exceptions import InvalidTokenError

from actr_signaling.errors import CertificateError, CertificateFault
from actr_signaling.protocol.identity.ids import PART, ActrId
from actr_signaling.protocol.identity.keys import KEY_ID, decode, from_jwk, is_key, key_id, to_jwk

TYPE = "actr+jwt"
MAX_CERTIFICATE_BYTES = 8 * 1024
MAX_LIFE = 3600.0
"""Seconds from issue to end: what is taken back is good for no longer, wherever nobody is told."""
LIFE = 900
"""Seconds, of those that are made here."""
LEEWAY = 60.0
"""Seconds by which two clocks may differ."""
MAX_CLAIMS = 16
MAX_CLAIM_CHARACTERS = 256
"""Of one value; also of the issuer's name."""
MAX_CLAIM_VALUES = 16
_CLAIM = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_SERIAL = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SUBJECT = re.compile(
    rf"(?P<manufacturer>\*|{PART.pattern}):(?P<name>\*|{PART.pattern})"
    rf"@(?P<instance>\*|{PART.pattern})"
)
_END_OF_TIME = 2**53


@dataclass(frozen=True, slots=True)
class Certificate:
    """What an issuer says of the holder of a key. Times are Unix seconds."""

    issuer: str
    subject: str
    """``manufacturer:name@instance``; each of the three may be ``*``, which is any."""
    realm: str
    key: bytes
    """Raw Ed25519 public key, 32 bytes."""
    claims: Mapping[str, str | tuple[str, ...]]
    issued_at: int
    not_before: int
    expires_at: int
    serial: str
    text: str = field(repr=False)

    def covers(self, actr_id: ActrId) -> bool:
        """Whether the holder may speak for an id."""
        match = _SUBJECT.fullmatch(self.subject)
        assert match is not None
        return actr_id.realm == self.realm and all(
            wanted in ("*", getattr(actr_id, part)) for part, wanted in match.groupdict().items()
        )


def verify_certificate(
    data: bytes, keys: Mapping[str, bytes], *, now: float, leeway: float = LEEWAY
) -> Certificate:
    """Check a certificate that came from elsewhere.

    Args:
        data: Its text, as ASCII.
        keys: Raw public keys of the issuers that are believed, by their names.
        now: Unix seconds.
        leeway: Seconds by which the issuer's clock may differ from this one.

    Raises:
        CertificateError: With what is wrong; nothing else.
    """
    text, name = _header(data)
    public = keys.get(name)
    if public is None:
        raise CertificateError(
            CertificateFault.UNKNOWN_KEY,
            f"a certificate signed with the issuer key {name}, which is not among those known here "
            f"({', '.join(sorted(keys)) or 'none'})",
        )
    payload = signed_payload(text, public)
    if payload is None:
        raise CertificateError(
            CertificateFault.BAD_SIGNATURE, "a certificate that its issuer did not sign as it is"
        )
    certificate = _certificate(payload, text)
    _hold_to_time(certificate, now, leeway)
    return certificate


def make_certificate(
    key: Ed25519PrivateKey,
    *,
    issuer: str,
    subject: str,
    realm: str,
    public: bytes,
    claims: Mapping[str, str | Sequence[str]],
    now: int,
    life: int = LIFE,
    serial: str,
) -> Certificate:
    """Issue a certificate, signed with an issuer's key; the same in gives the same text.

    Args:
        key: The issuer's; its name (``kid``) is :func:`key_id` of it.
        issuer: What the issuer calls itself.
        subject: ``manufacturer:name@instance``, each part or ``*``.
        public: The raw key of who is certified, 32 bytes.
        now: Unix seconds.
        life: Seconds, at most :data:`MAX_LIFE`.
        serial: Not given before, 1 to 64 letters, digits, ``-`` or ``_``.

    Raises:
        CertificateError: If it would not be taken: the text says what is out of bounds.
    """
    payload = {
        "iss": issuer,
        "sub": subject,
        "realm": realm,
        "cnf": {"jwk": to_jwk(public)},
        "claims": dict(claims),
        "iat": now,
        "nbf": now,
        "exp": now + life,
        "jti": serial,
    }
    data = json.dumps(payload, separators=(",", ":"), default=list).encode()
    _certificate(data, "")
    header = {"typ": TYPE, "kid": key_id(key.public_key().public_bytes_raw())}
    text = PyJWS().encode(data, key, "EdDSA", headers=header, sort_headers=True)
    _header(text.encode("ascii"))
    return _certificate(data, text)


def _header(data: bytes) -> tuple[str, str]:
    """The text, of three parts in their only form, and the name of the key that signed it."""
    if len(data) > MAX_CERTIFICATE_BYTES:
        raise _malformed(f"{len(data)} bytes are over {MAX_CERTIFICATE_BYTES}")
    try:
        text = data.decode("ascii")
        header, _, _ = map(decode, text.split("."))
    except ValueError as exc:
        raise _malformed("not three parts in base64url with dots between") from exc
    name = key_name(header, TYPE)
    if name is None:
        raise _malformed(f"its header is not alg EdDSA, typ {TYPE} and a kid, and nothing else")
    return text, name


def key_name(header: bytes, typ: str) -> str | None:
    """The key that signed a JWS, by its header; None: that is not alg EdDSA, ``typ`` and a kid, and
    nothing else."""
    match _json(header):
        case {"alg": "EdDSA", "typ": said, "kid": str(name), **others} if (
            said == typ and not others and KEY_ID.fullmatch(name)
        ):
            return name
    return None


def signed_payload(text: str, public: bytes) -> bytes | None:
    """What a JWS says; None: the holder of the key did not sign it."""
    if not is_key(public):
        return None
    try:
        key = Ed25519PublicKey.from_public_bytes(public)
        payload: bytes = PyJWS().decode(text, key, algorithms=["EdDSA"])
    except InvalidTokenError:
        return None
    return payload


def _json(data: bytes) -> object:
    """A tree, if each object names each member once and all numbers are whole."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        named = dict(pairs)
        if len(named) != len(pairs):
            raise ValueError("a name twice")
        return named

    def refuse(text: str) -> NoReturn:
        raise ValueError(text)

    try:
        text = data.decode("utf-8")
        tree: object = json.loads(
            text, object_pairs_hook=once, parse_float=refuse, parse_constant=refuse
        )
    except (ValueError, RecursionError):
        return None
    return tree


def _certificate(payload: bytes, text: str) -> Certificate:
    """The certificate of a payload; members of other names are passed over."""
    match _json(payload):
        case {
            "iss": str(issuer),
            "sub": str(subject),
            "realm": str(realm),
            "cnf": {"jwk": dict(jwk)},
            "claims": dict(claims),
            "iat": int(issued_at),
            "nbf": int(not_before),
            "exp": int(expires_at),
            "jti": str(serial),
        }:
            pass
        case _:
            raise _malformed(
                "it lacks iss, sub, realm, cnf, claims, iat, nbf, exp or jti, as they must be"
            )
    if not _is_text(issuer) or not _SERIAL.fullmatch(serial):
        raise _malformed("iss or jti is too long, empty or of other characters")
    if not _SUBJECT.fullmatch(subject) or not PART.fullmatch(realm):
        raise _malformed("sub is not manufacturer:name@instance, or realm no realm")
    try:
        key = from_jwk(jwk)
    except ValueError as exc:
        raise _malformed("cnf is no Ed25519 public key") from exc
    times = issued_at, not_before, expires_at
    if bool in map(type, times) or not 0 <= min(times) <= max(times) < _END_OF_TIME:
        raise _malformed("iat, nbf or exp is no time")
    if not max(issued_at, not_before) < expires_at:
        raise _malformed("it ends before it begins")
    if expires_at - issued_at > MAX_LIFE:
        raise CertificateError(
            CertificateFault.TOO_LONG_A_LIFE,
            f"a certificate for {expires_at - issued_at} s, where at most {MAX_LIFE:.0f} are taken",
        )
    read = _claims(claims)
    return Certificate(issuer, subject, realm, key, read, *times, serial, text)


def _claims(claims: dict[str, Any]) -> Mapping[str, str | tuple[str, ...]]:
    if len(claims) > MAX_CLAIMS or not all(map(_CLAIM.fullmatch, claims)):
        raise _malformed(f"over {MAX_CLAIMS} claims, or one with a name that is none")
    read: dict[str, str | tuple[str, ...]] = {}
    for name, said in claims.items():
        values = said if isinstance(said, list) else [said]
        if len(values) > MAX_CLAIM_VALUES or not all(map(_is_text, values)):
            raise _malformed(f"the claim {name} is not text, or too much of it")
        read[name] = tuple(values) if isinstance(said, list) else said
    return MappingProxyType(read)


def _is_text(value: object) -> bool:
    """Whether it can be shown and sent on: not empty, not long, no control characters."""
    return isinstance(value, str) and 0 < len(value) <= MAX_CLAIM_CHARACTERS and value.isprintable()


def _hold_to_time(certificate: Certificate, now: float, leeway: float) -> None:
    begins = max(certificate.not_before, certificate.issued_at)
    if now < begins - leeway:
        raise CertificateError(
            CertificateFault.NOT_YET_VALID,
            f"a certificate that begins at {begins} by its issuer's clock, where the clock here "
            f"says {now:.0f} (Unix seconds): one of the two is {begins - now:.0f} s wrong",
        )
    if now >= certificate.expires_at + leeway:
        raise CertificateError(
            CertificateFault.EXPIRED,
            f"a certificate that ended at {certificate.expires_at} by its issuer's clock, where "
            f"the clock here says {now:.0f} (Unix seconds): it was not renewed in time, or one of "
            "the two is wrong",
        )


def _malformed(why: str) -> CertificateError:
    return CertificateError(CertificateFault.MALFORMED, f"a certificate that is none: {why}")
