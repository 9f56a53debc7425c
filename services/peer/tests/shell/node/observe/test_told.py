"""Views as messages: every field in its unit, and no more than fits."""

from __future__ import annotations

from dataclasses import replace

from actr_peer import System
from actr_peer.node.observe.changes import Change
from actr_peer.node.observe.told import MAX_LINKS, changes_told, letter_told, told
from actr_peer.node.observe.view import NodeView, StreamsView, TrackView
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.certificates import Certificate
from actr_peer.protocol.media.frames import TrackStats
from actr_peer.protocol.payload import PayloadType, WireKind
from actr_peer.protocol.session.wires.policy import WireState
from actr_peer.state.mailbox.dead_letters import Letter
from actr_peer.transport.link_view import KindView, LaneView, LinkView, StreamView
from lab.quiet import Quiet
from peer_kit.signaling import config

ANN = ActrId("acme", "ann", "1")
CERTIFICATE = Certificate(
    issuer="issuer",
    subject="acme:ann@1",
    realm="default",
    key=bytes(32),
    claims={},
    issued_at=1_000,
    not_before=1_000,
    expires_at=1_900,
    serial="s",
    text="",
)
WIRE = KindView(WireKind.WEBRTC, WireState.READY, 0.0015, is_relayed=True, tries=2)
LANE = LaneView(1, 2, 3, 4, 5, 6, 7, 8)


def view_with(*links: LinkView) -> NodeView:
    node = System(config("room", "ws://127.0.0.1:9/v1/ws")).attach(Quiet())
    return replace(node.view(), links=links)


def link(*wires: KindView, active: WireKind | None = None) -> LinkView:
    return LinkView(ANN, wires, active, {PayloadType.RPC_RELIABLE: LANE}, "no route")


def test_an_actor_without_a_link_tells_who_it_is() -> None:
    view = replace(view_with(), failures={"link": 2})
    said = told(view)
    assert (said.id, said.incarnation) == (str(view.id), f"{view.incarnation:016x}")
    assert (said.signaling, said.identity.by) == ("connecting", "development")
    assert dict(said.failures) == {"link": 2}
    assert said.mailbox.counts["pushed_back"] == 0


def test_a_wire_tells_its_round_trip_in_microseconds_and_what_carries_the_traffic() -> None:
    idle = KindView(WireKind.WEBSOCKET, WireState.IDLE, None, is_relayed=False, tries=0)
    (said,) = told(view_with(link(WIRE, idle, active=WireKind.WEBRTC))).links
    webrtc, websocket = said.wires
    assert (webrtc.kind, webrtc.state, webrtc.round_trip_us) == ("webrtc", "ready", 1500)
    assert (webrtc.is_relayed, webrtc.is_active, webrtc.tries) == (True, True, 2)
    assert webrtc.identity.by == "development"
    assert (websocket.state, websocket.round_trip_us, websocket.is_active) == ("idle", 0, False)
    assert not websocket.HasField("identity")
    assert (said.remote, said.trouble) == (str(ANN), "no route")


def test_what_a_far_side_has_proved_is_told_with_its_end() -> None:
    wire = replace(WIRE, certificate=CERTIFICATE)
    (said,) = told(view_with(link(wire))).links
    proved = said.wires[0].identity
    assert (proved.by, proved.subject, proved.expires_at_ms) == (
        "certificate", "acme:ann@1", 1_900_000,
    )  # fmt: skip
    assert len(proved.fingerprint) == 64


def test_a_lane_tells_all_its_counts() -> None:
    (said,) = told(view_with(link(WIRE))).links
    (lane,) = said.lanes
    counts = [value for field, value in lane.ListFields() if field.name != "lane"]
    assert (lane.lane, counts) == ("RPC_RELIABLE", [1, 2, 3, 4, 5, 6, 7, 8])


def test_of_too_many_links_the_oldest_are_told_and_all_are_counted() -> None:
    said = told(view_with(*[link(WIRE)] * (MAX_LINKS + 1)))
    assert (len(said.links), said.link_count) == (MAX_LINKS, MAX_LINKS + 1)


def test_a_stream_tells_whose_it_is_and_how_far_it_is() -> None:
    lane = PayloadType.STREAM_LATENCY_FIRST
    half = StreamView(ANN, "c", "demo.Chat.Cursors", lane, is_outbound=True, items=7)
    streams = StreamsView(open=300, running=1, waiting=2, counts={"stale": 1}, halves=(half,))
    said = told(replace(view_with(), streams=streams)).streams
    (stream,) = said.halves
    assert (said.open, dict(said.counts)) == (300, {"stale": 1})
    assert (stream.remote, stream.channel, stream.route_key) == (str(ANN), "c", "demo.Chat.Cursors")
    assert (stream.lane, stream.is_outbound, stream.items) == (lane.name, True, 7)


def test_a_track_tells_what_it_is_and_how_it_fares() -> None:
    sent = TrackStats(
        track_id="cam",
        kind="video",
        is_outbound=True,
        packets=30,
        lost=-1,  # as RFC 3550 has it: more came than were sent
        jitter=0.002,
        rtt=None,
        frames=3,
        dropped=1,
        codec="VP8",
        bytes=900,
    )
    track = TrackView(remote=ANN, stats=sent, rtt=0.01)
    (said,) = told(replace(view_with(), tracks=(track,))).tracks
    assert (said.remote, said.track_id, said.kind, said.codec) == (str(ANN), "cam", "video", "VP8")
    assert (said.is_outbound, said.frames, said.bytes, said.packets) == (True, 3, 900, 30)
    assert (said.lost, said.dropped) == (0, 1)
    assert (said.jitter_us, said.round_trip_us) == (2_000, 10_000)


def test_changes_have_their_time_in_milliseconds() -> None:
    (said,) = changes_told([Change(1.5, ANN, WireKind.WEBSOCKET, WireState.FAILED)])
    assert (said.at_ms, said.remote, said.kind, said.state) == (
        1500, str(ANN), "websocket", "failed",
    )  # fmt: skip


def test_a_letter_tells_all_that_is_known_of_it() -> None:
    letter = Letter(
        sequence=1 << 40,
        sender=str(ANN),
        request_id="r",
        payload_type=PayloadType.RPC_SIGNAL,
        is_tell=True,
        route_key="demo.Chat.Say",
        size=12,
        reason="hopeless",
        attempts=3,
        crashes=1,
        failures=2,
        last_error="ValueError: no",
        died_at=2.25,
        envelope=b"as it came",
    )
    said = letter_told(letter)
    assert (said.number, said.payload_type, said.is_tell) == (1 << 40, "RPC_SIGNAL", True)
    assert (said.attempts, said.crashes, said.failures) == (3, 1, 2)
    assert (said.died_at_ms, said.envelope) == (2250, b"as it came")
