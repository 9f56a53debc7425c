"""One actor's process: owns every layer, starts them bottom up, ends them top down."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

from actr_peer.actor.inprocess import serve_shell, serve_workload
from actr_peer.actor.subscribers import (
    MediaCallback,
    StreamCallback,
)
from actr_peer.errors import ClosedError, ConfigError, LocalProtocolError
from actr_peer.node.assembly import Parts
from actr_peer.node.config import NodeConfig
from actr_peer.node.ref import ActrRef
from actr_peer.node.supervisor import Supervisor
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.rpc.bounds import is_utf8
from actr_peer.protocol.signaling.presence import Presence
from actr_peer.rpc.local import LocalGate
from actr_peer.rpc.remote import ROOT, Scope
from actr_peer.service import Caller, Service
from actr_peer.tasks import Tasks, until_cancelled
from actr_peer.transport.publications import Publication
from actr_peer.transport.streams import StreamWriter

log = logging.getLogger(__name__)

HANDLERS_SHARE, CALLBACKS_SHARE = 13 / 16, 15 / 16
"""Of ``close_timeout``: handlers, then hooks and callbacks, that run longer are left behind."""
LEAST_SHARE = 1 / 16
"""Of ``close_timeout``, that each phase has at least."""

YOUNG_OBJECTS = 5000
"""Allocations between two young collections: about what 256 calls in flight are made of."""


class Node(Parts):
    """An actor between ``attach`` and its end; use it as a block, or start and close it.

    The block ends with an :class:`ExceptionGroup` where a part of the node failed in a way that
    nobody expected: such a failure is a bug and ends the process (docs/decisions/0006).
    """

    def __init__(self, config: NodeConfig, services: Sequence[Service]) -> None:
        super().__init__(config, services, self, Tasks(str(config.id)))
        self._supervisor = Supervisor(
            str(config.id),
            begin=self._begin,
            wind_down=self._wind_down,
            ending=self._ending,
            gone=self.ended.set,
            seconds=config.close_timeout,
        )
        self._block: asyncio.Task[Any] | None = None
        """That runs ``async with``, and is interrupted when the node fails."""
        self._is_interrupted = False

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
        return self._ref

    async def _begin(self, stack: AsyncExitStack) -> None:
        ref = self._ref = ActrRef(self)
        await stack.enter_async_context(self.mailbox)
        await stack.enter_async_context(self.durable.outbox)
        stack.callback(self.durable.close)
        await stack.enter_async_context(self.tasks)
        await self.hooks.call("on_start", ref)
        if self._supervisor.is_ending:
            return
        self.tasks.start("hooks", self.hooks.run())
        await stack.enter_async_context(self.wiring)
        await stack.enter_async_context(self.scheduler)
        stack.callback(self._refuse_calls)
        self.tasks.start(
            "workload", serve_workload(self.local.to_workload, self, self.handlers, self.scheduler)
        )
        self.tasks.start("shell", serve_shell(self.local.to_shell, self, self.shell_handlers))
        self.durable.start()
        _spare_the_collector()
        self.hooks.post("on_ready", ref)

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
        return task in self._supervisor or task in self.tasks or task in self.scheduler

    def _ending(self) -> None:
        """It was asked to end, or a part has failed: take nothing more."""
        if self._block is not None and not self._supervisor.is_asked:
            self._is_interrupted = True
            self._block.cancel()
        now, seconds = asyncio.get_running_loop().time(), self.config.close_timeout
        self.scheduler.bound(now + seconds * HANDLERS_SHARE)
        self.tasks.bound(now + seconds * CALLBACKS_SHARE)

    async def _wind_down(self) -> None:
        seconds = self.config.close_timeout
        begun = asyncio.get_running_loop().time()
        half, most = begun + seconds / 2, begun + seconds * 3 / 4
        await self._phase("streams", self.openings.close(), half)
        await self._phase("requests", self.scheduler.drain(), half)
        self._refuse_calls()
        await self._phase("on_stop", self.hooks.call_guarded("on_stop"), most)
        await self._phase("leave", self.wiring.leave(), most)

    async def _phase(self, name: str, work: Coroutine[Any, Any, None], until: float) -> None:
        """One phase of the end: beside this task, so that one that hangs holds nothing up."""
        task = self.tasks.start(f"closing/{name}", work, failed=_is_logged)
        left = until - asyncio.get_running_loop().time()
        await asyncio.wait({task}, timeout=max(left, self.config.close_timeout * LEAST_SHARE))
        if not task.done():
            log.warning("closing took too long: actor=%s phase=%s", self.id, name)
            task.cancel()

    def _refuse_calls(self) -> None:
        error = ClosedError(f"{self.id} is closed")
        self.local.close(error)
        self.calls.fail_all(error)

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

    @property
    def ref(self) -> ActrRef:
        """The shell's handle, inside the block."""
        return self._ref

    # What contexts and refs ask for.

    def caller_to(
        self, remote: ActrId | str, scope: Scope = ROOT, *, wait_for_ready: bool = True
    ) -> Caller:
        """A caller for ``remote``; for the own id, the gate inside the process."""
        target = _id_of(remote)
        if self._supervisor.is_ending:
            raise ClosedError(f"{self.id} is closed")
        if target == self.id:
            return self.caller_to_workload(scope)
        return self.outbound.gate(target, scope, wait_for_ready=wait_for_ready)

    def caller_to_workload(self, scope: Scope = ROOT) -> Caller:
        return LocalGate(
            self.local.to_workload, default_timeout=self.config.call_timeout, scope=scope
        )

    def caller_to_shell(self, scope: Scope = ROOT) -> Caller:
        return LocalGate(self.local.to_shell, default_timeout=self.config.call_timeout, scope=scope)

    def serve_shell(self, services: Sequence[Service]) -> None:
        """Let the workload call the code around it."""
        self.shell_handlers.add(services)

    async def discover(
        self, actr_type: str = "", *, service: str = "", limit: int = 16
    ) -> list[Presence]:
        """See :meth:`ActrRef.discover`.

        Raises:
            LocalProtocolError: If a name is no text in UTF-8, or the limit no number above 0.
        """
        for name, value in (("actr_type", actr_type), ("service", service)):
            if not is_utf8(value):
                raise LocalProtocolError(f"{name} = {value!r}: must be text in UTF-8")
        if not isinstance(limit, int) or not 0 < limit < 1 << 31:
            raise LocalProtocolError(f"limit = {limit!r}: must be a number above 0")
        return await self.wiring.discover(actr_type, service=service, limit=limit)

    def open_stream(
        self, remote: ActrId | str, channel_id: str, *, latency_first: bool = False
    ) -> StreamWriter:
        """The sending half of a channel that ``remote`` has registered a callback for."""
        target = _id_of(remote)
        payload_type = (
            PayloadType.STREAM_LATENCY_FIRST if latency_first else PayloadType.STREAM_RELIABLE
        )
        link = self.wiring.transport.link(target)
        return self.streams.open_named(link, channel_id, payload_type)

    def close_stream(self, remote: ActrId | str, writer: StreamWriter) -> None:
        """End a channel that :meth:`open_stream` opened, and forget it."""
        writer.end()
        self.streams.forget_writer(writer)

    def register_stream(self, channel_id: str, callback: StreamCallback) -> Callable[[], None]:
        _check_callback(callback)
        return self.stream_subscribers.register(channel_id, callback)

    def register_media(self, track_id: str | None, callback: MediaCallback) -> Callable[[], None]:
        _check_callback(callback)
        return self.media_subscribers.register(track_id, callback)

    def request_keyframe(self, remote: ActrId | str, track_id: str) -> None:
        """Ask ``remote`` for a key frame of a track that it sends; does nothing without it."""
        self.wiring.request_keyframe(_id_of(remote), track_id)

    async def publish(
        self, remote: ActrId | str, source: Any, *, timeout: float | None = None
    ) -> Publication:
        """Send a track of encoded samples to ``remote`` as native RTP.

        Raises:
            CallError: FAILED_PRECONDITION if no WebRTC wire came up in time: media needs one.
        """
        target = _id_of(remote)
        return await self.wiring.publish(
            target, source, timeout=timeout if timeout is not None else self.config.call_timeout
        )


def _id_of(remote: object) -> ActrId:
    if isinstance(remote, ActrId):
        return remote
    if isinstance(remote, str):
        return ActrId.parse(remote)
    raise ConfigError(f"{remote!r} is no actor id: give an ActrId, or its text form")


def _check_callback(callback: object) -> None:
    if not callable(callback):
        raise LocalProtocolError(f"a callback is called with an item and its sender: {callback!r}")


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
