"""A far side that is connected, and says below the lanes what no honest one says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aioice import Candidate as IceCandidate
from aioice import stun
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtcsctptransport import (
    SCTP_DATA_FIRST_FRAG,
    SCTP_DATA_LAST_FRAG,
    SCTP_DATA_UNORDERED,
    WEBRTC_BINARY,
    DataChunk,
    ForwardTsnChunk,
    HeartbeatChunk,
    SackChunk,
    serialize_packet,
)
from aiortc.rtp import HeaderExtensions, HeaderExtensionsMap

from actr_peer.tasks import failures
from actr_peer.wire.webrtc.aiortc import bounds, dtls, ice
from peer_kit.fakes import Recorder, turns
from peer_kit.webrtc.pair import Pair, webrtc_pair

pytestmark = pytest.mark.service


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    async with asyncio.timeout(60), webrtc_pair() as made:
        yield made


@pytest.fixture(autouse=True)
def fresh() -> None:
    failures.clear()


def sctp_of(wire: Any) -> Any:
    return wire._engine._sctp


async def is_well(near: Any, far: Any) -> None:
    sink = Recorder()
    far.attach(sink)
    near.send(0, b"data")
    await sink.received(1)
    assert sink.ends == []
    assert failures.total() == 0


async def test_gap_blocks_acknowledge_no_more_than_was_sent(pair: Pair) -> None:
    near, far = await pair.connect()
    seen: list[int] = []
    receive = sctp_of(far)._receive_sack_chunk

    async def counting(chunk: SackChunk) -> None:
        await receive(chunk)
        seen.append(sum(last - first + 1 for first, last in chunk.gaps))

    sctp_of(far)._receive_sack_chunk = counting
    sack = SackChunk()
    sack.cumulative_tsn = sctp_of(near)._last_received_tsn
    sack.advertised_rwnd = 2**20
    sack.gaps = [(1, 65535)] * 200
    await sctp_of(near)._send_chunk(sack)
    while not seen:
        await turns(1)
    assert max(seen) <= 16, "of the 13 million that one packet names"
    await is_well(near, far)


@pytest.mark.parametrize("gaps", [[(5, 2)], [(0, 0)], [(9, 9), (2, 3), (2, 3)]])
async def test_gap_blocks_that_make_no_sense_harm_nobody(
    pair: Pair, gaps: list[tuple[int, int]]
) -> None:
    near, far = await pair.connect()
    sack = SackChunk()
    sack.cumulative_tsn = sctp_of(far)._last_sacked_tsn
    sack.advertised_rwnd = 2**20
    sack.gaps = gaps
    far.send(0, b"in flight")
    await sctp_of(far)._receive_sack_chunk(sack)
    await is_well(near, far)


async def test_what_comes_out_of_order_has_a_bound_where_nothing_waits_for_it(pair: Pair) -> None:
    near, far = await pair.connect()
    sink = Recorder()
    far.attach(sink)
    sender, receiver = sctp_of(near), sctp_of(far)
    chunk = DataChunk(SCTP_DATA_UNORDERED | SCTP_DATA_FIRST_FRAG | SCTP_DATA_LAST_FRAG)
    chunk.stream_id, chunk.protocol, chunk.user_data = 3, WEBRTC_BINARY, b"x"
    first = sender._local_tsn
    for number in range(bounds.MAX_OUT_OF_ORDER + 100):
        chunk.tsn = (first + 1 + 2 * number) % 2**32
        await sender._send_chunk(chunk)
        await turns(2)
    assert len(receiver._sack_misordered) == bounds.MAX_OUT_OF_ORDER
    assert sink.ends == []
    await is_well(near, far)


async def test_channels_that_are_skipped_are_channels_that_there_are(pair: Pair) -> None:
    near, far = await pair.connect()
    sink = Recorder()
    far.attach(sink)
    chunk = ForwardTsnChunk()
    chunk.cumulative_tsn = sctp_of(near)._local_tsn
    chunk.streams = [(stream, 0) for stream in range(4, 300)]
    await sctp_of(near)._send_chunk(chunk)
    await sink.gone.wait()
    assert len(sctp_of(far)._inbound_streams) <= 4
    assert failures.total() == 0


async def test_the_addresses_of_a_far_side_have_a_bound(pair: Pair) -> None:
    near, far = await pair.connect()
    agent = far._engine._ice
    for number in range(ice.MAX_REMOTE_CANDIDATES * 2):
        text = f"1 1 udp 1 192.0.2.{number % 250} {1000 + number} typ host"
        agent._remote_candidates_end = False
        await agent.add_remote_candidate(IceCandidate.from_sdp(text))
    request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
    request.attributes["PRIORITY"] = 1
    for port in range(ice.MAX_REMOTE_CANDIDATES * 2):
        agent.check_incoming(request, ("192.0.2.251", 1000 + port), agent._protocols[0])
    assert len(agent._remote_candidates) <= ice.MAX_REMOTE_CANDIDATES
    await is_well(near, far)


async def test_all_records_of_a_datagram_are_read(pair: Pair) -> None:
    near, far = await pair.connect()
    sender, path, handled = sctp_of(near), sctp_of(near).transport, 0
    receive = sctp_of(far)._handle_data

    async def counting(data: bytes) -> None:
        nonlocal handled
        handled += 1
        await receive(data)

    sctp_of(far)._handle_data = counting
    packet = serialize_packet(
        sender._local_port, sender._remote_port, sender._remote_verification_tag, HeartbeatChunk()
    )
    for _ in range(30):
        datagram = b""
        for _ in range(10):
            path._ssl.send(packet)
            datagram += path._ssl.bio_read(1500)
        await path.transport._send(datagram)
        await turns(3)
    await is_well(near, far)
    assert handled > 300


@pytest.mark.parametrize(
    ("datagram", "parts"),
    [
        (b"\x17" + bytes(10) + b"\0\1a" + b"\x16" + bytes(10) + b"\0\2bc", [14, 15]),
        (b"\x17" + bytes(10) + b"\0\0", [13]),
        (b"\x17" + bytes(10) + b"\xff\xffab", [15]),
        (b"\x16", [1]),
        (b"\x2c\0\0\0\1a" + b"\x24\0\0\1b" + b"\x28\0\0abc", [6, 5, 6]),
        (b"\x20", [1]),
        (b"\x2c\0\0", [3]),
        (b"\x17" + bytes(10) + b"\0\1a" + b"\x17\0", [14, 2]),
    ],
)
def test_records_are_cut_where_they_end(datagram: bytes, parts: list[int]) -> None:
    found = dtls.records(datagram)
    assert [len(part) for part in found] == parts
    assert b"".join(found) == datagram


def test_extensions_that_are_the_same_are_read_once_and_others_anew() -> None:
    known: Any = HeaderExtensionsMap()
    known.__class__ = dtls.KnownExtensions
    known.adopt()

    def named(number: int) -> None:
        uri = "urn:ietf:params:rtp-hdrext:sdes:mid"
        known.configure(RTCRtpParameters([], [RTCRtpHeaderExtensionParameters(number, uri)]))

    named(1)
    first = known.get(*known.set(HeaderExtensions(mid="0")))
    assert known.get(*known.set(HeaderExtensions(mid="0"))) is first
    assert known.get(*known.set(HeaderExtensions(mid="1"))).mid == "1"
    assert known.get(*known.set(HeaderExtensions(mid="0"))).mid == "0"
    value = known.set(HeaderExtensions(mid="0"))
    named(2)
    assert known.get(*value).mid is None, "its number means something else now"
