"""Two sides of a lane session by script, as ``proto/vectors/sessions.json`` has them.

What a side says and delivers at each step is compared to the byte, so nothing in a session may
rest on chance or on a clock of its own.
"""

from __future__ import annotations

import pytest

from actr_peer.protocol.payload import PayloadType, WireKind
from actr_peer.protocol.session.receiver import UNNUMBERED
from actr_peer.protocol.session.session import Session
from peer_kit.vectors import Vector, vectors

FIRST_REPLY_LANE = 4


class Side:
    """One session, its wires, and what it has delivered."""

    def __init__(self, incarnation: str) -> None:
        self.session = Session(int(incarnation, 16), prefer=tuple(WireKind))
        self._numbers: dict[int, list[int]] = {}

    def do(self, step: Vector) -> list[list[object]]:
        """Do what the step says; return what is delivered: lane and message of each."""
        now, session = step["at"] / 1000, self.session
        match step["do"]:
            case "open":
                kind, was_dialled = WireKind(step["kind"]), step["dialled"]
                session.open(step["wire"], kind, now, was_dialled=was_dialled)
            case "close":
                session.close(step["wire"])
            case "send":
                self._send(step["lane"], bytes.fromhex(step["message"]), now)
            case "store":
                number = self._numbers[step["lane"]][step["index"]]
                session.lanes.acknowledge(PayloadType(step["lane"]), number, now)
            case "receive":
                return self._receive(step, now)
            case "tick":
                session.tick(now)
            case unknown:
                raise AssertionError(unknown)
        return []

    def _send(self, lane: int, message: bytes, now: float) -> None:
        lanes = self.session.lanes
        if lane < FIRST_REPLY_LANE:
            lanes.sender(PayloadType(lane)).accept(message, now)
        else:
            lanes.reply_sender(PayloadType(lane - FIRST_REPLY_LANE)).accept(message, now)

    def _receive(self, step: Vector, now: float) -> list[list[object]]:
        data = bytes.fromhex(step["hex"])
        delivered = []
        for payload_type, message, number in self.session.receive(
            step["wire"], step["channel"], data, now
        ):
            is_reply = number == UNNUMBERED and payload_type < PayloadType.STREAM_RELIABLE
            lane = int(payload_type) + (FIRST_REPLY_LANE if is_reply else 0)
            self._numbers.setdefault(lane, []).append(number)
            delivered.append([lane, message.hex()])
        return delivered

    def said(self, now: float) -> list[list[object]]:
        """Wire, channel and bytes of each message that goes out now, in order."""
        out: list[list[object]] = []
        for wire in sorted(self.session.ends):
            while (item := self.session.take(wire, now, is_full=False)) is not None:
                out.append([wire, item[0], item[1].hex()])
        return out


def play(script: list[Vector]) -> list[Vector]:
    """The same steps, with what the sides say and deliver."""
    sides: dict[str, Side] = {}
    played = []
    for step in script:
        if step["do"] == "begin":
            sides[step["side"]] = Side(step["incarnation"])
        side = sides[step["side"]]
        delivered = [] if step["do"] == "begin" else side.do(step)
        said = side.said(step["at"] / 1000)
        played.append({**step, "delivered": delivered, "sent": said})
    return played


@pytest.mark.parametrize(
    "script",
    [
        vectors("sessions", "request_and_reply"),
        vectors("sessions", "lost_wire"),
        vectors("sessions", "restart"),
    ],
    ids=["a request and its reply", "a lost wire", "a restart"],
)
def test_both_sides_say_and_deliver_what_the_script_says(script: list[Vector]) -> None:
    for step, played in zip(script, play(script), strict=True):
        assert played == step, step["why"]


@pytest.mark.parametrize(
    "script",
    [
        vectors("sessions", "request_and_reply"),
        vectors("sessions", "lost_wire"),
        vectors("sessions", "restart"),
    ],
    ids=["a request and its reply", "a lost wire", "a restart"],
)
def test_a_side_hears_only_what_the_other_said(script: list[Vector]) -> None:
    said: list[list[object]] = []
    for step in script:
        if step["do"] == "receive":
            assert [step["wire"], step["channel"], step["hex"]] in said
        said += step["sent"]
