"""Streams that remotes open: their turn in the scheduler, then a body of their own (spec 6).

The opening takes its turn among the actor's requests, so it is ordered with them; the body runs
beside the scheduler, so that a long stream does not stop the actor. Nothing of it is kept.
"""

from __future__ import annotations

import asyncio
from functools import partial

from actr_peer.errors import CallError, Code, LimitError
from actr_peer.lifecycle.context import Actor
from actr_peer.lifecycle.handlers import Handlers
from actr_peer.lifecycle.scheduler import Job, Scheduler
from actr_peer.protocol.chunks import encode_end
from actr_peer.protocol.envelopes import Envelope, encode_error
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import PayloadType
from actr_peer.tasks import Start
from actr_peer.transport.answers import answer
from actr_peer.transport.link import Link
from actr_peer.transport.streams import StreamReader, Streams, StreamWriter

MAX_BODIES = 1024
"""Stream handlers that run at once, over all remotes."""


class Openings:
    """All stream handlers of a node that run; owned by the node."""

    def __init__(
        self, actor: Actor, handlers: Handlers, streams: Streams, scheduler: Scheduler, start: Start
    ) -> None:
        self._actor = actor
        self._handlers = handlers
        self._streams = streams
        self._scheduler = scheduler
        self._start = start
        self._bodies: dict[tuple[ActrId, str], asyncio.Task[None]] = {}
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._bodies)

    def open(self, link: Link, envelope: Envelope) -> None:
        """Queue the opening of a stream for its turn."""
        if self._is_closed:
            self._refuse(link, envelope, CallError(Code.UNAVAILABLE, "the actor is closing"))
        elif len(self._bodies) >= MAX_BODIES:
            error = CallError(
                Code.RESOURCE_EXHAUSTED, f"{MAX_BODIES} streams are open here", retryable=True
            )
            self._refuse(link, envelope, error)
        else:

            async def begin() -> None:
                self._begin(link, envelope)

            self._scheduler.submit(Job(begin, PayloadType.RPC_RELIABLE))

    def cancel(self, remote: ActrId, channel_id: str) -> None:
        """End one handler: its caller waits no more."""
        body = self._bodies.get((remote, channel_id))
        if body is not None:
            body.cancel()

    def cancel_remote(self, remote: ActrId) -> None:
        """End all handlers of a remote that is gone."""
        for key, body in list(self._bodies.items()):
            if key[0] == remote:
                body.cancel()

    async def close(self) -> None:
        """Refuse new streams and end those that run."""
        self._is_closed = True
        bodies = list(self._bodies.values())
        for body in bodies:
            body.cancel()
        await asyncio.gather(*bodies, return_exceptions=True)

    def _begin(self, link: Link, envelope: Envelope) -> None:
        method = self._handlers.method(envelope.route_key)
        channel_id = envelope.channel_id
        reader: StreamReader | None = None
        writer: StreamWriter | None = None
        try:
            if method.kind.requests_stream:
                reader = self._streams.open_reader(link, channel_id, method.payload_type)
            if method.kind.replies_stream:
                writer = self._streams.open_writer(
                    link, channel_id, method.payload_type, credit=envelope.credit
                )
        except LimitError as exc:
            if reader is not None:
                self._streams.forget_reader(link.remote, reader)
            error = CallError(Code.RESOURCE_EXHAUSTED, str(exc), retryable=True)
            self._refuse(link, envelope, error)
            return
        key = (link.remote, channel_id)
        body = self._start(
            f"stream/{method.route_key}", self._body(link, envelope, (reader, writer))
        )
        self._bodies[key] = body
        body.add_done_callback(lambda _: self._bodies.pop(key, None))
        if writer is not None:
            writer.on_stop = partial(_cancel, body)

    async def _body(
        self,
        link: Link,
        envelope: Envelope,
        halves: tuple[StreamReader | None, StreamWriter | None],
    ) -> None:
        reader, writer = halves
        try:
            if reader is not None:
                reader.grant_first()
            reply = await self._handlers.run_stream(self._actor, link.remote, envelope, halves)
            if reply is not None:
                answer(link, PayloadType.RPC_RELIABLE, envelope.request_id, reply)
        finally:
            if reader is not None:
                self._streams.forget_reader(link.remote, reader)
            if writer is not None:
                self._streams.forget_writer(link.remote, writer)

    def _refuse(self, link: Link, envelope: Envelope, error: CallError) -> None:
        method = self._handlers.method(envelope.route_key)
        if method.kind.replies_stream:
            end = encode_end(envelope.channel_id, 0, error)
            link.lane(PayloadType.STREAM_RELIABLE).post(end)
        else:
            reply = encode_error(envelope.request_id, error)
            answer(link, PayloadType.RPC_RELIABLE, envelope.request_id, reply)


def _cancel(body: asyncio.Task[None], _error: object) -> None:
    body.cancel()
