"""Certificates of an open wire: the next one is sent and taken, and without one it ends."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actr_peer.errors import CertificateError, CertificateFault, PeerError, RemoteProtocolError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.certificates import LEEWAY, read_certificate
from actr_peer.protocol.identity.identity import Certified
from actr_peer.protocol.identity.renewals import BURST, MAX_LOOK, MIN_LOOK, Renewals
from peer_kit.vectors.identities import LIFE, Holder, Issuer, key_of

ALICE, BOB = ActrId("acme", "chat", "alice"), ActrId("acme", "chat", "bob")
BEGIN = 1_800_000_000.0


class World:
    """An issuer's clock, and Bob's end of a wire to Alice."""

    def __init__(self) -> None:
        self.issuer = Issuer(now=BEGIN)
        self.own = self.issuer.certified(BOB)
        shown = self.own.identity.certificate
        far = read_certificate(self.next_of_alice())
        self.renewals = Renewals(self.own, ALICE, far, BEGIN, shown=shown)

    @property
    def now(self) -> float:
        assert self.issuer.now is not None
        return self.issuer.now

    def pass_by(self, seconds: float) -> None:
        self.issuer.now = self.now + seconds

    def next_of_alice(self, *, who: ActrId = ALICE, key: str = "alice") -> bytes:
        return self.issuer.issue(who, key_of(key)).encode()

    def sent(self) -> bytes:
        return self.renewals.step(self.now)

    def take(self, certificate: bytes) -> None:
        self.renewals.take(certificate, self.now)


def holder_of(certified: Certified) -> Holder:
    assert isinstance(certified.identity, Holder)
    return certified.identity


def test_the_own_next_certificate_is_sent_once() -> None:
    world = World()
    assert world.renewals.due(world.now) == MAX_LOOK
    assert world.sent() == b"", "it is not time to look"
    world.pass_by(MAX_LOOK)
    assert world.sent() == b"", "it is still the same"
    newest = holder_of(world.own).certificate = world.issuer.issue(BOB, key_of("bob"))
    world.pass_by(MAX_LOOK)
    assert world.sent() == newest.encode()
    world.pass_by(MAX_LOOK)
    assert world.sent() == b""
    holder_of(world.own).certificate = ""
    world.pass_by(MAX_LOOK)
    assert world.sent() == b"", "who has none for now sends none"


def test_a_far_side_that_renews_stays_and_one_that_does_not_is_out_with_its_last() -> None:
    world = World()
    for _ in range(5):
        world.pass_by(LIFE * 2 / 3)
        world.take(world.next_of_alice())
        assert world.renewals.far.issued_at == int(world.now)
    world.pass_by(LIFE + LEEWAY - 1)
    world.sent()
    assert world.renewals.due(world.now) == MIN_LOOK
    world.pass_by(1)
    assert world.renewals.due(world.now) == 0
    with pytest.raises(CertificateError, match="has ended") as caught:
        world.sent()
    assert caught.value.fault is CertificateFault.EXPIRED


def test_what_was_shown_before_the_wire_was_open_is_shown_again_where_it_has_changed() -> None:
    world = World()
    far = read_certificate(world.next_of_alice())
    renewals = Renewals(world.own, ALICE, far, BEGIN, shown="")
    assert renewals.step(BEGIN + MAX_LOOK) == world.own.identity.certificate.encode()


def test_a_certificate_of_another_key_or_of_somebody_else_is_none_of_this_wire() -> None:
    world = World()
    before = world.renewals.far
    assert world.renewals.remote == ALICE
    for certificate in (world.next_of_alice(key="mallory"), world.next_of_alice(who=BOB)):
        with pytest.raises(RemoteProtocolError, match="another key"):
            world.take(certificate)
    with pytest.raises(CertificateError, match="not among those known"):
        world.take(Issuer("foreign", now=BEGIN).issue(ALICE, key_of("alice")).encode())
    assert world.renewals.far is before


def test_a_flood_of_certificates_is_refused_and_a_steady_few_are_not() -> None:
    world = World()
    for _ in range(30):
        world.pass_by(1)
        world.take(world.next_of_alice())
    for _ in range(BURST - 1):
        world.take(world.next_of_alice())
    with pytest.raises(RemoteProtocolError, match="at once"):
        world.take(world.next_of_alice())


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=300))
def test_no_bytes_raise_anything_but_what_ends_the_wire(data: bytes) -> None:
    world = World()
    with pytest.raises(PeerError):
        world.renewals.take(data, world.now)
