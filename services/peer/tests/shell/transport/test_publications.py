from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import pytest

from actr_peer.errors import (
    BrokenError,
    BusyError,
    CallError,
    ClosedError,
    Code,
    ConfigError,
    PeerError,
)
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.media.frames import Sample
from actr_peer.protocol.session.wires.policy import WireState
from actr_peer.protocol.webrtc.negotiation import TrackKind
from actr_peer.transport.publications import MediaWire, PublicationState, TrackLane, TrackLanes
from actr_peer.wire.media.pushed import SampleTrack
from actr_peer.wire.webrtc.tracks import SentTrack
from peer_kit.fakes import BOB, ScriptedWire, turns


class Silent:
    """A source that has a name and nothing to say."""

    kind: TrackKind = "audio"
    codec = "opus"

    def __init__(self, track_id: str) -> None:
        self.track_id = track_id

    async def read(self) -> Sample | None:
        return None

    def request_keyframe(self) -> None: ...


class FakeTracks:
    """Stands for the tracks of a wire."""

    def __init__(self) -> None:
        self.withdrawn: list[str] = []

    def withdraw(self, track: Any) -> None:
        self.withdrawn.append(track.source.track_id)

    async def unpublish(self, track: Any) -> None:
        self.withdraw(track)


class FakeTrack:
    def __init__(self, source: Any) -> None:
        self.source = source


class FakeWire(ScriptedWire):
    """A wire that carries tracks; the test settles each publication.

    Attributes:
        asked: (source, settled) of each publication, oldest first.
    """

    def __init__(self) -> None:
        super().__init__(BOB)
        self.tracks = FakeTracks()
        self.asked: list[tuple[Any, Callable[[SentTrack | PeerError], None]]] = []
        self.gone: Callable[[], None] = lambda: None

    def publish_soon(self, source: Any, settled: Callable[[SentTrack | PeerError], None]) -> None:
        self.asked.append((source, settled))

    def when_gone(self, told: Callable[[], None]) -> None:
        self.gone = told

    def agree(self, number: int = -1) -> SentTrack:
        """The far side takes the track."""
        source, settled = self.asked[number]
        publication = SentTrack(self.tracks, FakeTrack(source))  # type: ignore[arg-type]
        settled(publication)
        return publication

    def refuse(self, error: PeerError) -> None:
        self.asked[-1][1](error)


async def live(lane: TrackLane, wire: FakeWire, track_id: str = "mic") -> Any:
    publishing = asyncio.gather(lane.send(Silent(track_id), timeout=5))
    await turns()
    wire.agree()
    (publication,) = await publishing
    return publication


def test_a_webrtc_wire_carries_media_and_others_do_not() -> None:
    assert isinstance(FakeWire(), MediaWire)
    assert not isinstance(ScriptedWire(BOB), MediaWire)


async def test_a_track_goes_live_on_the_wire_that_is_there() -> None:
    lane, wire = TrackLane(BOB), FakeWire()
    lane.wire_ready(wire)
    publication = await live(lane, wire)
    assert publication.state is PublicationState.LIVE
    assert lane.tracks() == [publication]


async def test_a_source_has_one_reader_at_a_time() -> None:
    lane, other, wire = TrackLane(BOB), TrackLane(BOB), FakeWire()
    lane.wire_ready(wire)
    track = SampleTrack("camera")
    publishing = asyncio.gather(lane.send(track, timeout=5))
    await turns()
    wire.agree()
    (publication,) = await publishing
    with pytest.raises(BusyError, match="another publication"):
        await other.send(track)
    await track.send(Sample(b"x", 0))  # the one that goes on takes what is sent
    await publication.stop()
    other.wire_ready(wire)
    publishing = asyncio.gather(other.send(track, timeout=5))
    await turns()
    wire.agree()
    await publishing


async def test_publishing_waits_for_the_first_wire() -> None:
    lane, wire = TrackLane(BOB), FakeWire()
    publishing = asyncio.gather(lane.send(Silent("mic"), timeout=5))
    await turns()
    lane.wire_ready(ScriptedWire(BOB))
    lane.wire_ready(wire)
    lane.wire_ready(wire)
    assert len(wire.asked) == 1
    wire.agree()
    assert (await publishing)[0].state is PublicationState.LIVE


async def test_without_a_webrtc_wire_the_error_says_what_media_needs() -> None:
    lane = TrackLane(BOB)
    with pytest.raises(CallError, match="media needs WebRTC") as caught:
        await lane.send(Silent("mic"), timeout=0.01)
    assert caught.value.code is Code.FAILED_PRECONDITION
    assert lane.tracks() == []


async def test_a_cancelled_publishing_leaves_nothing() -> None:
    lane, wire = TrackLane(BOB), FakeWire()
    lane.wire_ready(wire)
    publishing = asyncio.gather(lane.send(Silent("mic"), timeout=5))
    await turns()
    publishing.cancel()
    await asyncio.wait([publishing])
    assert lane.tracks() == []
    late = wire.agree()
    assert late.ended.is_set()
    assert wire.tracks.withdrawn == ["mic"]


