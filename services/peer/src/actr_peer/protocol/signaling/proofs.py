"""Sans-I/O: how an actor proves who it is: by the realm's secret, or by its certificate."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.identity import Certified, Identity
from actr_peer.protocol.identity.signatures import AUTHENTICATE, REGISTER, signed_text
from actr_peer.protocol.signaling.messages import Hello
from actr_peer.protocol.signaling.presence import Registration
from actr_peer.protocol.signaling.requests import Authenticate, Register, Signed, write_register

CONTEXT = b"actr/signaling/v1"


@dataclass(frozen=True, slots=True)
class Proofs:
    """What one actor can prove.

    Args:
        secret: The realm secret; None: it has none.
        identity: Its key and certificate; None: it has neither.
        issuer_time: Unix seconds by the issuer's clock, for what it signs; None: not known.
        is_secret_required: Others have to have the realm's secret. On WebRTC the service alone sees
            whether they do: one that asks for no proof lets anybody in.
    """

    secret: bytes | None = None
    identity: Identity | None = None
    issuer_time: Callable[[], float] | None = None
    is_secret_required: bool = False

    @classmethod
    def of(cls, secret: bytes | None, certified: Certified | None) -> Self:
        """What follows from what an actor has, and asks of others."""
        if certified is None:
            return cls(secret, is_secret_required=bool(secret))
        by_secret = bool(secret) and not certified.is_required
        return cls(secret, certified.identity, certified.now, is_secret_required=by_secret)

    @property
    def certificate(self) -> str:
        """The newest one; empty: there is none."""
        return "" if self.identity is None else self.identity.certificate

    def authenticate(self, who: ActrId, hello: Hello) -> Authenticate:
        """Who it is, to the service that greeted so."""
        # To who asks for certificates the secret is of no use: it is not shown what it proves.
        secret = None if hello.certificate_required else self.secret
        mac = make_mac(secret, hello.server_id, hello.nonce, str(who))
        if self.identity is None:
            return Authenticate(who, mac)
        parts = hello.server_id.encode(), hello.nonce, str(who).encode()
        signature = self.identity.sign(signed_text(AUTHENTICATE, *parts))
        return Authenticate(who, mac, self.identity.certificate.encode(), signature)

    def register(self, registration: Registration) -> Register:
        """What it says of itself, signed where it can sign."""
        only_if_free = not registration.takes_over
        if self.identity is None:
            return Register(registration, only_if_free)
        at_ms = 0 if self.issuer_time is None else round(self.issuer_time() * 1000)
        register = write_register(registration, at_ms)
        signature = self.identity.sign(signed_text(REGISTER, register))
        certificate = self.identity.certificate.encode()
        return Register(registration, only_if_free, Signed(register, certificate, signature, at_ms))


def make_mac(secret: bytes | None, server_id: str, nonce: bytes, who: str) -> bytes:
    """Return the proof of the realm secret; empty without one."""
    if not secret:
        return b""
    text = CONTEXT + server_id.encode() + nonce + who.encode()
    return hmac.digest(secret, text, hashlib.sha256)
