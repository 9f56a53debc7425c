"""The way of messages to the own id: order, room, word of what is stored, and the end."""

from __future__ import annotations

import asyncio

import pytest

from actr_peer.errors import ClosedError, LimitError, PeerError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import MAX_MESSAGE_BYTES, PayloadType, WireKind
from actr_peer.protocol.session.receiver import UNNUMBERED
from actr_peer.tasks import failures
from actr_peer.transport.local import lanes
from actr_peer.transport.local.lanes import WINDOW_MESSAGES
from actr_peer.transport.local.loop import LoopLink
from actr_peer.transport.publications import TrackLane

PATIENCE = 60.0
ME = ActrId("acme", "ada", "1")
RELIABLE, SIGNAL = PayloadType.RPC_RELIABLE, PayloadType.RPC_SIGNAL
STREAM, LATENCY_FIRST = PayloadType.STREAM_RELIABLE, PayloadType.STREAM_LATENCY_FIRST


class Above:
    """Hears what arrives, and stores it if it is asked to."""

    def __init__(self, *, stores: bool = True) -> None:
        self.stores = stores
        self.heard: list[tuple[PayloadType, bytes, int]] = []
        self.gone: list[PeerError] = []
        self.tracks = TrackLane(ME)
        self.link = LoopLink(
            ME, self.message, lambda link, error: self.gone.append(error), lambda: self.tracks
        )

    def message(self, link: LoopLink, kind: PayloadType, message: bytes, number: int) -> None:
        self.heard.append((kind, message, number))
        if message == b"fails":
            raise ZeroDivisionError
        if self.stores and number != UNNUMBERED and kind in (RELIABLE, SIGNAL):
            link.acknowledge(kind, number)

    def bodies(self) -> list[bytes]:
        return [message for _, message, _ in self.heard]


async def turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_replies_and_signals_come_first_and_each_lane_keeps_its_order() -> None:
    above = Above()
    for kind, message in ((STREAM, b"s"), (RELIABLE, b"1"), (RELIABLE, b"2"), (SIGNAL, b"!")):
        assert above.link.lane(kind).offer(message)
    above.link.lane(RELIABLE).answer(b"reply")
    above.link.lane(RELIABLE).cancel(b"left")
    assert above.heard == []
    await turns()
    assert above.bodies() == [b"reply", b"!", b"1", b"2", b"left", b"s"]
    assert above.heard[0][2] == UNNUMBERED


async def test_a_request_that_is_sent_has_been_stored() -> None:
    above = Above(stores=False)
    sending = asyncio.ensure_future(above.link.lane(RELIABLE).send(b"x"))
    await turns()
    kind, _, number = above.heard[0]
    assert not sending.done()
    above.link.acknowledge(kind, number)
    above.link.acknowledge(kind, number)
    await sending


async def test_who_finds_no_room_waits_for_it_in_order() -> None:
    above = Above(stores=False)
    lane = above.link.lane(RELIABLE)
    for _ in range(WINDOW_MESSAGES):
        assert lane.offer(b"x")
    assert not lane.offer(b"x")
    waiting = [asyncio.ensure_future(lane.send(message)) for message in (b"a", b"b")]
    left = asyncio.ensure_future(lane.send(b"c"))
    await turns(40)
    left.cancel()
    above.stores = True
    for kind, _, number in list(above.heard):
        above.link.acknowledge(kind, number)
    await asyncio.gather(*waiting)
    assert above.bodies()[WINDOW_MESSAGES:] == [b"a", b"b"]
    assert lane.is_settled


async def test_latency_first_messages_never_wait_and_lose_their_oldest() -> None:
    above = Above()
    lane = above.link.lane(LATENCY_FIRST)
    for number in range(WINDOW_MESSAGES + 3):
        assert lane.offer(str(number).encode())
    assert lane.dropped == 3
    await turns(40)
    assert above.bodies()[0] == b"3"
    assert lane.is_settled


async def test_what_has_waited_is_looked_at_again_before_it_goes() -> None:
    above = Above(stores=False)
    lane = above.link.lane(RELIABLE)
    for _ in range(WINDOW_MESSAGES):
        assert lane.offer(b"x")

    def check() -> None:
        raise ClosedError("meanwhile")

    waiting = asyncio.ensure_future(lane.send(b"late", check=check))
    await turns(40)
    above.link.acknowledge(*(above.heard[0][0], above.heard[0][2]))
    with pytest.raises(ClosedError, match="meanwhile"):
        await asyncio.wait_for(waiting, PATIENCE)
    assert lane.offer(b"its place is free")


async def test_what_is_too_long_or_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    above = Above()
    with pytest.raises(LimitError):
        above.link.lane(RELIABLE).post(b"x" * (MAX_MESSAGE_BYTES + 1))
    monkeypatch.setattr(lanes, "MAX_POSTED_BYTES", 10)
    above.link.lane(STREAM).post(b"x" * 11)
    with pytest.raises(LimitError):
        above.link.lane(STREAM).post(b"x")
    assert above.link.lane(PayloadType.MEDIA_RTP) is above.tracks
    assert above.link.wire(WireKind.WEBRTC) is None


async def test_a_failure_above_ends_no_other_message() -> None:
    above, before = Above(), failures["link"]
    above.link.lane(STREAM).post(b"fails")
    above.link.lane(STREAM).post(b"arrives")
    await turns()
    assert above.bodies() == [b"fails", b"arrives"]
    assert failures["link"] == before + 1


async def test_its_end_is_heard_once_by_all_who_wait() -> None:
    above = Above(stores=False)
    sending = asyncio.ensure_future(above.link.lane(RELIABLE).send(b"x"))
    await turns()
    assert not above.link.is_over
    above.link.close()
    above.link.close()
    with pytest.raises(ClosedError):
        await sending
    with pytest.raises(ClosedError):
        above.link.lane(RELIABLE).offer(b"x")
    assert above.link.is_over
    assert [type(error) for error in above.gone] == [ClosedError]
