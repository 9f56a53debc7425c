"""Media sections as browsers write them: before the data, refused, stopped, and put to other use.

The browser is an ``RTCPeerConnection`` of aiortc itself, with media and data in the order and the
bundle policy of one; what aiortc cannot write is edited into its descriptions.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from fractions import Fraction
from typing import Any

import av
import pytest
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from actr_peer.errors import PeerError, RemoteProtocolError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.media.frames import MediaFrame
from actr_peer.protocol.webrtc.negotiation import Answer, Candidate, NegotiateMessage, Offer
from actr_peer.tasks import failures
from actr_peer.wire.base import Wire
from actr_peer.wire.webrtc.wires import WebRtcWires
from peer_kit.fakes import ALICE, BOB, Recorder, turns
from peer_kit.webrtc.frames import Frames, Listed, samples
from peer_kit.webrtc.offers import MAX_BUNDLE, PLAIN, VP9, mutated
from peer_kit.webrtc.pair import Pair, webrtc_pair

pytestmark = pytest.mark.service

LANES = ("RPC_RELIABLE", "RPC_SIGNAL", "STREAM_RELIABLE", "STREAM_LATENCY_FIRST")


class Packets(MediaStreamTrack):
    """A track of encoded frames without end."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self._ticks = 0

    async def recv(self) -> Any:
        await asyncio.sleep(0.01)
        rate = 90_000 if self.kind == "video" else 48_000
        self._ticks += rate // 50
        packet = av.Packet(b"\x10" + bytes(300) if self.kind == "video" else b"\x78" * 60)
        packet.pts, packet.time_base = self._ticks, Fraction(1, rate)
        return packet


class Browser:
    """ALICE, who offers to BOB.

    Attributes:
        edit: Changes the text of each offer on its way.
    """

    def __init__(self, *kinds: str) -> None:
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.tracks = [Packets(kind) for kind in kinds]
        self.sections = [self.pc.addTransceiver(track, "sendonly") for track in self.tracks]
        self.channels = [
            self.pc.createDataChannel(
                name, negotiated=True, id=number, protocol="actr/1", ordered=number != 3
            )
            for number, name in enumerate(LANES)
        ]
        self.edit: Callable[[str], str] = lambda sdp: sdp
        self.exchange = 0
        self.answers: asyncio.Queue[Answer] = asyncio.Queue()
        self.arrived: asyncio.Queue[Wire] = asyncio.Queue()
        self.got: Counter[str] = Counter()
        self._heard = asyncio.Event()

    async def relay(self, remote: ActrId, message: NegotiateMessage) -> None:
        if isinstance(message.body, Answer):
            self.answers.put_nowait(message.body)

    async def offer(self, wires: WebRtcWires) -> Answer:
        """One exchange, in which the far side is shown ``edit`` of our offer."""
        await self.pc.setLocalDescription(await self.pc.createOffer())
        self.exchange += 1
        ids = {
            section.mid: section.sender.track.id
            for section in self.pc.getTransceivers()
            if section.sender.track is not None
        }
        sdp = self.edit(self.pc.localDescription.sdp)
        wires.receive(ALICE, NegotiateMessage("c", self.exchange, Offer(sdp, ids)))
        return await self.answers.get()

    async def accept(self, answer: Answer) -> None:
        await self.pc.setRemoteDescription(RTCSessionDescription(answer.sdp, "answer"))

    def heard(self, frame: MediaFrame) -> None:
        self.got[frame.track_id] += 1
        self._heard.set()

    async def until(self, is_true: Callable[[], bool]) -> None:
        while not is_true():
            self._heard.clear()
            await self._heard.wait()


@pytest.fixture
async def bob() -> AsyncIterator[tuple[Callable[..., Browser], WebRtcWires]]:
    browsers: list[Browser] = []

    def make(*kinds: str) -> Browser:
        browsers.append(Browser(*kinds))
        return browsers[-1]

    async def relay(remote: ActrId, message: NegotiateMessage) -> None:
        await browsers[-1].relay(remote, message)

    async with (
        asyncio.timeout(60),
        WebRtcWires(
            self_id=BOB,
            relay=relay,
            ice_servers=tuple,
            on_wire=lambda wire: browsers[-1].arrived.put_nowait(wire),
        ) as wires,
    ):
        yield make, wires
        for browser in browsers:
            await browser.pc.close()


