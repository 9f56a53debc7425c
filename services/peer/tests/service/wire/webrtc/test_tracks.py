"""Encoded tracks over real WebRTC connections, added and taken away while data flows."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from itertools import pairwise

import pytest

from actr_peer.errors import (
    BrokenError,
    BusyError,
    ConfigError,
    LimitError,
    RemoteProtocolError,
)
from actr_peer.protocol.media import missing
from actr_peer.protocol.media.assembly import Assembler
from actr_peer.protocol.media.frames import MediaFrame, Sample
from actr_peer.protocol.webrtc.negotiation import (
    Answer,
    NegotiateMessage,
    Offer,
    RequestCause,
    RequestOffer,
)
from actr_peer.wire.media.sources import TestPattern, Tone
from actr_peer.wire.webrtc.aiortc.media import receivers
from actr_peer.wire.webrtc.aiortc.media.sections import MAX_TRACKS
from actr_peer.wire.webrtc.wire import WebRtcWire
from peer_kit.fakes import BOB, Recorder, turns
from peer_kit.webrtc.frames import CLOCKS, Frames, Listed, samples
from peer_kit.webrtc.pair import Pair, webrtc_pair

pytestmark = pytest.mark.service


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    async with asyncio.timeout(60), webrtc_pair() as made:
        yield made


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """No frame is given up because the machine was busy when its packets were to come again."""
    monkeypatch.setattr(missing, "MAX_REQUESTS", 3000)  # a minute's, as the patience is
    monkeypatch.setattr(receivers, "AUDIO_PATIENCE", 60.0)
    monkeypatch.setattr(receivers, "Assembler", partial(Assembler, patience=60.0))


@pytest.fixture(params=["the offerer sends", "the answerer sends"])
async def ends(
    pair: Pair, patience: None, request: pytest.FixtureRequest
) -> tuple[WebRtcWire, WebRtcWire]:
    """The sending end and the receiving end."""
    near, far = await pair.connect()
    return (near, far) if request.param == "the offerer sends" else (far, near)


Ends = tuple[WebRtcWire, WebRtcWire]


@pytest.mark.parametrize("codec", ["VP8", "H264", "opus", "PCMU", "PCMA"])
async def test_frames_arrive_whole_with_their_codec_kind_timestamp_and_track_id(
    ends: Ends, codec: str
) -> None:
    near, far = ends
    frames = Frames(far)
    size = 3000 if CLOCKS[codec] == 90_000 else 200
    source = Listed("the track", codec, samples(codec, 20, size))
    await near.publish(source)
    await frames.expect(source)


async def test_several_tracks_of_both_kinds_are_kept_apart(ends: Ends) -> None:
    near, far = ends
    frames = Frames(far)
    sources = [
        Listed("cam 1", "VP8", samples("VP8", 15)),
        Listed("cam 2", "H264", samples("H264", 15)),
        Listed("cam 3", "VP8", samples("VP8", 10, 1000)),
        Listed("mic", "opus", samples("opus", 15, 200)),
    ]
    for source in sources:
        await near.publish(source)
    for source in sources:
        await frames.expect(source)


async def test_both_ends_send_at_once(pair: Pair) -> None:
    near, far = await pair.connect()
    at_far, at_near = Frames(far), Frames(near)
    one = Listed("from near", "VP8", samples("VP8", 20))
    two = Listed("from far", "VP8", samples("VP8", 20))
    await asyncio.gather(near.publish(one), far.publish(two))
    await at_far.expect(one)
    await at_near.expect(two)


async def test_tracks_published_at_once_on_both_ends_all_come_up(pair: Pair) -> None:
    near, far = await pair.connect()
    at_far, at_near = Frames(far), Frames(near)
    mine = [Listed(f"near {n}", "opus", samples("opus", 5, 200)) for n in range(3)]
    yours = [Listed(f"far {n}", "opus", samples("opus", 5, 200)) for n in range(3)]
    await asyncio.gather(*map(near.publish, mine), *map(far.publish, yours))
    for source in mine:
        await at_far.expect(source)
    for source in yours:
        await at_near.expect(source)


async def test_data_flows_on_with_no_loss_while_tracks_come_and_go(pair: Pair) -> None:
    near, far = await pair.connect()
    near.attach(Recorder())
    sink = Recorder()
    far.attach(sink)
    Frames(far)
    is_done = False
    sent = 0

    async def chatter() -> None:
        nonlocal sent
        while not is_done:
            near.send(0, b"%d" % sent)
            sent += 1
            await asyncio.sleep(0.001)

    talking = asyncio.gather(chatter())
    for number in range(3):
        publication = await near.publish(
            Listed(f"cam {number}", "VP8", samples("VP8", 400), gap=0.002)
        )
        await far.publish(Listed(f"mic {number}", "opus", samples("opus", 400, 200), gap=0.002))
        await publication.stop()
    is_done = True
    await talking
    await sink.received(sent)
    assert sink.on(0) == [b"%d" % number for number in range(sent)]
    assert not sink.ends


def followed(first: list[Sample], codec: str = "VP8") -> list[Sample]:
    """These, and small ones behind them for half a minute or more: only what follows shows that the
    end of a frame was lost."""
    small = samples(codec, 2)[1]
    numbers = range(len(first), 3000)
    return [*first, *(replace(small, timestamp=7 + number * 960) for number in numbers)]


async def test_a_frame_of_over_a_megabyte_arrives_whole(ends: Ends) -> None:
    near, far = ends
    frames = Frames(far)
    large = samples("VP8", 3, 1_200_000)
    await near.publish(Listed("big", "VP8", followed(large), gap=0.01))
    await frames.until(lambda: len(frames.all) >= len(large))
    assert [frame.data for frame in frames.all[:3]] == [sample.data for sample in large]


async def test_what_is_unpublished_ends_and_its_section_serves_another_track(
    pair: Pair, ends: Ends
) -> None:
    near, far = ends
    frames = Frames(far)
    sources = dict.fromkeys("ab", near._engine.media._pc.getTransceivers)
    first = Listed("first", "VP8", samples("VP8", 10))
    publication = await near.publish(first)
    await frames.expect(first)
    ssrc = near._engine.media._pc.getTransceivers()[0].sender._ssrc
    await publication.stop()
    await publication.stop()
    assert near.tracks.stats() == []
    while far.tracks.stats():
        await turns(1)  # the answer is on its way
    second = Listed("second", "H264", samples("H264", 10))
    await near.publish(second)
    await frames.expect(second)
    assert len(sources["a"]()) == 1
    assert near._engine.media._pc.getTransceivers()[0].sender._ssrc != ssrc, "one for each track"


async def test_publishing_takes_one_exchange_of_the_same_connection(pair: Pair) -> None:
    near, far = await pair.connect()
    del pair.relay.said[:]
    await near.publish(Listed("cam", "VP8", samples("VP8", 1)))
    offer, answer = (message for _, message in pair.relay.said)
    assert isinstance(offer.body, Offer)
    assert isinstance(answer.body, Answer)
    assert offer.connection_id == answer.connection_id == near.connection_id
    assert (offer.exchange, answer.exchange) == (2, 2)
    assert list(offer.body.track_ids.values()) == ["cam"]
    assert "a=candidate" not in offer.body.sdp
    await far.publish(Listed("mic", "opus", samples("opus", 1, 200)))
    request = pair.relay.said[2][1].body
    assert request == RequestOffer(request.cause, {"mic": "audio"})  # type: ignore[union-attr]
    last = pair.relay.said[-1][1].body
    assert isinstance(last, Answer)
    assert list(last.track_ids.values()) == ["mic"]


async def test_a_key_frame_can_be_asked_for(ends: Ends) -> None:
    near, far = ends
    frames = Frames(far)
    source = Listed("cam", "VP8", samples("VP8", 400), gap=0.005)
    await near.publish(source)
    await frames.until(lambda: len(frames.all) > 3)
    source.asked.clear()
    far.tracks.request_keyframe("no such track")
    far.tracks.request_keyframe("cam")
    await source.asked.wait()


async def test_lost_packets_are_asked_for_and_the_frames_arrive_whole(ends: Ends) -> None:
    near, far = ends
    frames = Frames(far)
    dice = random.Random(7)
    path = far._engine._sctp.transport.transport
    receive = path._recv
    dropped = 0

    async def lossy() -> bytes:
        nonlocal dropped
        while True:
            data: bytes = await receive()
            is_rtp = 128 <= data[0] < 192 and not 192 <= data[1] < 224
            # Not the last packet of a frame: nothing may follow that shows that it is missing.
            if is_rtp and not data[1] & 0x80 and dice.random() < 0.1:
                dropped += 1
                continue
            return data

    path._recv = lossy
    source = Listed("cam", "VP8", samples("VP8", 30, 20_000), gap=0.01)
    await near.publish(source)
    await frames.expect(source)
    assert dropped > 10


async def test_the_sender_learns_of_loss_and_round_trip(ends: Ends) -> None:
    near, far = ends
    frames = Frames(far)
    source = Listed("cam", "VP8", samples("VP8", 3000), gap=0.002)
    await near.publish(source)
    while near.tracks.stats()[0].rtt is None or far.tracks.stats()[0].packets <= 100:
        seen = len(frames.all)
        await frames.until(lambda seen=seen: len(frames.all) > seen)  # type: ignore[misc]
    (out,) = near.tracks.stats()
    (into,) = far.tracks.stats()
    assert (out.is_outbound, into.is_outbound) == (True, False)
    assert out.track_id == into.track_id == "cam"
    assert out.packets > 100
    assert into.packets > 100
    assert out.rtt is not None
    assert 0 <= out.rtt < 10
    assert into.jitter is not None
    assert into.lost == 0


async def test_frames_that_nobody_takes_are_dropped_and_counted(pair: Pair) -> None:
    near, far = await pair.connect()
    await near.publish(Listed("cam", "VP8", samples("VP8", 10)))
    while far.tracks.unwanted < 10:
        await turns(1)  # nothing is told of a frame that nobody wants


async def test_a_callback_that_fails_is_shown_and_harms_nothing(pair: Pair) -> None:
    near, far = await pair.connect()
    shown: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, c: shown.append(c["exception"]))
    taken = 0

    def fail(frame: MediaFrame) -> None:
        nonlocal taken
        taken += 1
        raise ZeroDivisionError

    far.tracks.on_frame = fail
    publication = await near.publish(Listed("cam", "VP8", samples("VP8", 5)))
    await publication.ended.wait()
    near.attach(Recorder())
    sink = Recorder()
    far.attach(sink)
    near.send(0, b"alive")
    await sink.received(1)
    while taken < 5:
        await turns(1)  # the callback itself is what fails
    assert [type(exc) for exc in shown] == [ZeroDivisionError] * 5


async def test_a_lost_offer_is_made_again(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actr_peer.wire.webrtc.exchanges.ANSWER_TIMEOUT", 0.1)
    near, far = await pair.connect()
    frames = Frames(far)
    lost = 0

    def lose_two(message: object) -> bool:
        nonlocal lost
        lost += 1
        return lost <= 2

    pair.relay.lose = lose_two
    source = Listed("cam", "VP8", samples("VP8", 5))
    await near.publish(source)
    await frames.expect(source)


async def test_renegotiation_waits_while_signaling_is_gone_and_data_flows_on(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actr_peer.wire.webrtc.exchanges.ANSWER_TIMEOUT", 0.05)
    near, far = await pair.connect()
    frames = Frames(far)
    near.attach(Recorder())
    sink = Recorder()
    far.attach(sink)
    pair.relay.is_down = True
    source = Listed("cam", "VP8", samples("VP8", 5))
    publishing = asyncio.gather(near.publish(source))
    await asyncio.sleep(0.12)
    assert not publishing.done()
    near.send(0, b"still here")
    await sink.received(1)
    pair.relay.is_down = False
    await publishing
    await frames.expect(source)


async def test_a_publication_that_is_cancelled_leaves_nothing_behind(pair: Pair) -> None:
    near, far = await pair.connect()
    frames = Frames(far)
    pair.relay.lose = lambda message: isinstance(message.body, Answer)
    source = Listed("cam", "VP8", samples("VP8", 5))
    publishing = asyncio.gather(near.publish(source))
    await turns(5)
    publishing.cancel()
    await asyncio.wait([publishing])
    assert near.tracks.stats() == []
    pair.relay.lose = lambda message: False
    await near.publish(source)
    await frames.expect(source)


async def test_what_cannot_be_published_is_refused_with_a_reason(pair: Pair) -> None:
    near, far = await pair.connect()
    await near.publish(Listed("cam", "VP8", samples("VP8", 1), gap=60))
    with pytest.raises(BusyError):
        await near.publish(Listed("cam", "VP8", []))
    odd = Listed("odd", "VP8", [])
    odd.codec = "AV1"
    with pytest.raises(ConfigError, match="take one of"):
        await near.publish(odd)
    with pytest.raises(LimitError):
        await near.publish(Listed("x" * 500, "VP8", []))
    for number in range(MAX_TRACKS - 1):
        await near.publish(Listed(f"mic {number}", "opus", samples("opus", 1), gap=60))
    with pytest.raises(LimitError):
        await near.publish(Listed("one more", "opus", []))
    await near.close()
    with pytest.raises(BrokenError):
        await near.publish(Listed("late", "opus", []))
    assert far.tracks.stats() == far.tracks.stats()


class Broken(Listed):
    """Fails after its last sample, as the code of an application does."""

    async def read(self) -> Sample | None:
        return await super().read() or self.samples[99]

    def request_keyframe(self) -> None:
        raise ZeroDivisionError


async def test_a_source_that_fails_ends_its_track_and_nothing_else(pair: Pair) -> None:
    near, far = await pair.connect()
    frames = Frames(far)
    publication = await near.publish(Broken("cam", "VP8", samples("VP8", 5)))
    await publication.ended.wait()
    assert publication.is_finished
    assert isinstance(publication.error, BrokenError)
    far.tracks.request_keyframe("cam")
    fine = Listed("fine", "VP8", samples("VP8", 5))
    await near.publish(fine)
    await frames.expect(fine)


async def test_a_sample_that_is_not_of_its_codec_ends_its_track(pair: Pair) -> None:
    near, _ = await pair.connect()
    source = Listed("cam", "H264", [Sample(b"no start code", 0)])
    publication = await near.publish(source)
    await publication.ended.wait()
    assert publication.is_finished


async def test_a_far_side_that_floods_negotiation_is_dropped(pair: Pair) -> None:
    near, far = await pair.connect()
    far.attach(Recorder())
    sink = Recorder()
    near.attach(sink)
    for number in range(500):
        request = RequestOffer(RequestCause.TRACKS, {f"t{number}": "audio"})
        near.receive(NegotiateMessage(near.connection_id, 0, request))
    await sink.gone.wait()
    assert isinstance(sink.ends[0], LimitError)


@pytest.mark.parametrize(
    "tracks", [{"t": "smell"}, {str(number): "audio" for number in range(MAX_TRACKS + 1)}]
)
async def test_a_far_side_that_asks_for_nonsense_is_dropped(
    pair: Pair, tracks: dict[str, str]
) -> None:
    near, far = await pair.connect()
    far.attach(Recorder())
    sink = Recorder()
    near.attach(sink)
    request = RequestOffer(RequestCause.TRACKS, tracks)
    near.receive(NegotiateMessage(near.connection_id, 0, request))
    await sink.gone.wait()
    assert isinstance(sink.ends[0], RemoteProtocolError | LimitError)


async def test_a_wire_that_ends_ends_its_publications_and_not_their_sources(pair: Pair) -> None:
    near, _ = await pair.connect()
    source = Listed("cam", "VP8", samples("VP8", 10_000, 200))
    publication = await near.publish(source)
    near.abort()
    await publication.ended.wait()
    assert not publication.is_finished
    assert await source.read() is not None
    again = await pair.alice.dial(BOB)
    await again.publish(source)


async def test_the_test_pattern_and_the_tone_arrive(pair: Pair) -> None:
    near, far = await pair.connect()
    frames = Frames(far)
    pattern = TestPattern(track_id="pattern", width=160, height=90, frames=20, speed=4)
    tone = Tone(track_id="tone", frames=40, speed=4)
    first = await near.publish(pattern)
    second = await near.publish(tone)
    await first.ended.wait()
    await second.ended.wait()
    await frames.until(lambda: len(frames.of("tone")) == 40 - tone.dropped)
    await frames.until(lambda: len(frames.of("pattern")) == 20 - pattern.dropped)
    assert frames.of("pattern")[0].keyframe
    assert {frame.codec for frame in frames.all} == {"VP8", "opus"}


async def test_large_frames_arrive_whole_and_a_track_of_sound_beside_them_loses_nothing(
    ends: Ends,
) -> None:
    near, far = ends
    frames = Frames(far)
    large, words = samples("VP8", 10, 1_200_000), samples("opus", 100, 200)
    await near.publish(Listed("mic", "opus", followed(words, "opus"), gap=0.02))
    await near.publish(Listed("big", "VP8", followed(large), gap=0.05))
    for track_id, wanted in (("mic", words), ("big", large)):
        await frames.until(lambda: len(frames.of(track_id)) >= len(wanted))  # noqa: B023
        got = frames.of(track_id)[: len(wanted)]
        assert [frame.data for frame in got] == [sample.data for sample in wanted]


class Endless(Listed):
    """A source that always has a frame, however fast or slow they are taken.

    Attributes:
        taken: How many were.
    """

    def __init__(self, track_id: str) -> None:
        super().__init__(track_id, "VP8", samples("VP8", 2, 400), gap=0.0)
        self.taken = 0

    async def read(self) -> Sample:
        await asyncio.sleep(self.gap)
        self.taken += 1
        return replace(self.samples[self.taken > 1], timestamp=7 + self.taken * 960)


class Beside(Listed):
    """Large frames; notes how many another source had given whenever one is asked for."""

    def __init__(self, other: Endless) -> None:
        super().__init__("big", "VP8", samples("VP8", 4, 1_200_000))
        self.other = other
        self.noted: list[int] = []

    async def read(self) -> Sample | None:
        self.noted.append(self.other.taken)
        return await super().read()


async def test_a_small_frame_passes_a_large_one_of_another_track(ends: Ends) -> None:
    near, far = ends
    frames = Frames(far)
    small = Endless("small")
    big = Beside(small)
    await near.publish(small)
    publication = await near.publish(big)
    await publication.ended.wait()
    # Counted where they are sent: of what is sent without an end a busy machine loses some.
    passed = [after - before for before, after in pairwise(big.noted)]
    assert len(passed) == 4
    # What is held up until a large one has gone is taken once meanwhile.
    assert min(passed) > 1, passed
    last = 7 + big.noted[-1] * 960
    await frames.until(lambda: any(frame.timestamp >= last for frame in frames.of("small")))


async def test_sound_that_was_lost_is_asked_for_and_comes_again(ends: Ends) -> None:
    near, far = ends
    frames = Frames(far)
    dice = random.Random(3)
    path = far._engine._sctp.transport.transport
    receive = path._recv

    async def lossy() -> bytes:
        while True:
            data: bytes = await receive()
            is_rtp = 128 <= data[0] < 192 and not 192 <= data[1] < 224
            if not is_rtp or dice.random() > 0.2 or len(frames.all) < 3 or len(frames.all) > 50:
                return data

    path._recv = lossy
    source = Listed("mic", "opus", samples("opus", 80, 200), gap=0.005)
    await near.publish(source)
    await frames.expect(source)


async def test_sound_waits_for_no_picture(ends: Ends) -> None:
    near, far = ends
    frames = Frames(far)
    near._engine.media.pace.budget.charge(2_000_000_000)
    source = Listed("mic", "opus", samples("opus", 20, 200), gap=0.002)
    async with asyncio.timeout(60):
        await near.publish(source)
        await frames.expect(source)


async def test_the_estimate_of_the_path_reaches_the_source(ends: Ends) -> None:
    near, far = ends
    frames = Frames(far)
    told: list[float] = []
    source = Listed("cam", "VP8", samples("VP8", 3000), gap=0.002)
    source.bitrate_estimated = told.append  # type: ignore[attr-defined]
    await near.publish(source)
    while not told:
        seen = len(frames.all)
        await frames.until(lambda seen=seen: len(frames.all) > seen)  # type: ignore[misc]
    assert told[0] > 0


async def test_a_thousand_tracks_leave_nothing_behind(pair: Pair) -> None:
    near, far = await pair.connect()
    frames = Frames(far)

    def kept() -> list[int]:
        counts = [len(asyncio.all_tasks())]
        for wire in (near, far):
            media = wire._engine.media
            router = media._pc.sctp.transport._rtp_router
            tables = (router.ssrc_table, router.mid_table, router.senders, router.receivers)
            counts += [len(media._pc.getTransceivers()), len(media._tracks), len(wire.tracks._sent)]
            counts += [len(table) for table in tables]
        return counts

    before: list[int] = []
    for number in range(1000):
        source = Listed(f"t{number}", "opus", samples("opus", 1, 20))
        publication = await near.publish(source)
        await frames.until(lambda: bool(frames.all))
        frames.all.clear()
        await publication.stop()
        if number == 200:
            before = kept()
    assert kept() == before


async def test_a_track_whose_source_ends_leaves_the_description_by_itself(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actr_peer.wire.webrtc.tracks.LINGER", 0.02)
    near, far = await pair.connect()
    Frames(far)
    for number in range(5):
        await near.publish(Listed(f"t{number}", "opus", samples("opus", 1, 20)))
    while near.tracks.stats() or far.tracks.stats():
        await turns(1)  # nothing is told of a track that ended well
    assert near.tracks._sent == {}


async def test_the_name_of_a_track_that_ended_is_free_at_once(pair: Pair) -> None:
    near, far = await pair.connect()
    frames = Frames(far)
    for _ in range(3):
        source = Listed("cam", "VP8", samples("VP8", 3))
        sent = await near.publish(source)
        await frames.expect(source)
        await sent.ended.wait()
        frames.all.clear()
    assert len(near.tracks._sent) == 1