async def test_a_track_is_suspended_without_a_wire_and_resumes_on_the_next() -> None:
    lane, old, new = TrackLane(BOB), FakeWire(), FakeWire()
    lane.wire_ready(old)
    publication = await live(lane, old)
    lane.wire_lost()
    assert publication.state is PublicationState.SUSPENDED
    lane.wire_ready(new)
    assert new.asked[0][0] is publication.source
    new.agree()
    assert publication.state is PublicationState.LIVE
    assert publication.resumed == 1


async def test_a_track_leaves_the_old_wire_before_it_goes_on_over_the_new_one() -> None:
    lane, old, new = TrackLane(BOB), FakeWire(), FakeWire()
    lane.wire_ready(old)
    publishing = asyncio.gather(lane.send(Silent("mic"), timeout=5))
    await turns()
    first = old.agree()
    await publishing
    lane.wire_ready(new)
    assert first.ended.is_set()
    assert old.tracks.withdrawn == ["mic"]


async def test_a_wire_that_breaks_meanwhile_is_waited_out() -> None:
    lane, old, new = TrackLane(BOB), FakeWire(), FakeWire()
    lane.wire_ready(old)
    publishing = asyncio.gather(lane.send(Silent("mic"), timeout=5))
    await turns()
    old.refuse(BrokenError("gone"))
    await turns()
    assert not publishing.done()
    lane.wire_ready(new)
    new.agree()
    await publishing


async def test_a_refusal_reaches_the_caller() -> None:
    lane, wire = TrackLane(BOB), FakeWire()
    lane.wire_ready(wire)
    publishing = asyncio.gather(lane.send(Silent("mic"), timeout=5))
    await turns()
    wire.refuse(ConfigError("no such codec"))
    with pytest.raises(ConfigError):
        await publishing
    assert lane.tracks() == []


async def test_an_answer_of_an_old_wire_touches_nothing() -> None:
    lane, old, new = TrackLane(BOB), FakeWire(), FakeWire()
    lane.wire_ready(old)
    publishing = asyncio.gather(lane.send(Silent("mic"), timeout=5))
    await turns()
    lane.wire_ready(new)
    late = old.agree()
    assert late.ended.is_set()
    assert not publishing.done()
    new.agree()
    await publishing


async def test_one_track_id_is_published_once() -> None:
    lane, wire = TrackLane(BOB), FakeWire()
    lane.wire_ready(wire)
    await live(lane, wire)
    with pytest.raises(BusyError):
        await lane.send(Silent("mic"), timeout=5)


async def test_a_source_that_ends_ends_its_publication() -> None:
    lane, wire = TrackLane(BOB), FakeWire()
    lane.wire_ready(wire)
    publishing = asyncio.gather(lane.send(Silent("mic"), timeout=5))
    await turns()
    on_wire = wire.agree()
    (publication,) = await publishing
    on_wire._failed(OSError("the file is broken"))
    assert publication.state is PublicationState.ENDED
    assert isinstance(publication.error, BrokenError)
    lane.wire_ready(FakeWire())
    assert publication.state is PublicationState.ENDED


async def test_closing_stops_all_and_twice_is_harmless() -> None:
    lane, wire = TrackLane(BOB), FakeWire()
    lane.wire_ready(wire)
    one, two = await live(lane, wire, "one"), await live(lane, wire, "two")
    waiting = asyncio.gather(lane.send(Silent("three"), timeout=5))
    await turns()
    await lane.close()
    await lane.close()
    assert {one.state, two.state} == {PublicationState.ENDED}
    assert sorted(wire.tracks.withdrawn) == ["one", "two"]
    with pytest.raises(ClosedError):
        await waiting


async def test_a_track_is_suspended_when_its_wire_is_gone_and_nobody_says_so_above() -> None:
    lane, wire = TrackLane(BOB), FakeWire()
    lane.wire_ready(wire)
    publication = await live(lane, wire)
    wire.gone()
    assert publication.state is PublicationState.SUSPENDED
    assert not publication.ended.is_set()
    other = FakeWire()
    lane.wire_ready(other)
    other.agree()
    assert publication.state is PublicationState.LIVE
    assert publication.resumed == 1


async def test_the_end_of_an_old_wire_does_not_touch_the_tracks_of_the_new_one() -> None:
    lane, old, new = TrackLane(BOB), FakeWire(), FakeWire()
    lane.wire_ready(old)
    publication = await live(lane, old)
    lane.wire_ready(new)
    new.agree()
    old.gone()
    assert publication.state is PublicationState.LIVE


async def test_a_wire_that_is_gone_already_is_not_kept() -> None:
    class Gone(FakeWire):
        def when_gone(self, told: Callable[[], None]) -> None:
            told()

    lane, wire = TrackLane(BOB), Gone()
    lane.wire_ready(wire)
    publishing = asyncio.gather(lane.send(Silent("mic"), timeout=5))
    await turns()
    assert wire.asked == []
    lane.wire_ready(new := FakeWire())
    new.agree()
    assert (await publishing)[0].state is PublicationState.LIVE


