"""Identities for tests: an issuer, and actors with its certificates."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.certificates import TYPE, Certificate, verify_certificate
from actr_peer.protocol.identity.identity import Certified
from actr_peer.protocol.identity.keys import encode, key_id, to_jwk

LIFE = 900


def key_of(name: str) -> Ed25519PrivateKey:
    """A key that is the same in every run."""
    return Ed25519PrivateKey.from_private_bytes(name.encode().ljust(32, b"."))


@dataclass
class Holder:
    """Who has a certificate, and the key that it names, or another."""

    certificate: str
    key: Ed25519PrivateKey

    def sign(self, data: bytes) -> bytes:
        return self.key.sign(data)


@dataclass
class Issuer:
    """Signs what it is asked to."""

    name: str = "issuer"
    now: float | None = None
    """Unix seconds of who verifies; None: the clock's."""
    key: Ed25519PrivateKey = field(init=False)

    def __post_init__(self) -> None:
        self.key = key_of(self.name)

    @property
    def keys(self) -> Mapping[str, bytes]:
        public = self.key.public_key().public_bytes_raw()
        return {key_id(public): public}

    def issue(
        self, who: ActrId, key: Ed25519PrivateKey, *, subject: str = "", begins: float = 0
    ) -> str:
        """A certificate of ``LIFE`` seconds.

        Args:
            subject: Whom it covers, where that is not who it is for.
            begins: Seconds from now.
        """
        issued = int(self._now() + begins)
        header = {"alg": "EdDSA", "typ": TYPE, "kid": next(iter(self.keys))}
        payload = {
            "iss": "tests",
            "sub": subject or f"{who.actr_type}@{who.instance}",
            "realm": who.realm,
            "cnf": {"jwk": to_jwk(key.public_key().public_bytes_raw())},
            "claims": {"role": "tester"},
            "iat": issued,
            "nbf": issued,
            "exp": issued + LIFE,
            "jti": f"{who.instance}-{issued}",
        }
        text = ".".join(encode(json.dumps(part).encode()) for part in (header, payload))
        return f"{text}.{encode(self.key.sign(text.encode()))}"

    def verify(self, data: bytes) -> Certificate:
        """As one does who believes this issuer only."""
        return verify_certificate(data, self.keys, now=self._now())

    def _now(self) -> float:
        return time.time() if self.now is None else self.now

    def certified(
        self,
        who: ActrId,
        *,
        subject: str = "",
        begins: float = 0,
        key: Ed25519PrivateKey | None = None,
        is_required: bool = True,
    ) -> Certified:
        """What an actor has; ``key`` is what it signs with in place of the one it was given."""
        own = key_of(who.instance)
        text = self.issue(who, own, subject=subject, begins=begins)
        holder = Holder(text, own if key is None else key)
        return Certified(
            identity=holder, verify=self.verify, now=self._now, is_required=is_required
        )
