"""A good-bye is short, waits so long for its answer, and holds nobody once the socket has gone."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest

from actr_peer.errors import BrokenError, RemoteProtocolError
from actr_peer.protocol.wire.close_codes import CloseCode
from actr_peer.protocol.wire.life import Verdict
from actr_peer.wire.websocket import closing
from actr_peer.wire.websocket.closing import Closing
from peer_kit.fakes import turns


class Transport:
    def __init__(self) -> None:
        self.underlying_transport = self
        self.said: list[tuple[int, bytes]] = []
        self.is_half_closed = False
        self.dropped: list[bool] = []

    def send_close(self, code: int, reason: bytes = b"") -> None:
        self.said.append((int(code), reason))

    def resume_reading(self) -> None: ...

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.is_half_closed = True

    def disconnect(self, graceful: bool = True) -> None:
        self.dropped.append(not graceful)


def connected(overdue: Any = lambda: None) -> tuple[Closing, Any]:
    made, transport = Closing(overdue), Transport()
    made.connected(transport)  # type: ignore[arg-type]
    return made, transport


@pytest.mark.parametrize("letter", ["x", "é", "語"])
async def test_a_reason_is_cut_to_what_a_close_frame_holds_in_whole_letters(letter: str) -> None:
    made, transport = connected()
    made.say(Verdict(BrokenError("x"), CloseCode.INTERNAL, letter * 200))
    ((code, reason),) = transport.said
    assert code == 1011
    assert reason.decode() == letter * (120 // len(letter.encode()))


@pytest.mark.parametrize(
    ("error", "is_half_closed"), [(RemoteProtocolError("x"), True), (BrokenError("x"), False)]
)
async def test_the_stream_to_who_broke_a_rule_ends_with_the_good_bye(
    error: Any, is_half_closed: bool
) -> None:
    made, transport = connected()
    made.say(Verdict(error))
    assert transport.is_half_closed is is_half_closed


@pytest.mark.parametrize("step", ["say", "hang_up"])
async def test_who_does_not_answer_is_waited_for_no_longer_than_the_bound(
    step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "CLOSE_SECONDS", 0.0)
    overdue = asyncio.Event()
    made, _ = connected(overdue.set)
    made.say(Verdict()) if step == "say" else made.hang_up()
    async with asyncio.timeout(60):
        await overdue.wait()


async def test_a_wait_replaces_the_one_before() -> None:
    calls: list[None] = []
    made, _ = connected(lambda: calls.append(None))
    made.wait(0.0)
    made.wait(0.0)
    await turns(3)
    assert len(calls) == 1


async def test_before_and_after_the_connection_there_is_nothing_to_drop() -> None:
    made = Closing(lambda: None)
    made.drop()
    transport: Any = Transport()
    made.connected(transport)
    made.drop()
    made.disconnected()
    made.drop()
    assert transport.dropped == [True]


async def test_a_wire_whose_socket_has_gone_is_held_by_nothing_here() -> None:
    class Wire:
        def __init__(self) -> None:
            self.closing = Closing(self.overdue)

        def overdue(self) -> None: ...

    gc.disable()
    try:
        wire = Wire()
        known = weakref.ref(wire)
        wire.closing.wait(60.0)
        wire.closing.disconnected()
        del wire
        await asyncio.sleep(0)
        assert known() is None
    finally:
        gc.enable()
