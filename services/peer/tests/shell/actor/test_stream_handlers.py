"""Streams that remotes open: refused, given up while they wait, run, and nothing of them left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatService
from actr_peer.actor import stream_handlers as module
from actr_peer.actor.handlers import Handlers
from actr_peer.actor.stream_handlers import StreamHandlers
from actr_peer.actor.turn import Job
from actr_peer.errors import BrokenError, CallError, Code
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.rpc.envelopes import (
    RESPONSE,
    Envelope,
    Extras,
    decode_envelope,
    encode_request,
)
from actr_peer.protocol.rpc.shares import Room, Shares
from actr_peer.protocol.streams.chunks import Chunk, Credit, Kind, decode_chunk
from actr_peer.protocol.streams.halves import WINDOW, WINDOW_BYTES
from actr_peer.transport import channels
from actr_peer.transport.channels import Streams
from lab.quiet import Quiet
from peer_kit.streams import HERE, RELIABLE, Block, FakeLink, turns

UPLOAD, PRESENCE, CURSORS, SAY, MESSAGES = (
    f"demo.Chat.{name}" for name in ("Upload", "Presence", "Cursors", "Say", "Messages")
)


class Queue:
    """A scheduler whose turns come when a test says so."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def submit(self, job: Job) -> Job:
        self.jobs.append(job)
        return job

    def withdraw(self, job: Job) -> None:
        if job in self.jobs:
            self.jobs.remove(job)

    def would_wait_for(self, request_id: str, key: str | None) -> bool:
        """One request runs here, with a key of its own."""
        return request_id == "running" and key in (None, "limit=7")

    async def run(self) -> None:
        while self.jobs:
            await self.jobs.pop(0).run()


class Workload(Quiet):
    """Says what it does, and fails as a test tells it to."""

    METHODS = (
        replace(ChatService.MESSAGES, conflict_key="test_lines"),
        replace(ChatService.CURSORS, conflict_key="sender"),
        replace(ChatService.UPLOAD, conflict_key="sent_at_ns"),  # of a request that is not there
    )

    def __init__(self) -> None:
        self.did: list[str] = []
        self.fails: Callable[[], BaseException] | None = None
        self.reply = pb.UploadReply(size_bytes=1)

    async def upload(self, requests: AsyncIterator[pb.FilePiece], ctx: object) -> pb.UploadReply:
        self.did.append("begun")
        try:
            async for piece in requests:
                self.did.append(piece.data.decode())
            if self.fails is not None:
                raise self.fails()
            self.did.append("all")
        except asyncio.CancelledError:
            self.did.append("cancelled")
            raise
        return self.reply

    async def presence(
        self, request: pb.PresenceRequest, ctx: object
    ) -> AsyncIterator[pb.PresenceChange]:
        self.did.append("begun")
        try:
            yield pb.PresenceChange(who="ann")
            if self.fails is not None:
                raise self.fails()
            if self.reply.sha256:
                yield pb.PresenceChange(who=self.reply.sha256)
        finally:
            self.did.append("over")


