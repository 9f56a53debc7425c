"""Tracks of a remote go on while its link has two wires, whichever of them each side takes."""

from __future__ import annotations

import asyncio
import sys

import pytest

from actr_peer import ActrId, NodeConfig, Service, System, WireKind
from actr_peer.protocol.media.incoming import TrackEvent
from actr_peer.wire.media.sources import TestPattern
from actr_peer.wire.webrtc import wire as module
from peer_kit.signaling import signaling_service

pytestmark = pytest.mark.service

HERE, THERE = ActrId("acme", "sender", "1"), ActrId("acme", "viewer", "1")


@pytest.mark.parametrize("is_newer", [True, False])
async def test_a_track_goes_on_when_its_sender_moves_it_to_another_of_two_wires(
    monkeypatch: pytest.MonkeyPatch, *, is_newer: bool
) -> None:
    """Where both dial at once each side may have made the two wires in another order."""
    number, is_second = module.next_wire_id, False

    def numbered() -> int:
        of = sys._getframe(1).f_locals.get("remote")
        return -number() if is_second and not is_newer and of == HERE else number()

    monkeypatch.setattr(module, "next_wire_id", numbered)
    async with signaling_service() as url, asyncio.timeout(60):
        configs = [
            NodeConfig(id=each, signaling_url=url, prefer=(WireKind.WEBRTC,))
            for each in (HERE, THERE)
        ]
        async with (
            System(configs[0]).attach(Service()) as here,
            System(configs[1]).attach(Service()) as there,
        ):
            events = there.ref.track(HERE, "camera").events()
            frames = aiter(there.ref.track(HERE, "camera"))
            await here.ref.publish(THERE, TestPattern(track_id="camera", fps=30), timeout=20)
            first = await anext(frames)
            is_second = True
            link = here.assembly.transport.find(THERE)
            assert link is not None
            link.add(await here.assembly.network.webrtc.dial(THERE))
            told = [(await anext(events)).kind for _ in range(3)]
            kinds = TrackEvent.Kind
            assert told == [kinds.BEGAN, kinds.SUSPENDED, kinds.RESUMED]
            while (await anext(frames)).timestamp < first.timestamp + 3 * 90_000:
                pass  # it goes on, and not only with what was under way
