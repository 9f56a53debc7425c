"""The dispatcher over a mailbox that refuses: tells are not lost, and keep their order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from actr_peer.errors import CallError, Code, LimitError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.mailbox.requests import STORED, Put, Refused, Repeated, Request
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.rpc.envelopes import (
    Extras,
    decode_envelope,
    encode_cancel,
    encode_request,
)
from actr_peer.protocol.streams.chunks import decode_chunk
from actr_peer.rpc.dispatch import Dispatcher, Routes

RELIABLE, SIGNAL = PayloadType.RPC_RELIABLE, PayloadType.RPC_SIGNAL
FULL = Refused(Code.RESOURCE_EXHAUSTED, "the mailbox is full", 0.001)


class FakeLink:
    """Notes what is acknowledged, and what is sent."""

    def __init__(self) -> None:
        self.remote = ActrId("acme", "caller", "1")
        self.has_ended = False
        self.used_at = 0.0
        self.was_asked = asyncio.Event()
        self.acknowledged: list[tuple[PayloadType, int]] = []
        self.sent: list[bytes] = []
        self.posted: list[bytes] = []
        self.refuses: Exception | None = None

    @property
    def is_over(self) -> bool:
        self.was_asked.set()
        return self.has_ended

    @property
    def is_shut(self) -> bool:
        return self.has_ended

    def acknowledge(self, payload_type: PayloadType, number: int) -> None:
        self.acknowledged.append((payload_type, number))

    def lane(self, payload_type: PayloadType) -> FakeLink:
        return self

    @property
    def max_message_bytes(self) -> int:
        return 1 << 24

    def post(self, message: bytes) -> None:
        self.posted.append(message)

    def answer(self, message: bytes) -> None:
        assert not self.has_ended
        if self.refuses is not None:
            raise self.refuses
        self.sent.append(message)


class Box:
    """A mailbox that a test answers for."""

    def __init__(self) -> None:
        self.offered: asyncio.Queue[tuple[str, Callable[[Put], None]]] = asyncio.Queue()
        self.stored: list[str] = []

    def put(self, request: Request, done: Callable[[Put], None]) -> None:
        self.offered.put_nowait((request.request_id, done))

    async def answer(self, expected: str, result: Put) -> None:
        async with asyncio.timeout(60):
            request_id, done = await self.offered.get()
        assert request_id == expected
        if result is STORED:
            self.stored.append(request_id)
        done(result)


class Bench:
    def __init__(self) -> None:
        def unused(*_: Any) -> Any:
            pytest.fail("not in this test")

        self.box = Box()
        self.link = FakeLink()
        self.dispatcher = Dispatcher(
            Routes(
                put=self.box.put,
                knows=lambda route_key: True,
                refusal=unused,
                is_cycle=unused,
                resolve=unused,
                cancel=unused,
                open_stream=unused,
                chunk=unused,
                reject_chunk=unused,
            )
        )

    def arrive(self, number: int, *, tell: bool = True, lane: PayloadType = RELIABLE) -> None:
        message = encode_request(f"id {number}", "demo.Chat.Say", b"", is_tell=tell)
        self.dispatcher.message(self.link, lane, message, number)  # type: ignore[arg-type]


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_refused_tell_holds_up_its_lane_until_it_is_stored(bench: Bench) -> None:
    box, link = bench.box, bench.link
    bench.arrive(0)
    await box.answer("id 0", FULL)
    bench.arrive(1)
    bench.arrive(2, tell=False)
    bench.arrive(3, lane=SIGNAL)
    await box.answer("id 3", STORED)  # the other lane is free
    await box.answer("id 0", FULL)
    assert box.offered.empty()
    await box.answer("id 0", STORED)
    await box.answer("id 1", STORED)
    await box.answer("id 2", STORED)
    assert box.stored == ["id 3", "id 0", "id 1", "id 2"]
    assert link.acknowledged == [(SIGNAL, 3), (RELIABLE, 0), (RELIABLE, 1), (RELIABLE, 2)]
    bench.arrive(4)
    await box.answer("id 4", STORED)


async def test_tells_that_are_refused_together_keep_their_order(bench: Bench) -> None:
    box = bench.box
    for number in range(3):
        bench.arrive(number)
    await box.answer("id 0", FULL)
    bench.arrive(3)
    await box.answer("id 1", FULL)
    await box.answer("id 2", FULL)
    for number in range(4):
        await box.answer(f"id {number}", STORED)
    assert bench.link.acknowledged == [(RELIABLE, number) for number in range(4)]


async def test_a_link_that_has_ended_is_told_nothing(bench: Bench) -> None:
    for number, result in enumerate((FULL, Repeated(b"reply"))):
        bench.arrive(number, tell=False)
        bench.link.has_ended = True
        await bench.box.answer(f"id {number}", result)
    assert (bench.link.sent, bench.link.acknowledged) == ([], [])


async def test_a_refused_call_is_answered_and_holds_up_nothing(bench: Bench) -> None:
    bench.arrive(0, tell=False)
    await bench.box.answer("id 0", FULL)
    assert len(bench.link.sent) == 1
    bench.arrive(1)
    await bench.box.answer("id 1", STORED)
    assert bench.link.acknowledged == [(RELIABLE, 0), (RELIABLE, 1)]


async def test_a_tell_that_is_refused_late_is_not_taken_for_the_one_behind_it(
    bench: Bench,
) -> None:
    bench.arrive(0)
    async with asyncio.timeout(60):
        _, refuse_first = await bench.box.offered.get()  # it waits at the mailbox's door
    bench.arrive(1)
    await bench.box.answer("id 1", FULL)
    async with asyncio.timeout(60):
        _, store_second = await bench.box.offered.get()
    refuse_first(FULL)
    store_second(STORED)
    assert bench.link.acknowledged == [(RELIABLE, 1)]
    await bench.box.answer("id 0", STORED)
    assert bench.link.acknowledged == [(RELIABLE, 1), (RELIABLE, 0)]
    assert not bench.dispatcher._stalled


async def test_a_call_that_waits_behind_a_tell_can_be_cancelled(bench: Bench) -> None:
    bench.arrive(0)
    await bench.box.answer("id 0", FULL)
    bench.arrive(1, tell=False)
    bench.arrive(2)
    bench.dispatcher.message(bench.link, SIGNAL, encode_cancel("id 1"), 0)  # type: ignore[arg-type]
    await bench.box.answer("id 0", STORED)
    await bench.box.answer("id 2", STORED)
    assert bench.link.acknowledged[:2] == [(SIGNAL, 0), (RELIABLE, 1)]


async def test_nothing_is_offered_for_a_link_that_is_over(bench: Bench) -> None:
    bench.arrive(0)
    await bench.box.answer("id 0", FULL)
    bench.link.has_ended = True
    async with asyncio.timeout(60):
        await bench.link.was_asked.wait()
    assert bench.box.offered.empty()
    assert not bench.dispatcher._stalled


async def test_what_cannot_be_decoded_is_acknowledged_when_it_is_kept(bench: Bench) -> None:
    bench.dispatcher.message(bench.link, RELIABLE, b"\xff", 0)  # type: ignore[arg-type]
    assert bench.link.acknowledged == []
    await bench.box.answer("", FULL)
    bench.arrive(1)
    assert bench.link.acknowledged == []
    await bench.box.answer("", STORED)
    await bench.box.answer("id 1", STORED)
    assert bench.link.acknowledged == [(RELIABLE, 0), (RELIABLE, 1)]
    assert bench.dispatcher.counts.undecodable == 1


async def test_a_call_of_an_unknown_method_is_answered_when_it_is_kept(bench: Bench) -> None:
    bench.dispatcher._routes.knows = lambda route_key: False
    bench.arrive(0, tell=False)
    bench.arrive(1, tell=True)
    assert (bench.link.acknowledged, bench.link.sent) == ([], [])
    await bench.box.answer("id 0", STORED)
    await bench.box.answer("id 1", STORED)
    assert bench.link.acknowledged == [(RELIABLE, 0), (RELIABLE, 1)]
    [reply] = bench.link.sent
    error = decode_envelope(reply).error
    assert error is not None
    assert error.code is Code.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("credit", "is_answered"), [(8, False), (0, True)], ids=["replies stream", "either kind"]
)
async def test_a_stream_of_an_unknown_method_ends_where_its_opener_listens(
    bench: Bench, credit: int, *, is_answered: bool
) -> None:
    bench.dispatcher._routes.knows = lambda route_key: False
    extras = Extras(channel_id="channel", credit=credit)
    message = encode_request("id 0", "demo.Chat.Presence", b"", extras=extras)
    bench.dispatcher.message(bench.link, RELIABLE, message, 0)  # type: ignore[arg-type]
    await bench.box.answer("id 0", STORED)
    assert bench.link.acknowledged == [(RELIABLE, 0)]
    [end] = bench.link.posted
    chunk = decode_chunk(end)
    assert chunk.channel_id == "channel"
    assert chunk.error is not None
    assert chunk.error.code is Code.UNIMPLEMENTED
    assert len(bench.link.sent) == is_answered


@pytest.mark.parametrize("is_tell", [False, True])
async def test_who_may_not_ask_is_told_so_and_nothing_is_kept(
    bench: Bench, *, is_tell: bool
) -> None:
    denial = CallError(Code.PERMISSION_DENIED, "no")
    asked: list[tuple[object, str]] = []

    def may_not(caller: object, route_key: str) -> CallError:
        asked.append((caller, route_key))
        return denial

    bench.dispatcher._may_not = may_not
    bench.dispatcher._routes.knows = lambda route_key: pytest.fail("asked which methods there are")
    bench.arrive(0, tell=is_tell)
    assert asked == [(bench.link.remote, "demo.Chat.Say")]
    assert bench.box.offered.empty()
    assert bench.link.acknowledged == [(RELIABLE, 0)]
    [reply] = bench.link.sent
    error = decode_envelope(reply).error
    assert error is not None
    assert error.code is Code.PERMISSION_DENIED
    assert bench.dispatcher.counts.denied == 1


async def test_a_link_that_has_ended_is_not_told_of_an_unknown_method(bench: Bench) -> None:
    bench.dispatcher._routes.knows = lambda route_key: False
    bench.arrive(0, tell=False)
    bench.link.has_ended = True
    await bench.box.answer("id 0", STORED)
    assert bench.link.sent == []


@pytest.mark.parametrize("result", [FULL, Repeated(b"a reply")], ids=["refused", "repeated"])
async def test_a_caller_that_takes_nothing_is_no_failure_of_who_tells_it(
    bench: Bench, result: Put
) -> None:
    bench.link.refuses = LimitError("bytes posted and not taken", limit=1, asked=2)
    bench.arrive(0, tell=False)
    await bench.box.answer("id 0", result)
    assert bench.link.sent == []
