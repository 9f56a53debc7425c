from __future__ import annotations

import pytest

from actr_peer.protocol.payload import WireKind
from actr_peer.protocol.session.wires.policy import (
    WireState,
    WireView,
    best,
    superfluous,
)

RTC, WS = WireKind.WEBRTC, WireKind.WEBSOCKET
IDLE, CONNECTING, READY, SUSPECT, FAILED = WireState
PREFER = (RTC, WS)


@pytest.mark.parametrize(
    ("wires", "current", "chosen"),
    [
        pytest.param([], None, None, id="none"),
        pytest.param([WireView(1, WS, READY)], None, 1, id="the only one"),
        pytest.param(
            [WireView(1, WS, READY), WireView(2, RTC, READY)], None, 2, id="the preferred kind"
        ),
        pytest.param(
            [WireView(1, WS, READY), WireView(2, RTC, READY)], 1, 1, id="not before it is trusted"
        ),
        pytest.param(
            [WireView(1, WS, READY, True), WireView(2, RTC, READY, True)], 1, 2, id="once trusted"
        ),
        pytest.param(
            [WireView(1, WS, READY), WireView(2, RTC, SUSPECT, True)], 2, 1, id="away from suspect"
        ),
        pytest.param(
            [WireView(1, WS, SUSPECT), WireView(2, RTC, SUSPECT)], 1, 1, id="all suspect: stay"
        ),
        pytest.param(
            [WireView(1, WS, SUSPECT), WireView(2, RTC, SUSPECT)],
            None,
            2,
            id="all suspect: the best anyway",
        ),
        pytest.param(
            [WireView(1, WS, SUSPECT), WireView(2, RTC, SUSPECT, is_answering=False)],
            2,
            1,
            id="all suspect: over to one that recovers",
        ),
        pytest.param([WireView(1, WS, FAILED)], 1, None, id="a failed one never"),
        pytest.param(
            [WireView(1, WS, READY), WireView(3, WS, READY)], None, 3, id="of one kind the newer"
        ),
        pytest.param(
            [WireView(1, WS, READY, True), WireView(3, WS, READY, True)],
            1,
            3,
            id="over to the newer of one kind, once trusted",
        ),
    ],
)
def test_best(wires: list[WireView], current: int | None, chosen: int | None) -> None:
    assert best(wires, PREFER, current) == chosen


def test_best_follows_the_operators_order() -> None:
    wires = [WireView(1, WS, READY), WireView(2, RTC, READY)]
    assert best(wires, (WS, RTC)) == 1
    assert best(wires, (WS,)) == 1


def wire(number: int, *, own: bool, trusted: bool = True, at: float = 0.0) -> WireView:
    proved_at = at + 0.5 if trusted else float("inf")
    return WireView(number, WS, READY, trusted, own, at, proved_at)


@pytest.mark.parametrize(
    ("wires", "closed"),
    [
        pytest.param([wire(1, own=True)], [], id="one is not too many"),
        pytest.param(
            [wire(1, own=True), wire(2, own=False)], [2], id="dialled at once: keep the own"
        ),
        pytest.param(
            [wire(1, own=False), wire(2, own=True)], [1], id="dialled at once, the other way round"
        ),
        pytest.param(
            [wire(1, own=True, at=-1.0), wire(2, own=False)], [1], id="the newer replaces"
        ),
        pytest.param([wire(1, own=True), wire(2, own=True)], [1], id="the newer of two own ones"),
        pytest.param(
            [wire(1, own=True, trusted=False), wire(2, own=False)], [], id="not before it is proved"
        ),
    ],
)
def test_superfluous(wires: list[WireView], closed: list[int]) -> None:
    assert superfluous(wires, decides=True) == closed
    assert superfluous(wires, decides=False) == []