Bob = tuple[Callable[..., Browser], WebRtcWires]


def first_lines(sdp: str) -> list[str]:
    return [" ".join(line.split()[:2]) for line in sdp.splitlines() if line.startswith("m=")]


def is_refused(sdp: str, index: int) -> bool:
    return first_lines(sdp)[index].endswith(" 0")


async def opened(browser: Browser) -> tuple[Any, Recorder]:
    wire: Any = await browser.arrived.get()
    sink = Recorder()
    wire.attach(sink)
    wire.tracks.on_frame = browser.heard
    return wire, sink


async def test_a_first_offer_may_have_its_media_before_the_data(bob: Bob) -> None:
    make, wires = bob
    browser = make("audio", "video")
    answer = await browser.offer(wires)
    assert [line.split()[0] for line in first_lines(answer.sdp)] == [
        "m=audio",
        "m=video",
        "m=application",
    ]
    await browser.accept(answer)
    _, sink = await opened(browser)
    browser.channels[0].send(b"data")
    await sink.received(1)
    await browser.until(lambda: all(browser.got[track.id] > 3 for track in browser.tracks))
    assert set(browser.got) == {track.id for track in browser.tracks}


def vp9(sdp: str) -> str:
    """As a browser writes it that was told to send nothing else."""
    return "".join(
        _vp9(part) if part.startswith("m=video") else part
        for part in re.split(r"(?=^m=)", sdp, flags=re.M)
    )


def _vp9(video: str) -> str:
    lines = [line for line in video.splitlines(keepends=True) if "rtcp-fb" not in line]
    lines = [line for line in lines if not line.startswith(("a=rtpmap", "a=fmtp"))]
    lines[0] = "m=video 9 UDP/TLS/RTP/SAVPF 98 100\r\n"
    codecs = "a=rtpmap:98 VP9/90000\r\na=rtpmap:100 VP9/90000\r\na=fmtp:100 profile-id=2\r\n"
    return "".join(lines) + codecs


async def test_an_offer_in_a_codec_that_we_have_not_costs_that_section(bob: Bob) -> None:
    make, wires = bob
    browser = make("audio", "video")
    browser.edit = vp9
    answer = await browser.offer(wires)
    assert [is_refused(answer.sdp, index) for index in range(3)] == [False, True, False]
    assert "a=group:BUNDLE 0 2\r\n" in answer.sdp
    # aiortc, who offers here, knows no refused section.
    live = "m=video 9 UDP/TLS/RTP/SAVPF 97"
    section = re.split(r"(?=m=)", browser.pc.localDescription.sdp)[2].replace(
        "a=sendonly", "a=inactive"
    )
    own = re.split(r"(?=m=)", answer.sdp)
    section = re.sub(r"a=(candidate|end-of|ice|fingerprint|setup).*\r\n", "", section)
    section += "".join(re.findall(r"a=(?:ice|fingerprint|setup).*\r\n", own[1]))
    shown = (own[0] + own[1] + section + own[3]).replace("BUNDLE 0 2", "BUNDLE 0 1 2")
    assert live not in answer.sdp
    await browser.accept(Answer(shown))
    wire, sink = await opened(browser)
    browser.channels[0].send(b"data")
    await sink.received(1)
    audio = browser.tracks[0].id
    await browser.until(lambda: browser.got[audio] > 3)
    assert set(browser.got) == {audio}
    browser.edit = lambda sdp: sdp  # and the next offer is in one that we have
    await browser.accept(await browser.offer(wires))
    video = browser.tracks[1].id
    await browser.until(lambda: browser.got[video] > 3)
    assert sink.ends == []
    assert [stats.track_id for stats in wire.tracks.stats()] == [audio, video]


