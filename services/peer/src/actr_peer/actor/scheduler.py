"""One message at a time, as actors do; more where conflict keys say so.

Requests come from the mailbox in bursts, jobs from inside the process. A handler's coroutine is
stepped where it stands and gets a task only if it waits. The reply goes out at once, and the
completion rides the next commit; with effects, the reply waits for the commit.

What a turn may go through, and what each step gives back, is a table of
:mod:`actr_peer.protocol.mailbox.turn`; this does what it says. It is also the boundary to the
runtime's handler code: every exception of ``run`` ends here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from functools import partial
from typing import Any, Self

from actr_peer.actor.outcomes import ErrorReply, Outcomes
from actr_peer.actor.stepping import StandIn, Suspended, resume, step
from actr_peer.actor.turn import Deferred, Job, Outcome, Stopped, Turn
from actr_peer.protocol.mailbox import turn as on
from actr_peer.protocol.mailbox.requests import Request
from actr_peer.protocol.mailbox.turn import Do, Row, State
from actr_peer.protocol.mailbox.turns import MAX_CONCURRENT, Turns
from actr_peer.protocol.payload import PayloadType
from actr_peer.state.mailbox.mailbox import Mailbox
from actr_peer.state.storage.journal import MAX_DEFERRED, SLOTS
from actr_peer.tasks import Tasks, is_torn_down, note_failure

__all__ = ["Deferred", "Job", "Outcome", "Scheduler", "Stopped", "Turn"]

MAX_STARTS = 64
TURN_SECONDS = 0.005
"""Handlers started in one turn of the loop, and its seconds: then others get theirs."""

MAX_RIVALRY = 3
"""Runs that were in vain because others beside it changed what it read; then it runs alone."""

_SIGNAL = PayloadType.RPC_SIGNAL
_WAITING, _INSISTING, _OVER = int(State.WAITING), int(State.INSISTING), int(State.OVER)

# Looking a member up costs as much as the rest of a move.
_STILL, _RELEASE, _LEAVE = int(Do.STILL), int(Do.RELEASE), int(Do.LEAVE)
_ARM, _OWE, _PAY = int(Do.ARM), int(Do.OWE), int(Do.PAY)
_SELDOM = ~(_STILL | _RELEASE | _LEAVE)
_RARE = _SELDOM & ~(_ARM | _OWE | _PAY)
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
        self._outcomes = Outcomes(mailbox, reply=reply, error_reply=error_reply)
        self._turns: Turns[Turn] = Turns(max_concurrent)
        self._requests: dict[int, Turn] = {}
        """Turns of requests that are not over, by sequence number."""
        self._running: dict[Turn, str] = {}
        """Those whose handler runs, with the request id, which two callers may have given the
        same; "" for a job without."""
        self._tasks = Tasks("scheduler")
        self._is_scheduled = False
        self._is_taking = False
        self.is_closing = False
        self._idle = asyncio.Event()

    async def __aenter__(self) -> Self:
        self.loop, self._context = asyncio.get_running_loop(), copy_context()
        await self._tasks.__aenter__()
        self._is_taking = True
        self._outcomes.give_up_all(self.mailbox.poisoned)
        self.mailbox.poisoned = []
        self.mailbox.attach(self._deliver)
        return self

    async def __aexit__(self, *exc: Any) -> None:
        self._is_taking = False
        self.is_closing = True
        # A task that was made in this turn of the loop must begin, or its handler would end
        # without a word of the cancellation.
        await asyncio.sleep(0)
        await self._tasks.__aexit__(*exc)
        for turn in (*self._requests.values(), *self._running):
            if turn.state != _OVER:
                self._move(turn, on.CLOSE)

    async def drain(self) -> None:
        """Start nothing more, and wait for what runs or is deferred."""
        self._is_taking = False
        for turn in [one for one in self._requests.values() if one.state == _INSISTING]:
            self._move(turn, on.KEEP)
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

    @property
    def oldest(self) -> Request | None:
        """Of the requests that are not over, the one that came first; None: all are."""
        return next((turn.request for turn in self._requests.values()), None)

    # Arriving

    def _deliver(self, requests: list[Request]) -> None:
        for request in requests:
            key, is_signal = self._key_of(request), request.payload_type is _SIGNAL
            turn = Turn(self, request, None, key, is_signal)
            self._requests[request.sequence] = turn
            self._turns.add(turn)
        self._wake()

    def submit(self, job: Job) -> Turn:
        """Queue a job for its turn among the requests; :meth:`withdraw` takes it back.

        Its bound is the submitter's: what may be open inside the process.
        """
        turn = Turn(self, None, job, job.key, job.payload_type is _SIGNAL)
        self._turns.add(turn)
        self._wake()
        return turn

    def withdraw(self, turn: Turn) -> None:
        """Take back a job that waits; harmless when it has begun."""
        if turn.state == _WAITING:
            self._move(turn, on.CANCEL)

    def cancel(self, sender: str, request_id: str) -> None:
        """The caller waits no more: end its request, wherever it is. No reply is sent."""
        request = self.mailbox.cancel(sender, request_id)
        turn = None if request is None else self._requests.get(request.sequence)
        if turn is not None:
            turn.stopped = turn.stopped or Stopped.CALLER
            self._move(turn, on.CANCEL)

    def expire(self, turn: Turn) -> None:
        """Time is up for a turn; called by its timer."""
        turn.stopped = turn.stopped or Stopped.TIMEOUT
        self._move(turn, on.EXPIRE)

    # What the core says

    def _move(self, turn: Turn, row: Row, error: BaseException | None = None) -> None:
        """Something happens to a turn: do what its row says; ``error`` is what it is buried for."""
        move = row[turn.state]
        assert move is not None, f"turn {turn.name}: {State(turn.state).name} has no such move"
        state, do = move
        turn.state = state
        if do & _STILL:
            if turn.timer is not None:
                turn.disarm()
            turn.stand_in = None
            self._running.pop(turn, None)
        if do & _SELDOM:
            self._do_seldom(turn, do, error)
        if do & _RELEASE:  # others have their turn
            self._turns.finish(turn)
            if not self._is_taking:
                self._note_idle()
            elif not self._is_scheduled:
                self._wake()
        if do & _LEAVE and turn.slot:
            self.mailbox.journal.leave(turn.slot)
            turn.slot = 0
        if state == _OVER and (request := turn.request) is not None:
            self._requests.pop(request.sequence, None)

    def _do_seldom(self, turn: Turn, do: int, error: BaseException | None) -> None:
        if do & _ARM:
            turn.arm()
        if do & _OWE:
            self.deferred += 1
            self.mailbox.journal.defer(turn.slot)
        if do & _PAY:
            self.deferred -= 1
            self._note_idle()
        if do & _RARE:
            self._do_rare(turn, do)
            self._do_last(turn, do, error)

    def _do_rare(self, turn: Turn, do: int) -> None:
        if do & Do.BEGIN:
            self._begin(turn)
            self.mailbox.journal.settle()
        if do & Do.REMOVE:
            self._turns.remove(turn)
        if do & Do.RELENT:
            self._turns.relent(turn)
        if do & (Do.REST | Do.INSIST):
            turn.forget()
        if do & Do.REST:
            turn.rest(self._rested)
        if do & Do.INSIST:
            self._turns.insist(turn)
        if do & Do.QUEUE:
            turn.stopped = None
            self._turns.add(turn)
        if do & (Do.REMOVE | Do.INSIST | Do.QUEUE):
            self._wake()

    def _do_last(self, turn: Turn, do: int, error: BaseException | None) -> None:
        if do & Do.STOP and turn.stand_in is not None:
            turn.stand_in.cancel()
        if do & Do.VOID and turn.deferred is not None:
            turn.deferred.give_up()
            turn.deferred.finish(self._outcomes.of_stop(turn))
        if do & Do.FORGET and turn.request is not None:
            self.mailbox.complete(turn.request, None)
        if do & Do.BURY and turn.request is not None and error is not None:
            self._outcomes.abandon(turn.request, error)

    def _note_idle(self) -> None:
        if not self._turns.active and not self.deferred:
            self._idle.set()

    # Running

    def _wake(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self.loop.call_soon(self._start_ready, context=self._context)  # no waker's own

    def _start_ready(self) -> None:
        """Start what may start; once for each burst."""
        self._is_scheduled = False
        take, time = self._turns.take, self.loop.time
        until = time() + TURN_SECONDS
        try:
            for _ in range(MAX_STARTS):
                if not self._is_taking or (turn := take()) is None:
                    return
                move = on.START[turn.state]
                assert move is not None
                turn.state, _ = move
                self._begin(turn)  # all that this row says; each call less shows
                if time() > until:
                    break
        finally:
            self.mailbox.journal.settle()
        self._wake()

    def _begin(self, turn: Turn) -> None:
        """Step the handler; it ends here, or goes on in a task. Settle the run journal after it."""
        request, journal = turn.request, self.mailbox.journal
        turn.stand_in = StandIn(self)
        try:
            if request is not None:
                self._running[turn] = request.request_id
                turn.slot = journal.enter(request.sequence)
                coro: Coroutine[Any, Any, Any] = self._run(request, turn)
            else:
                assert turn.job is not None
                journal.settle()  # what a job does is not the last request's doing
                self._running[turn] = turn.job.request_id
                coro = turn.job.run()
            context = copy_context()
            try:
                result = step(coro, turn.stand_in, context, self.loop)
            except BaseException as exc:  # noqa: BLE001 - the boundary
                result = self._outcomes.of_failure(turn, exc)
            if type(result) is not Suspended:
                journal.lingers = True  # no handler runs from here to the next one's start
                self._finish(turn, result)
                return
            # The owner's task is the handler's own: cancelling one cancels the other.
            self._tasks.start(
                turn.name,
                self._finish_later(turn, coro, result),
                context=context,
                failed=partial(self._abandon, turn),
            )
            self._move(turn, on.WAIT)
        except Exception as exc:  # noqa: BLE001 - the boundary of one turn
            self._contain(turn, exc)
        finally:
            journal.lingers = False

    async def _finish_later(
        self, turn: Turn, coro: Coroutine[Any, Any, Any], suspended: Suspended
    ) -> None:
        """The rest of a handler that waits."""
        assert turn.stand_in is not None
        try:
            result = await resume(coro, turn.stand_in, suspended)
        except BaseException as exc:
            is_cancelled = isinstance(exc, asyncio.CancelledError)
            if is_torn_down(exc) or (is_cancelled and self.is_closing and turn.stopped is None):
                raise
            result = self._outcomes.of_failure(turn, exc)
        self._finish(turn, result)

    # Ending

    def _contain(self, turn: Turn, exc: BaseException) -> None:
        note_failure("scheduler", f"turn/{turn.name}", exc)
        self._abandon(turn, exc)

    def _abandon(self, turn: Turn, exc: BaseException) -> None:
        """What was to become of a turn has failed, and nobody foresaw it: end just this one."""
        self._move(turn, on.BREAK, exc)

    def _finish(self, turn: Turn, result: Any) -> None:
        """The handler has returned."""
        self._move(turn, on.RETURN)
        request = turn.request
        if turn.state == _OVER:
            return  # it was left behind; its request runs again after the next start
        if request is None:
            self._move(turn, on.END)
        elif not isinstance(result, Deferred):
            self._conclude(turn, request, result)
        elif result.early is not None:
            self._conclude(turn, request, result.early)
        else:
            self._move(turn, on.DEFER)

    def finish_deferred(self, turn: Turn, outcome: Outcome) -> None:
        """A reply that was put off has come."""
        assert turn.request is not None
        self._move(turn, on.RETURN)
        self._conclude(turn, turn.request, outcome)

    def _conclude(self, turn: Turn, request: Request, outcome: Outcome) -> None:
        """The outcome of a request is there: do what becomes of it."""
        try:
            row = self._outcomes.conclude(turn, request, outcome)
            if row is on.AGAIN:
                row = self._again(turn)
            self._move(turn, row)
            if row is not on.END and turn.effects is not None:
                self.mailbox.complete(
                    request,
                    outcome.reply,
                    effects=turn.effects,
                    validate=row is on.WRITE,
                    done=partial(self._settled, turn, outcome),
                )
        except Exception as exc:  # noqa: BLE001 - the boundary of one turn
            self._contain(turn, exc)

    def _settled(self, turn: Turn, outcome: Outcome, error: Exception | None) -> None:
        """The effects are committed, or could not be."""
        try:
            row = self._outcomes.settle(turn, outcome, error)
            self._move(turn, self._again(turn) if row is on.AGAIN else row)
        except Exception as exc:  # noqa: BLE001 - in a callback that others share
            self._contain(turn, exc)

    def _again(self, turn: Turn) -> Row:
        """How a turn runs once more: alone at once, where others have won too often."""
        return on.INSIST if turn.conflicts > MAX_RIVALRY and self._is_taking else on.AGAIN

    def _rested(self, turn: Turn) -> None:
        self._move(turn, on.REST_OVER if self._is_taking else on.KEEP)
