"""Sans-I/O: whom this service believes: who knows a realm's secret, and who has a certificate.

One :class:`Trust` for the whole service. What changes while it runs, the issuer's public keys and
what was revoked, its owner replaces. Certificates are checked with public keys only: who takes
this service over can make none (docs/protocol/trust.md).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from actr_signaling.errors import BadMessageError, ConfigError, ForbiddenError, UnauthenticatedError
from actr_signaling.protocol.access.documents import Document
from actr_signaling.protocol.access.rules import Rule
from actr_signaling.protocol.client.messages import Authenticate
from actr_signaling.protocol.client.proofs import is_proof
from actr_signaling.protocol.identity.certificates import Certificate, verify_certificate
from actr_signaling.protocol.identity.keys import decode, is_key
from actr_signaling.protocol.identity.signatures import AUTHENTICATE, REGISTER, verify
from actr_signaling.protocol.presence.records import Registration

MAX_REVOKED = 262_144
"""Keys and serial numbers: an issuer drops those whose certificates have ended. More than an issuer
has keys, for of a list that is too long nothing is taken."""
MAX_REVOKED_BYTES = 32 * 1024 * 1024


class Why(StrEnum):
    """Why a proof was refused; those of a certificate itself are causes of its own."""

    PROOF = "wrong secret"
    NO_CERTIFICATE = "no certificate"
    REALM = "another realm"
    ID = "id not covered"
    POSSESSION = "key not proven"
    REVOKED = "revoked"
    OTHER = "another id or key"
    ENDED = "certificate ended"
    UNSIGNED = "registration not signed"
    REGISTRATION = "registration altered"


@dataclass(frozen=True, slots=True)
class Revoked:
    """What the issuer takes back before its time."""

    keys: frozenset[bytes] = frozenset()
    serials: frozenset[str] = frozenset()

    def has(self, certificate: Certificate) -> bool:
        return certificate.key in self.keys or certificate.serial in self.serials


class Trust:
    """What a proof is held against.

    Args:
        secret_of: Realm to its secret; None in place of the function: there are none.
        issuer_keys: By their ``kid``; None: no certificates are taken.
        accepts_secrets: Whether the secret of a realm is a proof also where there are issuer
            keys: while actors move from the one to the other.
    """

    def __init__(
        self,
        *,
        secret_of: Callable[[str], bytes | None] | None = None,
        issuer_keys: Mapping[str, bytes] | None = None,
        accepts_secrets: bool = False,
    ) -> None:
        self.issuer_keys = issuer_keys
        self.revoked = Revoked()
        self.access: Document | None = None
        """The issuer's access rules; None: none are taken, or they are not known yet."""
        self.takes_access = False
        """Whether there is nothing to be met before they are known."""
        self._secret_of = secret_of
        self._accepts_secrets = accepts_secrets and secret_of is not None

    @property
    def access_rules(self) -> tuple[Rule, ...] | None:
        """Who may meet whom; None: everybody may."""
        if self.access is None:
            return () if self.takes_access else None
        return self.access.rules

    def take_access(self, document: Document) -> None:
        """Have these access rules from now on.

        Raises:
            ConfigError: If they are older than those that are known.
        """
        known = self.access
        if known is not None and document.version < known.version:
            raise ConfigError(
                f"access rules of version {document.version}, where {known.version} was seen: they "
                "are old, and somebody shows them again"
            )
        if known is None or known.version != document.version:
            self.access = document

    @property
    def certificate_required(self) -> bool:
        return self.issuer_keys is not None and not self._accepts_secrets

    @property
    def is_development(self) -> bool:
        """Whether nobody proves anything."""
        return self.issuer_keys is None and self._secret_of is None

    @property
    def secret_required(self) -> bool:
        """Of who has no certificate."""
        return self._secret_of is not None and not self.certificate_required

    def examine(
        self, message: Authenticate, *, server_id: str, nonce: bytes, unix: float
    ) -> Certificate | None:
        """Check a proof; return the certificate that it rests on; None: a secret, or nothing.

        Args:
            unix: Unix time in seconds.

        Raises:
            UnauthenticatedError: If it does not prove ``message.id``; the text says what to do.
            ForbiddenError: If the certificate or its key was revoked.
        """
        if self.issuer_keys is not None and (message.certificate or not self._accepts_secrets):
            return self._certified(message, server_id, nonce, unix)
        if self._secret_of is not None:
            # An unknown realm costs and answers the same as a wrong proof.
            secret = self._secret_of(message.id.realm)
            good = is_proof(
                message.mac, secret or b"", server_id=server_id, nonce=nonce, id=message.id
            )
            if not good or secret is None:
                text = "the proof does not match this realm's secret"
                raise UnauthenticatedError(text, Why.PROOF)
        return None

    def _certified(
        self, message: Authenticate, server_id: str, nonce: bytes, unix: float
    ) -> Certificate:
        assert self.issuer_keys is not None
        if not message.certificate:
            text = "a certificate is required here: have the issuer enrol this actor"
            raise UnauthenticatedError(text, Why.NO_CERTIFICATE)
        certificate = verify_certificate(message.certificate, self.issuer_keys, now=unix)
        id = message.id
        if certificate.realm != id.realm:
            text = f"the certificate is for the realm {certificate.realm}, and not for {id.realm}"
            raise UnauthenticatedError(text, Why.REALM)
        if not certificate.covers(id):
            text = f"the certificate is for {certificate.subject}, and not for {id}"
            raise UnauthenticatedError(text, Why.ID)
        parts = server_id.encode(), nonce, str(id).encode()
        if not verify(certificate.key, message.signature, AUTHENTICATE, *parts):
            text = (
                "the signature is not by the certificate's key over this connection's nonce: "
                "the key and the certificate do not belong together, or the proof is another's"
            )
            raise UnauthenticatedError(text, Why.POSSESSION)
        if self.revoked.has(certificate):
            raise ForbiddenError(revoked_text(certificate), Why.REVOKED)
        return certificate


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """What a proof on one connection is made over, and held against."""

    server_id: str
    nonce: bytes
    trust: Trust

    def examine(self, message: Authenticate, unix: float) -> Certificate | None:
        """As :meth:`Trust.examine`."""
        return self.trust.examine(message, server_id=self.server_id, nonce=self.nonce, unix=unix)