def stopped(index: int, mid: str) -> Callable[[str], str]:
    """As a browser writes a section whose transceiver was stopped."""

    def edit(sdp: str) -> str:
        parts = re.split(r"(?=^m=)", sdp, flags=re.M)
        kind = parts[index + 1][2:7]
        parts[index + 1] = f"m={kind} 0 UDP/TLS/RTP/SAVPF 96\r\na=inactive\r\na=mid:{mid}\r\n"
        parts[0] = re.sub(rf"(BUNDLE.*) {mid}\b", r"\1", parts[0])
        return "".join(parts)

    return edit


@pytest.mark.parametrize("kind", ["video", "audio"])
async def test_a_section_that_is_stopped_serves_another_track_of_any_kind(
    bob: Bob, kind: str
) -> None:
    make, wires = bob
    browser = make("audio", "video")
    await browser.accept(await browser.offer(wires))
    wire, sink = await opened(browser)
    audio, video = (track.id for track in browser.tracks)
    await browser.until(lambda: browser.got[audio] > 1 and browser.got[video] > 1)

    browser.edit = stopped(1, "1")
    answer = await browser.offer(wires)
    assert is_refused(answer.sdp, 1)
    assert [stats.track_id for stats in wire.tracks.stats()] == [audio]

    def again(sdp: str) -> str:
        parts = re.split(r"(?=^m=)", sdp, flags=re.M)
        source = parts[2] if kind == "video" else parts[1]
        parts[2] = re.sub(r"a=mid:\d+", "a=mid:9", source)
        parts[2] = re.sub(r"a=ssrc:\d+", "a=ssrc:4711", parts[2])
        parts[0] = re.sub(r"BUNDLE 0 1", "BUNDLE 0 9", parts[0])
        return "".join(parts)

    browser.edit = again
    answer = await browser.offer(wires)
    assert [is_refused(answer.sdp, index) for index in range(3)] == [False, False, False]
    assert "BUNDLE 0 9 2" in answer.sdp
    assert first_lines(answer.sdp)[1].startswith(f"m={kind} ")
    browser.channels[0].send(b"data")
    await sink.received(1)
    transceivers = wire._engine.media._pc.getTransceivers()
    assert {(each.mid, each.kind) for each in transceivers} == {("0", "audio"), ("9", kind)}
    assert sink.ends == []


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    async with asyncio.timeout(60), webrtc_pair() as made:
        yield made


def refuse_video(wire: Any) -> None:
    """Have the far side of a connection answer every video section with port 0."""
    answer = wire._engine.answer

    async def refusing(offer: Offer) -> Answer:
        made: Answer = await answer(offer)
        parts = re.split(r"(?=^m=)", made.sdp, flags=re.M)
        for index, part in enumerate(parts):
            if part.startswith("m=video"):
                mid = re.findall(r"a=mid:(.*)\r", part)[0]
                parts[index] = f"m=video 0 UDP/TLS/RTP/SAVPF 97\r\na=inactive\r\na=mid:{mid}\r\n"
                parts[0] = re.sub(rf"(BUNDLE.*) {mid}\b", r"\1", parts[0])
        return Answer("".join(parts), made.track_ids)

    wire._engine.answer = refusing


async def test_an_answer_that_refuses_a_section_costs_its_track_and_nothing_else(
    pair: Pair,
) -> None:
    near, far = await pair.connect()
    sink = Recorder()
    far.attach(sink)
    near.attach(Recorder())
    frames = Frames(far)
    answer = far._engine.answer
    refuse_video(far)
    with pytest.raises(RemoteProtocolError, match="takes no VP8"):
        await near.publish(Listed("cam", "VP8", samples("VP8", 5)))
    mic = Listed("mic", "opus", samples("opus", 5, 200))
    await near.publish(mic)
    await frames.expect(mic)
    near.send(0, b"data")
    await sink.received(1)
    far._engine.answer = answer
    late = Listed("late", "H264", samples("H264", 5))
    await near.publish(late)
    await frames.expect(late)
    assert sink.ends == []


