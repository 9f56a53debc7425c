"""What an issuer has revoked: by the key, or one certificate by its number."""

from __future__ import annotations

import json

import pytest

from actr_peer.errors import CertificateError, CertificateFault, ConfigError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.certificates import read_certificate
from actr_peer.protocol.identity.revoked import MAX_REVOKED, NOTHING, Revoked, read_revoked
from peer_kit.vectors.identities import Issuer, key_of

ALICE, BOB = ActrId("acme", "chat", "alice"), ActrId("acme", "chat", "bob")
ISSUER = Issuer(now=1_800_000_000.0)
OF_ALICE, OF_BOB = (
    read_certificate(ISSUER.issue(who, key_of(who.instance)).encode()) for who in (ALICE, BOB)
)


@pytest.mark.parametrize(
    "revoked",
    [Revoked(keys=frozenset({OF_ALICE.key})), Revoked(serials=frozenset({OF_ALICE.serial}))],
    ids=["key", "certificate"],
)
def test_what_is_revoked_is_refused_and_nothing_else_is(revoked: Revoked) -> None:
    assert revoked
    revoked.refuse(OF_BOB)
    with pytest.raises(CertificateError, match="has revoked") as refused:
        revoked.refuse(OF_ALICE)
    assert refused.value.fault is CertificateFault.REVOKED


def test_where_nothing_is_revoked_everybody_is_believed() -> None:
    assert not NOTHING
    NOTHING.refuse(OF_ALICE)


def test_a_list_that_is_too_long_is_refused() -> None:
    listed = [{"serial": str(number)} for number in range(MAX_REVOKED + 1)]
    with pytest.raises(ConfigError, match="262145 revoked are over 262144"):
        read_revoked(json.dumps({"revoked": listed}))
    assert len(read_revoked(json.dumps({"revoked": listed[:-1]})).serials) == MAX_REVOKED
