"""The scheduler over a mailbox in memory: turns, failures, cancelling, deferring, closing."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from actr_peer.actor import outcomes, scheduler
from actr_peer.actor.outcomes import FIRST_BACKOFF
from actr_peer.actor.scheduler import (
    MAX_RIVALRY,
    TURN_SECONDS,
    Deferred,
    Job,
    Outcome,
    Stopped,
    Turn,
)
from actr_peer.errors import LocalProtocolError
from actr_peer.protocol.mailbox.requests import Repeated, Request
from actr_peer.protocol.mailbox.turn import State
from actr_peer.protocol.payload import MAX_MESSAGE_BYTES, PayloadType
from actr_peer.state.mailbox.mailbox import Mailbox
from actr_peer.state.mailbox.transaction import ConflictError
from actr_peer.state.storage.journal import NoJournal, RunJournal
from actr_peer.tasks import Tasks
from peer_kit.state.requests import ROOM, Actor, put, request, settled


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with Mailbox(None, durability="memory") as box:
        yield box


def key_of_name(item: Request) -> str | None:
    """``a1`` has the key ``a``; names in capitals have none."""
    return None if item.request_id[0].isupper() else item.request_id[0]


class Gates:
    """Handlers wait at their gate until it is opened."""

    def __init__(self) -> None:
        self._gates: dict[str, asyncio.Event] = {}

    def gate(self, name: str) -> asyncio.Event:
        return self._gates.setdefault(name, asyncio.Event())

    def open(self, *names: str) -> None:
        for name in names:
            self.gate(name).set()

    async def handle(self, item: Request, turn: Turn) -> bytes:
        await self.gate(item.request_id).wait()
        return f"reply to {item.request_id}".encode()


async def echo(item: Request, turn: Turn) -> bytes:
    return b"echo " + item.request_id.encode()


async def test_a_handler_that_does_not_wait_gets_no_task(mailbox: Mailbox) -> None:
    before = len(asyncio.all_tasks())
    tasks: list[int] = []

    async def handle(item: Request, turn: Turn) -> bytes:
        tasks.append(len(asyncio.all_tasks()))
        return b"ok"

    actor = Actor(mailbox, handle)
    async with actor.scheduler:
        for n in range(200):
            put(mailbox, request(str(n)))
        await actor.until(lambda: len(actor.replies) == 200)
    assert set(tasks) == {before}
    assert actor.started == [str(n) for n in range(200)]


async def test_handlers_that_take_long_leave_each_turn_of_the_loop_to_others_too(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, now = asyncio.get_running_loop(), [0.0]
    turns: list[int] = []

    async def handle(item: Request, turn: Turn) -> bytes:
        now[0] += TURN_SECONDS * 0.4  # the third is over it
        return b"ok"

    actor = Actor(mailbox, handle)

    def note_turn() -> None:
        turns.append(len(actor.started))
        if len(actor.started) < 9:
            loop.call_soon(note_turn)

    async with actor.scheduler:
        monkeypatch.setattr(loop, "time", lambda: now[0])
        for n in range(9):
            put(mailbox, request(str(n)))
        loop.call_soon(note_turn)
        await actor.until(lambda: len(actor.replies) == 9)
        monkeypatch.undo()
    assert {3, 6} <= set(turns) <= {0, 3, 6, 9}


async def test_requests_without_a_key_run_one_after_another(mailbox: Mailbox) -> None:
    gates = Gates()
    actor = Actor(mailbox, gates.handle)
    async with actor.scheduler:
        for name in ("a", "b"):
            put(mailbox, request(name))
        await actor.until(lambda: actor.started == ["a"])
        gates.open("b")
        assert actor.scheduler.waiting == 1
        gates.open("a")
        await actor.reply_to("b")
        assert actor.ended == ["a", "b"]


async def test_different_keys_run_side_by_side_and_one_key_in_order(mailbox: Mailbox) -> None:
    gates = Gates()
    actor = Actor(mailbox, gates.handle, key_of=key_of_name)
    async with actor.scheduler:
        for name in ("a1", "a2", "b1"):
            put(mailbox, request(name))
        await actor.until(lambda: actor.started == ["a1", "b1"])
        gates.open("a2", "b1")
        await actor.reply_to("b1")
        gates.open("a1")
        await actor.reply_to("a2")
        assert actor.ended == ["b1", "a1", "a2"]


async def test_the_reply_of_a_tell_is_not_sent(mailbox: Mailbox) -> None:
    actor = Actor(mailbox, echo)
    async with actor.scheduler:
        put(mailbox, request("tell", tell=True))
        put(mailbox, request("call"))
        await actor.reply_to("call")
    assert list(actor.replies) == ["call"]


async def test_an_exception_of_the_runner_is_answered_and_the_actor_lives_on(
    mailbox: Mailbox, caplog: pytest.LogCaptureFixture
) -> None:
    async def handle(item: Request, turn: Turn) -> bytes:
        if item.request_id == "later":
            await asyncio.sleep(0)
        if item.request_id != "good":
            raise ValueError("broken")
        return b"ok"

    actor = Actor(mailbox, handle)
    async with actor.scheduler:
        for name in ("now", "later", "good"):
            put(mailbox, request(name))
        assert await actor.reply_to("good") == b"ok"
    for name in ("now", "later"):
        error = f"INTERNAL: demo.Chat.Say failed with ValueError; its log has it as request {name}"
        assert actor.replies[name] == error.encode()
        assert f"method=demo.Chat.Say caller={ROOM} request={name} try=1" in caplog.text
    assert await put(mailbox, request("now")) == Repeated(actor.replies["now"])


async def test_a_failing_request_runs_again_and_then_is_a_dead_letter(mailbox: Mailbox) -> None:
    async def handle(item: Request, turn: Turn) -> Outcome:
        if item.request_id == "good":
            return Outcome(b"ok")
        error = f"ValueError: try {item.attempts + 1}"
        return Outcome(b"failed", failed=True, max_failures=3, error=error)

    actor = Actor(mailbox, handle)
    async with actor.scheduler:
        put(mailbox, request("bad"))
        put(mailbox, request("good"))
        await actor.reply_to("good")
        assert actor.started == ["bad", "bad", "bad", "good"]
        assert actor.replies["bad"] == b"failed"
        (letter,) = await mailbox.letters.find()
        assert (letter.request_id, letter.reason) == ("bad", "failed 3 times")
        assert (letter.failures, letter.attempts) == (3, 3)
        assert letter.last_error == "ValueError: try 3"
        assert mailbox.depth == 0


async def test_a_failed_request_rests_before_it_runs_again_and_others_do_not(
    mailbox: Mailbox,
) -> None:
    times: list[float] = []

    async def handle(item: Request, turn: Turn) -> Outcome:
        if item.request_id == "other":
            return Outcome(b"ok")
        times.append(turn.now())
        return Outcome(b"failed", failed=True, max_failures=3)

    actor = Actor(mailbox, handle, key_of=lambda item: item.request_id)
    async with actor.scheduler:
        put(mailbox, request("bad"))
        put(mailbox, request("other"))
        await actor.reply_to("bad")
    assert actor.started == ["bad", "other", "bad", "bad"]
    # The loop's clock is in whole milliseconds.
    assert times[1] - times[0] > FIRST_BACKOFF - 0.002
    assert times[2] - times[1] > 2 * FIRST_BACKOFF - 0.002


async def test_a_request_is_cancelled_while_it_rests(mailbox: Mailbox) -> None:
    async def handle(item: Request, turn: Turn) -> Outcome:
        return Outcome(b"", failed=item.request_id == "bad", max_failures=4)

    actor = Actor(mailbox, handle)
    async with actor.scheduler:
        put(mailbox, request("bad"))
        put(mailbox, request("good"))
        await actor.until(lambda: actor.ended == ["bad"])
        await asyncio.sleep(0)
        actor.scheduler.cancel(ROOM, "bad")
        await actor.reply_to("good")
        assert actor.started == ["bad", "good"]
        assert (mailbox.depth, len(mailbox.letters)) == (0, 0)


async def test_a_reply_that_no_message_can_carry_is_an_error_and_the_actor_lives_on(
    mailbox: Mailbox,
) -> None:
    async def handle(item: Request, turn: Turn) -> Outcome:
        return Outcome(bytes(MAX_MESSAGE_BYTES + 1) if item.request_id == "long" else b"ok")

    actor = Actor(mailbox, handle)
    async with actor.scheduler:
        put(mailbox, request("long"))
        put(mailbox, request("short"))
        assert await actor.reply_to("short") == b"ok"
    assert actor.replies["long"].startswith(b"RESOURCE_EXHAUSTED")


async def test_an_outcome_that_says_dead_is_a_dead_letter_at_once(mailbox: Mailbox) -> None:
    async def handle(item: Request, turn: Turn) -> Outcome:
        return Outcome(b"no such thing", dead="undecodable payload")

    actor = Actor(mailbox, handle)
    async with actor.scheduler:
        put(mailbox, request("bad"))
        assert await actor.reply_to("bad") == b"no such thing"
        (letter,) = await mailbox.letters.find()
        assert letter.reason == "undecodable payload"
        assert await put(mailbox, request("bad")) == Repeated(b"no such thing")


async def test_a_handler_out_of_time_is_cancelled_and_answered(mailbox: Mailbox) -> None:
    stopped: list[Stopped | None] = []

    async def handle(item: Request, turn: Turn) -> bytes:
        turn.limit(0.01)
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append(turn.stopped)
        return b"never"

    actor = Actor(mailbox, handle)
    async with actor.scheduler:
        put(mailbox, request("slow"))
        assert (await actor.reply_to("slow")).startswith(b"DEADLINE_EXCEEDED")
    assert stopped == [Stopped.TIMEOUT]


async def test_a_limit_set_after_waiting_holds_too(mailbox: Mailbox) -> None:
    async def handle(item: Request, turn: Turn) -> bytes:
        await asyncio.sleep(0)
        turn.limit(10)
        turn.limit(0.01)
        await asyncio.Event().wait()
        return b"never"

    actor = Actor(mailbox, handle)
    async with actor.scheduler:
        put(mailbox, request("slow"))
        assert (await actor.reply_to("slow")).startswith(b"DEADLINE_EXCEEDED")


async def test_cancelling_ends_what_runs_and_what_waits_without_a_reply(
    mailbox: Mailbox,
) -> None:
    gates = Gates()
    actor = Actor(mailbox, gates.handle)
    async with actor.scheduler:
        for name in ("runs", "waits", "last"):
            put(mailbox, request(name))
        await actor.until(lambda: actor.started == ["runs"])
        actor.scheduler.cancel(ROOM, "waits")
        actor.scheduler.cancel("somebody else", "runs")
        actor.scheduler.cancel(ROOM, "unknown")
        actor.scheduler.cancel(ROOM, "runs")
        gates.open("last")
        await actor.reply_to("last")
    assert (actor.started, list(actor.replies)) == (["runs", "last"], ["last"])
    assert mailbox.depth == 0


async def test_a_handler_that_cancels_itself_is_a_failure_not_the_end(
    mailbox: Mailbox, caplog: pytest.LogCaptureFixture
) -> None:
    async def handle(item: Request, turn: Turn) -> bytes:
        task = asyncio.current_task()
        assert task is not None
        if item.request_id == "bad":
            task.cancel()
            await asyncio.sleep(1)
        return b"ok"

    actor = Actor(mailbox, handle)
    async with actor.scheduler:
        put(mailbox, request("bad"))
        put(mailbox, request("good"))
        assert await actor.reply_to("good") == b"ok"
        assert (await actor.reply_to("bad")).startswith(b"INTERNAL")


async def test_what_runs_is_known_by_its_id_so_that_a_cycle_can_be_refused(
    mailbox: Mailbox,
) -> None:
    gates = Gates()
    actor = Actor(mailbox, gates.handle)
    async with actor.scheduler:
        put(mailbox, request("a"))
        put(mailbox, request("b"))
        await actor.until(lambda: actor.started == ["a"])
        assert actor.scheduler.would_wait_for("a", None)
        assert not actor.scheduler.would_wait_for("b", None)
        gates.open("a", "b")
        await actor.reply_to("b")
        assert not actor.scheduler.would_wait_for("a", None)


async def test_callers_who_give_the_same_id_have_no_word_in_each_others_requests(
    mailbox: Mailbox,
) -> None:
    """Who is called learns the ids of the calls that led to it, and may use them itself."""
    other, cancelled = asyncio.Event(), asyncio.Event()

    async def handle(item: Request, turn: Turn) -> bytes:
        if item.sender != ROOM:
            await other.wait()
            return b"done"
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return b""

    mailbox.journal = journal = Journal()
    actor = Actor(mailbox, handle, key_of=lambda item: item.sender)
    async with actor.scheduler:
        put(mailbox, request("same"))
        put(mailbox, request("same", sender="acme:other@1:default"))
        await actor.until(lambda: len(actor.started) == 2)
        other.set()
        await actor.reply_to("same")
        assert actor.scheduler.would_wait_for("same", ROOM)
        actor.scheduler.cancel(ROOM, "same")
        await cancelled.wait()
        await settled(mailbox)
        assert mailbox.depth == 0
        assert not actor.scheduler.would_wait_for("same", ROOM)
    assert actor.ended == ["same"]
    assert sorted(journal.left) == [1, 2]


async def test_leaving_blames_none_of_two_requests_with_one_id(mailbox: Mailbox) -> None:
    mailbox.journal = journal = Journal()
    actor = Actor(mailbox, Gates().handle, key_of=lambda item: item.sender)
    async with actor.scheduler:
        put(mailbox, request("same"))
        put(mailbox, request("same", sender="acme:other@1:default"))
        await actor.until(lambda: len(actor.started) == 2)
    assert sorted(journal.left) == [1, 2]


@pytest.mark.parametrize(
    "code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_LOCKED], ids=["full", "locked"]
)
async def test_a_tell_that_a_file_keeps_from_running_is_a_dead_letter_in_the_end(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(outcomes, "FIRST_BACKOFF", 0.0)
    error = sqlite3.OperationalError("the file")
    error.sqlite_errorcode = code

    async def handle(item: Request, turn: Turn) -> Outcome:
        return Outcome(failed=item.is_tell, hindrance=error if item.is_tell else None)

    actor = Actor(mailbox, handle)
    async with actor.scheduler:
        put(mailbox, request("a", tell=True))
        put(mailbox, request("b"))
        await actor.until(lambda: "b" in actor.ended)
        assert actor.started == ["a"] * outcomes.MAX_HINDRANCES + ["b"]
        [letter] = await mailbox.letters.find()
        assert letter.request_id == "a"
        assert "the file" in letter.reason
    assert actor.replies == {}


class Defers:
    """Puts off every reply; keeps the deferred objects."""

    def __init__(self, *, limit: float | None = None) -> None:
        self.deferred: dict[str, Deferred] = {}
        self.limit = limit

    async def handle(self, item: Request, turn: Turn) -> Deferred:
        if self.limit is not None:
            turn.limit(self.limit)
        deferred = self.deferred[item.request_id] = turn.defer()
        return deferred


async def test_a_deferred_reply_lets_the_next_request_run(mailbox: Mailbox) -> None:
    defers = Defers()
    actor = Actor(mailbox, defers.handle)
    async with actor.scheduler:
        put(mailbox, request("a"))
        put(mailbox, request("b"))
        await actor.until(lambda: len(defers.deferred) == 2)
        assert (actor.scheduler.deferred, mailbox.depth) == (2, 2)
        assert not actor.scheduler.would_wait_for("a", None)
        defers.deferred["b"].finish(Outcome(b"second"))
        defers.deferred["a"].finish(Outcome(b"first"))
        defers.deferred["a"].finish(Outcome(b"again"))
        assert actor.replies == {"b": b"second", "a": b"first"}
        assert (actor.scheduler.deferred, mailbox.depth) == (0, 0)


async def test_a_deferred_reply_given_before_the_handler_returns_counts(
    mailbox: Mailbox,
) -> None:
    async def handle(item: Request, turn: Turn) -> Deferred:
        deferred = turn.defer()
        deferred.finish(Outcome(b"early"))
        return deferred

    actor = Actor(mailbox, handle)
    async with actor.scheduler:
        put(mailbox, request("a"))
        assert await actor.reply_to("a") == b"early"
        assert actor.scheduler.deferred == 0


async def test_a_deferred_reply_is_void_when_the_caller_cancels_or_time_is_up(
    mailbox: Mailbox,
) -> None:
    defers = Defers(limit=0.01)
    actor = Actor(mailbox, defers.handle)
    void: list[str] = []
    async with actor.scheduler:
        put(mailbox, request("a"))
        put(mailbox, request("b"))
        await actor.until(lambda: len(defers.deferred) == 2)
        for name, deferred in defers.deferred.items():
            deferred.on_cancel = lambda name=name: void.append(name)
        actor.scheduler.cancel(ROOM, "a")
        assert (await actor.reply_to("b")).startswith(b"DEADLINE_EXCEEDED")
        defers.deferred["b"].finish(Outcome(b"too late"))
        assert void == ["a", "b"]
        assert list(actor.replies) == ["b"]
        assert mailbox.depth == 0


async def test_a_deferred_failure_runs_again_behind_the_others(mailbox: Mailbox) -> None:
    defers = Defers()
    actor = Actor(mailbox, defers.handle)
    async with actor.scheduler:
        put(mailbox, request("a"))
        await actor.until(lambda: "a" in defers.deferred)
        defers.deferred.pop("a").finish(Outcome(b"no", failed=True, max_failures=2))
        await actor.until(lambda: "a" in defers.deferred)
        defers.deferred["a"].finish(Outcome(b"no", failed=True, max_failures=2))
        assert await actor.reply_to("a") == b"no"
        assert len(await mailbox.letters.find()) == 1


async def test_jobs_take_their_turn_among_requests_and_are_not_kept(mailbox: Mailbox) -> None:
    order: list[str] = []
    gates = Gates()

    async def job() -> None:
        order.append("job")
        assert actor.scheduler.would_wait_for("job id", None)
        await asyncio.sleep(0)

    async def handle(item: Request, turn: Turn) -> bytes:
        await gates.gate(item.request_id).wait()
        order.append(item.request_id)
        return b""

    actor = Actor(mailbox, handle)
    async with actor.scheduler:
        put(mailbox, request("a"))
        await actor.until(lambda: actor.started == ["a"])
        actor.scheduler.submit(Job(job, request_id="job id"))
        actor.scheduler.submit(Job(job, PayloadType.RPC_SIGNAL, request_id="job id"))
        put(mailbox, request("b"))
        gates.open("a", "b")
        await actor.reply_to("b")
    assert order == ["a", "job", "job", "b"]


async def test_while_something_runs_nobody_is_blamed_who_has_ended(
    mailbox: Mailbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "TURN_SECONDS", 60)  # all that is ready starts in one turn
    mailbox.journal = journal = RunJournal(str(tmp_path / "run"))
    defers = Defers()
    seen: list[set[int]] = []

    async def handle(item: Request, turn: Turn) -> bytes | Deferred | Outcome:
        seen.append(set(journal.interrupted()))
        if item.request_id == "put off":
            return await defers.handle(item, turn)
        if item.request_id == "gives it":
            defers.deferred["put off"].finish(Outcome(b"later"))
            seen.append(set(journal.interrupted()))
            actor.scheduler.submit(Job(job))  # begins in the turn in which this ends
        if item.request_id == "fails once" and not item.failures:
            return Outcome(failed=True, max_failures=2)
        return b"ok"

    async def job() -> None:
        seen.append(set(journal.interrupted()))

    actor = Actor(mailbox, handle)
    async with actor.scheduler:
        names = ("first", "second", "put off", "gives it")
        for name in names:
            put(mailbox, request(name))
        await actor.reply_to("gives it")
        await actor.until(lambda: len(seen) == 6)
        assert seen == [{1}, {2}, {3}, {3, 4}, {4}, set()]
        for name in ("alone", "fails once"):
            put(mailbox, request(name))
            await actor.reply_to(name)
            assert journal.interrupted() == {}
    journal.close()


async def test_a_job_that_fails_is_logged_and_the_actor_lives_on(
    mailbox: Mailbox, caplog: pytest.LogCaptureFixture
) -> None:
    async def job() -> None:
        raise ValueError("broken")

    actor = Actor(mailbox, echo)
    async with actor.scheduler:
        actor.scheduler.submit(Job(job))
        put(mailbox, request("a"))
        assert await actor.reply_to("a") == b"echo a"
    assert "job failed" in caplog.text


async def test_a_job_has_no_transaction_and_cannot_be_deferred(mailbox: Mailbox) -> None:
    actor = Actor(mailbox, echo)
    turn = Turn(actor.scheduler, None, Job(asyncio.sleep), None, False)  # type: ignore[arg-type]
    with pytest.raises(LocalProtocolError):
        turn.transaction()
    with pytest.raises(LocalProtocolError):
        turn.defer()


async def test_draining_waits_for_what_runs_and_starts_nothing_more(mailbox: Mailbox) -> None:
    gates = Gates()
    actor = Actor(mailbox, gates.handle)
    async with actor.scheduler:
        for name in ("a", "b"):
            put(mailbox, request(name))
        await actor.until(lambda: actor.started == ["a"])
        async with Tasks("test") as tasks:
            draining = tasks.start("drain", actor.scheduler.drain())
            for _ in range(3):
                await asyncio.sleep(0)
            assert not draining.done()
            gates.open("a", "b")
            await draining
        await actor.scheduler.drain()  # nothing runs: it waits for nothing
    assert (actor.started, mailbox.depth) == (["a"], 1)


@pytest.mark.parametrize("turns_of_the_loop", [0, 3], ids=["just started", "waiting"])
async def test_leaving_cancels_what_runs_and_it_stays_in_the_mailbox(
    mailbox: Mailbox, turns_of_the_loop: int
) -> None:
    ends: list[str] = []

    async def handle(item: Request, turn: Turn) -> bytes:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ends.append("cancelled")
            raise
        return b""

    mailbox.journal = journal = Journal()
    actor = Actor(mailbox, handle)
    async with actor.scheduler:
        put(mailbox, request("a"))
        await actor.until(lambda: actor.started == ["a"])
        for _ in range(turns_of_the_loop):
            await asyncio.sleep(0)
    assert (actor.replies, mailbox.depth, ends) == ({}, 1, ["cancelled"])
    assert journal.entered == journal.left == [1]
    await settled(mailbox)
    assert len(asyncio.all_tasks()) <= 2  # this test, and the mailbox's watch over its writer


class Journal(NoJournal):
    """Notes who enters and leaves."""

    def __init__(self) -> None:
        self.entered: list[int] = []
        self.left: list[int] = []

    def enter(self, sequence: int) -> int:
        self.entered.append(sequence)
        return sequence

    def leave(self, slot: int) -> None:
        self.left.append(slot)


async def test_leaving_forgets_deferred_replies_without_blame(mailbox: Mailbox) -> None:
    mailbox.journal = journal = Journal()
    defers = Defers()
    actor = Actor(mailbox, defers.handle)
    async with actor.scheduler:
        put(mailbox, request("a"))
        await actor.until(lambda: actor.scheduler.deferred == 1)
    assert (journal.left, mailbox.depth) == ([1], 1)
    defers.deferred["a"].finish(Outcome(b"too late"))
    assert actor.replies == {}


async def failing(item: Request, turn: Turn) -> Outcome:
    """To be run again, and again."""
    return Outcome(b"no", failed=True, max_failures=1000)


async def test_a_request_that_is_to_run_again_does_not_while_the_scheduler_drains(
    mailbox: Mailbox,
) -> None:
    actor = Actor(mailbox, failing)
    async with actor.scheduler:
        put(mailbox, request("a"))
        await actor.until(lambda: len(actor.started) > 1)
        started = len(actor.started)  # it rests now, until its timer ends
        await actor.scheduler.drain()
        assert (len(actor.started), mailbox.depth) == (started, 1)


async def test_a_request_that_is_to_run_again_has_no_timer_after_the_end(mailbox: Mailbox) -> None:
    actor = Actor(mailbox, failing)
    async with actor.scheduler:
        put(mailbox, request("a"))
        await actor.until(lambda: len(actor.started) > 1)
        (turn,) = actor.scheduler._requests.values()
        timer = turn.timer
    assert timer is not None
    assert timer.cancelled()
    assert mailbox.depth == 1


class Losing:
    """``a1`` loses to a rival at each commit, beside ``b1``, which waits at its gate."""

    def __init__(self, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
        self.gates = Gates()
        self.actor = Actor(mailbox, self.handle, key_of=key_of_name)
        complete = mailbox.complete

        def lose(item: Request, *arguments: Any, **options: Any) -> None:
            if item.request_id != "a1" or options.get("effects") is None:
                complete(item, *arguments, **options)
                return
            options["effects"].seal(validate=True)
            asyncio.get_running_loop().call_soon(options["done"], ConflictError("lost"))

        monkeypatch.setattr(mailbox, "complete", lose)

    async def handle(self, item: Request, turn: Turn) -> bytes:
        if item.request_id != "a1":
            return await self.gates.handle(item, turn)
        async with turn.transaction() as tx:
            await tx.execute("CREATE TABLE IF NOT EXISTS note(id)")
        return b""

    async def insists(self) -> None:
        """Until it has lost so often that it wants to run alone."""
        put(self.actor.mailbox, request("a1"))
        put(self.actor.mailbox, request("b1"))
        await self.actor.until(lambda: self.actor.started.count("a1") == MAX_RIVALRY + 1)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        (turn, _) = self.actor.scheduler._requests.values()
        assert turn.state == State.INSISTING


async def test_draining_does_not_wait_for_a_request_that_is_to_run_alone(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    losing = Losing(mailbox, monkeypatch)
    async with losing.actor.scheduler as scheduler:
        await losing.insists()
        losing.gates.open("b1")
        async with asyncio.timeout(60):
            await scheduler.drain()
    assert losing.actor.ended[-1] == "b1"
    assert (list(losing.actor.replies), mailbox.depth) == (["b1"], 1)


async def test_a_request_that_is_to_run_alone_is_cancelled_and_runs_no_more(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    losing = Losing(mailbox, monkeypatch)
    async with losing.actor.scheduler as scheduler:
        await losing.insists()
        scheduler.cancel(ROOM, "a1")
        losing.gates.open("b1", "a2")
        put(mailbox, request("a2"))
        await losing.actor.reply_to("a2")
    assert losing.actor.started.count("a1") == MAX_RIVALRY + 1
    assert (sorted(losing.actor.replies), mailbox.depth) == (["a2", "b1"], 0)


async def test_a_draining_scheduler_starts_nothing_of_what_has_just_come(mailbox: Mailbox) -> None:
    ran: list[str] = []

    async def job() -> None:
        ran.append("job")

    actor = Actor(mailbox, echo)
    async with actor.scheduler:
        actor.scheduler.submit(Job(job, PayloadType.RPC_RELIABLE))
        await actor.scheduler.drain()
        turn = asyncio.Event()
        asyncio.get_running_loop().call_soon(turn.set)
        await turn.wait()
        assert ran == []


async def test_a_running_request_is_waited_for_by_what_has_its_key_or_none(
    mailbox: Mailbox,
) -> None:
    gates = Gates()
    actor = Actor(mailbox, gates.handle, key_of=key_of_name)
    async with actor.scheduler:
        put(mailbox, request("a1"))
        await actor.until(lambda: actor.started == ["a1"])
        waits = [actor.scheduler.would_wait_for("a1", key) for key in (None, "a", "b")]
        assert waits == [True, True, False]
        assert not actor.scheduler.would_wait_for("a2", None)
        gates.open("a1")
        await actor.reply_to("a1")
