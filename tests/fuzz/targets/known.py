"""Keys, ids and certificates that all targets have: fixed, as an input always does the same."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from functools import cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt import PyJWS

from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.certificates import Certificate, verify_certificate
from actr_peer.protocol.identity.identity import Certified, OwnIdentity
from actr_peer.protocol.identity.signatures import sign
from actr_signaling.protocol.identity.certificates import make_certificate
from actr_signaling.protocol.identity.keys import key_id

NOW = 1_800_000_000
ISSUER = Ed25519PrivateKey.from_private_bytes(b"i" * 32)
ACTOR = Ed25519PrivateKey.from_private_bytes(b"a" * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(b"o" * 32)
ISSUER_KEY = ISSUER.public_key().public_bytes_raw()
KEYS = {key_id(ISSUER_KEY): ISSUER_KEY}
NONCE, FAR_NONCE = bytes(range(32)), bytes(range(32, 64))
SECRET = b"0123456789abcdef"
ME = ActrId("acme", "room", "2")
YOU = ActrId("acme", "guest", "1")


def certificate(key: Ed25519PrivateKey, subject: str, **other: object) -> str:
    """The text of one that is believed."""
    said: dict[str, object] = {"claims": {"role": "operator", "groups": ["a", "b"]}, **other}
    return make_certificate(
        ISSUER,
        issuer="issuer.example",
        subject=subject,
        realm="default",
        public=key.public_key().public_bytes_raw(),
        now=NOW,
        serial="s1",
        **said,  # type: ignore[arg-type]  # what a caller names is one of its own
    ).text


MINE = certificate(ACTOR, "acme:room@2")
YOURS = certificate(OTHER, "acme:guest@*")


def believe(data: bytes) -> Certificate:
    """What a peer believes of a certificate."""
    return verify_certificate(data, KEYS, now=NOW)


def certified(*, is_required: bool = True) -> Certified:
    """What this side proves itself with."""
    return Certified(
        identity=OwnIdentity(ACTOR, lambda: MINE),
        verify=believe,
        now=lambda: float(NOW),
        is_required=is_required,
    )


def signed_payload(payload: bytes, typ: str = "actr+jwt") -> bytes:
    """A certificate with any payload, as if the issuer had made it: what its parser must bear."""
    head = {"typ": typ, "kid": key_id(ISSUER_KEY)}
    return PyJWS().encode(payload, ISSUER, "EdDSA", headers=head, sort_headers=True).encode()


def payload(text: str) -> bytes:
    """What is signed in a certificate."""
    read: bytes = PyJWS().decode(text, ISSUER.public_key(), algorithms=["EdDSA"])
    return read


def signed(key: Ed25519PrivateKey, label: bytes) -> Callable[..., bytes]:
    """Signs parts for one purpose."""

    def one(*parts: bytes) -> bytes:
        return sign(key, label, *parts)

    return one


def dumped(tree: object) -> bytes:
    """JSON as bytes."""
    return json.dumps(tree).encode()


def encoded(texts: Sequence[str]) -> list[bytes]:
    """Texts as bytes."""
    return [text.encode(errors="surrogatepass") for text in texts]


@cache
def loop() -> asyncio.AbstractEventLoop:
    """One for all inputs: nothing of an input is left in it."""
    return asyncio.new_event_loop()
