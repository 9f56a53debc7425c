"""Everything that a node owns, and how it is joined.

Each part is handed what it calls, so that no layer imports one above it, and inbound and
outbound stay apart.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from actr_peer.actor.files.service import FilesHere
from actr_peer.actor.handlers import Handlers, error_reply
from actr_peer.actor.inprocess.serving import Half
from actr_peer.actor.scheduler import Scheduler
from actr_peer.actor.stream_handlers import StreamHandlers
from actr_peer.actor.subscribers.media import MediaSubscribers
from actr_peer.actor.subscribers.streams import StreamSubscribers
from actr_peer.errors import BrokenError, ClosedError, PeerError, UnreachableError
from actr_peer.node.config import NodeConfig
from actr_peer.node.contract.access import AccessRules
from actr_peer.node.contract.callers import Callers
from actr_peer.node.contract.interceptors import Interceptor, Interceptors
from actr_peer.node.contract.reflection import ReflectionHere
from actr_peer.node.network import Network
from actr_peer.node.observe.changes import Changes
from actr_peer.node.observe.metered import Meter
from actr_peer.node.sinks import Above, HookRunner
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.mailbox.requests import Request
from actr_peer.protocol.payload import WireKind
from actr_peer.protocol.rpc.doubts import Doubts
from actr_peer.protocol.rpc.envelopes import Envelope
from actr_peer.protocol.session.wires.policy import WireState
from actr_peer.protocol.streams.chunks import Chunk
from actr_peer.rpc.answers import answer
from actr_peer.rpc.calls import PendingCalls
from actr_peer.rpc.complete import CompleteGate
from actr_peer.rpc.destinations.outbound import Outbound
from actr_peer.rpc.destinations.scope import Scope
from actr_peer.rpc.dispatch import Dispatcher, Routes
from actr_peer.rpc.durable import DurableCalls
from actr_peer.rpc.local import LocalGate
from actr_peer.rpc.remote import RemoteGate
from actr_peer.service import Caller, Service
from actr_peer.state.mailbox.mailbox import Mailbox
from actr_peer.state.outbox.outbox import BESIDE, Outbox
from actr_peer.state.storage.database import Durability, real_path
from actr_peer.tasks import Tasks
from actr_peer.transport.channels import Streams
from actr_peer.transport.link import Link
from actr_peer.transport.local.calls import LocalTransport

log = logging.getLogger(__name__)


class Assembly:
    """The parts of one node, made but not started; :class:`~actr_peer.Node` starts and ends them.

    It is the :class:`~actr_peer.actor.reach.Actor` of every context and ref.

    Args:
        tasks: The node's task block; parts start their workers in it.
        replaced: Told that a newer process has this identity.
        is_ending: Whether the node takes nothing new.
    """

    def __init__(
        self,
        config: NodeConfig,
        services: Sequence[Service],
        tasks: Tasks,
        *,
        replaced: Callable[[], None],
        is_ending: Callable[[], bool],
        interceptors: Iterable[Interceptor] = (),
    ) -> None:
        self.config, self.id, self.call_timeout = config, config.id, config.call_timeout
        self.incarnation = secrets.randbits(63) | 1
        self._tasks, self._is_ending = tasks, is_ending
        self.hooks = HookRunner(services)
        self.failed = partial(self.hooks.post, "on_error")
        self._make_state()
        self.callers = Callers(config, self.mailbox.certificates)
        who = self.callers.who
        self.access = AccessRules(config, services, who)
        intercepted = Interceptors((*self.access.interceptors, *interceptors))
        self.interceptors, self.meter, self.changes = intercepted.of_calls, Meter(), Changes()
        self.metered, wrap = self.meter.caller, self.meter.around(intercepted.wrap)
        self.handlers = Handlers(services, failed=self.failed, wrap=wrap, who=who)
        self.files = FilesHere()
        self.handlers.add((self.files,))
        reflection = ReflectionHere(self.handlers.services, is_on=config.reflection)
        self.handlers.add((reflection,), takes_turns=False)
        self.shell_handlers = Handlers((), wrap=wrap, who=who)
        self.local, self.calls, self.doubts = LocalTransport(), PendingCalls(), Doubts()
        unknown = self.access.of_channels(lambda *item: self.stream_subscribers.open(*item))
        self.streams = Streams(unknown=unknown, early=self._early_chunk)
        self.stream_subscribers = StreamSubscribers(self.streams, tasks.start, who.of)
        self.media_subscribers = MediaSubscribers(
            tasks.start,
            lambda remote, track_id: self.network.request_keyframe(remote, track_id),
            lambda remote: self.network.media_stats(remote),
            who.of,
        )
        self._make_actor()
        self._make_network(services, replaced)
        self._make_outbound()

    def _make_state(self) -> None:
        config = self.config
        durability: Durability = config.durability if config.mailbox_path else "memory"
        self.mailbox = Mailbox(
            str(config.mailbox_path or ""),
            capacity=config.mailbox_capacity,
            max_bytes=config.mailbox_max_bytes,
            remember=config.remember,
            max_attempts=config.max_attempts,
            durability=durability,
            after_loss=config.after_loss,
            on_pressure=partial(self.hooks.post, "on_pressure"),
            on_trouble=self.failed,
            owner=str(config.id),
        )
        path = real_path(str(config.mailbox_path or ""))
        self.outbox = Outbox(
            f"{path}{BESIDE}" if path else "",
            durability=durability,
            after_loss=config.after_loss,
            on_trouble=self.failed,
            owner=str(config.id),
        )

    def _make_actor(self) -> None:
        """What runs handlers, and what brings it requests."""
        self.scheduler = Scheduler(
            self.mailbox,
            run=partial(self.handlers.run, self),
            reply=self._reply,
            key_of=self.handlers.key_of,
            error_reply=error_reply,
        )
        self.stream_handlers = StreamHandlers(
            self, self.handlers, self.streams, self.scheduler, self._tasks.start
        )
        start, local = self._tasks.start, self.local
        self.workload = Half("workload", local.to_workload, self, self.handlers, start)
        self.shell = Half("shell", local.to_shell, self, self.shell_handlers, start)
        self.dispatcher = Dispatcher(
            Routes(
                put=self.mailbox.put,
                knows=self.handlers.knows,
                refusal=self.handlers.refusal,
                is_cycle=self._is_cycle,
                resolve=self._resolve,
                cancel=self._cancel,
                open_stream=self.stream_handlers.open,
                chunk=self.streams.receive,
                reject_chunk=self.streams.reject,
                may_not=self.access.of_requests,
            )
        )

    def _make_network(self, services: Sequence[Service], replaced: Callable[[], None]) -> None:
        above = Above(
            hooks=self.hooks,
            message=self.dispatcher.message,
            reset=self._remote_reset,
            gone=self._remote_gone,
            wire=self._wire_changed,
            replaced=replaced,
            frame=self.access.of_frames(self.media_subscribers.receive),
            tracks=self.access.of_tracks(self.media_subscribers.described),
            backlog=lambda: self.mailbox.depth,
            shown=self.callers.shown,
            ruled=self.access.take,
            is_awaited=self._is_awaited,
        )
        self.network: Network = Network(self.config, self.incarnation, services, above)
        self.transport, self.signaling = self.network.transport, self.network.signaling
        self.request_keyframe = self.network.request_keyframe

    def _make_outbound(self) -> None:
        self.durable = DurableCalls(self.outbox, self.transport)
        self.outbound = Outbound(
            transport=self.transport,
            durable=self.durable,
            failed=self.failed,
            calls=self.calls,
            streams=self.streams,
            default_timeout=self.call_timeout,
            start=self._tasks.start,
            keeps_calls=self.config.mailbox_path is not None and self.config.durability != "memory",
            trouble=lambda: self.signaling.trouble,
        )

    # What contexts and refs ask for

    def caller_to(self, remote: ActrId, scope: Scope, *, wait_for_ready: bool = True) -> Caller:
        """A caller for ``remote``; for the own id, the gate inside the process.

        Raises:
            ClosedError: If the actor ends.
        """
        if self._is_ending():
            raise ClosedError(f"{self.id} is closed")
        if remote == self.id:
            return self._direct(scope)
        return RemoteGate(self.outbound, remote, scope, wait_for_ready=wait_for_ready)

    def caller_to_self(self, scope: Scope, *, durable: bool = False) -> Caller:
        """A caller for the own workload by the mailbox.

        Raises:
            ClosedError: If the actor ends.
        """
        if self._is_ending():
            raise ClosedError(f"{self.id} is closed")
        end = self.local.to_workload
        return CompleteGate(end, self.outbound, self.id, scope=scope, is_durable=durable)

    def caller_to_shell(self, scope: Scope) -> Caller:
        return LocalGate(self.local.to_shell, self.outbound, scope=scope)

    def _direct(self, scope: Scope) -> LocalGate:
        end = self.local.to_workload
        return LocalGate(end, self.outbound, scope=scope, mailbox_of=self.id)

    async def close_streams(self) -> None:
        """Refuse new streams and end those that run, of remotes and of this process."""
        await asyncio.gather(
            self.stream_handlers.close(), self.workload.bodies.close(), self.shell.bodies.close()
        )

    def refuse_calls(self) -> None:
        """The actor is closed: whoever waits for a call hears of it."""
        error = ClosedError(f"{self.id} is closed")
        self.local.close(error)
        self.files.close()
        self.calls.fail_all(error)
        self.media_subscribers.close(error)
        self.stream_subscribers.close(error)

    # What the parts tell each other

    def _reply(self, request: Request, reply: bytes) -> None:
        """Send a reply; one that cannot be sent waits in the mailbox for the caller's retry."""
        try:
            link = self.transport.link(self.callers.who[request.sender])
            answer(link, request.payload_type, request.request_id, reply)
        except PeerError as exc:
            log.info("reply kept: caller=%s cause=%s", request.sender, exc)

    def _resolve(self, remote: ActrId, reply: Envelope, message: bytes) -> None:
        self.outbound.resolve(remote, reply, message)

    def _is_cycle(self, request: Request, chain: tuple[str, ...]) -> bool:
        key = self.handlers.key_of(request)
        return any(self.scheduler.would_wait_for(waiting, key) for waiting in chain)

    def _cancel(self, remote: ActrId, request_id: str) -> None:
        self.scheduler.cancel(str(remote), request_id)
        self.stream_handlers.cancel(remote, request_id)

    def _is_awaited(self, remote: ActrId) -> bool:
        return self.calls.waits_for(remote) or self.streams.is_open_to(remote)

    def _early_chunk(self, link: Link, chunk: Chunk) -> bool:
        return self.stream_handlers.hear_early(link, chunk)

    def _remote_reset(self, link: Link, error: PeerError) -> None:
        remote = link.remote
        self.streams.fail_link(link, error)
        self.stream_handlers.cancel_link(link)
        self.media_subscribers.forget_remote(remote, error)
        self.outbound.contracts.forget(remote)
        self.outbound.resend(remote)
        self.durable.remote_reset(remote)

    def _wire_changed(self, remote: ActrId, kind: WireKind, state: WireState) -> None:
        self.changes.note(remote, kind, state)
        self.doubts.wire(remote, kind, state, asyncio.get_running_loop().time())

    def _remote_gone(self, link: Link, error: PeerError) -> None:
        """Whatever used this link ends; what uses its successor does not notice."""
        remote = link.remote
        self.changes.gone(link.view(), error)
        self.doubts.gone(remote)
        if isinstance(error, UnreachableError | BrokenError):
            self.doubts.note(remote, asyncio.get_running_loop().time())
        self.calls.fail_link(link, error)
        self.streams.fail_link(link, error)
        self.stream_handlers.cancel_link(link)
        self.outbound.contracts.forget(remote)  # of its successor it is heard anew
        if self.transport.find(remote) is None:
            self.media_subscribers.forget_remote(remote, error)
        self.durable.link_gone(link)
