"""Everything that a node owns, and how it is joined.

Each part is handed what it calls, so that no layer imports one above it, and inbound and
outbound stay apart.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Sequence
from functools import partial

from actr_peer.actor.context import Actor
from actr_peer.actor.handlers import Handlers, error_reply, sender_id
from actr_peer.actor.scheduler import Scheduler
from actr_peer.actor.stream_handlers import Openings
from actr_peer.actor.subscribers import MediaSubscribers, StreamSubscribers
from actr_peer.errors import PeerError
from actr_peer.node.config import Durability, NodeConfig
from actr_peer.node.network import Wiring
from actr_peer.node.sinks import HookRunner, LinkEvents, SignalingEvents
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.mailbox.requests import Request
from actr_peer.protocol.rpc.envelopes import Envelope
from actr_peer.rpc.answers import answer
from actr_peer.rpc.calls import PendingCalls
from actr_peer.rpc.dispatch import Dispatcher, Routes
from actr_peer.rpc.durable import DurableCalls
from actr_peer.rpc.remote import Outbound
from actr_peer.service import Service
from actr_peer.state.mailbox.mailbox import Mailbox
from actr_peer.state.outbox.outbox import Outbox
from actr_peer.state.storage.database import real_path
from actr_peer.tasks import Tasks
from actr_peer.transport.channels import Streams
from actr_peer.transport.link import Link
from actr_peer.transport.local import LocalTransport

log = logging.getLogger(__name__)


class Parts:
    """The parts of one node, made but not started; :class:`~actr_peer.Node` starts and ends them.

    Args:
        actor: The node, as contexts see it.
        tasks: The node's task block; parts start their workers in it.
    """

    def __init__(
        self, config: NodeConfig, services: Sequence[Service], actor: Actor, tasks: Tasks
    ) -> None:
        self.config = config
        self.tasks = tasks
        self.ended = asyncio.Event()
        """Set when the node has ended, or must end: a newer process has its identity."""
        self.incarnation = secrets.randbits(63) | 1
        self.hooks = HookRunner(services)
        self.handlers = Handlers(services)
        self.shell_handlers = Handlers(())
        self.local = LocalTransport()
        self.calls = PendingCalls()
        self.streams = Streams()
        self.stream_subscribers = StreamSubscribers(self.streams, tasks.start)
        self.media_subscribers = MediaSubscribers(tasks.start)
        self.link_events = LinkEvents(self.hooks)
        self.signaling_events = SignalingEvents(self.hooks)
        self.wiring = Wiring(
            config,
            self.incarnation,
            services,
            self.link_events,
            self.signaling_events,
            backlog=lambda: self.mailbox.depth,
        )
        self._join_state_path(actor)
        self._join_outbound()
        self._join_events()

    def _join_state_path(self, actor: Actor) -> None:
        config = self.config
        self.durability: Durability = config.durability if config.mailbox_path else "memory"
        self.mailbox = Mailbox(
            str(config.mailbox_path or ""),
            capacity=config.mailbox_capacity,
            max_bytes=config.mailbox_max_bytes,
            remember=config.remember,
            max_attempts=config.max_attempts,
            durability=self.durability,
            after_loss=config.after_loss,
        )
        self.scheduler = Scheduler(
            self.mailbox,
            run=partial(self.handlers.run, actor),
            reply=self._reply,
            key_of=self.handlers.key_of,
            error_reply=error_reply,
        )
        self.openings = Openings(
            actor, self.handlers, self.streams, self.scheduler, self.tasks.start
        )
        self.dispatcher = Dispatcher(
            Routes(
                put=self.mailbox.put,
                knows=self.handlers.knows,
                is_cycle=self._is_cycle,
                resolve=self._resolve,
                cancel=self._cancel,
                open_stream=self.openings.open,
                chunk=self.streams.receive,
                reject_chunk=self.streams.reject,
            )
        )
        self.link_events.message = self.dispatcher.message

    def _join_outbound(self) -> None:
        path = real_path(str(self.config.mailbox_path or ""))
        outbox = Outbox(
            f"{path}-outbox" if path else "",
            durability=self.durability,
            after_loss=self.config.after_loss,
        )
        self.durable = DurableCalls(outbox, self.wiring.transport)
        self.outbound = Outbound(
            transport=self.wiring.transport,
            durable=self.durable,
            calls=self.calls,
            streams=self.streams,
            default_timeout=self.config.call_timeout,
            start=self.tasks.start,
        )

    def _join_events(self) -> None:
        self.link_events.on_reset = self._remote_reset
        self.link_events.on_gone = self._remote_gone
        self.wiring.on_frame = self.media_subscribers.receive
        self.wiring.is_awaited = self._is_awaited
        self.mailbox.on_pressure = partial(self.hooks.post, "on_pressure")
        for file in (self.mailbox.state_file, self.durable.outbox.state_file):
            file.on_trouble = partial(self.hooks.post, "on_error")
        self.handlers.on_failure = partial(self.hooks.post, "on_error")
        self.signaling_events.on_replaced = self.ended.set

    def _reply(self, request: Request, reply: bytes) -> None:
        """Send a reply; one that cannot be sent waits in the mailbox for the caller's retry."""
        try:
            link = self.wiring.transport.link(sender_id(request.sender))
            answer(link, request.payload_type, request.request_id, reply)
        except PeerError as exc:
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

    def _is_awaited(self, remote: ActrId) -> bool:
        return self.calls.waits_for(remote) or self.streams.is_open_to(remote)

    def _remote_reset(self, link: Link, error: PeerError) -> None:
        remote = link.remote
        self.streams.fail_link(link, error)
        self.openings.cancel_link(link)
        self.outbound.resend(remote)
        self.durable.remote_reset(remote)

    def _remote_gone(self, link: Link, error: PeerError) -> None:
        """Whatever used this link ends; what uses its successor does not notice."""
        remote = link.remote
        self.calls.fail_link(link, error)
        self.streams.fail_link(link, error)
        self.openings.cancel_link(link)
        if self.find_link(remote) is None:
            self.media_subscribers.forget_remote(remote)
        self.durable.link_gone(link)

    def find_link(self, remote: ActrId) -> Link | None:
        """The link to ``remote``, if there is one."""
        return self.wiring.transport.find(remote)
