"""One actor's process: owns every layer, starts them bottom up, ends them top down (spec 3.5)."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

from actr_peer.errors import ClosedError, LocalProtocolError, PeerError, UnreachableError
from actr_peer.inbound.dispatch import Dispatcher, Routes
from actr_peer.inbound.mailbox import Mailbox
from actr_peer.inbound.subscribers import (
    MediaCallback,
    MediaSubscribers,
    StreamCallback,
    StreamSubscribers,
)
from actr_peer.lifecycle.config import Durability, NodeConfig
from actr_peer.lifecycle.events import HookRunner, LinkEvents, SignalingEvents
from actr_peer.lifecycle.handlers import Handlers, error_reply
from actr_peer.lifecycle.inprocess import serve_shell, serve_workload
from actr_peer.lifecycle.openings import Openings
from actr_peer.lifecycle.ref import ActrRef
from actr_peer.lifecycle.scheduler import Deferred, Outcome, Scheduler, Turn
from actr_peer.lifecycle.wiring import Wiring
from actr_peer.outbound.calls import PendingCalls
from actr_peer.outbound.durable import DurableCalls
from actr_peer.outbound.gates import ROOT, Outbound, Scope
from actr_peer.outbound.local import LocalGate
from actr_peer.outbound.outbox import Outbox
from actr_peer.protocol.envelopes import Envelope
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.mailbox import Request
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.signaling import Presence
from actr_peer.service import Caller, Service
from actr_peer.tasks import Tasks
from actr_peer.transport.link import Link
from actr_peer.transport.local import LocalTransport
from actr_peer.transport.media import Publication
from actr_peer.transport.streams import WINDOW, Streams, StreamWriter

log = logging.getLogger(__name__)


class Node:
    """An actor between ``attach`` and its end; use it as a block, or start and close it.

    The block ends with an :class:`ExceptionGroup` where a part of the node failed in a way that
    nobody expected: such a failure is a bug and ends the process (docs/decisions/0006).
    """

    def __init__(self, config: NodeConfig, services: Sequence[Service]) -> None:
        self.config = config
        self.incarnation = secrets.randbits(63) | 1
        self.calls = PendingCalls()
        self.streams = Streams()
        self.handlers = Handlers(services)
        self.hooks = HookRunner(services)
        self._durability: Durability = config.durability if config.mailbox_path else "memory"
        self.mailbox = Mailbox(
            str(config.mailbox_path or ""),
            capacity=config.mailbox_capacity,
            max_attempts=config.max_attempts,
            durability=self._durability,
        )
        self.ended = asyncio.Event()
        self._services = services
        self._shell_handlers = Handlers(())
        self._local = LocalTransport()
        self._tasks = Tasks(str(config.id))
        self._stack = AsyncExitStack()
        self._closing: asyncio.Task[None] | None = None
        self._is_started = False
        self._is_closed = False
        self._build()

    def _build(self) -> None:
        """Join the layers; each is handed what it calls, so that none imports another."""
        self.scheduler = Scheduler(
            self.mailbox,
            run=self._run,
            reply=self._reply,
            key_of=self.handlers.key_of,
            error_reply=error_reply,
        )
        self.dispatcher = Dispatcher(
            Routes(
                put=self.mailbox.put,
                bury=self.mailbox.letters.bury,
                knows=self.handlers.knows,
                is_cycle=self._is_cycle,
                resolve=self._resolve,
                cancel=self._cancel,
                open_stream=lambda link, envelope: self.openings.open(link, envelope),
                chunk=self.streams.receive,
            )
        )
        self.link_events = LinkEvents(self.hooks, self.dispatcher)
        self.signaling_events = SignalingEvents(self.hooks)
        self.wiring = Wiring(
            self.config,
            self.incarnation,
            self._services,
            self.link_events,
            self.signaling_events,
            backlog=lambda: self.mailbox.depth,
        )
        self.openings = Openings(
            self, self.handlers, self.streams, self.scheduler, self._tasks.start
        )
        self.stream_subscribers = StreamSubscribers(self.streams, self._tasks.start)
        self.media_subscribers = MediaSubscribers(self._tasks.start)
        self.durable = DurableCalls(
            Outbox(
                f"{path}-outbox" if (path := self.config.mailbox_path) is not None else "",
                durability=self._durability,
            ),
            self.wiring.transport,
        )
        self.outbound = Outbound(
            transport=self.wiring.transport,
            durable=self.durable,
            calls=self.calls,
            streams=self.streams,
            default_timeout=self.config.call_timeout,
            start=self._tasks.start,
        )
        self.link_events.on_reset = self._remote_reset
        self.link_events.on_gone = self._remote_gone
        self.wiring.on_frame = self.media_subscribers.receive
        self.mailbox.on_pressure = lambda pressure: self.hooks.post("on_pressure", pressure)
        self.handlers.on_failure = lambda error: self.hooks.post("on_error", error)
        self.signaling_events.on_replaced = self.ended.set

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
        except BaseException:
            self._is_closed = True
            self.ended.set()
            await self._stack.aclose()
            raise
        return ref

    async def _start(self, ref: ActrRef) -> None:
        await self._stack.enter_async_context(self.mailbox)
        await self._stack.enter_async_context(self.durable.outbox)
        self._stack.callback(self.durable.close)
        await self._stack.enter_async_context(self._tasks)
        await self.hooks.call("on_start", ref)
        self._tasks.start("hooks", self.hooks.run())
        await self._stack.enter_async_context(self.wiring)
        await self._stack.enter_async_context(self.scheduler)
        self._tasks.start(
            "local/workload",
            serve_workload(self._local.to_workload, self, self.handlers, self.scheduler),
        )
        self._tasks.start(
            "local/shell", serve_shell(self._local.to_shell, self, self._shell_handlers)
        )
        self.durable.start()
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
                self._local.close(error)
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
            self._local.to_workload, default_timeout=self.config.call_timeout, scope=scope
        )

    def caller_to_shell(self, scope: Scope = ROOT) -> Caller:
        return LocalGate(
            self._local.to_shell, default_timeout=self.config.call_timeout, scope=scope
        )

    def serve_shell(self, services: Sequence[Service]) -> None:
        """Let the workload call the code around it."""
        self._shell_handlers.add(services)

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
            DeadlineError: If no WebRTC wire came up in time: media needs one.
        """
        target = ActrId.parse(remote) if isinstance(remote, str) else remote
        return await self.wiring.publish(
            target, source, timeout=timeout if timeout is not None else self.config.call_timeout
        )

    # What the layers below report.

    async def _run(self, request: Request, turn: Turn) -> Outcome | Deferred:
        return await self.handlers.run(self, request, turn)

    def _reply(self, request: Request, reply: bytes) -> None:
        """Send a reply; one that cannot be sent waits in the mailbox for the caller's retry."""
        try:
            link = self.wiring.transport.link(ActrId.parse(request.sender))
            link.lane(request.payload_type).post(reply)
        except (UnreachableError, ClosedError) as exc:
            log.info("reply kept: caller=%s cause=%s", request.sender, exc)

    def _resolve(self, remote: ActrId, reply: Envelope, message: bytes) -> None:
        if not (self.calls.resolve(remote, reply) or self.durable.resolve(remote, reply, message)):
            self.calls.unmatched += 1

    def _is_cycle(self, request: Request, chain: tuple[str, ...]) -> bool:
        key = self.handlers.key_of(request)
        return any(self.scheduler.would_wait_for(waiting, key) for waiting in chain)

    def _cancel(self, remote: ActrId, request_id: str) -> None:
        self.scheduler.cancel(str(remote), request_id)
        self.openings.cancel(remote, request_id)

    def _remote_reset(self, remote: ActrId, error: PeerError) -> None:
        self.streams.fail_remote(remote, error)
        self.openings.cancel_remote(remote)
        self.outbound.resend(remote)
        self.durable.remote_reset(remote)

    def _remote_gone(self, remote: ActrId, error: PeerError) -> None:
        self.calls.fail_remote(remote, error)
        self.streams.fail_remote(remote, error)
        self.openings.cancel_remote(remote)
        self.media_subscribers.forget_remote(remote)
        self.durable.remote_gone(remote)

    def find_link(self, remote: ActrId) -> Link | None:
        """The link to ``remote``, if there is one."""
        return self.wiring.transport.find(remote)
