"""Frames of sessions and of WebSocket wires, as ``proto/vectors/frames.json`` has them."""

from __future__ import annotations

from typing import Any

import pytest

from actr_peer.errors import RemoteProtocolError
from actr_peer.protocol.session import frames
from actr_peer.protocol.session.frames import (
    Ack,
    Ask,
    Bye,
    ByeReason,
    Data,
    Frame,
    Hello,
    Ping,
    Pong,
    Reply,
)
from actr_peer.protocol.websocket import lane_frames
from peer_kit.vectors import Vector, each


def read(fields: dict[str, Any]) -> Frame:
    """The frame of which these are the fields."""
    match fields:
        case {"kind": "DATA" | "REPLY" as kind, **rest}:
            frame_type = Data if kind == "DATA" else Reply
            payload = bytes.fromhex(rest["payload"])
            return frame_type(rest["seq"], rest["index"], rest["count"], payload)
        case {"kind": "ACK", **rest}:
            return Ack(**rest)
        case {"kind": "HELLO", **rest}:
            incarnation, known = int(rest["incarnation"], 16), int(rest["known"], 16)
            return Hello(incarnation, known, tuple(rest["received"]), rest["max_message_bytes"])
        case {"kind": "PING" | "PONG" as kind, "number": number}:
            return Ping(number) if kind == "PING" else Pong(number)
        case {"kind": "BYE", "reason": reason}:
            return Bye(ByeReason[reason])
        case {"kind": "ASK", "lane": lane}:
            return Ask(lane)
    raise AssertionError(fields)


def write(frame: Frame) -> bytes:
    match frame:
        case Data(seq, index, count, payload):
            size, flag = len(payload), frames.REPLY_FLAG if type(frame) is Reply else 0
            if count == 1:
                return frames.data_head(seq, size, flag) + payload
            return frames.fragment_head(seq, size, index, count, flag=flag) + payload
        case Ack():
            return frames.encode_ack(frame)
        case Hello():
            return frames.encode_hello(frame)
        case Ping(number):
            return frames.encode_ping(number)
        case Pong(number):
            return frames.encode_pong(number)
        case Bye(reason):
            return frames.encode_bye(reason)
        case Ask(lane):
            return frames.encode_ask(lane)


@each("frames", "messages")
def test_a_wire_message_is_these_frames_and_these_bytes(vector: Vector) -> None:
    expected = [read(fields) for fields in vector["frames"]]
    found = list(frames.decode(bytes.fromhex(vector["hex"])))
    assert found == expected
    assert [type(frame) for frame in found] == [type(frame) for frame in expected]
    assert b"".join(map(write, expected)).hex() == vector["hex"]


@each("frames", "malformed")
def test_a_malformed_message_is_heard_up_to_the_breach(vector: Vector) -> None:
    heard: list[Frame] = []
    with pytest.raises(RemoteProtocolError, match=vector["error"]):
        heard.extend(frames.decode(bytes.fromhex(vector["hex"])))
    assert len(heard) == vector["read"]


@each("frames", "websocket")
def test_a_frame_of_a_websocket_wire_is_these_bytes(vector: Vector) -> None:
    data = bytes.fromhex(vector["data"])
    assert lane_frames.encode(vector["type"], data).hex() == vector["hex"]
    assert lane_frames.decode(bytes.fromhex(vector["hex"])) == (vector["type"], data)


@each("frames", "malformed_websocket")
def test_a_malformed_frame_of_a_websocket_wire_is_refused(vector: Vector) -> None:
    with pytest.raises(RemoteProtocolError, match=vector["error"]):
        lane_frames.decode(bytes.fromhex(vector["hex"]))