def revoked_text(certificate: Certificate) -> str:
    return (
        f"revoked: the issuer has taken back certificate {certificate.serial} or its key; enrol "
        "the actor with a new key"
    )


def vouched(registration: Registration, certificate: Certificate) -> Registration:
    """The registration with the newest certificate of whoever has signed it.

    Raises:
        UnauthenticatedError: If it is not signed by the certificate's key.
    """
    signed = registration.signed
    if signed is None:
        text = "who has proven a certificate signs its registration: signed is missing"
        raise UnauthenticatedError(text, Why.UNSIGNED)
    if not verify(certificate.key, signed.signature, REGISTER, signed.register):
        text = "the registration is not signed by the key that was proven"
        raise UnauthenticatedError(text, Why.REGISTRATION)
    return certified(registration, certificate)


def certified(registration: Registration, certificate: Certificate) -> Registration:
    """The same that is signed, with another certificate of the same key."""
    assert registration.signed is not None
    signed = replace(registration.signed, certificate=certificate.text.encode())
    return replace(registration, signed=signed)


def read_revoked(data: bytes) -> Revoked:
    """Read an issuer's list: ``{"revoked": [{"key": …} or {"serial": …}, …], "version": …}``.

    Raises:
        BadMessageError: If it is not one, or too long.
    """
    try:
        listed = json.loads(data)["revoked"]
        if len(listed) > MAX_REVOKED:
            raise BadMessageError(f"{len(listed)} revoked are over {MAX_REVOKED}")
        keys = frozenset(_raw_key(one["key"]) for one in listed if "key" in one)
        serials = frozenset(str(one["serial"]) for one in listed if "serial" in one)
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        raise BadMessageError("not a list of what an issuer has revoked") from exc
    return Revoked(keys, serials)


def _raw_key(text: str) -> bytes:
    key = decode(text)
    if not is_key(key):
        raise ValueError("not a key")
    return key
