"""Durable calls over an outbox on disk and a link that tests answer for."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from actr.demo import chat_pb2 as pb
from actr_peer.errors import CallError, ClosedError, Code, DeadlineError, LimitError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.rpc.contracts.refusals import refusal
from actr_peer.protocol.rpc.envelopes import (
    Envelope,
    Extras,
    decode_envelope,
    encode_error,
    encode_reply,
)
from actr_peer.rpc.durable import DurableCalls
from actr_peer.service import CallOptions, Method, MethodKind
from actr_peer.state.outbox.call import DurableCall
from actr_peer.state.outbox.outbox import Outbox
from actr_peer.state.storage.batches import Batches
from actr_peer.state.storage.database import no_room
from actr_peer.state.storage.operations import Insert

pytestmark = pytest.mark.service

ROOM = ActrId("acme", "room", "2")
SAY: Method[Any, Any] = Method(
    route_key="demo.Chat.Say",
    handler="say",
    kind=MethodKind.UNARY,
    payload_type=PayloadType.RPC_RELIABLE,
    request=pb.SayRequest,
    reply=pb.SayReply,
)


class FakeTransport:
    """One link, whose far side a test plays."""

    is_ready = True

    def __init__(self) -> None:
        self.sent: asyncio.Queue[Envelope] = asyncio.Queue()
        self.max_message_bytes = 1 << 24

    def link(self, remote: ActrId) -> FakeTransport:
        return self

    def lane(self, payload_type: PayloadType) -> FakeTransport:
        return self

    def post(self, message: bytes) -> None:
        self.sent.put_nowait(decode_envelope(message))


class Bench:
    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox
        self.transport = FakeTransport()
        self.durable = DurableCalls(outbox, self.transport)  # type: ignore[arg-type]

    def call(self, payload: bytes, key: str = "", timeout: float = 5) -> asyncio.Task[Envelope]:
        options = CallOptions(durable=key or True)
        return asyncio.create_task(self.durable.call(ROOM, SAY, payload, options, timeout))

    def tell(self, payload: bytes, key: str = "") -> asyncio.Task[None]:
        options = CallOptions(durable=key or True)
        return asyncio.create_task(self.durable.tell(ROOM, SAY, payload, options))

    async def arrived(self) -> Envelope:
        """The next call that the far side gets."""
        async with asyncio.timeout(60):
            return await self.transport.sent.get()

    def answer(self, call: Envelope, payload: bytes = b"reply") -> bool:
        message = encode_reply(call.request_id, payload)
        return self.durable.resolve(ROOM, decode_envelope(message), message)

    async def saved(self) -> None:
        """Return when all that rides is committed."""
        self.outbox.state_file.flush()
        await self.outbox.state_file.ask(lambda connection: None)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with Outbox(str(tmp_path / "out.db")) as outbox:
        yield Bench(outbox)


@pytest.fixture
def refuse(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Has the disk refuse the row of a call, by its number."""
    refused: set[int] = set()
    apply = Batches.apply

    def refusing(self: Batches, batch: list[Any]) -> None:
        full = [op for op in batch if isinstance(op, Insert) and op.row[0] in refused]
        for operation in full:
            operation.error = no_room()
        if rest := [op for op in batch if op not in full]:
            apply(self, rest)

    monkeypatch.setattr(Batches, "apply", refusing)
    monkeypatch.setattr(Batches, "apply_now", lambda self, batch: False)
    return refused.add


async def test_calls_and_tells_of_all_sorts_go_out_in_the_order_they_were_made(
    bench: Bench,
) -> None:
    made = [bench.tell(b"1"), bench.call(b"2", "key"), bench.call(b"3"), bench.tell(b"4", "other")]
    arrived = [await bench.arrived() for _ in made]
    assert [call.payload for call in arrived] == [b"1", b"2", b"3", b"4"]
    for call in arrived:
        bench.answer(call)
    await asyncio.gather(*made)
    assert bench.durable.keys() == ["key"]


