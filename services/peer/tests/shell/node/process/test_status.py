"""What a peer says of itself."""

from __future__ import annotations

import pytest

from actr_peer.node.config import NodeConfig
from actr_peer.node.process.status import trust_of
from actr_peer.protocol.identity import ActrId
from actr_peer.wire.issuer.credentials import IdentityConfig

SECRET = b"a secret of the realm"
URL = "https://issuer.example"


@pytest.mark.parametrize(
    ("identity", "secret", "trust"),
    [
        (None, None, "development"),
        (None, SECRET, "secret"),
        (IdentityConfig(issuer_url=URL), None, "certificate"),
        (IdentityConfig(issuer_url=URL), SECRET, "certificate"),
        (IdentityConfig(issuer_url=URL, is_required=False), SECRET, "secret"),
    ],
)
def test_it_says_what_others_have_to_prove(
    identity: IdentityConfig | None, secret: bytes | None, trust: str
) -> None:
    config = NodeConfig(
        id=ActrId("acme", "room", "1"),
        signaling_url="ws://127.0.0.1:1/v1/ws",
        identity=identity,
        realm_secret=secret,
    )
    assert trust_of(config) == trust
