"""One turn of the actor: a request or a job, from its start to its outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from actr_peer.actor.stepping import StandIn
from actr_peer.errors import LimitError, LocalProtocolError
from actr_peer.protocol.mailbox.requests import Request
from actr_peer.protocol.payload import PayloadType
from actr_peer.state.mailbox.transaction import Transaction
from actr_peer.state.storage.journal import MAX_DEFERRED
from actr_peer.tasks import note_failure

if TYPE_CHECKING:
    from actr_peer.actor.scheduler import Scheduler


class Stopped(Enum):
    """Why a turn was cancelled."""

    TIMEOUT = auto()
    CALLER = auto()
    """The caller waits no more."""


@dataclass(slots=True)
class Outcome:
    """What came of a request.

    Attributes:
        reply: The serialized response; None for a tell.
        failed: The handler failed in a way it did not mean to: its effects are dropped.
        max_failures: A failed request runs again until it has failed so often, then it is a
            dead letter; 0: it is answered with ``reply``, and done.
        dead: Why the request is a dead letter at once; empty: it is not.
    """

    reply: bytes | None = None
    failed: bool = False
    max_failures: int = 0
    dead: str = ""


@dataclass(slots=True)
class Job:
    """A turn that is not kept: a call from inside the process, the opening of a stream.

    Attributes:
        run: Takes care of its own result and errors.
        key: The conflict key; None: it runs alone.
        request_id: Seen as running while it runs; empty: it has none.
    """

    run: Callable[[], Coroutine[Any, Any, None]]
    payload_type: PayloadType = PayloadType.RPC_RELIABLE
    key: str | None = None
    sender: str = ""
    request_id: str = ""


class Turn:
    """What a handler's runner may ask for; made by the scheduler."""

    __slots__ = (
        "_limit_at",
        "_scheduler",
        "_timer",
        "conflict_key",
        "conflicts",
        "deferred",
        "effects",
        "is_released",
        "is_signal",
        "is_waiting",
        "job",
        "request",
        "slot",
        "stand_in",
        "stopped",
    )

    def __init__(
        self,
        scheduler: Scheduler,
        request: Request | None,
        job: Job | None,
        key: str | None,
        is_signal: bool,  # noqa: FBT001 - made once for each message, in one place
    ) -> None:
        self._scheduler = scheduler
        self.request = request
        self.job = job
        self.conflict_key = key
        self.is_signal = is_signal
        self.stand_in: StandIn | None = None
        """While it runs."""
        self.stopped: Stopped | None = None
        self.effects: Transaction | None = None
        self.deferred: Deferred | None = None
        self.is_waiting = False
        """For something, in a task; or its reply is put off."""
        self.is_released = False
        """Others have their turn."""
        self.conflicts = 0
        self.slot = 0
        self._limit_at: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def name(self) -> str:
        """For tasks and logs."""
        return "job" if self.request is None else self.request.route_key

    def transaction(self) -> Transaction:
        """The effects that are committed with this request's completion; always the same one.

        Raises:
            LocalProtocolError: For a job: it is not kept, so there is nothing to commit with.
        """
        if self.request is None:
            raise LocalProtocolError("only a request that the mailbox keeps has a transaction")
        if self.effects is None:
            self.effects = self._scheduler.mailbox.transaction()
        return self.effects

    def defer(self) -> Deferred:
        """A reply for later: return it instead of an outcome, and finish it from a task.

        The next request is taken meanwhile. Until it is finished, this one counts as running
        for recovery.

        Raises:
            LimitError: If too many replies are due already.
            LocalProtocolError: For a job.
        """
        if self.request is None:
            raise LocalProtocolError("only a request that the mailbox keeps can be deferred")
        if self._scheduler.deferred >= MAX_DEFERRED:
            raise LimitError(
                "deferred replies", limit=MAX_DEFERRED, asked=self._scheduler.deferred + 1
            )
        if self.deferred is None:
            self.deferred = Deferred(self, self._scheduler)
        return self.deferred

    def now(self) -> float:
        """By the loop's clock; asking for the running loop would cost a system call more."""
        return self._scheduler.loop.time()

    def limit(self, at: float) -> None:
        """Cancel the handler, or end its deferred reply, ``at`` this time of the loop."""
        self._limit_at = at
        if self.is_waiting:
            self.arm()

    def arm(self) -> None:
        """Start the timer, if there is a limit: the handler waits."""
        if self._timer is not None:
            self._timer.cancel()
        if self._limit_at is not None:
            self._timer = self._scheduler.loop.call_at(self._limit_at, self._scheduler.expire, self)

    def disarm(self) -> None:
        """The handler ended."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Deferred:
    """A reply that is still to come; made by :meth:`Turn.defer`.

    Attributes:
        on_cancel: Called if the caller waits no more, or time is up; the reply is then void.
    """

    __slots__ = ("_scheduler", "early", "is_finished", "on_cancel", "turn")

    def __init__(self, turn: Turn, scheduler: Scheduler) -> None:
        self.turn = turn
        self.on_cancel: Callable[[], None] | None = None
        self.is_finished = False
        self.early: Outcome | None = None
        """Given before the handler has returned."""
        self._scheduler = scheduler

    def give_up(self) -> None:
        """Tell the user's code that the reply is void; what it raises is noted, and goes no
        further."""
        if self.on_cancel is None:
            return
        try:
            self.on_cancel()
        except BaseException as exc:  # noqa: BLE001 - the user's code ends here
            note_failure("scheduler", "on_cancel", exc)

    def finish(self, outcome: Outcome) -> None:
        """Give the outcome; the first one counts, later ones are void."""
        if self.is_finished:
            return
        self.is_finished = True
        if self.turn.is_released:
            self._scheduler.finish_deferred(self.turn, outcome)
        else:
            self.early = outcome
