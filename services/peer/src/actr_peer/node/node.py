"""One actor's process: owns every layer, starts them bottom up, ends them top down."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
from collections.abc import Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from actr_peer.node.assembly import Assembly
from actr_peer.node.config import NodeConfig
from actr_peer.node.contract.interceptors import Interceptor
from actr_peer.node.observe.inspection import InspectionHere
from actr_peer.node.observe.looking import look
from actr_peer.node.observe.view import NodeView
from actr_peer.node.ref import ActrRef
from actr_peer.node.supervisor import Supervisor
from actr_peer.protocol.identity import ActrId
from actr_peer.service import Service
from actr_peer.tasks import Tasks, until_cancelled

log = logging.getLogger(__name__)

HANDLERS_SHARE, CALLBACKS_SHARE = 13 / 16, 15 / 16
"""Of ``close_timeout``: handlers, then hooks and callbacks, that run longer are left behind."""
LEAST_SHARE = 1 / 16
"""Of ``close_timeout``, that each phase has at least."""

YOUNG_OBJECTS = 5000
"""Allocations between two young collections: about what 256 calls in flight are made of."""


class Node:
    """An actor between ``attach`` and its end; use it as a block, or start and close it.

    The block ends with an :class:`ExceptionGroup` where a part of the node failed in a way that
    nobody expected: such a failure is a bug and ends the process (docs/decisions/0006).

    Attributes:
        ref: The shell's handle, inside the block.
        assembly: Its parts; what looks in from outside asks :meth:`view`.
        tasks: Its task block.
        ended: Set when it has ended, or must end: a newer process has its identity.
    """

    def __init__(
        self,
        config: NodeConfig,
        services: Sequence[Service],
        interceptors: Iterable[Interceptor] = (),
    ) -> None:
        self.config = config
        self.tasks = Tasks(str(config.id))
        self.ended = asyncio.Event()
        self._supervisor = Supervisor(
            str(config.id),
            begin=self._begin,
            wind_down=self._wind_down,
            ending=self._ending,
            gone=self.ended.set,
            seconds=config.close_timeout,
        )
        self.assembly = Assembly(
            config,
            services,
            self.tasks,
            replaced=self.ended.set,
            is_ending=lambda: self._supervisor.is_ending,
            interceptors=interceptors,
        )
        inspection = InspectionHere(
            config.inspection,
            view=self.view,
            changes=self.assembly.changes,
            letters=self.assembly.mailbox.letters,
        )
        self.assembly.handlers.add((inspection,), takes_turns=False)
        self.ref = ActrRef(self.assembly, self)
        self._block: asyncio.Task[Any] | None = None
        """That runs ``async with``, and is interrupted when the node fails."""
        self._is_interrupted = False

    if not TYPE_CHECKING:  # a checker says it by itself

        def __getattr__(self, name: str) -> Any:
            if not name.startswith("_") and hasattr(ActrRef, name):
                raise AttributeError(
                    f"a Node has no {name!r}: node.ref has it", name=name, obj=self
                )
            raise AttributeError(f"a Node has no {name!r}", name=name, obj=self)

    @property
    def id(self) -> ActrId:
        return self.config.id

    @property
    def failure(self) -> BaseException | None:
        """What ended it, once it has ended without being asked to."""
        return self._supervisor.failure

    async def start(self) -> ActrRef:
        """Start everything; returns when the actor is registered and its loops run.

        It runs in a task of its own from then on, whatever becomes of the one that started it.
        Cancelling the start ends what was started.

        Raises:
            BusyError: If the listener's port or the mailbox is in use, or the identity is.
            ClosedError: If it is closed, before or meanwhile.
            ConfigError: If signaling refuses what this actor says of itself.
            UnreachableError: If signaling cannot be reached.
            PeerError: Whatever ``on_start`` raises is passed on as it is.
        """
        await self._supervisor.start()
        return self.ref

    async def _begin(self, stack: AsyncExitStack) -> None:
        assembly, ref = self.assembly, self.ref
        await stack.enter_async_context(assembly.mailbox)
        await stack.enter_async_context(assembly.outbox)
        stack.callback(assembly.durable.close)
        await stack.enter_async_context(self.tasks)
        await assembly.hooks.call("on_start", ref)
        if self._supervisor.is_ending:
            return
        self.tasks.start("hooks", assembly.hooks.run())
        await stack.enter_async_context(assembly.network)
        assembly.callers.begin(assembly.network.credentials)
        await stack.enter_async_context(assembly.scheduler)
        stack.callback(assembly.refuse_calls)
        self.tasks.start("workload", assembly.workload.serve_workload(assembly.scheduler))
        self.tasks.start("shell", assembly.shell.serve_shell())
        assembly.durable.start()
        _spare_the_collector()
        assembly.hooks.post("on_ready", ref)

    def view(self) -> NodeView:
        """What it looks like at this moment."""
        return look(self.assembly, is_ended=self.ended.is_set())

    async def close(self) -> None:
        """End in phases, inside ``close_timeout`` seconds; harmless when closed.

        No new work is taken; what is pending finishes or fails; ``on_stop`` runs; the actor
        leaves signaling; wires close. What does not end in time is named in the log and left
        behind. Cancelling this only ends the waiting.

        A handler, a hook or a callback of this actor that calls this begins the end and does not
        wait for it, for the end waits for it: it has half of ``close_timeout`` to return.

        Raises:
            BaseException: What ended the actor, if it did not end because it was asked to.
        """
        self._supervisor.ask()
        if not self._is_inside(asyncio.current_task()):
            await self._supervisor.wait()

    def _is_inside(self, task: object) -> bool:
        """Whether the end of the actor waits for ``task``."""
        return task in self._supervisor or task in self.tasks or task in self.assembly.scheduler

    def _ending(self) -> None:
        """It was asked to end, or a part has failed: take nothing more."""
        if self._block is not None and not self._supervisor.is_asked:
            self._is_interrupted = True
            self._block.cancel()
        now, seconds = asyncio.get_running_loop().time(), self.config.close_timeout
        self.assembly.scheduler.bound(now + seconds * HANDLERS_SHARE)
        self.tasks.bound(now + seconds * CALLBACKS_SHARE)

    async def _wind_down(self) -> None:
        seconds = self.config.close_timeout
        begun = asyncio.get_running_loop().time()
        half, most = begun + seconds / 2, begun + seconds * 3 / 4
        assembly = self.assembly
        await self._phase("streams", assembly.close_streams(), half)
        await self._phase("requests", assembly.scheduler.drain(), half)
        assembly.refuse_calls()
        await self._phase("on_stop", assembly.hooks.call_guarded("on_stop"), most)
        await self._phase("leave", assembly.network.leave(), most)

    async def _phase(self, name: str, work: Coroutine[Any, Any, None], until: float) -> None:
        """One phase of the end: beside this task, so that one that hangs holds nothing up."""
        task = self.tasks.start(f"closing/{name}", work, failed=_is_logged)
        left = until - asyncio.get_running_loop().time()
        await asyncio.wait({task}, timeout=max(left, self.config.close_timeout * LEAST_SHARE))
        if not task.done():
            log.warning("closing took too long: actor=%s phase=%s", self.id, name)
            task.cancel()

    async def __aenter__(self) -> Self:
        await self.start()
        self._block = asyncio.current_task()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        block, self._block = self._block, None
        if self._is_interrupted and block is not None:
            if not isinstance(exc, asyncio.CancelledError):
                await until_cancelled()
            block.uncancel()
        await self.close()


def _is_logged(_error: BaseException) -> None:
    """A phase of the end that fails leaves the others as they are."""


@functools.cache
def _spare_the_collector() -> None:
    """Once for each process: a full collection walks only what came after its first start.

    Modules, tables and what the mailbox remembers live as long as the actor; walking them stops
    every handler for 30 ms (docs/decisions/0008). And requests in flight are many objects that are
    young for some milliseconds: a young collection comes when there are more of them than that.
    """
    gc.freeze()
    young, *older = gc.get_threshold()
    if young:  # else it is off, and stays off
        gc.set_threshold(max(young, YOUNG_OBJECTS), *older)
