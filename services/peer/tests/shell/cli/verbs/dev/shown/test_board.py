"""What a process tells of itself, as a row."""

from __future__ import annotations

from typing import Any

import pytest

from actr_peer.cli.verbs.dev.named import read_workloads
from actr_peer.cli.verbs.dev.shown.board import Row
from actr_peer.errors import RemoteProtocolError

REMOTE = "demo:caller@1:default"


def row() -> Row:
    (named,) = read_workloads(["room:Room"], "default")
    return Row(named)


def wire(kind: str, state: str = "ready", rtt: float | None = None, **more: Any) -> dict[str, Any]:
    return {"remote": REMOTE, "kind": kind, "state": state, "rtt_ms": rtt, "active": False, **more}


def report(*wires: dict[str, Any]) -> dict[str, Any]:
    return {"files": ["room.py"], "waiting": 2, "dead": 1, "wires": list(wires)}


def test_wires_are_told_by_remote_the_one_in_use_first() -> None:
    found = row()
    found.take(report(wire("websocket"), wire("webrtc", rtt=0.62, active=True)))
    assert found.wires[REMOTE].text == "webrtc 0.6 ms + websocket"
    assert (found.waiting, found.dead, found.files) == (2, 1, frozenset({"room.py"}))


def test_a_wire_that_is_not_up_is_none() -> None:
    found = row()
    found.take(report(wire("webrtc", "connecting")))
    assert found.wires[REMOTE].text == "no wire"


@pytest.mark.parametrize("nonsense", [{}, {"files": 1, "waiting": 1, "dead": 1, "wires": []}, 3])
def test_what_is_no_report_is_refused(nonsense: Any) -> None:
    with pytest.raises(RemoteProtocolError, match="room tells"):
        row().take(nonsense)


def test_a_process_that_has_ended_leaves_nothing_but_its_reason() -> None:
    found = row()
    found.take(report(wire("webrtc", active=True)))
    found.why = "was killed by SIGKILL"
    found.clear()
    assert (found.pid, dict(found.wires), found.files) == (None, {}, None)
    assert found.why
