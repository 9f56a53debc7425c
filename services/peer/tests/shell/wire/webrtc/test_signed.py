"""Descriptions are signed on their way out, and held to it on their way in."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.certificates import Certificate
from actr_peer.protocol.identity.descriptions import DescriptionError, Fault, Statements
from actr_peer.protocol.identity.identity import OwnIdentity
from actr_peer.protocol.webrtc.negotiation import Bye, NegotiateMessage, Offer
from actr_peer.protocol.wire.lines import AT_ONCE
from actr_peer.wire.webrtc.signed import SignedRelay

ALICE, BOB = (ActrId("acme", "chat", name) for name in ("alice", "bob"))
KEY = Ed25519PrivateKey.generate()
OFFER = NegotiateMessage("c1", 1, Offer("v=0"))


def believe(data: bytes) -> Certificate:
    public = KEY.public_key().public_bytes_raw()
    return Certificate("tests", "acme:*@*", "default", public, {}, 0, 0, 2**40, "c", data.decode())


class End:
    """One actor's; what it relays and what it believes are in lists."""

    def __init__(self, actor: ActrId) -> None:
        self.relayed: list[NegotiateMessage] = []
        self.believed: list[NegotiateMessage] = []
        self.refused: list[tuple[ActrId, DescriptionError]] = []
        self.asked: list[ActrId] = []
        self.signers: list[Certificate | None] = []
        identity = OwnIdentity(KEY, lambda: "c")
        statements = Statements(actor, 7, identity=identity, believe=believe, is_required=True)
        self.signed = SignedRelay(
            statements,
            now=lambda: 1_800_000_000.0,
            incarnation_of=self.incarnation_of,
            relay=self.relay,
            receive=self.receive,
            is_live=lambda _, connection_id: any(
                m.connection_id == connection_id for m in self.believed
            ),
            refused=lambda source, error: self.refused.append((source, error)),
        )

    async def incarnation_of(self, remote: ActrId) -> int:
        self.asked.append(remote)
        return 7

    def receive(
        self, _: ActrId, message: NegotiateMessage, certificate: Certificate | None
    ) -> None:
        self.believed.append(message)
        self.signers.append(certificate)

    async def relay(self, _: ActrId, message: NegotiateMessage) -> None:
        self.relayed.append(message)


async def test_an_offer_is_signed_for_the_process_that_it_is_for() -> None:
    alice, bob = End(ALICE), End(BOB)
    await alice.signed.relay(BOB, OFFER)
    assert alice.asked == [BOB]
    bob.signed.receive(ALICE, alice.relayed[0])
    assert bob.believed == alice.relayed
    assert not bob.refused
    bob.signed.receive(ALICE, NegotiateMessage("c1", 1, Bye("enough")))
    assert bob.signers == [believe(b"c"), None], "what nobody signed says nothing of its sender"


async def test_what_is_no_description_goes_as_it_is() -> None:
    alice = End(ALICE)
    bye = NegotiateMessage("c1", 1, Bye("enough"))
    await alice.signed.relay(BOB, bye)
    assert (alice.relayed, alice.asked) == ([bye], [])


async def test_one_that_was_changed_is_dropped_counted_and_told() -> None:
    alice, bob = End(ALICE), End(BOB)
    await alice.signed.relay(BOB, OFFER)
    bob.signed.receive(ALICE, replace(alice.relayed[0], body=Offer("v=1")))
    bob.signed.receive(ALICE, OFFER)
    assert bob.believed == []
    assert bob.signed.dropped == {"swapped": 1, "stripped": 1}
    assert [(source, error.fault) for source, error in bob.refused] == [
        (ALICE, Fault.SWAPPED),
        (ALICE, Fault.STRIPPED),
    ]


def test_a_flood_of_forged_descriptions_is_counted_and_fills_no_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bob = End(BOB)
    for _ in range(20_000):
        bob.signed.receive(ALICE, OFFER)
    assert bob.signed.dropped == {"stripped": 20_000}
    assert len(bob.refused) == 20_000
    assert AT_ONCE <= len(caplog.records) < 2 * AT_ONCE
