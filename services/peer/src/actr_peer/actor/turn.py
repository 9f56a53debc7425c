"""One turn of the actor: a request or a job, from its start to its outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Protocol

from actr_peer.actor.stepping import StandIn
from actr_peer.errors import Code, LimitError, LocalProtocolError
from actr_peer.protocol.mailbox.requests import Request
from actr_peer.protocol.mailbox.turn import State
from actr_peer.protocol.payload import PayloadType
from actr_peer.state.mailbox.mailbox import Mailbox
from actr_peer.state.mailbox.transaction import Transaction
from actr_peer.state.storage.journal import MAX_DEFERRED
from actr_peer.tasks import note_failure

_WAITING, _SUSPENDED, _PUT_OFF = int(State.WAITING), int(State.SUSPENDED), int(State.PUT_OFF)


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
        error: What the handler failed with, in a line; a dead letter keeps it. Empty: it has not.
        hindrance: Why nothing could be read or written, which is not the handler's doing: the
            caller is asked to try again; None: nothing is in the way.
        code: Of the error that a put off reply is; None: it is none, or not of this way.
    """

    reply: bytes | None = None
    failed: bool = False
    max_failures: int = 0
    dead: str = ""
    error: str = ""
    hindrance: Exception | None = None
    code: Code | None = None


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


class Owner(Protocol):
    """Who runs turns: a scheduler, as a turn sees it."""

    loop: asyncio.AbstractEventLoop
    mailbox: Mailbox
    deferred: int
    """Replies that handlers have put off."""

    def expire(self, turn: Turn) -> None:
        """The time of a turn is up."""

    def finish_deferred(self, turn: Turn, outcome: Outcome) -> None:
        """The reply that a turn has put off has come."""


class Turn:
    """What a handler's runner may ask for; made by the scheduler."""

    __slots__ = (
        "_limit_at",
        "_owner",
        "conflict_key",
        "conflicts",
        "deferred",
        "effects",
        "is_signal",
        "job",
        "pause",
        "request",
        "slot",
        "stand_in",
        "state",
        "stopped",
        "timer",
    )

    def __init__(
        self,
        owner: Owner,
        request: Request | None,
        job: Job | None,
        key: str | None,
        is_signal: bool,  # noqa: FBT001 - made once for each message, in one place
    ) -> None:
        self._owner = owner
        self.request = request
        self.job = job
        self.conflict_key = key
        self.is_signal = is_signal
        self.state = _WAITING
        """A :class:`State`, as a plain number."""
        self.stand_in: StandIn | None = None
        """While it runs."""
        self.stopped: Stopped | None = None
        self.effects: Transaction | None = None
        self.deferred: Deferred | None = None
        self.conflicts = 0
        """Runs whose reads no longer held at the commit."""
        self.pause = 0.0
        """Seconds until it runs once more, where it is to."""
        self.slot = 0
        """In the run journal; 0: none."""
        self._limit_at: float | None = None
        self.timer: asyncio.TimerHandle | None = None

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
            self.effects = self._owner.mailbox.transaction()
        return self.effects

    def is_hindrance(self, exc: BaseException) -> bool:
        """Whether ``exc``, out of the handler, is what kept its transaction from reading."""
        return self.effects is not None and self.effects.hindrance is exc

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
        if self._owner.deferred >= MAX_DEFERRED:
            raise LimitError("deferred replies", limit=MAX_DEFERRED, asked=self._owner.deferred + 1)
        if self.deferred is None:
            self.deferred = Deferred(self, self._owner)
        return self.deferred

    def now(self) -> float:
        """By the loop's clock; asking for the running loop would cost a system call more."""
        return self._owner.loop.time()

    def limit(self, at: float) -> None:
        """Cancel the handler, or end its deferred reply, ``at`` this time of the loop."""
        self._limit_at = at
        if self.state in (_SUSPENDED, _PUT_OFF):
            self.arm()

    def arm(self) -> None:
        """Start the timer, if there is a limit: the handler waits."""
        if self.timer is not None:
            self.timer.cancel()
        if self._limit_at is not None:
            self.timer = self._owner.loop.call_at(self._limit_at, self._owner.expire, self)

    def forget(self) -> None:
        """Nothing of this run is left for the next one."""
        self.effects = self.deferred = self.stand_in = self._limit_at = None

    def rest(self, over: Callable[[Turn], None]) -> None:
        """Have ``over`` called after the pause."""
        self.timer = self._owner.loop.call_later(self.pause, over, self)

    def disarm(self) -> None:
        """End the timer, whatever it is for."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class Deferred:
    """A reply that is still to come; made by :meth:`Turn.defer`.

    Attributes:
        on_cancel: Called if the caller waits no more, or time is up; the reply is then void.
    """

    __slots__ = ("_owner", "_told", "early", "is_finished", "on_cancel", "turn")

    def __init__(self, turn: Turn, owner: Owner) -> None:
        self.turn = turn
        self.on_cancel: Callable[[], None] | None = None
        self.is_finished = False
        self.early: Outcome | None = None
        """Given before the handler has returned; void where it has returned something else."""
        self._owner = owner
        self._told: tuple[Callable[[Outcome], None], ...] = ()

    def when_finished(self, told: Callable[[Outcome], None]) -> None:
        """Have ``told`` called with the outcome that counts, at once where it is there."""
        if self.early is not None:
            told(self.early)
        else:
            self._told = (*self._told, told)

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
        for told in self._told:
            told(outcome)
        turn = self.turn
        if turn.state == _PUT_OFF and turn.deferred is self:
            self._owner.finish_deferred(turn, outcome)
        else:
            self.early = outcome
