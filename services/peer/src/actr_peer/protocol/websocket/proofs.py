"""Sans-I/O: what the two ends of a WebSocket wire show each other, and what each requires.

::

    requires       a far side shows            is taken when
    NOTHING        anything                    always: development mode
    SECRET         a mac of the realm secret   the mac is right
    CERTIFICATE    a certificate, in TLS       its issuer is believed, it covers the id, its key is
                                               that of TLS (listener), and has signed (both)

Each side shows all it has and decides by what *it* requires, whatever the other one asks for: who
requires a certificate takes nothing less from anybody, on any wire. A signature is over both ids,
both nonces and the key of the listener's TLS certificate: who ends TLS in between has another key,
so that what it passes on is good for neither side.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from enum import Enum, StrEnum, auto
from types import MappingProxyType
from typing import NamedTuple

from actr_peer.errors import CertificateError, PeerError, RemoteProtocolError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.certificates import Certificate
from actr_peer.protocol.identity.identity import Certified
from actr_peer.protocol.identity.signatures import DIAL, LISTEN, NONCE, signed_text, verify


class Requirement(Enum):
    NOTHING = auto()
    SECRET = auto()
    CERTIFICATE = auto()


class Offer(Enum):
    """What a far side shows, right or wrong."""

    NOTHING = auto()
    MAC = auto()
    CERTIFICATE = auto()
    BOTH = auto()


class Check(Enum):
    """What then decides."""

    NONE = auto()
    MAC = auto()
    SIGNATURE = auto()
    NO_MAC = auto()
    NO_CERTIFICATE = auto()
    NO_TLS = auto()


CHECKS: Mapping[tuple[Requirement, Offer], Check] = MappingProxyType(
    {
        (Requirement.NOTHING, Offer.NOTHING): Check.NONE,
        (Requirement.NOTHING, Offer.MAC): Check.NONE,
        (Requirement.NOTHING, Offer.CERTIFICATE): Check.NONE,
        (Requirement.NOTHING, Offer.BOTH): Check.NONE,
        (Requirement.SECRET, Offer.NOTHING): Check.NO_MAC,
        (Requirement.SECRET, Offer.MAC): Check.MAC,
        (Requirement.SECRET, Offer.CERTIFICATE): Check.NO_MAC,
        (Requirement.SECRET, Offer.BOTH): Check.MAC,
        (Requirement.CERTIFICATE, Offer.NOTHING): Check.NO_CERTIFICATE,
        (Requirement.CERTIFICATE, Offer.MAC): Check.NO_CERTIFICATE,
        (Requirement.CERTIFICATE, Offer.CERTIFICATE): Check.SIGNATURE,
        (Requirement.CERTIFICATE, Offer.BOTH): Check.SIGNATURE,
    }
)
"""On a wire in TLS; without TLS every row of CERTIFICATE is ``NO_TLS``."""


def check_for(requires: Requirement, offer: Offer, *, is_sealed: bool) -> Check:
    """What decides about a far side that shows this.

    Args:
        is_sealed: The wire is in TLS whose listener's key is known.
    """
    if requires is Requirement.CERTIFICATE and not is_sealed:
        return Check.NO_TLS
    return CHECKS[requires, offer]


class Way(Enum):
    """How an address is dialled."""

    PLAIN = auto()
    BY_NAME = auto()
    """TLS to a proxy, which an authority of this machine vouches for."""
    BY_KEY = auto()
    """TLS to the actor, which its certificate vouches for."""
    REFUSED = auto()


WAYS: Mapping[tuple[Requirement, bool, str], Way] = MappingProxyType(
    {
        (Requirement.NOTHING, False, "ws"): Way.PLAIN,
        (Requirement.NOTHING, False, "wss"): Way.BY_NAME,
        (Requirement.NOTHING, True, "ws"): Way.PLAIN,
        (Requirement.NOTHING, True, "wss"): Way.BY_KEY,
        (Requirement.SECRET, False, "ws"): Way.PLAIN,
        (Requirement.SECRET, False, "wss"): Way.BY_NAME,
        (Requirement.SECRET, True, "ws"): Way.PLAIN,
        (Requirement.SECRET, True, "wss"): Way.BY_KEY,
        (Requirement.CERTIFICATE, True, "ws"): Way.REFUSED,
        (Requirement.CERTIFICATE, True, "wss"): Way.BY_KEY,
    }
)
"""By what this side requires, whether it has a certificate, and the scheme of the address: who
requires certificates has one."""


class Unproven(StrEnum):
    """Why a far side is not believed; a certificate has faults of its own."""

    NO_TLS = "not in TLS"
    NO_CERTIFICATE = "no certificate"
    ID = "id not covered"
    BETWEEN = "another key in TLS"
    POSSESSION = "key not proven"
    SECRET = "secret not proven"  # noqa: S105 - a cause


class ProofError(RemoteProtocolError):
    """A far side does not prove what is required here.

    Attributes:
        cause: For counting.
    """

    def __init__(self, cause: Unproven, text: str) -> None:
        super().__init__(text)
        self.cause = cause


def cause_of(error: PeerError) -> str:
    """What an error says of who the far side is; empty: nothing."""
    if isinstance(error, CertificateError):
        return error.fault.value
    return error.cause.value if isinstance(error, ProofError) else ""


class Side(Enum):
    """Who proves something: its labels differ, so that nothing can be sent back."""

    DIALLER = auto()
    LISTENER = auto()


RELAYED = b"relayed"
"""In place of the key of TLS, on a wire that signaling relays: there the nonces are the public keys
that it is sealed with (``sealing.py``), so that a proof is for this sealing and no other."""

_MAC_LABELS = {Side.DIALLER: b"actr/wire/v1/dial", Side.LISTENER: b"actr/wire/v1/listen"}
_LABELS = {Side.DIALLER: DIAL, Side.LISTENER: LISTEN}


class Ends(NamedTuple):
    """One handshake, as both of its ends know it."""

    dialler: ActrId
    listener: ActrId
    nonces: bytes
    """The dialler's, then the listener's, 64 bytes."""
    tls_key: bytes = b""
    """Raw key of the listener's TLS certificate, or ``RELAYED``; empty without TLS."""

    def parts(self) -> tuple[bytes, ...]:
        """What is signed."""
        half = len(self.nonces) // 2
        ids = str(self.dialler).encode(), str(self.listener).encode()
        return (*ids, self.nonces[:half], self.nonces[half:], self.tls_key)