class Callee:
    """An actor as far as streams go, and one caller's link to it."""

    def __init__(self) -> None:
        self.workload = Workload()
        self.streams = Streams(early=lambda link, chunk: self.handlers.hear_early(link, chunk))
        self.queue = Queue()
        self.block = Block()
        self.handlers = StreamHandlers(
            None,  # type: ignore[arg-type]
            Handlers([self.workload]),
            self.streams,
            self.queue,  # type: ignore[arg-type]
            self.block.start,
        )
        self.link = FakeLink(HERE, is_prompt=False)

    def open(
        self,
        route: str = UPLOAD,
        channel: str = "c",
        *,
        request_id: str = "",
        link: FakeLink | None = None,
        timeout: float | None = None,
        payload: bytes = b"",
        chain: tuple[str, ...] = (),
    ) -> None:
        extras = Extras(channel_id=channel or "x", credit=WINDOW, credit_bytes=WINDOW_BYTES)
        extras.call_chain = chain
        message = encode_request(
            request_id or channel or "r", route, payload, timeout=timeout, extras=extras
        )
        envelope = decode_envelope(message)
        if not channel:
            envelope._pb.stream.channel_id = ""
        self.handlers.open(link or self.link, envelope)  # type: ignore[arg-type]

    def hear(self, chunk: Chunk, link: FakeLink | None = None) -> None:
        self.streams.receive(link or self.link, RELIABLE, chunk)  # type: ignore[arg-type]

    def said(self, link: FakeLink | None = None) -> list[Chunk]:
        """Chunks that the callee has sent, and has not told before."""
        queue = (link or self.link).queue
        chunks = [decode_chunk(message) for _, message in queue]
        queue.clear()
        return chunks

    def answers(self) -> list[Envelope]:
        answers, self.link.envelopes = self.link.envelopes, []
        assert all(envelope.direction == RESPONSE for envelope in answers)
        return answers

    def refusal(self) -> CallError:
        """The one thing that was said: an error, where the opener of this kind listens."""
        errors = [chunk.error for chunk in self.said() if chunk.kind is Kind.ERROR]
        errors += [envelope.error for envelope in self.answers()]
        assert len(errors) == 1
        assert errors[0] is not None
        return errors[0]

    def assert_nothing_is_left(self) -> None:
        assert self.streams.open_count == 0
        assert not self.streams._readers
        assert not self.streams._writers
        assert not self.handlers._channels
        assert not self.handlers._requests
        assert not self.handlers._bodies_of
        assert self.handlers.waiting == len(self.handlers) == 0
        assert (self.handlers._room.count, self.handlers._room.size) == (0, 0)
        assert not self.block.tasks


@pytest.fixture
def callee() -> Callee:
    return Callee()


def piece(number: int, text: str) -> Chunk:
    return Chunk("c", number, pb.FilePiece(data=text.encode()).SerializeToString(), size=10)


async def test_an_upload_is_granted_read_and_answered(callee: Callee):
    callee.open()
    await callee.queue.run()
    (grant,) = callee.said()
    assert grant.credit == Credit(WINDOW, WINDOW_BYTES)
    callee.hear(piece(0, "a"))
    callee.hear(Chunk("c", 1, kind=Kind.END))
    await turns()
    (reply,) = callee.answers()
    assert pb.UploadReply.FromString(reply.payload).size_bytes == 1
    assert callee.workload.did == ["begun", "a", "all"]
    callee.assert_nothing_is_left()


# Given up while it waits


async def test_an_opening_whose_link_is_gone_never_runs(callee: Callee):
    callee.open()
    callee.link.is_shut = True
    callee.streams.fail_link(callee.link, BrokenError("gone"))  # type: ignore[arg-type]
    callee.handlers.cancel_link(callee.link)  # type: ignore[arg-type]
    assert not callee.queue.jobs
    callee.assert_nothing_is_left()


async def test_a_turn_that_comes_before_the_word_of_the_links_end_begins_nothing(callee: Callee):
    callee.open()
    callee.link.is_shut = True
    await callee.queue.run()
    await turns()
    assert callee.workload.did == []
    callee.assert_nothing_is_left()


async def test_the_end_of_one_link_leaves_the_streams_of_its_successor(callee: Callee):
    successor = FakeLink(HERE, is_prompt=False)
    callee.open(link=successor)
    callee.handlers.cancel_link(callee.link)  # type: ignore[arg-type]
    await callee.queue.run()
    assert len(callee.handlers) == 1
    callee.handlers.cancel_link(successor)  # type: ignore[arg-type]
    await turns()
    callee.assert_nothing_is_left()


async def test_a_cancelled_opening_never_runs(callee: Callee):
    callee.open(channel="c", request_id="r")
    callee.handlers.cancel(HERE, "c")
    assert callee.handlers.waiting == 1
    callee.handlers.cancel(ActrId("acme", "stranger", "1"), "r")
    assert callee.handlers.waiting == 1
    callee.handlers.cancel(HERE, "r")
    await callee.queue.run()
    assert (callee.workload.did, callee.answers()) == ([], [])
    callee.assert_nothing_is_left()


@pytest.mark.parametrize(
    "word",
    [
        pytest.param(Chunk("c", kind=Kind.CANCEL), id="cancel"),
        pytest.param(
            Chunk("c", kind=Kind.ERROR, error=CallError(Code.CANCELLED, "bye")), id="error"
        ),
    ],
)
async def test_a_word_on_the_channel_gives_up_its_opening(callee: Callee, word: Chunk):
    callee.open(CURSORS)
    callee.hear(word, FakeLink(ActrId("acme", "stranger", "1"), is_prompt=False))
    assert callee.handlers.waiting == 1
    callee.hear(word)
    await callee.queue.run()
    assert callee.said() == []
    callee.assert_nothing_is_left()