async def test_nothing_is_sent_before_it_is_on_disk(bench: Bench) -> None:
    first, second = bench.call(b"first"), bench.call(b"second", "key")
    await asyncio.sleep(0)
    bench.durable._send_all(ROOM)  # as a new link does
    assert bench.transport.sent.empty()
    for call in (await bench.arrived(), await bench.arrived()):
        assert bench.outbox.find(call.request_id) is not None
        assert bench.answer(call)
    await asyncio.gather(first, second)
    await bench.saved()
    assert (await bench.call(b"second", "key")).payload == b"reply"
    assert bench.transport.sent.empty()


async def test_what_a_call_is_made_in_is_kept_with_it_and_goes_out_again_after_a_restart(
    bench: Bench, tmp_path: Path
) -> None:
    made_in = Extras(traceparent="00-trace", tracestate="a=b", call_chain=("first", "second"))
    options, durable = CallOptions(durable="key"), bench.durable
    waiting = asyncio.create_task(
        durable.call(ROOM, SAY, b"1", options, timeout=5, inherited=made_in)
    )
    await durable.tell(ROOM, SAY, b"2", CallOptions(durable=True), inherited=made_in)
    arrived = [await bench.arrived(), await bench.arrived()]
    copy = tmp_path / "copy"
    kill(tmp_path, copy)
    async with Outbox(str(copy / "out.db")) as outbox:
        again = Bench(outbox)
        again.durable.start()
        arrived += [await again.arrived(), await again.arrived()]
        again.durable.close()
    waiting.cancel()
    for call in arrived:
        assert (call.traceparent, call.tracestate) == ("00-trace", "a=b")
        assert call.call_chain == ("first", "second")


def kill(folder: Path, copy: Path) -> None:
    """What is on disk now, as ``kill -9`` would leave it."""
    copy.mkdir()
    for file in folder.glob("out.db*"):
        shutil.copy(file, copy)


async def test_a_key_that_is_used_again_names_the_later_call_after_a_crash(tmp_path: Path) -> None:
    crashed = tmp_path / "crashed"
    async with Outbox(str(tmp_path / "out.db")) as outbox:
        bench = Bench(outbox)
        left = bench.call(b"left", "key")
        await asyncio.sleep(0)
        left.cancel()
        await asyncio.wait([left])
        again = bench.call(b"again", "key")
        await bench.arrived()
        kill(tmp_path, crashed)
        again.cancel()
    async with Outbox(str(crashed / "out.db"), max_kept=1) as outbox:
        bench = Bench(outbox)
        assert [call.number for call in outbox.open_calls()] == [2]
        bench.durable.start()
        call = await bench.arrived()
        assert call.payload == b"again"
        bench.answer(call)
        for key in "abc":  # more than may be kept
            task = bench.call(b"", key)
            bench.answer(await bench.arrived())
            await task
        assert bench.durable.keys() == ["c"]
        assert outbox.dropped == 3


