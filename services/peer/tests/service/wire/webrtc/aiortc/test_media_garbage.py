"""What a far side, or a stranger who knows the port, sends in place of media harms nobody."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pylibsrtp
import pytest
from aiortc.rtp import RtcpRtpfbPacket, RtpPacket

from actr_peer.tasks import failures
from actr_peer.wire.webrtc.aiortc import dtls
from actr_peer.wire.webrtc.aiortc.media import senders
from peer_kit.fakes import Recorder, turns
from peer_kit.webrtc.frames import Frames, Listed, samples
from peer_kit.webrtc.pair import Pair, webrtc_pair

pytestmark = pytest.mark.service


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    async with asyncio.timeout(60), webrtc_pair() as made:
        yield made


def path_of(wire: Any) -> Any:
    return wire._engine._sctp.transport


async def is_well(near: Any, far: Any) -> None:
    """Show that data and media still flow from one to the other."""
    sink, frames = Recorder(), Frames(far)
    far.attach(sink)
    near.send(0, b"data")
    await sink.received(1)
    source = Listed(f"after {random.random()}", "VP8", samples("VP8", 5))
    await near.publish(source)
    await frames.expect(source)
    assert sink.ends == []
    assert failures.total() == 0


@pytest.fixture(autouse=True)
def fresh() -> None:
    failures.clear()


def stun(attribute: bytes) -> bytes:
    return struct.pack("!HHL", 1, len(attribute), 0x2112A442) + bytes(12) + attribute


async def test_datagrams_of_a_stranger_end_nothing(pair: Pair) -> None:
    near, far = await pair.connect()
    agent = far._engine._ice
    dice = random.Random(1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for protocol in agent._protocols:
            host, port = protocol.local_candidate.host, protocol.local_candidate.port
            if ":" in host:
                continue
            for data in (
                b"",
                b"\x80",
                b"\x80\xc8",
                b"\x80" + bytes(1600),
                b"\x16" + bytes(1600),
                b"\x16\xfe\xfd" + dice.randbytes(300),
                b"\x00\x01\x00\x08\x21\x12\xa4\x42"
                + bytes(12)
                + b"\x00\x06\x00\x04\xff\xff\xff\xff",
                b"\x00\x01\x00\x04\x21\x12\xa4\x42" + bytes(12) + b"\x00\x20\x00\x00",
                *(dice.randbytes(dice.randrange(1, 1400)) for _ in range(200)),
            ):
                stranger.sendto(data, (host, port))
            await turns(50)
    await is_well(near, far)


def rtcp(kind: int, count: int, payload: bytes) -> bytes:
    padded = payload + bytes(-len(payload) % 4)
    return struct.pack("!BBH", 0x80 | count, kind, len(padded) // 4) + padded


async def test_reports_that_make_no_sense_are_dropped_and_counted(pair: Pair) -> None:
    near, far = await pair.connect()
    frames = Frames(far)
    source = Listed("cam", "VP8", samples("VP8", 2000), gap=0.005)
    await near.publish(source)
    await frames.until(lambda: len(frames.all) > 3)
    sender = near._engine.media._pc.getTransceivers()[0].sender
    path = path_of(near)
    dice = random.Random(2)
    ssrc = sender._ssrc.to_bytes(4, "big")
    for kind in (200, 201, 202, 203, 204, 205, 206, 207):
        for count in (0, 1, 15, 31):
            for size in (0, 1, 4, 8, 20, 400):
                await path._send_rtp(rtcp(kind, count, ssrc + dice.randbytes(size)))
                await path._send_rtp(rtcp(kind, count, ssrc + ssrc + b"\xff" * size))
                await turns(1)
    await path._send_rtp(rtcp(203, 1, ssrc))  # BYE, of a source that goes on
    seen = len(frames.all)
    await frames.until(lambda: len(frames.all) > seen + 5)
    await is_well(near, far)


async def test_packets_that_make_no_sense_are_dropped(pair: Pair) -> None:
    near, far = await pair.connect()
    frames = Frames(far)
    await near.publish(Listed("cam", "VP8", samples("VP8", 2000), gap=0.005))
    await frames.until(lambda: len(frames.all) > 3)
    section = near._engine.media._pc.getTransceivers()[0]
    payload_type = section._codecs[0].payloadType
    path = path_of(near)
    dice = random.Random(3)
    for number in range(300):
        head = struct.pack(
            "!BBHLL",
            dice.choice([0x80, 0x90, 0xA0, 0xBF]),
            payload_type | dice.choice([0, 0x80]),
            number,
            dice.randrange(2**32),
            section.sender._ssrc,
        )
        extension = struct.pack("!HH", dice.choice([0xBEDE, 0x1000, 7]), dice.randrange(20))
        with contextlib.suppress(pylibsrtp.Error):  # its own library does not take everything
            await path._send_rtp(head + extension + dice.randbytes(dice.randrange(200)))
        await turns(1)
    seen = len(frames.all)
    await frames.until(lambda: len(frames.all) > seen + 5)
    await is_well(near, far)


async def test_the_sources_of_a_far_side_have_a_bound(pair: Pair) -> None:
    near, far = await pair.connect()
    frames = Frames(far)
    await near.publish(Listed("cam", "VP8", samples("VP8", 4000), gap=0.005))
    await frames.until(lambda: len(frames.all) > 3)
    payload_type = near._engine.media._pc.getTransceivers()[0]._codecs[0].payloadType
    near_path, far_path = path_of(near), path_of(far)
    for number in range(dtls.MAX_SOURCES * 3):
        packet = RtpPacket(payload_type=payload_type, ssrc=number + 1, payload=b"\x10x")
        await near_path._send_rtp(packet.serialize())
        await turns(2)
    assert len(far_path._rx_srtp.sources) <= dtls.MAX_SOURCES
    assert len(far_path._rtp_router.ssrc_table) <= dtls.MAX_SOURCES + 4
    seen = len(frames.all)
    await frames.until(lambda: len(frames.all) > seen + 5)
    await is_well(near, far)


async def test_a_far_side_that_asks_for_everything_again_does_not_get_it(pair: Pair) -> None:
    near, _ = await pair.connect()
    source = Listed("cam", "VP8", samples("VP8", 200, 6000), gap=0.0)
    await near.publish(source)
    sender = near._engine.media._pc.getTransceivers()[0].sender
    while not source.is_over or sender._pace.queue:
        await turns(1)
    sent = 0
    send = path_of(near).send_packets

    def counting(packets: Sequence[bytes]) -> None:
        nonlocal sent
        sent += sum(map(len, packets))
        send(packets)

    path_of(near).send_packets = counting
    for _ in range(20):
        last = sender._packets.last
        lost = [(last - back) % 65536 for back in range(1000)] * 2
        packet = RtcpRtpfbPacket(fmt=1, ssrc=1, media_ssrc=sender._ssrc, lost=lost)
        await sender._handle_rtcp_packet(packet)
        assert len(packet.lost) <= senders.MAX_REPEATED
    while sender._pace.queue:
        await turns(1)
    assert 0 < sent < 5_000_000, "a fraction of the 20 MB and more that were asked for"


async def test_a_flood_of_key_frame_requests_reaches_the_source_once_in_a_while(
    pair: Pair,
) -> None:
    near, far = await pair.connect()
    frames = Frames(far)
    source = Listed("cam", "VP8", samples("VP8", 2000), gap=0.005)
    await near.publish(source)
    await frames.until(lambda: len(frames.all) > 3)
    sender = near._engine.media._pc.getTransceivers()[0].sender
    while sender._keyframe is not None:
        await turns(1)
    sender._keyframe_asked_at = time.monotonic() - senders.KEYFRAME_PAUSE
    before = source.requests
    source.asked.clear()
    for _ in range(1000):
        sender._send_keyframe()
    assert source.requests == before + 1
    source.asked.clear()
    await source.asked.wait()
    assert source.requests == before + 2, "those that came too early are one"