@pytest.mark.parametrize(
    "chunk", [piece(0, "early"), Chunk("c", 0, kind=Kind.END)], ids=["an item", "an end"]
)
async def test_what_comes_before_the_grant_refuses_the_stream(callee: Callee, chunk: Chunk):
    callee.open()
    callee.hear(chunk)
    assert callee.refusal().code is Code.FAILED_PRECONDITION
    await callee.queue.run()
    assert callee.workload.did == []
    callee.assert_nothing_is_left()


async def test_an_item_that_overtakes_its_opening_refuses_the_stream(callee: Callee):
    callee.hear(piece(0, "early"))
    assert [chunk.kind for chunk in callee.said()] == [Kind.CANCEL]
    callee.open()
    assert callee.refusal().code is Code.FAILED_PRECONDITION
    callee.assert_nothing_is_left()


async def test_a_grant_that_comes_before_the_turn_counts(callee: Callee):
    callee.open(PRESENCE)
    callee.hear(Chunk("c", kind=Kind.CREDIT, credit=Credit(6, 100)))
    await callee.queue.run()
    (writer,) = callee.streams._writers.values()
    assert writer._credit._items == WINDOW + 6


async def test_an_opening_that_waited_too_long_is_refused(callee: Callee):
    callee.open(timeout=0.001)
    await asyncio.sleep(0.005)
    await callee.queue.run()
    assert callee.refusal().code is Code.DEADLINE_EXCEEDED
    assert callee.workload.did == []
    callee.assert_nothing_is_left()


# Bounds


@pytest.mark.parametrize(
    ("each", "total"),
    [
        pytest.param(Room(2, 1 << 30), Room(9, 1 << 30), id="of one remote"),
        pytest.param(Room(9, 1 << 30), Room(2, 1 << 30), id="of all"),
        pytest.param(Room(9, 2048), Room(9, 1 << 30), id="bytes of one remote"),
        pytest.param(Room(9, 1 << 30), Room(9, 2048), id="bytes of all"),
    ],
)
async def test_openings_that_wait_are_bounded(
    monkeypatch: pytest.MonkeyPatch, each: Room, total: Room
):
    monkeypatch.setattr(module, "WAITING_EACH", each)
    monkeypatch.setattr(module, "WAITING_TOTAL", total)
    callee = Callee()
    for number in range(3):
        callee.open(channel=f"c{number}")
    refusal = callee.refusal()
    assert (refusal.code, refusal.retryable) == (Code.RESOURCE_EXHAUSTED, True)
    assert (callee.handlers.waiting, len(callee.queue.jobs)) == (2, 2)
    await callee.handlers.close()


