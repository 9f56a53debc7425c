"""Tracks of another actor, taken by iterating over them: real wires, real codecs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from actr_peer import ActrId, ActrRef, NodeConfig, Service, System
from actr_peer.protocol.media.incoming import TrackEvent, TrackState
from actr_peer.protocol.payload import WireKind
from actr_peer.wire.media.sources import TestPattern, Tone
from peer_kit.signaling import signaling_service

pytestmark = pytest.mark.service

HERE, THERE = ActrId("acme", "sender", "1"), ActrId("acme", "viewer", "1")


@asynccontextmanager
async def meeting() -> AsyncIterator[tuple[ActrRef, ActrRef]]:
    """Who sends, and who takes."""
    async with signaling_service() as url:
        configs = [
            NodeConfig(id=each, signaling_url=url, prefer=(WireKind.WEBRTC, WireKind.WEBSOCKET))
            for each in (HERE, THERE)
        ]
        async with (
            System(configs[0]).attach(Service()) as here,
            System(configs[1]).attach(Service()) as there,
            asyncio.timeout(60),
        ):
            yield here.ref, there.ref


async def test_frames_come_from_a_key_frame_on_until_the_track_is_taken_away() -> None:
    async with meeting() as (here, there):
        track = there.track(HERE, "camera")
        events = track.events()
        assert track.state is None
        publication = await here.publish(THERE, TestPattern(track_id="camera", fps=30), timeout=20)
        numbers = []
        async for frame in track:
            numbers.append(frame.first_sequence)
            if len(numbers) == 1:
                assert frame.keyframe
            if len(numbers) == 45:
                stats = await track.stats()
                await publication.stop()
        assert len(numbers) >= 45
        assert stats.packets >= 45
        assert stats.frame_rate > 0
        assert stats.bit_rate > 0
        assert stats.rtt is not None
        assert track.state is None
        await events.aclose()


async def test_a_track_ends_for_who_takes_it_when_its_source_does() -> None:
    async with meeting() as (here, there):
        events = there.track(HERE, "short").events()
        first = asyncio.create_task(anext(events))
        taking = asyncio.create_task(collect(there, "short"))
        await asyncio.sleep(0)
        for _ in range(2):
            await here.publish(THERE, TestPattern(track_id="short", fps=30, frames=10), timeout=20)
            assert await taking >= 5
            taking = asyncio.create_task(collect(there, "short"))
        taking.cancel()
        kinds = [await first] + [await anext(events) for _ in range(3)]
        assert [each.kind.name for each in kinds] == ["BEGAN", "ENDED"] * 2
        await events.aclose()


async def collect(there: ActrRef, track_id: str) -> int:
    return len([frame async for frame in there.track(HERE, track_id)])


async def test_pictures_and_sound_come_decoded() -> None:
    async with meeting() as (here, there):
        pictures, sound = there.track(HERE, "camera"), there.track(HERE, "mic")
        await here.publish(THERE, TestPattern(width=160, height=96, track_id="camera"), timeout=20)
        await here.publish(THERE, Tone(track_id="mic"), timeout=20)
        shown = pictures.decoded()
        sizes = {(p.width, p.height) for p in [await anext(shown) for _ in range(5)]}
        assert sizes == {(160, 96)}
        heard = sound.decoded()
        rates = {(s.sample_rate, s.samples) for s in [await anext(heard) for _ in range(5)]}
        assert rates == {(48_000, 960)}
        await shown.aclose()
        await heard.aclose()


async def test_sender_reports_say_when_a_frame_was_sent() -> None:
    async with meeting() as (here, there):
        await here.publish(THERE, Tone(track_id="mic"), timeout=20)
        async for frame in there.track(HERE, "mic"):
            if frame.sent_at is not None:
                break
        assert abs(time.time() - frame.sent_at) < 5


async def test_a_track_is_suspended_with_its_wire_and_goes_on_over_the_next() -> None:
    async with meeting() as (here, there):
        events = there.track(HERE, "camera").events()
        await here.publish(THERE, TestPattern(track_id="camera", fps=30), timeout=20)
        assert (await anext(events)).kind is TrackEvent.Kind.BEGAN
        frames = there.track(HERE, "camera").frames()
        await anext(frames)
        link = there._assembly.transport.find(HERE)
        assert link is not None
        wire = link.wire(WireKind.WEBRTC)
        assert wire is not None
        wire.abort()
        kinds = [(await anext(events)).kind for _ in range(2)]
        assert kinds == [TrackEvent.Kind.SUSPENDED, TrackEvent.Kind.RESUMED]
        assert there.track(HERE, "camera").state is TrackState.LIVE
        for _ in range(100):
            frame = await anext(frames)
            if frame.keyframe:
                break
        assert frame.keyframe
        await frames.aclose()
        await events.aclose()


async def test_an_iteration_ends_when_the_far_actor_leaves() -> None:
    async with meeting() as (here, there):
        await here.publish(THERE, TestPattern(track_id="camera"), timeout=20)
        frames = there.track(HERE, "camera").frames()
        await anext(frames)
        taking = asyncio.create_task(drain(frames))
        await here.close()
        await taking


async def drain(frames: AsyncIterator[object]) -> None:
    async for _ in frames:
        pass
