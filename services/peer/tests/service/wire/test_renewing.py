"""Certificates of open WebRTC wires: each side sends its next one, with no signaling between."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from actr_peer.errors import CertificateError, CertificateFault, PeerError, RemoteProtocolError
from actr_peer.protocol.identity.certificates import LEEWAY
from actr_peer.protocol.identity.identity import Certified
from actr_peer.wire.webrtc.wire import WebRtcWire
from peer_kit.fakes import ALICE, BOB, CAROL, Recorder, turns
from peer_kit.vectors.identities import LIFE, Holder, Issuer, key_of
from peer_kit.webrtc.pair import webrtc_pair

pytestmark = [pytest.mark.service, pytest.mark.timeout(120)]

BEGIN = 1_800_000_000.0


class World:
    """An issuer with a clock of the test's, and two whom it has certified."""

    def __init__(self) -> None:
        self.issuer = Issuer(now=BEGIN)
        self.certified = {who: self.issuer.certified(who) for who in (ALICE, BOB)}

    def pass_by(self, seconds: float, *renewed: Certified) -> None:
        assert self.issuer.now is not None
        self.issuer.now += seconds
        for who, certified in self.certified.items():
            if certified in renewed:
                holder = cast("Holder", certified.identity)
                holder.certificate = self.issuer.issue(who, key_of(who.instance))


def look(*wires: WebRtcWire) -> None:
    """What the timers of the wires do, as late as the test's clock says."""
    for wire in wires:
        wire._renewing._look()


async def test_a_wire_outlives_certificates_that_are_renewed_over_it() -> None:
    world = World()
    both = world.certified[ALICE], world.certified[BOB]
    async with webrtc_pair(world.certified) as pair:
        near, far = await pair.connect()
        said, here, there = len(pair.relay.said), Recorder(), Recorder()
        near.attach(here)
        far.attach(there)
        for _ in range(5):
            world.pass_by(LIFE / 3, *both)
            look(near, far)
            while {near.certificate.issued_at, far.certificate.issued_at} != {world.issuer.now}:
                near.send(0, b"there")
                far.send(0, b"here")
                await here.received(1)
                await there.received(1)
                here.messages.clear()
                there.messages.clear()
        assert near.certificate.covers(BOB)
        assert far.certificate.covers(ALICE)
        assert not here.ends + there.ends
        assert len(pair.relay.said) == said, "signaling is not needed for it"


async def test_a_wire_ends_with_the_last_certificate_of_its_far_side() -> None:
    world = World()
    async with webrtc_pair(world.certified) as pair:
        near, far = await pair.connect()
        here, there = Recorder(), Recorder()
        near.attach(here)
        far.attach(there)
        world.pass_by(LIFE + LEEWAY - 1)
        look(near)
        await turns()
        assert not here.ends
        world.pass_by(1)
        look(near)
        await here.gone.wait()
        await there.gone.wait()
        (error,) = here.ends
        assert isinstance(error, CertificateError)
        assert error.fault is CertificateFault.EXPIRED
        with pytest.raises(PeerError):
            near.send(0, b"x")


async def test_a_certificate_of_another_key_ends_the_wire_over_which_it_came() -> None:
    world = World()
    async with webrtc_pair(world.certified) as pair:
        near, far = await pair.connect()
        there = Recorder()
        near.attach(Recorder())
        far.attach(there)
        near._engine.send_text(world.issuer.issue(ALICE, key_of("mallory")).encode())
        await there.gone.wait()
        (error,) = there.ends
        assert isinstance(error, RemoteProtocolError)
        assert "another key" in str(error)


async def test_a_certificate_that_nobody_asked_for_ends_the_wire() -> None:
    async with webrtc_pair() as pair:
        near, far = await pair.connect()
        assert near.certificate is None
        there = Recorder()
        near.attach(Recorder())
        far.attach(there)
        near._engine.send_text(Issuer().issue(ALICE, key_of("alice")).encode())
        await there.gone.wait()
        assert "where none has been asked for" in str(there.ends[0])


async def test_a_later_description_does_not_change_whose_wire_it_is() -> None:
    world = World()
    async with webrtc_pair(world.certified) as pair:
        near, far = await pair.connect()
        before = far.certificate
        other = world.issuer.certified(CAROL).identity.certificate.encode()
        pair.relay.signed[ALICE] = world.issuer.verify(other)
        near.attach(Recorder())
        far.attach(Recorder())
        async with asyncio.timeout(60):
            await near._exchanges.settled()
        assert far.certificate is before
