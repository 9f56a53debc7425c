"""One actor's process: owns every layer, starts them bottom up, ends them top down (spec 3.5)."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

from actr_peer.errors import ClosedError, LocalProtocolError, PeerError
from actr_peer.inbound.subscribers import (
    MediaCallback,
    StreamCallback,
)
from actr_peer.lifecycle.config import NodeConfig
from actr_peer.lifecycle.inprocess import serve_shell, serve_workload
from actr_peer.lifecycle.parts import Parts
from actr_peer.lifecycle.ref import ActrRef
from actr_peer.outbound.gates import ROOT, Scope
from actr_peer.outbound.local import LocalGate
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.signaling import Presence
from actr_peer.service import Caller, Service
from actr_peer.tasks import Tasks, first_cause
from actr_peer.transport.media import Publication
from actr_peer.transport.streams import WINDOW, StreamWriter

log = logging.getLogger(__name__)

YOUNG_OBJECTS = 5000
"""Allocations between two young collections: about what 256 calls in flight are made of."""


class Node(Parts):
    """An actor between ``attach`` and its end; use it as a block, or start and close it.

    The block ends with an :class:`ExceptionGroup` where a part of the node failed in a way that
    nobody expected: such a failure is a bug and ends the process (docs/decisions/0006).
    """

    def __init__(self, config: NodeConfig, services: Sequence[Service]) -> None:
        super().__init__(config, services, self, Tasks(str(config.id)))
        self._stack = AsyncExitStack()
        self._is_started = False
        self._is_closed = False

    @property
    def id(self) -> ActrId:
        return self.config.id

    async def start(self) -> ActrRef:
        """Start everything; returns when the actor is registered and its loops run.

        Raises:
            BusyError: If the listener's port or the mailbox is in use, or the identity is.
            ConfigError: If signaling refuses what this actor says of itself.
            UnreachableError: If signaling cannot be reached.
            PeerError: Whatever ``on_start`` raises is passed on as it is.
        """
        if self._is_started:
            raise LocalProtocolError("a node starts once; make a new one")
        self._is_started = True
        ref = ActrRef(self)
        try:
            await self._start(ref)
        except BaseException as exc:
            self._is_closed = True
            self.ended.set()
            await self._stack.aclose()
            cause = first_cause(exc)
            if isinstance(cause, PeerError) and cause is not exc:
                raise cause from None  # without the groups of the blocks it passed through
            raise
        return ref

    async def _start(self, ref: ActrRef) -> None:
        await self._stack.enter_async_context(self.mailbox)
        await self._stack.enter_async_context(self.durable.outbox)
        self._stack.callback(self.durable.close)
        await self._stack.enter_async_context(self.tasks)
        await self.hooks.call("on_start", ref)
        self.tasks.start("hooks", self.hooks.run())
        await self._stack.enter_async_context(self.wiring)
        await self._stack.enter_async_context(self.scheduler)
        self.tasks.start(
            "workload",
            serve_workload(self.local.to_workload, self, self.handlers, self.scheduler),
        )
        self.tasks.start("shell", serve_shell(self.local.to_shell, self, self.shell_handlers))
        self.durable.start()
        _spare_the_collector()
        self.hooks.post("on_ready", ref)

    async def close(self) -> None:
        """End in phases, inside one deadline; harmless when closed.

        No new work is taken; what is pending finishes or fails; ``on_stop`` runs; the actor
        leaves signaling; wires close.
        """
        if self._is_closed or not self._is_started:
            self._is_closed = True
            await self.ended.wait() if self._is_started else None
            return
        self._is_closed = True
        error = ClosedError(f"{self.id} is closed")
        try:
            async with asyncio.timeout(self.config.close_timeout):
                await self.openings.close()
                await self.scheduler.drain(self.config.close_timeout / 2)
                self.local.close(error)
                self.calls.fail_all(error)
                await self.hooks.call_guarded("on_stop")
                await self.wiring.leave()
        except TimeoutError:
            log.warning("closing took too long: actor=%s", self.id)
        finally:
            self.calls.fail_all(error)
            try:
                await self._stack.aclose()
            finally:
                self.ended.set()

    async def __aenter__(self) -> Self:
        self._ref = await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
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
        target = ActrId.parse(remote) if isinstance(remote, str) else remote
        if self._is_closed:
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
        return await self.wiring.discover(actr_type, service=service, limit=limit)

    def open_stream(
        self, remote: ActrId | str, channel_id: str, *, latency_first: bool = False
    ) -> StreamWriter:
        """The sending half of a channel that ``remote`` has registered a callback for."""
        target = ActrId.parse(remote) if isinstance(remote, str) else remote
        payload_type = (
            PayloadType.STREAM_LATENCY_FIRST if latency_first else PayloadType.STREAM_RELIABLE
        )
        link = self.wiring.transport.link(target)
        return self.streams.open_writer(link, channel_id, payload_type, credit=WINDOW)

    def close_stream(self, remote: ActrId | str, writer: StreamWriter) -> None:
        """End a channel that :meth:`open_stream` opened, and forget it."""
        target = ActrId.parse(remote) if isinstance(remote, str) else remote
        writer.end()
        self.streams.forget_writer(target, writer)

    def register_stream(self, channel_id: str, callback: StreamCallback) -> Callable[[], None]:
        return self.stream_subscribers.register(channel_id, callback)

    def register_media(self, track_id: str | None, callback: MediaCallback) -> Callable[[], None]:
        return self.media_subscribers.register(track_id, callback)

    async def publish(
        self, remote: ActrId | str, source: Any, *, timeout: float | None = None
    ) -> Publication:
        """Send a track of encoded samples to ``remote`` as native RTP.

        Raises:
            CallError: FAILED_PRECONDITION if no WebRTC wire came up in time: media needs one.
        """
        target = ActrId.parse(remote) if isinstance(remote, str) else remote
        return await self.wiring.publish(
            target, source, timeout=timeout if timeout is not None else self.config.call_timeout
        )


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
