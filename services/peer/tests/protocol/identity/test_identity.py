"""Who this process is: it signs, shows its newest certificate, and never its key."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from actr_peer.protocol.identity.identity import OwnIdentity
from actr_peer.protocol.identity.signatures import DIAL, signed_text, verify


def test_it_signs_and_shows_the_newest_certificate() -> None:
    texts = ["", "a.b.c"]
    key = Ed25519PrivateKey.generate()
    identity = OwnIdentity(key, lambda: texts[-1])
    assert identity.certificate == "a.b.c"
    assert identity.key is key
    assert verify(identity.public, identity.sign(signed_text(DIAL, b"x")), DIAL, b"x")


def test_it_does_not_show_its_key() -> None:
    key = Ed25519PrivateKey.generate()
    shown = repr(OwnIdentity(key, str))
    assert shown.startswith("OwnIdentity(")
    assert key.private_bytes_raw().hex() not in shown
    assert len(shown) < 40
