"""A certificate that somebody puts into a file is one of this actor's key, and for this actor."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from actr_peer.errors import ConfigError
from actr_peer.protocol.identity import ActrId
from actr_peer.wire.issuer.placed import Placed
from peer_kit.fakes import ALICE, BOB
from peer_kit.signaling.issuer import certify

KEY, OTHER, ISSUER = (Ed25519PrivateKey.from_private_bytes(bytes([one]) * 32) for one in (1, 2, 3))


def made(key: Ed25519PrivateKey, actor: ActrId) -> str:
    subject = f"{actor.manufacturer}:{actor.name}@{actor.instance}"
    return certify(ISSUER, key.public_key().public_bytes_raw(), subject)


def test_white_space_around_it_is_no_part_of_it() -> None:
    read = Placed(ALICE, KEY)(f"\n{made(KEY, ALICE)}\n\n")
    assert read.covers(ALICE)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("", "certificate"),
        ("ü", "certificate"),
        (made(OTHER, ALICE), "of another key than identity.key_file has"),
        (made(KEY, BOB), f"and not for {ALICE}"),
    ],
    ids=["nothing", "something else", "another key", "another actor"],
)
def test_what_is_none_of_its_own_is_refused_with_the_reason(said: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        Placed(ALICE, KEY)(said)
