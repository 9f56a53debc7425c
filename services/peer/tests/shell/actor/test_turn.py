"""A bug on the way of one turn ends that turn: others run, and its caller hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from actr_peer.actor.scheduler import Deferred, Outcome, Turn
from actr_peer.protocol.mailbox.requests import Request
from actr_peer.state.mailbox.mailbox import Mailbox
from actr_peer.tasks import failures
from peer_kit.state.requests import Actor, put, request


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with Mailbox(None, durability="memory") as box:
        yield box


def refuse(mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Have the mailbox fail when the request of this name is complete."""
    complete = mailbox.complete

    def fail(item: Request, *arguments: object, **options: object) -> None:
        if item.request_id == name:
            raise ZeroDivisionError
        complete(item, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(mailbox, "complete", fail)


async def at_once(item: Request, turn: Turn) -> bytes:
    return b"done"


async def later(item: Request, turn: Turn) -> bytes:
    await asyncio.sleep(0)
    return b"done"


async def put_off(item: Request, turn: Turn) -> Deferred:
    deferred = turn.defer()
    asyncio.get_running_loop().call_soon(deferred.finish, Outcome(b"done"))
    return deferred


@pytest.mark.parametrize("handle", [at_once, later, put_off])
async def test_a_request_that_cannot_be_concluded_ends_and_the_next_one_runs(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, handle: object
) -> None:
    refuse(mailbox, monkeypatch, "a")
    before = failures["turn"]
    actor = Actor(mailbox, handle)  # type: ignore[arg-type]
    async with actor.scheduler:
        put(mailbox, request("a"))
        put(mailbox, request("b"))
        assert await actor.reply_to("b") == b"done"
        assert (await actor.reply_to("a")).startswith(b"INTERNAL")
        await actor.scheduler.drain()
    assert (actor.scheduler.deferred, mailbox.depth) == (0, 0)
    assert len(mailbox.letters) == 1
    assert failures["turn"] == before + 1


async def test_a_reply_that_cannot_be_given_away_ends_nothing(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = Actor(mailbox, at_once)
    give = actor.scheduler._outcomes._reply

    def fail(item: Request, reply: bytes) -> None:
        if item.request_id == "a":
            raise ZeroDivisionError
        give(item, reply)

    monkeypatch.setattr(actor.scheduler._outcomes, "_reply", fail)
    before = failures["reply"]
    async with actor.scheduler:
        put(mailbox, request("a"))
        put(mailbox, request("b"))
        assert await actor.reply_to("b") == b"done"
    assert mailbox.depth == 0
    assert failures["reply"] == before + 1


async def test_a_handler_that_was_left_behind_concludes_nothing(mailbox: Mailbox) -> None:
    released, ended = asyncio.Event(), asyncio.Event()

    async def never_mind(item: Request, turn: Turn) -> bytes:
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue
        ended.set()
        return b"late"

    actor = Actor(mailbox, never_mind)
    async with actor.scheduler:
        put(mailbox, request("a"))
        await actor.until(lambda: actor.started == ["a"])
        actor.scheduler.bound(0.0)
    released.set()
    await ended.wait()
    await asyncio.sleep(0)
    assert (actor.replies, mailbox.depth) == ({}, 1)