async def test_an_object_that_is_no_source_is_refused_to_the_caller() -> None:
    lane = TrackLane(BOB)
    with pytest.raises(ConfigError, match="no source"):
        await lane.send(object(), timeout=5)  # type: ignore[arg-type]
    assert lane.tracks() == []


async def test_nothing_is_published_once_this_side_leaves() -> None:
    lane = TrackLane(BOB)
    await lane.close()
    with pytest.raises(ClosedError):
        await lane.send(Silent("mic"), timeout=5)


async def test_leaving_does_not_wait_for_a_far_side_that_says_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("actr_peer.transport.publications.CLOSE_TIMEOUT", 0.01)
    lane, wire = TrackLane(BOB), FakeWire()
    lane.wire_ready(wire)
    publication = await live(lane, wire)

    async def never(track: Any) -> None:
        await asyncio.Event().wait()

    wire.tracks.unpublish = never  # type: ignore[method-assign]
    await lane.close()
    assert publication.state is PublicationState.ENDED


async def test_a_track_that_comes_back_to_a_wire_which_still_takes_it_goes_on_there() -> None:
    lane, near, other = TrackLane(BOB), FakeWire(), FakeWire()
    publishing = asyncio.gather(lane.send(Silent("mic"), timeout=5))
    await turns()
    for wire in (near, other, near):
        lane.wire_ready(wire)
    assert (len(near.asked), len(other.asked)) == (1, 1)
    other.agree()
    near.agree()
    (publication,) = await publishing
    assert publication.state is PublicationState.LIVE
    assert (near.tracks.withdrawn, other.tracks.withdrawn) == ([], ["mic"])


async def test_each_remote_has_a_lane_which_follows_its_webrtc_wire() -> None:
    lanes, wire = TrackLanes(), FakeWire()
    lanes.follow(BOB, WireState.READY, wire)
    assert not lanes.has(BOB)
    lane = lanes.lane(BOB, wire)
    assert lanes.lane(BOB, None) is lane
    publication = await live(lane, wire)
    assert lanes.has(BOB)
    lanes.follow(BOB, WireState.SUSPECT, wire)
    assert publication.state is PublicationState.LIVE
    lanes.follow(BOB, WireState.FAILED, None)
    assert publication.state is PublicationState.SUSPENDED
    later = FakeWire()
    lanes.follow(BOB, WireState.READY, later)
    later.agree()
    assert publication.state is PublicationState.LIVE
    await publication.stop()
    assert not lanes.has(BOB)


async def test_a_lane_that_is_made_while_there_is_no_wire_waits_for_one() -> None:
    lanes, wire = TrackLanes(), FakeWire()
    publishing = asyncio.gather(lanes.lane(BOB, None).send(Silent("mic")))
    await turns()
    lanes.follow(BOB, WireState.READY, wire)
    wire.agree()
    (publication,) = await publishing
    assert publication.state is PublicationState.LIVE


async def test_closing_takes_all_tracks_away_and_no_lane_is_made_after_it() -> None:
    lanes, wire = TrackLanes(), FakeWire()
    publication = await live(lanes.lane(BOB, wire), wire)
    await lanes.close()
    assert publication.state is PublicationState.ENDED
    for remote in (BOB, ActrId("acme", "ada", "1")):
        with pytest.raises(ClosedError):
            lanes.lane(remote, None)


async def test_a_lane_is_forgotten_when_its_last_track_has_ended() -> None:
    lanes, wire = TrackLanes(), FakeWire()
    for number in range(20):
        remote = ActrId("acme", "room", str(number), "default")
        publication = await live(lanes.lane(remote, wire), wire)
        assert lanes.has(remote)
        await publication.stop()
        wire.gone()
        del publication
        wire.asked.clear()
        wire.gone = lambda: None
    await turns()
    gc.collect()
    assert len(lanes._lanes) == 0
    assert lanes._busy == set()


async def test_a_lane_with_tracks_is_kept_while_nobody_holds_it() -> None:
    lanes, wire = TrackLanes(), FakeWire()
    await live(lanes.lane(BOB, wire), wire)
    wire.gone()
    wire.gone = lambda: None
    gc.collect()
    again = FakeWire()
    lanes.follow(BOB, WireState.READY, again)
    assert [source.track_id for source, _ in again.asked] == ["mic"]


async def test_a_pushed_track_learns_that_it_is_published_no_longer() -> None:
    lane, wire = TrackLane(BOB), FakeWire()
    lane.wire_ready(wire)
    track = SampleTrack("cam")
    publishing = asyncio.gather(lane.send(track, timeout=5))
    await turns()
    wire.agree()
    (publication,) = await publishing
    await track.send(Sample(b"x", 0))
    await publication.stop()
    with pytest.raises(ClosedError):
        await track.send(Sample(b"x", 0))