async def test_a_refused_call_takes_nothing_from_the_next_of_its_key(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[Insert] = []
    with monkeypatch.context() as patch:
        patch.setattr(bench.outbox.state_file, "write", held.append)
        left = bench.call(b"left", "key")
        await asyncio.sleep(0)
        left.cancel()
        await asyncio.wait([left])
    again = bench.call(b"again", "key")
    await asyncio.sleep(0)
    held[0].error = no_room()
    bench.outbox._committed(list(held))
    third = bench.call(b"third", "key")
    bench.answer(await bench.arrived())
    assert (await again).payload == (await third).payload == b"reply"
    assert bench.transport.sent.empty()
    assert bench.durable.keys() == ["key"]


@pytest.mark.parametrize("key", ["", "key"])
async def test_a_disk_that_refuses_a_call_says_so(
    bench: Bench, refuse: Callable[[int], None], key: str
) -> None:
    refuse(1)
    with pytest.raises(CallError) as refused:
        await bench.call(b"", key)
    assert (refused.value.code, refused.value.retryable) == (Code.RESOURCE_EXHAUSTED, True)
    assert bench.durable.keys() == []
    assert bench.outbox.low_water(ROOM.text) == 2


@pytest.mark.parametrize("key", ["", "key"])
async def test_a_deadline_before_the_commit_says_that_nothing_is_kept(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    held: list[Any] = []
    monkeypatch.setattr(bench.outbox.state_file, "write", held.append)
    with pytest.raises(DeadlineError, match="no durable call was accepted"):
        await bench.call(b"", key, timeout=0.01)
    assert bench.durable.keys() == []


@pytest.mark.parametrize("key", ["", "key"])
async def test_a_deadline_without_room_says_that_nothing_is_kept(tmp_path: Path, key: str) -> None:
    async with Outbox(str(tmp_path / "out.db"), max_open=1) as outbox:
        bench = Bench(outbox)
        first = bench.call(b"", "first")
        await bench.arrived()
        with pytest.raises(DeadlineError, match="no durable call was accepted"):
            await bench.call(b"", key, timeout=0.01)
        assert bench.durable.keys() == ["first"]
        first.cancel()


async def test_nothing_stays_of_calls_that_fail_to_begin_or_end_early(bench: Bench) -> None:
    too_much = CallOptions(durable=True, metadata={"name": "x" * 9000})
    with pytest.raises(LimitError):
        await bench.durable.call(ROOM, SAY, b"", too_much, 5)
    bench.transport.max_message_bytes = 1000
    await bench.tell(b"x" * 5000)  # longer than the far side takes
    bench.transport.max_message_bytes = 1 << 24
    leaving = bench.call(b"")
    bench.answer(await bench.arrived())
    leaving.cancel()  # in the turn of its reply
    await asyncio.wait([leaving])
    await bench.saved()
    assert (bench.durable.keys(), bench.outbox._results, bench.durable._unwanted) == ([], {}, set())


@pytest.mark.parametrize("turns", range(8))
async def test_calls_made_while_the_outbox_closes_are_refused(tmp_path: Path, turns: int) -> None:
    path = str(tmp_path / "out.db")
    outbox = await Outbox(path).__aenter__()
    bench = Bench(outbox)
    open_calls = [bench.call(b"open") for _ in range(20)]
    for _ in open_calls:
        await bench.arrived()
    closing = asyncio.create_task(outbox.__aexit__(None, None, None))
    for _ in range(turns):
        await asyncio.sleep(0)
    late = bench.call(b"late") if turns else bench.tell(b"late")
    await closing
    with pytest.raises(ClosedError):
        await late
    for call in open_calls:
        with pytest.raises(ClosedError, match="is kept"):
            await call
    async with Outbox(path) as outbox:
        assert len(outbox.open_calls()) == 20


async def test_who_waits_for_room_hears_that_the_outbox_closes(tmp_path: Path) -> None:
    async with Outbox(str(tmp_path / "out.db"), max_open=1) as outbox:
        bench = Bench(outbox)
        first = bench.call(b"")
        await bench.arrived()
        waiting = [bench.call(b""), bench.call(b"", "key"), bench.tell(b"")]
        await asyncio.sleep(0)
    for call in waiting:
        with pytest.raises(ClosedError, match="was not accepted"):
            await call
    with pytest.raises(ClosedError, match="is kept"):
        await first


async def test_a_bug_in_one_callback_does_not_keep_the_others_from_hearing(bench: Bench) -> None:
    bugs: list[str] = []
    bench.outbox.loop.set_exception_handler(
        lambda loop, context: bugs.append(str(context["exception"]))
    )
    heard: list[int] = []

    def saved(number: int) -> Callable[[CallError | None], None]:
        def hear(error: CallError | None) -> None:
            heard.append(number)
            if number == 1:
                raise RuntimeError("bug")

        return hear

    for number in (1, 2, 3):
        call = DurableCall(
            call_key=str(number),
            remote=ROOM.text,
            request_id=str(number),
            payload_type=PayloadType.RPC_RELIABLE,
            route_key=SAY.route_key,
        )
        bench.outbox.put(call, lambda number, low_water, store_id: b"", saved(number))
    async with asyncio.timeout(60):
        await bench.saved()
        await bench.saved()
    assert (heard, bugs) == ([1, 2, 3], ["bug"])


async def test_a_reply_counts_only_from_the_actor_that_was_asked(bench: Bench) -> None:
    calling = bench.call(b"a", key="k")
    sent = await bench.arrived()
    message = encode_reply(sent.request_id, b"forged")
    third = ActrId("acme", "room", "3")
    assert not bench.durable.resolve(third, decode_envelope(message), message)
    assert bench.answer(sent)
    assert (await calling).payload == b"reply"


async def test_the_reply_to_a_tell_of_an_earlier_start_is_kept_for_nobody(tmp_path: Path) -> None:
    path = str(tmp_path / "out.db")
    async with Outbox(path) as outbox:
        bench = Bench(outbox)
        for key in ("", "key"):
            await bench.tell(b"a", key=key)
    async with Outbox(path) as outbox:
        bench = Bench(outbox)
        bench.durable.start()
        for _ in range(2):
            assert bench.answer(await bench.arrived())
        assert bench.durable.keys() == []


async def test_a_call_that_names_no_contract_and_is_refused_all_the_same_ends(
    tmp_path: Path,
) -> None:
    path = str(tmp_path / "out.db")
    unknown = replace(SAY, route_key="demo.Nowhere.Say")
    async with Outbox(path) as outbox:
        bench = Bench(outbox)
        calling = asyncio.create_task(
            bench.durable.call(ROOM, unknown, b"a", CallOptions(durable="k"), 5)
        )
        await bench.arrived()
        calling.cancel()
    error = refusal(unknown.route_key, "another form")
    assert error is not None
    async with Outbox(path) as outbox:
        bench = Bench(outbox)
        bench.durable.start()
        sent = await bench.arrived()  # of an earlier start, whose method no module here has
        for _ in range(2):
            message = encode_error(sent.request_id, error)
            assert bench.durable.resolve(ROOM, decode_envelope(message), message)
        assert bench.transport.sent.qsize() <= 1
        answer = await bench.durable.call(ROOM, unknown, b"a", CallOptions(durable="k"), 5)
    assert answer.error is not None
    assert answer.error.code is Code.FAILED_PRECONDITION


async def test_a_forgotten_tell_may_be_made_again_under_its_key(bench: Bench) -> None:
    await bench.tell(b"a", key="key")
    await bench.arrived()
    bench.durable.forget("key")
    await bench.tell(b"b", key="key")
    assert (await bench.arrived()).payload == b"b"


async def test_a_call_without_a_key_can_be_forgotten_by_the_one_that_its_error_names(
    bench: Bench,
) -> None:
    with pytest.raises(DeadlineError) as caught:
        await bench.call(b"a", timeout=2)  # in that time it is kept, also on a busy machine
    [key] = bench.durable.keys()
    assert f"forget_call({key!r})" in str(caught.value)
    bench.durable.forget(key)
    assert bench.durable.keys() == []


async def test_a_reply_that_only_its_caller_can_ask_for_is_read_once(bench: Bench) -> None:
    waiting = bench.call(b"1")
    call = await bench.arrived()
    message = encode_reply(call.request_id, b"reply")
    reply = decode_envelope(message)
    assert bench.durable.resolve(ROOM, reply, message)
    assert await waiting is reply


async def test_nothing_of_a_reply_that_is_kept_stays_in_memory(bench: Bench) -> None:
    waiting = bench.call(b"1", key="k")
    asked = await bench.arrived()
    call = bench.outbox.find(asked.request_id)
    assert call is not None
    assert bench.answer(asked)
    assert (await waiting).payload == b"reply"
    assert call.reply is not None
    await bench.saved()
    assert (call.reply, call.decoded) == (None, None)
    assert (await bench.call(b"1", key="k")).payload == b"reply"
