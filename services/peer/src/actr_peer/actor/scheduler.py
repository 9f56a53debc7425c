"""One message at a time, as actors do; more where conflict keys say so.

Requests come from the mailbox in bursts, jobs from inside the process. A handler's coroutine is
stepped where it stands and gets a task only if it waits. The reply goes out at once, and the
completion rides the next commit; with effects, the reply waits for the commit.

This is the boundary to the runtime's handler code: every exception of ``run`` ends here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from functools import partial
from types import TracebackType
from typing import Any, Self

from actr_peer.actor.outcomes import Endings, ErrorReply
from actr_peer.actor.stepping import StandIn, Suspended, resume, step
from actr_peer.actor.turn import Deferred, Job, Outcome, Stopped, Turn
from actr_peer.protocol.mailbox.requests import Request
from actr_peer.protocol.mailbox.turns import MAX_CONCURRENT, Turns
from actr_peer.protocol.payload import PayloadType
from actr_peer.state.mailbox.mailbox import Mailbox
from actr_peer.state.mailbox.transaction import Transaction
from actr_peer.state.storage.journal import MAX_DEFERRED, SLOTS
from actr_peer.tasks import Tasks, is_torn_down, note_failure

__all__ = ["Deferred", "Job", "Outcome", "Scheduler", "Stopped", "Transaction", "Turn"]

MAX_STARTS = 64
TURN_SECONDS = 0.005
"""Handlers started in one turn of the loop, and its seconds: then others get theirs."""

MAX_RIVALRY = 3
"""Runs that were in vain because others beside it changed what it read; then it runs alone."""

_SIGNAL = PayloadType.RPC_SIGNAL
Run = Callable[[Request, Turn], Coroutine[Any, Any, Outcome | Deferred]]


class Scheduler:
    """Runs what the mailbox delivers. Leaving the block cancels what runs; it runs again
    after the next start, and is not blamed.

    Args:
        run: Runs the handler of one request to its outcome. It may raise: that is answered
            with an error and logged.
        reply: Sends a reply.
        key_of: The conflict key of a request; None: it runs alone.
        error_reply: Makes the reply for a request that ended without one.
    """

    def __init__(
        self,
        mailbox: Mailbox,
        *,
        run: Run,
        reply: Callable[[Request, bytes], None],
        key_of: Callable[[Request], str | None],
        error_reply: ErrorReply = lambda request, error: None,
        max_concurrent: int = MAX_CONCURRENT,
    ) -> None:
        assert max_concurrent <= SLOTS - MAX_DEFERRED, "the run journal has no room for them"
        self.mailbox = mailbox
        self.deferred = 0
        """Replies that handlers have put off."""
        self._run = run
        self._key_of = key_of
        self._error_reply = error_reply
        self._endings = Endings(
            mailbox,
            reply=reply,
            error_reply=error_reply,
            release=self._release,
            again=self._again,
            failed=self._abandon,
        )
        self._turns: Turns[Turn] = Turns(max_concurrent)
        self._queued: dict[int, Turn] = {}
        """By sequence number, as the next."""
        self._running: dict[Turn, str] = {}
        """With the request id, which two callers may have given the same."""
        self._put_off: dict[int, Turn] = {}
        self._resting: dict[int, tuple[Turn, asyncio.TimerHandle]] = {}
        """Will run once more; by sequence number, as what is put off."""
        self._tasks = Tasks("scheduler")
        self._is_scheduled = False
        self._is_taking = False
        self.is_closing = False
        self._is_over = False
        self._idle = asyncio.Event()

    async def __aenter__(self) -> Self:
        self.loop = asyncio.get_running_loop()
        await self._tasks.__aenter__()
        self._is_taking = True
        self._endings.give_up_all(self.mailbox.poisoned)
        self.mailbox.poisoned = []
        self.mailbox.attach(self._deliver)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_taking = False
        self.is_closing = True
        # A task that was made in this turn of the loop must begin, or its handler would end
        # without a word of the cancellation.
        await asyncio.sleep(0)
        await self._tasks.__aexit__(exc_type, exc, traceback)
        for _, timer in self._resting.values():
            timer.cancel()
        for turn in (*self._running, *self._put_off.values()):
            turn.disarm()
            if turn.request is not None:  # it stays queued in the table, without blame
                self.mailbox.journal.leave(turn.slot)
        self._running.clear()
        self._put_off.clear()
        self._is_over = True

    async def drain(self) -> None:
        """Start nothing more, and wait for what runs or is deferred."""
        self._is_taking = False
        self._idle.clear()
        if self._turns.active or self.deferred:
            await self._idle.wait()

    def bound(self, at: float) -> None:
        """Leaving the block waits for handlers until ``at``, by the loop's clock."""
        self._tasks.bound(at)

    def __contains__(self, task: object) -> bool:
        """Whether ``task`` is that of a handler that this runs."""
        return isinstance(task, StandIn) and task.owner is self

    def would_wait_for(self, request_id: str, key: str | None) -> bool:
        """Whether something with conflict key ``key`` would wait for this running request."""
        return any(
            key is None or turn.conflict_key is None or turn.conflict_key == key
            for turn, running in self._running.items()
            if running == request_id
        )

    @property
    def waiting(self) -> int:
        """Requests and jobs that wait for their turn."""
        return len(self._turns)

    # Arriving

    def _deliver(self, requests: list[Request]) -> None:
        for request in requests:
            self._queue(request)
        self._wake()

    def _queue(self, request: Request) -> Turn:
        is_signal = request.payload_type is _SIGNAL
        turn = Turn(self, request, None, self._key_of(request), is_signal)
        self._queued[request.sequence] = turn
        self._turns.add(turn)
        return turn

    def submit(self, job: Job) -> Turn:
        """Queue a job for its turn among the requests; :meth:`withdraw` takes it back.

        Its bound is the submitter's: what may be open inside the process.
        """
        is_signal = job.payload_type is _SIGNAL
        turn = Turn(self, None, job, job.key, is_signal)
        self._turns.add(turn)
        self._wake()
        return turn

    def withdraw(self, turn: Turn) -> None:
        """Take back a job that waits; harmless when it has begun."""
        if self._turns.remove(turn):
            self._wake()

    def cancel(self, sender: str, request_id: str) -> None:
        """The caller waits no more: end its request, wherever it is. No reply is sent."""
        request = self.mailbox.cancel(sender, request_id)
        if request is None:
            return
        waiting = self._queued.pop(request.sequence, None)
        if waiting is not None:
            self._turns.remove(waiting)
            self.mailbox.complete(request, None)
            self._wake()
            return
        resting = self._resting.pop(request.sequence, None)
        if resting is not None:
            resting[1].cancel()
            self.mailbox.complete(request, None)
            self._release(resting[0])
            return
        for turn in (*self._running, *self._put_off.values()):
            if turn.request is request:
                self._stop(turn, Stopped.CALLER)
                return

    def expire(self, turn: Turn) -> None:
        """Time is up for a turn; called by its timer."""
        self._stop(turn, Stopped.TIMEOUT)

    def _stop(self, turn: Turn, why: Stopped) -> None:
        turn.stopped = turn.stopped or why
        if turn.request is not None and turn.request.sequence in self._put_off:
            assert turn.deferred is not None
            turn.deferred.give_up()
            turn.deferred.finish(self._endings.of_stop(turn))
        elif turn.stand_in is not None:
            turn.stand_in.cancel()

    # Running

    def _wake(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self.loop.call_soon(self._start_ready)

    def _start_ready(self) -> None:
        """Start what may start; once for each burst."""
        self._is_scheduled = False
        take, time = self._turns.take, self.loop.time
        until = time() + TURN_SECONDS
        for _ in range(MAX_STARTS):
            if not self._is_taking or (turn := take()) is None:
                return
            self._start(turn)
            if time() > until:
                break
        self._wake()

    def _start(self, turn: Turn) -> None:
        """Step the handler; it ends here, or goes on in a task."""
        try:
            self._begin(turn)
        except Exception as exc:  # noqa: BLE001 - the boundary of one turn
            note_failure("scheduler", f"turn/{turn.name}", exc)
            self._abandon(turn, exc)

    def _begin(self, turn: Turn) -> None:
        request = turn.request
        turn.stand_in = StandIn(self)
        if request is not None:
            self._queued.pop(request.sequence, None)
            self._running[turn] = request.request_id
            turn.slot = self.mailbox.journal.enter(request.sequence)
            coro: Coroutine[Any, Any, Any] = self._run(request, turn)
        else:
            assert turn.job is not None
            if turn.job.request_id:
                self._running[turn] = turn.job.request_id
            coro = turn.job.run()
        context = copy_context()
        try:
            result = step(coro, turn.stand_in, context, self.loop)
        except BaseException as exc:  # noqa: BLE001 - the boundary
            result = self._endings.of_failure(turn, exc)
        if type(result) is Suspended:
            # The owner's task is the handler's own: cancelling one cancels the other.
            self._tasks.start(
                turn.name,
                self._finish_later(turn, coro, result),
                context=context,
                failed=partial(self._abandon, turn),
            )
            turn.is_waiting = True
            turn.arm()
        else:
            self._finish(turn, result)

    async def _finish_later(
        self, turn: Turn, coro: Coroutine[Any, Any, Any], suspended: Suspended
    ) -> None:
        """The rest of a handler that waits."""
        assert turn.stand_in is not None
        try:
            result = await resume(coro, turn.stand_in, suspended)
        except asyncio.CancelledError as exc:
            if turn.stopped is None and self.is_closing:
                raise
            result = self._endings.of_failure(turn, exc)
        except BaseException as exc:
            if is_torn_down(exc):
                raise
            result = self._endings.of_failure(turn, exc)
        self._finish(turn, result)

    # Ending

    def _abandon(self, turn: Turn, exc: BaseException) -> None:
        """What was to become of a turn has failed, and nobody foresaw it: end just this one.

        Its request is a dead letter, with what it was, and its caller hears of it.
        """
        turn.disarm()
        turn.stand_in = None
        request = turn.request
        if request is None:
            self._running.pop(turn, None)
        else:
            if self._running.pop(turn, None) is not None:
                self.mailbox.journal.leave(turn.slot)
            if self._put_off.pop(request.sequence, None) is not None:
                self.deferred -= 1
            self._endings.abandon(request, exc)
        self._release(turn)
        self._note_idle()

    def _conclude(self, turn: Turn, request: Request, outcome: Outcome) -> None:
        try:
            self._endings.conclude(turn, request, outcome)
        except Exception as exc:  # noqa: BLE001 - the boundary of one turn
            note_failure("scheduler", f"turn/{turn.name}", exc)
            self._abandon(turn, exc)

    def _finish(self, turn: Turn, result: Any) -> None:
        """The handler has returned."""
        if self._is_over:
            return  # it was left behind; its request runs again after the next start
        turn.disarm()
        turn.stand_in = None
        turn.is_waiting = False
        request = turn.request
        if request is None:
            self._running.pop(turn, None)
            self._release(turn)
            return
        self._running.pop(turn, None)
        if isinstance(result, Deferred):
            if result.early is None:
                self._put_off_reply(turn, request)
                return
            result = result.early
        slot = turn.slot
        self._conclude(turn, request, result)
        self.mailbox.journal.leave(slot)  # last: who kills the process by its reply did it too

    def _put_off_reply(self, turn: Turn, request: Request) -> None:
        self.mailbox.journal.defer(turn.slot)
        self._put_off[request.sequence] = turn
        self.deferred += 1
        turn.is_waiting = True
        turn.arm()
        self._release(turn)

    def finish_deferred(self, turn: Turn, outcome: Outcome) -> None:
        """A reply that was put off has come."""
        request = turn.request
        assert request is not None
        if self._put_off.pop(request.sequence, None) is None:
            return  # the scheduler has closed: it runs again after the next start
        self.deferred -= 1
        turn.disarm()
        self._conclude(turn, request, outcome)
        self.mailbox.journal.leave(turn.slot)
        self._note_idle()

    def _again(self, turn: Turn, request: Request, delay: float) -> None:
        """Run a request once more after ``delay`` seconds: in its place if it still holds it, else
        behind the others."""
        turn.effects = turn.deferred = None
        if turn.conflicts > MAX_RIVALRY and not turn.is_released and self._is_taking:
            self._turns.insist(turn)
            self._wake()
        else:
            timer = self.loop.call_later(delay, self._start_again, turn, request)
            self._resting[request.sequence] = (turn, timer)

    def _start_again(self, turn: Turn, request: Request) -> None:
        del self._resting[request.sequence]
        if not self._is_taking:
            self._release(turn)  # it stays queued in the table
        elif turn.is_released:
            self._queue(request).conflicts = turn.conflicts
            self._wake()
        else:
            self._start(turn)

    def _release(self, turn: Turn) -> None:
        """Let others have their turn."""
        if not turn.is_released:
            turn.is_released = True
            self._turns.finish(turn)
            if not self._is_taking:
                self._note_idle()
            elif not self._is_scheduled:
                self._wake()

    def _note_idle(self) -> None:
        if not self._turns.active and not self.deferred:
            self._idle.set()
