"""The reply lanes of one session: turns, credit of their own, and restarts."""

from __future__ import annotations

import pytest

from actr_peer.errors import RemoteProtocolError
from actr_peer.protocol.payload import PayloadType, WireKind
from actr_peer.protocol.session import frames
from actr_peer.protocol.session.frames import Ack, Hello, Reply, decode
from actr_peer.protocol.session.receiver import UNNUMBERED
from actr_peer.protocol.session.sender import WINDOW_BYTES, WINDOW_FRAMES
from actr_peer.protocol.session.session import Session

RPC, SIGNAL, STREAM = tuple(PayloadType)[:3]
WS = WireKind.WEBSOCKET


def greeted(incarnation: int = 111, far: int = 222) -> Session:
    session = Session(incarnation, prefer=(WS,))
    session.open(1, WS, 0.0, was_dialled=True)
    session.receive(1, 1, hello(far, incarnation), 0.0)
    while session.take(1, 0.0, is_full=False) is not None:
        pass
    return session


def hello(incarnation: int, known: int) -> bytes:
    return frames.encode_hello(Hello(incarnation, known, (0,) * 6, 1 << 24))


def taken(session: Session) -> list[tuple[int, list[frames.Frame]]]:
    found = []
    while (item := session.take(1, 1.0, is_full=False)) is not None:
        found.append((item[0], list(decode(item[1]))))
    return found


@pytest.mark.parametrize("lane", [RPC, SIGNAL])
def test_replies_and_requests_take_turns(lane: PayloadType) -> None:
    session = greeted()
    for _ in range(3):
        session.lanes.sender(lane).accept(bytes(12_000), 1.0)
        session.lanes.reply_sender(lane).accept(bytes(12_000), 1.0)
    kinds = [type(found[0]) is Reply for _, found in taken(session)]
    assert kinds == [True, False] * 3


def test_replies_to_urgent_requests_go_before_requests_that_are_not() -> None:
    session = greeted()
    session.lanes.sender(RPC).accept(b"request", 1.0)
    session.lanes.reply_sender(SIGNAL).accept(b"urgent reply", 1.0)
    assert [channel for channel, _ in taken(session)] == [SIGNAL, RPC]


def test_a_reply_goes_though_requests_have_no_credit() -> None:
    session = greeted()
    session.receive(1, 1, frames.encode_ack(Ack(RPC, 0, 0, 0, 0)), 0.0)
    session.lanes.sender(RPC).accept(b"request", 1.0)
    session.lanes.reply_sender(RPC).accept(b"reply", 1.0)
    assert taken(session) == [(RPC, [Reply(0, 0, 1, b"reply")])]


def test_a_reply_that_arrives_is_acknowledged_by_its_delivery() -> None:
    session = greeted()
    out = session.receive(1, SIGNAL, frames.data_head(0, 2, frames.REPLY_FLAG) + b"hi", 0.0)
    assert out == [(SIGNAL, b"hi", UNNUMBERED)]
    session.lanes.acknowledge(SIGNAL, UNNUMBERED, 0.0)
    session.tick(0.1)
    said = [frame for _, found in taken(session) for frame in found]
    assert Ack(5, 1, 1, WINDOW_FRAMES, WINDOW_BYTES) in said


def test_replies_that_were_not_taken_go_to_the_far_sides_next_process() -> None:
    session = greeted()
    session.lanes.reply_sender(RPC).accept(b"reply", 1.0)
    taken(session)
    session.open(2, WS, 2.0, was_dialled=False)
    session.receive(2, 1, hello(333, 111), 2.0)
    session.close(1)
    found = []
    while (item := session.take(2, 2.0, is_full=False)) is not None:
        found += decode(item[1])
    assert Reply(0, 0, 1, b"reply") in found


@pytest.mark.parametrize("channel", [2, 3, 4])
def test_only_channels_of_requests_carry_replies(channel: int) -> None:
    with pytest.raises(RemoteProtocolError):
        greeted().receive(1, channel, frames.data_head(0, 0, frames.REPLY_FLAG), 0.0)
