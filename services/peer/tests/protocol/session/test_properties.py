"""Sessions over wires that fail in every way, and links that end around messages: what arrived."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actr_peer.errors import PeerError
from actr_peer.protocol.payload import PayloadType, WireKind
from actr_peer.protocol.session.frames import ByeReason
from actr_peer.protocol.session.session import Session
from actr_peer.protocol.session.wires.ends import Left
from peer_kit.session.faults import FAULTS
from peer_kit.session.sim import Action, BreachError, play, some_actions

ACTIONS = st.lists(
    st.builds(
        Action,
        st.sampled_from(
            ["send"] * 8 + ["flood"] + ["open"] * 3 + ["kill"] * 2 + ["vary"] * 2 + ["restart"]
        ),
        st.integers(0, 1),
        st.integers(0, 999),
        st.sampled_from((0.0, 0.0, 0.005, 0.03, 0.3, 1.0)),
    ),
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(ACTIONS, st.integers(0, 2**32))
def test_nothing_is_lost_doubled_or_reordered_whatever_wires_do(
    actions: list[Action], seed: int
) -> None:
    play(actions, seed)


def test_the_harness_sees_repeats_hold_back_and_restarts() -> None:
    worlds = [play(some_actions(seed), seed) for seed in range(12)]
    lanes = [host.session.lanes for world in worlds for host in world.hosts]
    assert sum(sender.resent for lane in lanes for sender in lane.senders) > 100
    assert sum(receiver.duplicates for lane in lanes for receiver in lane.receivers) > 100
    assert sum(host.incarnation for world in worlds for host in world.hosts) > 30


@pytest.mark.parametrize("faulty", FAULTS)
def test_a_deliberate_fault_is_found(faulty: type[Session]) -> None:
    with pytest.raises((BreachError, PeerError, KeyError)):
        deque((play(some_actions(seed), seed, faulty) for seed in range(60)), maxlen=0)


# An idle link ends while messages are on their way.

STREAM = PayloadType.STREAM_RELIABLE
PREFER = (WireKind.WEBRTC, WireKind.WEBSOCKET)
WIRES = (1, 2)


class Talk:
    """``near`` asks and sends; ``far`` agrees whenever it holds nothing, and is deaf then."""

    def __init__(self) -> None:
        self.near = Session(111, prefer=PREFER)
        self.far = Session(222, prefer=PREFER)
        self.lines: dict[tuple[bool, int], deque[tuple[int, bytes]]] = {}
        """What is on its way: (whether to the far side, wire)."""
        self.sent = 0
        self.heard: list[bytes] = []
        self.is_deaf = self.is_renewed = False
        self.join()

    def join(self) -> None:
        self.lines = {(to_far, wire): deque() for to_far in (True, False) for wire in WIRES}
        for wire, kind in zip(WIRES, PREFER, strict=True):
            self.near.open(wire, kind, 0.0, was_dialled=True)
            self.far.open(wire, kind, 0.0, was_dialled=False)
        self.settle()

    def settle(self) -> None:
        for _ in range(6):
            self.flush()
            for line in self.lines:
                while self.lines[line]:
                    self.arrive(*line)

    def flush(self) -> None:
        for wire in WIRES:
            for to_far, session in ((True, self.near), (False, self.far)):
                while (item := session.take(wire, 1.0, is_full=False)) is not None:
                    self.lines[to_far, wire].append(item)

    def arrive(self, to_far: bool, wire: int) -> None:
        line = self.lines[to_far, wire]
        if not line:
            return
        session = self.far if to_far else self.near
        for _, message, _ in session.receive(wire, *line.popleft(), 1.0):
            self.heard.append(message)
        while session.news:
            match session.news.popleft():
                case Left(_, ByeReason.IDLE) if to_far:
                    self.agree()
                case Left(_, ByeReason.CLOSED) if not to_far and not self.is_renewed:
                    self.renew()
                case _:
                    pass

    def send(self) -> None:
        self.near.lanes.senders[STREAM].accept(b"%d" % self.sent, 1.0)
        self.sent += 1

    def ask(self) -> None:
        self.near.leave(1, ByeReason.IDLE)

    def agree(self) -> None:
        lanes = self.far.lanes
        if self.is_deaf or not (lanes.is_empty and lanes.is_settled):
            return
        self.is_deaf = True
        for wire in WIRES:
            self.far.leave(wire, ByeReason.CLOSED)
        self.flush()
        for wire in WIRES:
            self.far.close(wire)

    def renew(self) -> None:
        self.is_renewed = True
        self.near.renew(112)
        self.far = Session(223, prefer=PREFER)
        self.join()


DEEDS = st.lists(
    st.sampled_from(
        ("send", "send", "ask", "flush", "far 1", "far 2", "far 2", "near 1", "near 2")
    ),
    max_size=40,
)


@settings(max_examples=300, deadline=None)
@given(DEEDS)
def test_each_message_is_heard_once_though_the_link_closes_around_it(deeds: list[str]) -> None:
    talk = Talk()
    for deed in deeds:
        match deed.split():
            case ["send"]:
                talk.send()
            case ["ask"]:
                talk.ask()
            case ["flush"]:
                talk.flush()
            case [to, wire]:
                talk.arrive(to == "far", int(wire))
            case _:
                raise AssertionError(deed)
    talk.settle()
    if talk.is_deaf and not talk.is_renewed:  # its goodbye went by a wire that it knew no more
        talk.renew()
    talk.settle()
    assert talk.heard == [b"%d" % number for number in range(talk.sent)]
