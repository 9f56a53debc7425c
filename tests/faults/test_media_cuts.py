"""Tracks on a wire that is cut: added meanwhile, suspended, and resumed."""

from __future__ import annotations

import asyncio

from pairs import MakePair

from lab.hosts import UDP_CUT

FRAMES = 10


async def test_a_track_published_during_a_cut_arrives_after_it(make_pair: MakePair) -> None:
    async with make_pair() as pair:
        await pair.flow()
        async with pair.net.broken(UDP_CUT):
            await asyncio.sleep(0.3)
            publishing = asyncio.ensure_future(pair.a.ask("publish", to=pair.b.id, track_id="one"))
            await asyncio.sleep(1.2)
        assert (await publishing)["track"] == "one"
        assert (await pair.b.ask("expect", to=pair.a.id, timeout=20, frames=FRAMES))["ok"]
        await pair.ready()
        await pair.assert_clean()


async def test_a_track_is_suspended_without_webrtc_and_resumes_with_its_id_and_a_key_frame(
    make_pair: MakePair,
) -> None:
    async with make_pair() as pair:
        await pair.flow()
        await pair.a.ask("publish", to=pair.b.id, track_id="one")
        assert (await pair.b.ask("expect", to=pair.a.id, timeout=10, frames=FRAMES))["ok"]
        async with pair.net.broken(UDP_CUT):
            suspended = await pair.a.ask("expect", to=pair.b.id, timeout=20, published="SUSPENDED")
            assert suspended["ok"], "the wire died and its track went on"
            pair.note("suspended_after_s", round(suspended["seconds"], 3))
        seen = await pair.b.ask("status", to=pair.a.id)
        keyframes = len(pair.b.told("keyframe", track="one"))
        more = seen["frames"] + FRAMES
        assert (await pair.b.ask("expect", to=pair.a.id, timeout=25, frames=more))["ok"]
        status = await pair.a.ask("status", to=pair.b.id)
        assert status["published"]["one"]["state"] == "LIVE"
        assert status["published"]["one"]["resumed"] >= 1
        assert (await pair.b.ask("status", to=pair.a.id))["frame_tracks"] == ["one"]
        pair.note("keyframes", (keyframes, pair.b.told("keyframe", track="one")))
        assert len(pair.b.told("keyframe", track="one")) > keyframes
        await pair.ready()
        await pair.assert_clean()


async def test_tracks_of_both_sides_move_to_the_wire_that_replaces_theirs(
    make_pair: MakePair,
) -> None:
    async with make_pair() as pair:
        await pair.flow()
        for peer, other in ((pair.a, pair.b), (pair.b, pair.a)):
            await peer.ask("publish", to=other.id, track_id=f"of {peer.name}")
            assert (await other.ask("expect", to=peer.id, timeout=10, frames=FRAMES))["ok"]
        await pair.a.ask("network_changed")
        await asyncio.sleep(3.0)  # the old wires are closed once the new ones have proved good
        await pair.ready()
        for peer, other in ((pair.a, pair.b), (pair.b, pair.a)):
            more = (await other.ask("status", to=peer.id))["frames"] + FRAMES
            expected = await other.ask("expect", to=peer.id, timeout=5, frames=more)
            assert expected["ok"], f"the track of {peer.name} ended with its wire"
        await pair.assert_clean()
