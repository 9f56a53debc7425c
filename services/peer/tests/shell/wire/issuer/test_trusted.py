"""Whose certificates are believed: by a file, or by the issuer's word, which is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from actr_peer.errors import CertificateError, CertificateFault, ConfigError
from actr_peer.protocol.identity.keys import write_keys
from actr_peer.wire.issuer.clock import IssuerClock
from actr_peer.wire.issuer.trusted import Trusted
from peer_kit.signaling.issuer import certify

ISSUER, NEXT = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
ACTOR = Ed25519PrivateKey.generate().public_key().public_bytes_raw()


def file_of(*keys: Ed25519PrivateKey) -> str:
    return write_keys(key.public_key().public_bytes_raw() for key in keys)


def test_a_key_is_replaced_in_the_file_with_no_break(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(file_of(ISSUER))
    trusted = Trusted(IssuerClock(), file=path)
    assert not trusted.asks
    old, new = (certify(key, ACTOR).encode() for key in (ISSUER, NEXT))
    assert trusted.verify(old).key == ACTOR
    path.write_text(file_of(ISSUER, NEXT))
    assert trusted.verify(old).key == trusted.verify(new).key == ACTOR
    path.write_text("nonsense, for a while")
    assert trusted.verify(new).key == ACTOR
    path.write_text(file_of(NEXT))
    with pytest.raises(CertificateError) as refused:
        trusted.verify(old)
    assert refused.value.fault is CertificateFault.UNKNOWN_KEY


def test_a_file_that_cannot_be_used_ends_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"identity\.issuer_keys_file = .*: no such file"):
        Trusted(IssuerClock(), file=tmp_path / "keys.json")


def test_an_issuer_s_word_is_kept_for_a_start_without_it(tmp_path: Path) -> None:
    kept = tmp_path / "issuer-keys.json"
    trusted = Trusted(IssuerClock(), file=None, kept=kept)
    assert trusted.asks
    assert not trusted.keys
    trusted.tell(file_of(ISSUER))
    trusted.tell(file_of(ISSUER))
    again = Trusted(IssuerClock(), file=None, kept=kept)
    assert again.verify(certify(ISSUER, ACTOR).encode()).key == ACTOR
    kept.write_text("nonsense")
    assert not Trusted(IssuerClock(), file=None, kept=kept).keys


def test_an_issuer_s_word_that_cannot_be_kept_or_read_changes_nothing_else(tmp_path: Path) -> None:
    trusted = Trusted(IssuerClock(), file=None, kept=tmp_path / "nowhere" / "keys.json")
    trusted.tell(file_of(ISSUER))
    with pytest.raises(ConfigError):
        trusted.tell("nonsense")
    assert trusted.verify(certify(ISSUER, ACTOR).encode()).key == ACTOR