async def test_an_offer_with_no_codec_of_ours_for_our_track_costs_that_track(
    pair: Pair,
) -> None:
    near, far = await pair.connect()
    offer = near._engine.offer

    async def in_vp9() -> Offer:
        made: Offer = await offer()
        return Offer(vp9(made.sdp), made.track_ids)

    near._engine.offer = in_vp9
    at_near = Frames(near)
    with pytest.raises(RemoteProtocolError):
        await far.publish(Listed("cam", "VP8", samples("VP8", 5)))
    near._engine.offer = offer
    mic = Listed("mic", "opus", samples("opus", 5, 200))
    await far.publish(mic)
    await at_near.expect(mic)


async def test_a_source_that_changes_without_an_exchange_goes_on_under_its_id(
    pair: Pair,
) -> None:
    near, far = await pair.connect()
    frames = Frames(far)
    source = Listed("cam", "VP8", samples("VP8", 400), gap=0.005)
    await near.publish(source)
    await frames.until(lambda: len(frames.all) >= 5)
    sender = near._engine.media._pc.getTransceivers()[0].sender
    requests = source.requests
    router = sender.transport._rtp_router
    sender._ssrc = sender._packets.ssrc = (sender._ssrc + 1) % 2**32
    router.register_sender(sender, ssrc=sender._ssrc)
    sender._packets.sequence = (sender._packets.sequence + 20_000) % 2**16
    seen = len(frames.all)
    await frames.until(lambda: len(frames.all) >= seen + 20)
    assert {frame.track_id for frame in frames.all} == {"cam"}
    while source.requests == requests:
        source.asked.clear()
        await source.asked.wait()


CANDIDATES = [
    "candidate:4002995520 1 udp 2122194687 192.0.2.2 38974 typ host generation 0 network-id 1",
    "candidate:2421637080 1 tcp 1518214911 192.0.2.2 9 typ host tcptype active generation 0",
    "candidate:1 1 udp 1 fd00::2 58090 typ srflx raddr 192.0.2.3 rport 7",
]


async def feed(pair: Pair, dice: random.Random, count: int) -> None:
    """Send BOB mutated offers and candidates, from a stranger and on the connection of ALICE."""
    for number in range(count):
        sdp = mutated(dice.choice([PLAIN, MAX_BUNDLE, VP9]), dice)
        name = f"hostile {number}"
        pair.bob.receive(ALICE, NegotiateMessage(name, 1, Offer(sdp, {"1": "x" * 300})))
        for text in CANDIDATES:
            line = mutated(text, dice).strip() if dice.random() < 0.7 else text
            pair.bob.receive(ALICE, NegotiateMessage(name, 1, Candidate(line, "0", 0)))
        while len(pair.bob.wires()) > 3:
            await turns(5)
            for wire in pair.bob.wires()[1:-2]:  # the first is the honest one
                await wire.close()


async def test_hostile_descriptions_and_candidates_end_at_most_their_connection(
    pair: Pair,
) -> None:
    near, far = await pair.connect()
    sink = Recorder()
    far.attach(sink)
    before = failures.total()
    await feed(pair, random.Random(5), 200)
    near.send(0, b"data")
    await sink.received(1)
    assert sink.ends == []
    assert failures.total() == before, "each was refused with a typed error"


async def test_a_hostile_answer_ends_at_most_its_connection(pair: Pair) -> None:
    dice = random.Random(6)
    before = failures.total()
    near, far = await pair.connect()
    sink = Recorder()
    far.attach(sink)
    offers: asyncio.Queue[NegotiateMessage] = asyncio.Queue()
    carol = ActrId("acme", "chat", "carol")

    async def relay(remote: ActrId, message: NegotiateMessage) -> None:
        if isinstance(message.body, Offer):
            offers.put_nowait(message)

    pair.alice._relay = relay
    for number in range(60):
        dial = asyncio.gather(pair.alice.dial(carol), return_exceptions=True)
        message = await offers.get()
        assert isinstance(message.body, Offer)
        sdp = message.body.sdp.replace("actpass", "active")
        answer = Answer(mutated(sdp, dice), {"0": "x"})
        pair.alice.receive(carol, NegotiateMessage(message.connection_id, 1, answer))
        await turns(10 + number % 7)
        for wire in pair.alice.wires():
            if wire is not near:
                wire.abort()
        assert isinstance((await dial)[0], PeerError)
    near.send(0, b"data")
    await sink.received(1)
    assert failures.total() == before