async def test_one_opening_is_taken_however_long_it_is(
    callee: Callee, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(callee.handlers, "_room", Shares(each=Room(9, 2048), total=Room(9, 2048)))
    callee.open(payload=bytes(4096))
    assert callee.handlers.waiting == 1
    callee.open(channel="d")
    assert callee.refusal().code is Code.RESOURCE_EXHAUSTED


async def test_bodies_are_bounded_when_their_turn_comes_too(
    callee: Callee, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "MAX_BODIES", 1)
    callee.open(channel="c")
    callee.open(channel="d")
    await callee.queue.run()
    callee.said()
    callee.open(channel="e")
    codes = [answer.error.code for answer in callee.answers() if answer.error]
    assert codes == [Code.RESOURCE_EXHAUSTED] * 2
    await callee.handlers.close()
    callee.assert_nothing_is_left()


async def test_one_remote_cannot_have_all_places(callee: Callee, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MAX_BODIES_EACH", 1)
    other = FakeLink(ActrId("acme", "other", "1"), is_prompt=False)
    callee.open(channel="c")
    callee.open(channel="d")
    callee.open(channel="c", link=other)
    await callee.queue.run()
    assert callee.said()
    (answer,) = callee.answers()
    assert answer.request_id == "d"
    assert answer.error is not None
    assert (answer.error.code, answer.error.retryable) == (Code.RESOURCE_EXHAUSTED, True)
    (grant,) = callee.said(other)
    assert grant.kind is Kind.CREDIT
    await callee.handlers.close()
    callee.assert_nothing_is_left()


async def test_a_remote_with_too_many_halves_is_refused(
    callee: Callee, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(channels, "MAX_STREAMS_PER_REMOTE", 1)
    callee.open(CURSORS)
    await callee.queue.run()
    assert callee.refusal().code is Code.RESOURCE_EXHAUSTED
    callee.assert_nothing_is_left()


# Openings that cannot be


async def test_a_second_opening_of_a_channel_is_refused_and_the_first_goes_on(callee: Callee):
    callee.open(PRESENCE, "c", request_id="first")
    callee.open(PRESENCE, "c", request_id="second")
    (answer,) = callee.answers()
    assert answer.request_id == "second"
    assert answer.error is not None
    assert answer.error.code is Code.ALREADY_EXISTS
    await callee.queue.run()
    callee.open(PRESENCE, "c", request_id="third")
    assert [answer.request_id for answer in callee.answers()] == ["third"]
    await turns(20)
    kinds = [chunk.kind for chunk in callee.said()]
    assert kinds == [Kind.ITEM, Kind.END]
    callee.assert_nothing_is_left()


async def test_two_streams_with_one_channel_and_deadlines_end_as_one(callee: Callee):
    callee.open("demo.Chat.Upload", "c", request_id="first", timeout=0.01)
    callee.open("demo.Chat.Upload", "c", request_id="second", timeout=0.01)
    await callee.queue.run()
    async with asyncio.timeout(60):
        while callee.block.tasks:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    answers = {a.request_id: a.error.code for a in callee.answers() if a.error}
    assert answers == {"second": Code.ALREADY_EXISTS, "first": Code.DEADLINE_EXCEEDED}
    assert callee.block.failures == []
    callee.assert_nothing_is_left()


async def test_a_repeated_opening_is_not_answered_and_runs_once(callee: Callee):
    callee.open(PRESENCE)
    callee.open(PRESENCE)
    await callee.queue.run()
    await turns(20)
    assert callee.handlers.repeated == 1
    assert callee.workload.did == ["begun", "over"]
    assert callee.answers() == []


async def test_two_remotes_may_use_one_name(callee: Callee):
    other = FakeLink(ActrId("acme", "other", "1"), is_prompt=False)
    callee.open("demo.Chat.Upload", "c")
    callee.open("demo.Chat.Upload", "c", link=other)
    await callee.queue.run()
    assert len(callee.handlers) == 2
    callee.handlers.cancel(HERE, "c")
    await turns()
    assert len(callee.handlers) == 1
    await callee.handlers.close()
    callee.assert_nothing_is_left()


@pytest.mark.parametrize("channel", ["", "x" * 65], ids=["empty", "65 characters"])
async def test_a_channel_id_out_of_bounds_is_refused(callee: Callee, channel: str):
    callee.open(PRESENCE, channel, request_id="r")
    assert callee.refusal().code is Code.INVALID_ARGUMENT
    callee.assert_nothing_is_left()


async def test_a_method_that_does_not_stream_is_not_opened(callee: Callee):
    callee.open(SAY)
    assert callee.refusal().code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize("route", [UPLOAD, PRESENCE])
async def test_an_opening_that_would_wait_for_who_waits_for_it_is_refused(
    callee: Callee, route: str
):
    callee.open(route, chain=("elsewhere", "running"))
    error = callee.refusal()
    assert (error.code, error.message[:10]) == (Code.FAILED_PRECONDITION, "call cycle")
    callee.assert_nothing_is_left()
    callee.open(route, chain=("elsewhere",))
    assert callee.handlers.waiting == 1


async def test_an_opening_waits_under_the_conflict_key_of_its_method(callee: Callee):
    lines = pb.MessagesRequest(test_lines=3).SerializeToString()
    callee.open(MESSAGES, "a", payload=lines)
    callee.open(MESSAGES, "b", payload=b"\xff", chain=("other",))
    callee.open(CURSORS, "c")
    callee.open(UPLOAD, "d")
    callee.open(PRESENCE, "e")
    keys = ["test_lines=3", None, f"sender={HERE}", None, None]
    assert [job.key for job in callee.queue.jobs] == keys
    callee.open(MESSAGES, "f", payload=lines, chain=("running",))  # which has another key
    assert callee.handlers.waiting == 6


# Whatever goes wrong in a body

CANNOT_BE_SENT = [
    pytest.param(lambda: CallError(Code.ABORTED, "x", retry_after=-1.0), id="retry in the past"),
    pytest.param(lambda: CallError(Code.ABORTED, "x", retry_after=5e6), id="retry in 50 days"),
    pytest.param(lambda: CallError(Code.ABORTED, "x", details=(b"\xff",)), id="no Any"),
    pytest.param(lambda: CallError(Code.ABORTED, "caf\udce9"), id="no text"),
    pytest.param(lambda: KeyError("x"), id="a bug"),
]


@pytest.mark.parametrize("fails", CANNOT_BE_SENT)
@pytest.mark.parametrize("route", [UPLOAD, PRESENCE])
async def test_whatever_a_handler_raises_ends_its_stream_with_a_typed_error(
    callee: Callee, route: str, fails: Callable[[], BaseException]
):
    callee.workload.fails = fails
    callee.open(route)
    await callee.queue.run()
    callee.hear(Chunk("c", 0, kind=Kind.END))
    await turns(20)
    assert isinstance(callee.refusal(), CallError)
    callee.assert_nothing_is_left()


async def test_a_reply_that_is_longer_than_the_caller_takes_is_an_error_to_it(callee: Callee):
    callee.link.max_message_bytes = 1000
    callee.workload.reply = pb.UploadReply(sha256="x" * 2000)
    callee.open()
    await callee.queue.run()
    callee.hear(Chunk("c", 0, kind=Kind.END))
    await turns(20)
    assert callee.refusal().code is Code.RESOURCE_EXHAUSTED
    callee.assert_nothing_is_left()


async def test_an_item_that_is_longer_than_the_caller_takes_ends_the_stream(callee: Callee):
    callee.link.max_message_bytes = 1000
    callee.workload.reply = pb.UploadReply(sha256="x" * 2000)
    callee.open(PRESENCE)
    await callee.queue.run()
    await turns(20)
    item, end = callee.said()
    assert item.is_item
    assert end.error is not None
    assert end.error.code is Code.RESOURCE_EXHAUSTED
    assert callee.workload.did == ["begun", "over"]
    callee.assert_nothing_is_left()


async def test_requests_that_are_not_whole_are_data_loss_to_the_caller(callee: Callee):
    callee.open()
    await callee.queue.run()
    callee.said()
    callee.hear(piece(0, "a"))
    callee.hear(piece(2, "c"))
    await turns(20)
    assert [chunk.kind for chunk in callee.said()] == [Kind.CANCEL]
    assert callee.refusal().code is Code.DATA_LOSS
    assert callee.workload.did == ["begun", "a"]
    callee.assert_nothing_is_left()


async def test_closing_refuses_what_waits_and_ends_what_runs(callee: Callee):
    callee.open(channel="runs")
    await callee.queue.run()
    await turns()
    callee.open(channel="waits")
    await callee.handlers.close()
    await turns()
    callee.open(channel="late")
    codes = {a.request_id: a.error.code for a in callee.answers() if a.error}
    assert codes == {"waits": Code.UNAVAILABLE, "late": Code.UNAVAILABLE}
    assert callee.workload.did == ["begun", "cancelled"]
    callee.assert_nothing_is_left()


@pytest.mark.parametrize("phase", ["waits", "is to begin", "runs", "has ended"])
@pytest.mark.parametrize("route", [UPLOAD, PRESENCE, CURSORS])
async def test_ten_thousand_streams_given_up_in_a_phase_leave_no_half(
    callee: Callee, route: str, phase: str
):
    for number in range(900):
        channel = f"c{number}"
        callee.open(route, channel)
        if phase != "waits":
            await callee.queue.run()
        if phase == "runs":
            await turns(2)
        if phase == "has ended":
            callee.hear(Chunk(channel, 0, kind=Kind.END))
            await turns(2)
        callee.handlers.cancel(HERE, channel)
        callee.link.queue.clear()
        callee.link.envelopes.clear()
    await turns()
    callee.assert_nothing_is_left()
