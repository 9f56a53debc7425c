"""TLS 1.3 of a WebSocket wire: with the actor's own key, and with nobody who vouches for it.

The listener's certificate is made here, in memory, and signed with the key that it names. Its names
and times say nothing and are not looked at: whose key it is, the actor's certificate says
(``protocol/websocket/proofs.py``).
"""

from __future__ import annotations

import os
import ssl
import tempfile
from asyncio import BaseTransport
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from actr_peer.errors import RemoteProtocolError

# The library takes a tenth of a second to load: only who has a key waits for it.
if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ALPN = "http/1.1"
_NAME = "actr"
_BEGIN = datetime(2020, 1, 1, tzinfo=UTC)
_END = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""What never ends (RFC 5280, section 4.1.2.5)."""


class KeyHolder(Protocol):
    """An identity of which the private key is here."""

    @property
    def key(self) -> Ed25519PrivateKey: ...


def listener_context(holder: KeyHolder) -> ssl.SSLContext:
    """What a listener speaks TLS with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols([ALPN])
    context.num_tickets = 0  # every wire has a handshake of its own
    _load(context, _self_signed(holder.key))
    return context


@lru_cache(maxsize=1)
def dialler_context() -> ssl.SSLContext:
    """What a dialler speaks TLS with: it takes any certificate, and asks for its key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols([ALPN])
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def raw_public_key(holder: KeyHolder) -> bytes:
    """The 32 bytes by which others know the holder."""
    return holder.key.public_key().public_bytes_raw()


def peer_key(tls: ssl.SSLObject) -> bytes:
    """The raw Ed25519 key of the far side's certificate, for which it has signed the handshake.

    Raises:
        RemoteProtocolError: If it has none, or one of another kind.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.x509 import load_der_x509_certificate

    try:
        key = load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"").public_key()
    except Exception as exc:  # of several kinds, for what a stranger wrote
        raise RemoteProtocolError("its TLS certificate cannot be read") from exc
    if not isinstance(key, Ed25519PublicKey):
        raise RemoteProtocolError("its TLS certificate is not of an actor's key: a proxy's?")
    return key.public_bytes_raw()


def binding(transport: BaseTransport) -> bytes:
    """What only the TLS of a connection has, alike for both of its ends; empty: there is no TLS.

    It is the dialler's Finished (RFC 8446, section 4.4.4): a MAC, by a key that only the two ends
    have, over all of the handshake, with the random bytes of both and the listener's certificate.
    Each side has so the other one's promise that it answers to this TLS and to none before. There
    are no resumed sessions, of which it would have to be another one's.
    """
    tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    return (tls and tls.get_channel_binding("tls-unique")) or b""


def _self_signed(key: Ed25519PrivateKey) -> bytes:
    """Certificate and key, as PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.x509.oid import NameOID

    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _NAME)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(_BEGIN)
        .not_valid_after(_END)
        .sign(key, None)
    )
    pem = serialization.Encoding.PEM
    return certificate.public_bytes(pem) + key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _load(context: ssl.SSLContext, pem: bytes) -> None:
    """Load what OpenSSL takes from a file only: one in memory, where the platform has such."""
    if hasattr(os, "memfd_create"):
        descriptor, path = os.memfd_create(_NAME), ""
        path = f"/proc/self/fd/{descriptor}"
    else:
        descriptor, path = tempfile.mkstemp()  # only its user reads it
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            context.load_cert_chain(path)
    finally:
        if not path.startswith("/proc/"):
            os.unlink(path)
