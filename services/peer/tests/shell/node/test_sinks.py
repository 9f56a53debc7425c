from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from actr_peer.errors import BrokenError
from actr_peer.node import sinks
from actr_peer.node.hooks import LinkEvent, RefusalEvent, WireEvent
from actr_peer.node.sinks import HookRunner, NodeLinkSink, NodeSignalingSink
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import PayloadType, WireKind
from actr_peer.protocol.session.wires.policy import WireState
from actr_peer.protocol.signaling.presence import SignalingState
from actr_peer.protocol.wire.lines import AT_ONCE

ROOM = ActrId("acme", "room", "1")
LINK: Any = SimpleNamespace(remote=ROOM)


class Listening:
    """A workload with hooks; the first may be slow."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.may_go = asyncio.Event()
        self.may_go.set()

    async def on_link(self, event: LinkEvent) -> None:
        await self.may_go.wait()
        self.heard.append(event)

    async def on_refusal(self, event: RefusalEvent) -> None:
        self.heard.append(event)

    async def on_wire(self, event: WireEvent) -> None:
        self.heard.append(event)

    async def on_signaling(self, state: SignalingState) -> None:
        self.heard.append(state)


async def run(hooks: HookRunner) -> None:
    """Have the hooks called that are posted."""
    task = asyncio.ensure_future(hooks.run())
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()


def sink_of(hooks: HookRunner, told: list[Any]) -> NodeLinkSink:
    return NodeLinkSink(
        hooks,
        message=lambda *message: told.append(message),
        reset=lambda link, error: told.append(("reset", error)),
        gone=lambda link, error: told.append(("gone", error)),
        wire_changed=lambda *change: told.append(change),
    )


async def test_what_happens_to_a_link_is_told_to_the_node_then_to_the_hooks() -> None:
    room, told = Listening(), []
    hooks = HookRunner([room])
    sink = sink_of(hooks, told)
    sink.wire_changed(LINK, WireKind.WEBRTC, WireState.READY, None)
    sink.reset(LINK, {PayloadType.RPC_RELIABLE: 7})
    error = BrokenError("no wire")
    sink.gone(LINK, error)
    assert told[0] == (LINK, WireKind.WEBRTC, WireState.READY, None)
    assert "RPC_RELIABLE to 7" in str(told[1][1])
    assert told[2] == ("gone", error)
    assert room.heard == []
    await run(hooks)
    wire, reset, gone = room.heard
    assert (wire.kind, wire.state, wire.is_relayed) == (WireKind.WEBRTC, WireState.READY, False)
    assert (reset.kind, gone.kind) == (LinkEvent.Kind.RESET, LinkEvent.Kind.GONE)
    assert gone.detail == "no wire"


async def test_of_events_that_a_slow_hook_lets_wait_the_oldest_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sinks, "MAX_EVENTS", 2)
    room = Listening()
    hooks = HookRunner([room])
    for number in range(4):
        hooks.post("on_signaling", number)
    hooks.post("on_pressure", "nobody has this hook")
    await run(hooks)
    assert room.heard == [2, 3]
    assert hooks.dropped == 2


async def test_a_newer_process_of_the_identity_is_told_to_the_node() -> None:
    room, replaced = Listening(), asyncio.Event()
    hooks = HookRunner([room])
    sink = NodeSignalingSink(hooks, replaced.set)
    sink.state_changed(SignalingState.REPLACED)
    sink.replaced()
    assert replaced.is_set()
    await run(hooks)
    assert room.heard == [SignalingState.REPLACED]


async def test_who_is_not_believed_is_told_each_time_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    room = Listening()
    hooks = HookRunner([room])
    sink = NodeSignalingSink(hooks, lambda: None)
    for why in ("not signed", "not signed", "expired"):
        sink.refused(ROOM, why)
    await run(hooks)
    assert [event.why for event in room.heard] == ["not signed", "not signed", "expired"]
    assert room.heard[0] == RefusalEvent(remote=ROOM, what="presence", why="not signed")
    told = [record.args for record in caplog.records]
    assert told == [(ROOM, "not signed", 0), (ROOM, "expired", 0)]


async def test_a_service_that_lies_for_ever_fills_no_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sinks, "MAX_EVENTS", 2)
    sink = NodeSignalingSink(HookRunner([]), lambda: None)
    for number in range(5):
        sink.refused(ROOM, str(number))
    assert len(sink._told_of) == 2


async def test_a_service_that_lies_for_ever_fills_no_log(caplog: pytest.LogCaptureFixture) -> None:
    sink = NodeSignalingSink(HookRunner([]), lambda: None)
    for number in range(20_000):
        sink.refused(ActrId("acme", "room", str(number)), "not signed")
    assert AT_ONCE <= len(caplog.records) < 2 * AT_ONCE
