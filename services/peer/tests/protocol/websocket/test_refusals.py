"""A listener's no: a step, a close code, and what is counted."""

from __future__ import annotations

import pytest

from actr.envelope_pb2 import WireHandshake
from actr_peer.errors import CertificateError, CertificateFault, PeerError, RemoteProtocolError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.websocket.proofs import ProofError, Unproven, cause_of
from actr_peer.protocol.websocket.refusals import disbelieve, refuse
from actr_peer.protocol.wire.close_codes import CloseCode

ALICE = ActrId("acme", "chat", "alice")


def test_a_refusal_says_why_in_its_step() -> None:
    refused = refuse(CloseCode.NOT_HERE, "not here")
    assert WireHandshake.FromString(refused.step).welcome.error.message == "not here"
    assert (refused.code, refused.claimed, refused.cause) == (CloseCode.NOT_HERE, None, "")


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (CertificateError(CertificateFault.EXPIRED, "it ended"), "expired"),
        (ProofError(Unproven.POSSESSION, "no key"), "key not proven"),
        (RemoteProtocolError("something else"), ""),
    ],
)
def test_who_is_not_believed_is_named_with_the_cause(error: PeerError, cause: str) -> None:
    refused = disbelieve(ALICE, error)
    assert (refused.code, refused.claimed) == (CloseCode.UNAUTHENTICATED, ALICE)
    assert (refused.cause, refused.why) == (cause, str(error))
    assert cause_of(error) == cause
