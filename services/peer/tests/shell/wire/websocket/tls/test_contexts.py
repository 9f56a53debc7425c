"""TLS by key: what the listener shows, and what a dialler reads of it."""

from __future__ import annotations

import asyncio
import os
import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from actr_peer.errors import RemoteProtocolError
from actr_peer.wire.websocket.tls.contexts import (
    binding,
    dialler_context,
    listener_context,
    peer_key,
    raw_public_key,
)
from peer_kit.fakes import BOB
from peer_kit.vectors import Vector, each
from peer_kit.vectors.identities import Holder, Issuer, key_of

HOLDER = Issuer().certified(BOB).identity


def shaken(listener: ssl.SSLContext, dialler: ssl.SSLContext | None = None) -> ssl.SSLObject:
    """The dialler's end after the TLS handshake."""
    return ends(listener, dialler)[0]


def ends(
    listener: ssl.SSLContext, dialler: ssl.SSLContext | None = None
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Both ends after the TLS handshake."""
    to_dialler, to_listener = ssl.MemoryBIO(), ssl.MemoryBIO()
    here = (dialler or dialler_context()).wrap_bio(to_dialler, to_listener)
    there = listener.wrap_bio(to_listener, to_dialler, server_side=True)
    for side in (here, there, here, there):
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
    return here, there


@pytest.mark.parametrize("has_memory_files", [True, False])
def test_a_dialler_reads_the_listeners_identity_key(
    has_memory_files: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if not has_memory_files:
        monkeypatch.delattr(os, "memfd_create")
        monkeypatch.setenv("TMPDIR", str(tmp_path))
        monkeypatch.setattr("tempfile.tempdir", None)
    tls = shaken(listener_context(HOLDER))
    assert peer_key(tls) == raw_public_key(HOLDER) == HOLDER.key.public_key().public_bytes_raw()
    assert (tls.version(), tls.selected_alpn_protocol()) == ("TLSv1.3", "http/1.1")
    assert list(tmp_path.iterdir()) == [], "no key is left in a file"


class Connection(asyncio.BaseTransport):
    """One of whose TLS somebody asks."""

    def __init__(self, tls: ssl.SSLObject | None) -> None:
        super().__init__({"ssl_object": tls})


def test_a_tls_has_a_binding_that_is_alike_at_both_ends_and_no_other_has() -> None:
    context = listener_context(HOLDER)
    found = [[binding(Connection(end)) for end in ends(context)] for _ in range(20)]
    assert all(here == there and len(here) >= 32 for here, there in found)
    assert len({here for here, _ in found}) == 20
    assert binding(Connection(None)) == b""


def test_an_older_tls_is_not_spoken() -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        shaken(listener_context(HOLDER), old)


def test_the_certificate_says_nothing_but_the_key() -> None:
    der = shaken(listener_context(HOLDER)).getpeercert(binary_form=True)
    assert der is not None
    certificate = x509.load_der_x509_certificate(der)
    assert list(certificate.extensions) == []
    assert certificate.subject == certificate.issuer
    assert "bob" not in certificate.subject.rfc4514_string()
    now = datetime.now(UTC)
    assert certificate.not_valid_before_utc < now - timedelta(days=365)
    assert certificate.not_valid_after_utc > now + timedelta(days=36_500)


def test_a_certificate_of_another_kind_of_key_is_no_actors(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a proxy")])
    begin = datetime(2020, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=36_500))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    file = tmp_path / "proxy.pem"
    file.write_bytes(
        certificate.public_bytes(pem)
        + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    with pytest.raises(RemoteProtocolError, match="a proxy"):
        peer_key(shaken(context))


def test_without_a_certificate_there_is_no_key() -> None:
    class Nobody:
        def getpeercert(self, *, binary_form: bool) -> None: ...

    with pytest.raises(RemoteProtocolError, match="cannot be read"):
        peer_key(Nobody())  # type: ignore[arg-type]  # what the standard library gives then


def test_each_key_has_its_own_context() -> None:
    mallory = Holder("", key_of("mallory"))
    assert peer_key(shaken(listener_context(mallory))) == raw_public_key(mallory)
    assert raw_public_key(mallory) != raw_public_key(HOLDER)


@each("handshakes", "certified_steps")
def test_a_listener_shows_the_certificate_of_the_vectors(vector: Vector) -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(vector["listener_seed"]))
    here = shaken(listener_context(Holder("", key)))
    shown = here.getpeercert(binary_form=True)
    assert shown is not None
    assert shown.hex() == vector["tls_certificate"]
    assert peer_key(here).hex() == vector["tls_key"]
