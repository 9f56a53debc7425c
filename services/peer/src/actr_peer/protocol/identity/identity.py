"""Sans-I/O: who this process is, and what proves it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from actr_peer.protocol.identity.keys import key_id

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from actr_peer.protocol.identity.certificates import Certificate
    from actr_peer.protocol.identity.ids import ActrId


class Identity(Protocol):
    """What an actor shows of itself, and proves."""

    @property
    def certificate(self) -> str:
        """The newest one, as text; empty while there is none."""

    @property
    def key(self) -> Ed25519PrivateKey:
        """For what is no message: the certificate of a listener of its own."""

    def sign(self, data: bytes) -> bytes:
        """The 64 bytes of a signature over what ``signed_text`` has made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certified:
    """What an actor with a certificate has, on every wire and towards signaling."""

    identity: Identity
    verify: Callable[[bytes], Certificate]
    """Reads a certificate from elsewhere; raises CertificateError where it is not believed."""
    now: Callable[[], float]
    """Unix seconds, by the clock that certificates are held to."""
    shown: Callable[[ActrId, Certificate], None] = lambda actor, certificate: None
    """Told of each certificate that an actor has proved to be its own, once and when the next one
    comes; only where certificates are required, for else anybody may be that actor."""
    is_required: bool = True
    """Whether others have to have one, and only what they have signed is believed of them; False
    only while a realm goes over to certificates."""


class OwnIdentity:
    """A key, and the certificate of it that somebody keeps.

    Args:
        key: Never shown, not by ``repr`` either.
        certificate: Asked for the newest one each time.
    """

    def __init__(self, key: Ed25519PrivateKey, certificate: Callable[[], str]) -> None:
        self._key = key
        self._certificate = certificate
        self.public = key.public_key().public_bytes_raw()

    def __repr__(self) -> str:
        return f"OwnIdentity({key_id(self.public)})"

    @property
    def key(self) -> Ed25519PrivateKey:
        return self._key

    @property
    def certificate(self) -> str:
        return self._certificate()

    def sign(self, data: bytes) -> bytes:
        return self._key.sign(data)
