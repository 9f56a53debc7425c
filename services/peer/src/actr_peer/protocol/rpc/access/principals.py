"""Sans-I/O: who asks, and what is known of it: its id, and what its certificate says besides.

A :class:`Principal` is an id, and may stand wherever one may. All requests of one actor share one
object, which another takes the place of when the actor shows its next certificate.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Self

from actr_peer.errors import CertificateError
from actr_peer.protocol.identity.certificates import Certificate, read_certificate
from actr_peer.protocol.identity.claims import HeldClaims
from actr_peer.protocol.identity.ids import ActrId

MAX_PRINCIPALS: Final = 4096
"""Actors of which it is kept what they have shown; the one that showed it longest ago goes."""
MAX_UNPROVEN: Final = 128
"""Others that are kept: requests come from few senders, again and again, and those that come once,
and go, must not look like a leak for hours."""

Claims = Mapping[str, str | tuple[str, ...]]
NO_CLAIMS: Final[Claims] = HeldClaims()


class Trust(Enum):
    """What stands behind an id, as ``realm.trust`` has it (docs/security.md)."""

    DEVELOPMENT = "development"
    """Its own word: nobody proves anything."""
    SECRET = "secret"  # noqa: S105  a word of the settings
    """The realm's secret: it is one of the realm, and may be any of them."""
    CERTIFICATE = "certificate"
    """An issuer's certificate, and the key that it names."""


@dataclass(frozen=True, slots=True, eq=False)
class Principal(ActrId):
    """An id, and what its holder has proved; equal to the id."""

    trust: Trust = Trust.DEVELOPMENT
    """What stands behind the id; claims and fingerprint are there with a certificate only."""
    claims: Claims = field(default_factory=lambda: NO_CLAIMS)
    """What the issuer says of the holder: each a text, or several."""
    fingerprint: str = ""
    """SHA-256 of its public key, 64 hex digits, as ``actr identity show`` has it."""
    expires_at: int = field(default=0, repr=False)
    """When the certificate ends, Unix seconds by the issuer's clock."""
    issued_at: int = field(default=0, repr=False)

    @classmethod
    def unproven(cls, actor: ActrId, trust: Trust = Trust.DEVELOPMENT) -> Self:
        """One of which nothing but ``trust`` is known."""
        return cls(actor.manufacturer, actor.name, actor.instance, actor.realm, trust)

    @classmethod
    def certified(cls, actor: ActrId, certificate: Certificate) -> Self:
        """One that has proved to have the key of ``certificate``, which covers it."""
        return cls(
            actor.manufacturer,
            actor.name,
            actor.instance,
            actor.realm,
            Trust.CERTIFICATE,
            certificate.claims,
            hashlib.sha256(certificate.key).hexdigest(),
            certificate.expires_at,
            certificate.issued_at,
        )

    @property
    def is_verified(self) -> bool:
        """Whether an issuer vouches for the id: with anything less, others could be it."""
        return self.trust is Trust.CERTIFICATE


class Principals(dict[str, Principal]):
    """By the text of an id: what is known of the actor now; made for whoever is asked about.

    Looking one up copies nothing. Who has shown nothing is there with ``trust`` alone.

    Args:
        own: This actor.
        trust: What stands behind an id whose holder shows no certificate.
    """

    def __init__(self, own: ActrId | None = None, trust: Trust = Trust.DEVELOPMENT) -> None:
        super().__init__()
        self._own, self._trust = own, trust
        self._newest: Callable[[], str] | None = None
        self._shown = ""
        self._itself: Principal | None = None
        self._unproven: dict[str, None] = {}

    def __missing__(self, text: str) -> Principal:
        if self._newest is not None and self._own is not None and text == self._own.text:
            return self._me(self._own, self._newest())
        self[text] = principal = Principal.unproven(ActrId.parse(text), self._trust)
        self._unproven[text] = None
        if len(self._unproven) > MAX_UNPROVEN:
            oldest = next(iter(self._unproven))
            del self._unproven[oldest], self[oldest]
        return principal

    def of(self, actor: ActrId) -> Principal:
        """What is known of ``actor``."""
        return self[actor.text]

    def follow(self, newest: Callable[[], str]) -> None:
        """This actor has certificates; ``newest`` gives the one of the moment, as text."""
        self._newest = newest

    def show(self, actor: ActrId, certificate: Certificate) -> bool:
        """``actor`` has proved to have the key of a certificate that is believed and covers it.

        An older one than the newest that it has shown changes nothing: what an issuer took from
        an actor, that cannot give itself again. Returns whether this is news.
        """
        known = self.get(actor.text)
        if known is not None and known.issued_at >= certificate.issued_at:
            return False
        self.pop(actor.text, None)  # the newest is last
        self._unproven.pop(actor.text, None)
        self[actor.text] = Principal.certified(actor, certificate)
        if len(self) - len(self._unproven) > MAX_PRINCIPALS:
            del self[next(text for text in self if text not in self._unproven)]
        return True

    def restore(self, text: str, certificate: str) -> None:
        """What an actor had shown before this start of the process, from the own disk; whoever
        believed it then has checked it. What cannot be read is passed over."""
        try:
            self.show(ActrId.parse(text), read_certificate(certificate.encode("ascii")))
        except (CertificateError, UnicodeEncodeError):
            return

    def _me(self, own: ActrId, newest: str) -> Principal:
        if self._itself is None or newest is not self._shown:
            self._shown = newest
            self._itself = Principal.unproven(own, self._trust)
            if newest:
                read = read_certificate(newest.encode("ascii"))
                self._itself = Principal.certified(own, read)
        return self._itself