def make_mac(secret: bytes | None, side: Side, ends: Ends) -> bytes:
    """Return the mac of a side; empty without a secret."""
    if not secret:
        return b""
    ids = f"\0{ends.dialler}\0{ends.listener}\0".encode()
    return hmac.digest(secret, _MAC_LABELS[side] + ids + ends.nonces, hashlib.sha256)


def bound_nonce(binding: bytes) -> bytes:
    """The listener's nonce of a handshake whose proof comes with the upgrade.

    Args:
        binding: What only this TLS has, to which both sides gave random bytes; empty: there is no
            TLS, and no such nonce.
    """
    return hashlib.sha256(signed_text(NONCE, binding)).digest() if binding else b""


class Proofs:
    """One side's in one handshake: what it shows, and what it holds the far side to.

    Args:
        side: Which one this is.
        secret: The realm secret, or None.
        certified: What it has to prove itself by certificate, or None.
        tls_key: Raw key of the listener's TLS certificate; empty without TLS. A dialler learns it
            when TLS stands (:meth:`seal`).
    """

    def __init__(
        self, side: Side, secret: bytes | None, certified: Certified | None, tls_key: bytes = b""
    ) -> None:
        self.tls_key = tls_key
        self.certificate: Certificate | None = None
        """The far side's, once it is believed; its holder has proved nothing until then."""
        self._side = side
        self._far = Side.LISTENER if side is Side.DIALLER else Side.DIALLER
        self._secret = secret
        self._certified = certified
        self.requires = required(secret, certified)

    def seal(self, tls_key: bytes) -> None:
        """The wire is in TLS by key: the listener has to be the one whose key that is."""
        self.tls_key = tls_key
        self.requires = Requirement.CERTIFICATE

    @property
    def shown(self) -> bytes:
        """The own certificate; empty: there is none."""
        return b"" if self._certified is None else self._certified.identity.certificate.encode()

    def examine(self, certificate: bytes, who: ActrId) -> None:
        """Take the certificate that the far side shows before it proves that it is its own.

        Raises:
            CertificateError: If it is not believed.
            ProofError: If one is due and there is none, or it is of somebody else.
        """
        if self.requires is not Requirement.CERTIFICATE:
            return
        offer = Offer.CERTIFICATE if certificate else Offer.NOTHING
        decides = check_for(self.requires, offer, is_sealed=bool(self.tls_key))
        if decides is Check.NO_TLS:
            text = f"{who} is to be reached in TLS only, and this is none"
            raise ProofError(Unproven.NO_TLS, text)
        if decides is Check.NO_CERTIFICATE:
            text = f"{who} shows no certificate, and one is required here"
            raise ProofError(Unproven.NO_CERTIFICATE, text)
        assert self._certified is not None
        read = self._certified.verify(certificate)
        if not read.covers(who):
            text = f"{who} shows a certificate of {read.subject} in realm {read.realm}"
            raise ProofError(Unproven.ID, text)
        if self._far is Side.LISTENER and self.tls_key not in (RELAYED, read.key):
            raise ProofError(
                Unproven.BETWEEN,
                f"the TLS of {who} is with another key than its certificate's: somebody is between",
            )
        self.certificate = read

    def prove(self, ends: Ends) -> tuple[bytes, bytes]:
        """The own mac and signature; each empty where there is nothing to make it with."""
        signature = b""
        if self._certified is not None:
            text = signed_text(_LABELS[self._side], *ends.parts())
            signature = self._certified.identity.sign(text)
        return make_mac(self._secret, self._side, ends), signature

    def check(self, who: ActrId, ends: Ends, mac: bytes, signature: bytes) -> None:
        """Hold the far side to what is required.

        Raises:
            ProofError: If it does not prove it.
        """
        both = (Offer.NOTHING, Offer.MAC), (Offer.CERTIFICATE, Offer.BOTH)
        offer = both[self.certificate is not None][bool(mac)]
        decides = check_for(self.requires, offer, is_sealed=bool(self.tls_key))
        if decides is Check.NONE:
            return
        if decides is Check.MAC:
            if hmac.compare_digest(mac, make_mac(self._secret, self._far, ends)):
                return
        elif decides is Check.SIGNATURE and self.certificate is not None:
            if verify(self.certificate.key, signature, _LABELS[self._far], *ends.parts()):
                return
            text = f"{who} does not prove that it has the key of its certificate"
            raise ProofError(Unproven.POSSESSION, text)
        raise ProofError(Unproven.SECRET, f"{who} does not prove that it has the realm secret")


def required(secret: bytes | None, certified: Certified | None) -> Requirement:
    """What a side with this requires of every far side, on every wire."""
    if certified is not None and certified.is_required:
        return Requirement.CERTIFICATE
    return Requirement.SECRET if secret else Requirement.NOTHING
