"""One request's bytes: their times, and a reply that does not end before its request."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actr_peer.cli.verbs.gateway import exchange as module
from actr_peer.cli.verbs.gateway.exchange import Exchange
from actr_peer.errors import BrokenError, DeadlineError
from actr_peer.protocol.rpc.connect.refusals import Reply

GONE = {"type": "http.disconnect"}
END = {"type": "http.response.body", "body": b"", "more_body": False}


def part(body: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


class Far:
    """The far side: what it has sent, what it took, and whether it was cut off."""

    def __init__(self, *sends: dict[str, Any], takes: bool = True) -> None:
        self.sends = list(sends)
        self.takes = takes
        self.took: list[Any] = []
        self.was_cut = False
        self.exchange = Exchange(self.receive, self.send, self.cut)

    async def receive(self) -> Any:
        if not self.sends:
            await asyncio.Event().wait()
        return self.sends.pop(0)

    async def send(self, message: Any) -> None:
        if not self.takes:
            await asyncio.Event().wait()
        self.took.append(message)

    def cut(self) -> None:
        self.was_cut = True


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STALL_SECONDS", "DRAIN_SECONDS", "REQUEST_SECONDS"):
        monkeypatch.setattr(module, name, 0.01)


async def test_a_reply_waits_until_its_request_is_read() -> None:
    far = Far(part(b"a"), part(b"b"), part(b"", more=False), GONE)
    await far.exchange.reply(Reply(404, (("a", "b"),), b"no"))
    start, body, end = far.took
    assert (start["status"], body["body"], body["more_body"]) == (404, b"no", True)
    assert start["headers"] == [(b"a", b"b"), (b"content-length", b"2")]
    assert end == END
    assert far.sends == [GONE]


async def test_a_reply_to_a_request_that_is_read_ends_at_once() -> None:
    far = Far(part(b"a", more=False))
    assert await far.exchange.receive() == part(b"a", more=False)
    await far.exchange.reply(Reply(200, (), b"yes"))
    assert [each.get("body") for each in far.took] == [None, b"yes"]
    assert not far.was_cut


async def test_who_goes_on_sending_what_nobody_reads_is_cut_off() -> None:
    far = Far(*(part(b"x" * 100_000) for _ in range(50)))
    with pytest.raises(BrokenError):
        await far.exchange.reply(Reply(404))
    assert far.was_cut
    assert END not in far.took
    assert len(far.sends) > 30


async def test_nothing_more_is_sent_to_who_has_left() -> None:
    far = Far(part(b"x"), GONE)
    with pytest.raises(BrokenError):
        await far.exchange.reply(Reply(404))
    assert END not in far.took
    assert not far.was_cut


@pytest.mark.usefixtures("soon")
async def test_who_sends_nothing_more_is_cut_off_while_its_reply_waits() -> None:
    far = Far(part(b"x"))
    with pytest.raises(BrokenError):
        await far.exchange.reply(Reply(404))
    assert far.was_cut


@pytest.mark.usefixtures("soon")
async def test_who_takes_nothing_is_cut_off() -> None:
    far = Far(part(b"", more=False), takes=False)
    await far.exchange.receive()
    with pytest.raises(BrokenError):
        await far.exchange.send(END)
    assert far.was_cut


async def test_a_long_reply_goes_in_pieces_that_have_a_time_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "PIECE_BYTES", 4)
    for body in (b"", b"abc", b"abcd", b"abcdefgh", b"abcdefghi"):
        far = Far(part(b"", more=False))
        await far.exchange.receive()
        await far.exchange.reply(Reply(200, (), body))
        _, *pieces = far.took
        assert b"".join(piece["body"] for piece in pieces) == body
        assert all(len(piece["body"]) <= 4 for piece in pieces)
        assert [bool(piece.get("more_body")) for piece in pieces][-1:] == [False]
        assert all(piece["more_body"] for piece in pieces[:-1])
        assert len(pieces) == max(1, -(-len(body) // 4))


@pytest.mark.usefixtures("soon")
async def test_a_stream_of_requests_may_be_quiet() -> None:
    far = Far(part(b"x"))
    await far.exchange.receive()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await far.exchange.receive()
    assert not far.was_cut


@pytest.mark.usefixtures("soon")
async def test_a_request_that_stops_is_late_and_not_cut_off() -> None:
    far = Far(part(b"x"))
    far.exchange.expect_one()
    await far.exchange.receive()
    with pytest.raises(DeadlineError):
        await far.exchange.receive()
    assert not far.was_cut


async def test_a_request_of_one_message_has_its_time_in_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "REQUEST_SECONDS", 0.0)
    far = Far()
    far.exchange.expect_one()
    with pytest.raises(DeadlineError):
        await far.exchange.receive()


@pytest.mark.usefixtures("soon")
async def test_behind_the_request_it_waits_for_the_caller_to_go_however_long() -> None:
    far = Far(part(b"", more=False))
    await far.exchange.receive()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await far.exchange.receive()
    far.sends.append(GONE)
    assert await far.exchange.receive() == GONE


async def test_headers_for_a_page_are_on_every_reply() -> None:
    far = Far(part(b"", more=False))
    far.exchange.show((("vary", "Origin"),))
    await far.exchange.reply(Reply(204, (("a", "b"),)))
    assert far.took[0]["headers"] == [(b"a", b"b"), (b"vary", b"Origin")]
