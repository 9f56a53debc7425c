"""A question that every actor answers, whatever it tells, and nobody that is away."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from actr_peer import ActrId, Node, Service, System
from actr_peer.cli.verbs.running.rounds import NOBODY, round_trip
from actr_peer.errors import UnreachableError
from peer_kit.signaling import SignalingService, config

pytestmark = pytest.mark.service

ROOM = ActrId("acme", "room", "1")


@pytest.fixture
async def signaling() -> AsyncIterator[SignalingService]:
    async with SignalingService(None) as running:
        yield running


@pytest.fixture
async def asking(signaling: SignalingService) -> AsyncIterator[Node]:
    async with System(config("guest", signaling.url)).attach(Service()) as node:
        yield node


@pytest.mark.parametrize("tells", [True, False])
async def test_an_actor_answers_whatever_it_tells(
    signaling: SignalingService, asking: Node, *, tells: bool
) -> None:
    own = config("room", signaling.url, reflection=tells)
    async with System(own).attach(Service()):
        caller = asking.ref.to(ROOM)
        assert await round_trip(caller, 20) > 0
        assert await round_trip(caller, 20, question=NOBODY.ljust(4096, ".")) > 0


async def test_an_actor_that_is_away_does_not(asking: Node) -> None:
    with pytest.raises(UnreachableError):
        await round_trip(asking.ref.to(ROOM), 0.5)
