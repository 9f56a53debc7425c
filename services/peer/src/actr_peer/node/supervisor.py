"""The one task in which an actor lives: it enters all blocks, and leaves them.

So it does not matter who starts an actor, from which task, or whether that task lives on: a bug in
a block ends the actor (docs/decisions/0006), and who waits for the end hears of it.

=========  ===========================================================================
NEW        made; ``close`` makes it ENDED
STARTING   blocks are entered; a failure, or ``close``, leaves them again
RUNNING    until ``close``, or until a block fails
ENDING     winding down after ``close``, or at once after a failure; takes limited time
ENDED      nothing is left, or what is left was named in the log and left behind
=========  ===========================================================================
"""

from __future__ import annotations

import asyncio
import logging
from asyncio import CancelledError, Future, Task
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from enum import Enum, auto

from actr_peer.errors import ClosedError, LocalProtocolError, PeerError
from actr_peer.tasks import first_cause, launch, where

log = logging.getLogger(__name__)


class Phase(Enum):
    """How far an actor has come."""

    NEW = auto()
    STARTING = auto()
    RUNNING = auto()
    ENDING = auto()
    ENDED = auto()


class Supervisor:
    """Owned by the node, which says what is to be entered and how it winds down.

    Args:
        begin: Enters the blocks on the stack.
        wind_down: Ends what can be ended gracefully; the blocks are left after.
        ending: Told once, when it begins to end: nothing new is taken from here on.
        gone: Told once, when it has ended.
        seconds: That the whole end may take; what is left then is left behind.
    """

    def __init__(
        self,
        name: str,
        *,
        begin: Callable[[AsyncExitStack], Awaitable[None]],
        wind_down: Callable[[], Awaitable[None]],
        ending: Callable[[], None],
        gone: Callable[[], None],
        seconds: float,
    ) -> None:
        self.name = name
        self.phase = Phase.NEW
        self.failure: BaseException | None = None
        """What ended it, if it did not end because it was asked to."""
        self._gone = asyncio.Event()
        self._tell_gone = gone
        self._begin = begin
        self._wind_down = wind_down
        self._ending = ending
        self._seconds = seconds
        self._asked = asyncio.Event()
        self._task: Task[None] | None = None
        self._ready: Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._cause: BaseException | None = None
        """The failure of a block, until the block itself raises it."""

    @property
    def is_ending(self) -> bool:
        """Whether it ends, or has ended."""
        return self.phase in (Phase.ENDING, Phase.ENDED)

    @property
    def is_asked(self) -> bool:
        """Whether it ends because it was asked to."""
        return self._asked.is_set()

    def __contains__(self, task: object) -> bool:
        """Whether ``task`` is the one that this supervises in."""
        return task is not None and task is self._task

    async def start(self) -> None:
        """Return when all is entered. Cancelling it leaves what was entered, and waits for that.

        Raises:
            LocalProtocolError: If it was started before.
            ClosedError: If it is closed, before or meanwhile.
            BaseException: What kept it from starting, as it is.
        """
        if self.phase is not Phase.NEW:
            if self._task is None:
                raise ClosedError(f"{self.name} is closed")
            raise LocalProtocolError("a node starts once; make a new one")
        self.phase = Phase.STARTING
        ready = self._ready = asyncio.get_running_loop().create_future()
        self._task = launch(f"{self.name}/supervisor", self._live())
        try:
            await asyncio.shield(ready)
        except CancelledError:
            self.ask()
            await self._gone.wait()
            raise
        finally:
            if ready.done():
                ready.exception()  # retrieved, also where the starter was cancelled

    def ask(self) -> None:
        """Begin to end, soon; harmless when it does."""
        self._asked.set()
        if self.phase is Phase.NEW:
            self._settle(None)
        elif self.phase is Phase.STARTING:
            assert self._task is not None
            self._end()
            if self._task is not asyncio.current_task():  # else `_live` looks, after its step
                self._task.cancel()

    async def wait(self) -> None:
        """Wait for the end; cancelling it changes nothing.

        Raises:
            BaseException: What ended it, if it did not end because it was asked to.
        """
        await self._gone.wait()
        if self.failure is not None:
            raise self.failure

    async def _live(self) -> None:
        error: BaseException | None = None
        try:
            async with AsyncExitStack() as stack:
                try:
                    await self._begin(stack)
                    if self._asked.is_set():
                        raise ClosedError(f"{self.name} was closed while it started")
                    self._run()
                    await self._asked.wait()
                    self._end()
                    await self._wind_down()
                except BaseException as exc:
                    self._note_cause(exc)
                    self._end()
                    raise
        except BaseException as exc:  # noqa: BLE001 - told to whoever waits
            error = exc
        self._settle(error)

    def _run(self) -> None:
        self.phase = Phase.RUNNING
        assert self._ready is not None
        self._ready.set_result(None)

    def _note_cause(self, exc: BaseException) -> None:
        """A block that fails cancels this task, and says with what."""
        if isinstance(exc, CancelledError):
            self._cause = next((arg for arg in exc.args if isinstance(arg, BaseException)), None)
        else:
            self._cause = exc

    def _end(self) -> None:
        if not self.is_ending:
            self.phase = Phase.ENDING
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._seconds, self._leave_behind)
            self._ending()

    def _leave_behind(self) -> None:
        """The time for the end is over."""
        assert self._task is not None
        log.error("closing took too long: actor=%s left in=%s", self.name, where(self._task))
        self._task.cancel()
        self._settle(self._cause)

    def _settle(self, error: BaseException | None) -> None:
        """It has ended."""
        if self.phase is Phase.ENDED:
            return
        self.phase = Phase.ENDED
        if self._timer is not None:
            self._timer.cancel()
        if isinstance(error, CancelledError):
            error = self._cause
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(self._kept_from_starting(error))
        elif error is not None or not self._asked.is_set():
            self.failure = error or ClosedError(f"{self.name} was cancelled")
            log.critical("the actor has failed: actor=%s", self.name, exc_info=self.failure)
        self._gone.set()
        self._tell_gone()

    def _kept_from_starting(self, error: BaseException | None) -> BaseException:
        if error is None:
            return ClosedError(f"{self.name} was closed while it started")
        cause = first_cause(self._cause or error)
        if cause is self._cause or isinstance(cause, PeerError):
            cause.__suppress_context__ = True  # without the groups of the blocks it passed
            return cause
        return error
