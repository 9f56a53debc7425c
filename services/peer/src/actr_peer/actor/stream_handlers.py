"""Streams that remotes open: their turn in the scheduler, then a body of their own.

The opening takes its turn among the actor's requests, so it is ordered with them; the body runs
beside the scheduler, so that a long stream does not stop the actor. Nothing of it is kept: an
opening that waits is bounded here, and given up with its caller::

    open ─▶ waits for its turn ─▶ body runs ─▶ over
     │             │ cancelled, or its link is gone: never runs
     └─ refused: RESOURCE_EXHAUSTED and others, docs/protocol/streams.md
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from actr_peer.actor.bodies import run_body
from actr_peer.actor.context import Asked
from actr_peer.actor.handlers import Handlers
from actr_peer.actor.reach import Actor
from actr_peer.actor.scheduler import Job, Scheduler, Turn
from actr_peer.errors import (
    BusyError,
    CallError,
    Code,
    LimitError,
    LocalProtocolError,
    PeerError,
)
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.rpc.call_errors import call_cycle, closing, wrong_kind
from actr_peer.protocol.rpc.contracts.refusals import is_refusal
from actr_peer.protocol.rpc.envelopes import MAX_ID_CHARS, Envelope, encode_error
from actr_peer.protocol.rpc.shares import Room, Shares
from actr_peer.protocol.streams.chunks import Chunk, Credit, Kind, check_channel_id, encode_end
from actr_peer.rpc.answers import answer
from actr_peer.service import Method, MethodKind
from actr_peer.tasks import Start
from actr_peer.transport.channels import Streams
from actr_peer.transport.link import Link
from actr_peer.transport.stream_reader import StreamReader
from actr_peer.transport.streams import StreamWriter, say

MAX_BODIES = 16 * 1024
"""Stream handlers that run at once, over all remotes."""
MAX_BODIES_EACH = 8 * 1024
"""The same, of one remote: half is left to others, whatever one does."""
WAITING_EACH = Room(8 * 1024, 16 * 1024 * 1024)
"""Openings of one remote that wait for their turn."""
WAITING_TOTAL = Room(16 * 1024, 32 * 1024 * 1024)
"""Openings of all remotes likewise."""
COST = 1024
"""Bytes that an opening is counted for beside its payload."""
RETRY_AFTER = 1.0
"""Seconds after which one that found no room may come again."""

Key = tuple[ActrId, str]


@dataclass(slots=True, eq=False)
class Opening:
    """One stream that a remote has opened, from then until its body has ended."""

    link: Link
    envelope: Envelope
    method: Method[Any, Any]
    key: str | None
    """Its conflict key, under which it waits for its turn; None: the actor's serial order."""
    channel: Key
    request: Key
    size: int
    deadline: float | None
    """By the loop's clock."""
    credit: Credit
    turn: Turn | None = None
    """While it waits."""
    reader: StreamReader | None = None
    writer: StreamWriter | None = None
    body: asyncio.Task[None] | None = field(default=None, repr=False)
    is_given_up: bool = False
    """By its opener or by this actor: its body is cancelled, and has nobody to answer."""


class StreamHandlers:
    """All streams of a node that remotes have opened; owned by the node."""

    def __init__(
        self, actor: Actor, handlers: Handlers, streams: Streams, scheduler: Scheduler, start: Start
    ) -> None:
        self.repeated = 0
        """Openings that came a second time."""
        self._actor = actor
        self._handlers = handlers
        self._streams = streams
        self._scheduler = scheduler
        self._start = start
        self._waiting: dict[Key, Opening] = {}
        """By channel."""
        self._room: Shares[ActrId] = Shares(each=WAITING_EACH, total=WAITING_TOTAL)
        self._requests: dict[Key, Opening] = {}
        """Those that wait and those that run, by request id."""
        self._channels: dict[Key, Opening] = {}
        self._bodies: dict[Key, asyncio.Task[None]] = {}
        """Those that run, by channel."""
        self._bodies_of: Counter[ActrId] = Counter()
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._bodies)

    @property
    def waiting(self) -> int:
        """Openings that wait for their turn."""
        return len(self._waiting)

    # Arriving

    def open(self, link: Link, envelope: Envelope) -> None:
        """Queue the opening of a stream for its turn, or refuse it."""
        opening = self._read(link, envelope)
        known = self._requests.get(opening.request)
        if known is not None and known.channel == opening.channel:
            self.repeated += 1
            return
        error = self._why_not(opening)
        if error is None and not self._room.enter(link.remote, opening.size):
            error = _full("too many streams wait here for their turn")
        if error is not None:
            self._refuse(opening, error)
            return
        self._waiting[opening.channel] = opening
        self._requests[opening.request] = opening
        self._channels[opening.channel] = opening

        if envelope.route_key in self._handlers.waits_for_no_turn:
            self._begin(opening)
            return

        async def begin() -> None:
            self._begin(opening)

        job = Job(begin, PayloadType.RPC_RELIABLE, opening.key)
        opening.turn = self._scheduler.submit(job)

    def _read(self, link: Link, envelope: Envelope) -> Opening:
        timeout = envelope.timeout
        method = self._handlers.method(envelope.route_key)
        return Opening(
            link=link,
            envelope=envelope,
            method=method,
            key=self._handlers.key_of_opening(method, link.remote, envelope),
            channel=(link.remote, envelope.channel_id),
            request=(link.remote, envelope.request_id),
            size=len(envelope.payload) + COST,
            deadline=None if timeout is None else asyncio.get_running_loop().time() + timeout,
            credit=Credit(envelope.credit, envelope.credit_bytes),
        )

    def _why_not(self, opening: Opening) -> CallError | None:
        if self._is_closed:
            return closing()
        contract, route_key = opening.envelope.contract, opening.envelope.route_key
        if contract and (error := self._handlers.refusal(route_key, contract)) is not None:
            return error
        if opening.method.kind is MethodKind.UNARY:
            return CallError(
                Code.INVALID_ARGUMENT, wrong_kind(route_key, opening.method.kind.value)
            )
        try:
            check_channel_id(opening.envelope.channel_id)
        except (LimitError, LocalProtocolError) as exc:
            return CallError(Code.INVALID_ARGUMENT, str(exc))
        if opening.channel in self._channels or opening.request in self._requests:
            return CallError(Code.ALREADY_EXISTS, f"channel {opening.channel[1]!r} is open")
        if self._streams.came_early(*opening.channel):
            return _early(opening)
        chain = opening.envelope.call_chain
        if any(self._scheduler.would_wait_for(waiting, opening.key) for waiting in chain):
            return call_cycle(opening.method.route_key)
        return self._no_place(opening.link.remote)

    def _no_place(self, remote: ActrId) -> CallError | None:
        """Why no other body may run now; None: one may."""
        if len(self._bodies) >= MAX_BODIES:
            return _full(f"{MAX_BODIES} streams are open here")
        if self._bodies_of[remote] >= MAX_BODIES_EACH:
            return _full(f"{MAX_BODIES_EACH} streams of {remote} are open here")
        return None

    # Given up

    def cancel(self, remote: ActrId, request_id: str) -> None:
        """End one stream, wherever it is: its caller waits no more."""
        opening = self._requests.get((remote, request_id))
        if opening is not None:
            self._drop(opening)

    def cancel_link(self, link: Link) -> None:
        """End all streams of a link that is gone."""
        for opening in list(self._channels.values()):
            if opening.link is link:
                self._drop(opening)

    async def close(self) -> None:
        """Refuse new streams and those that wait, and end those that run."""
        self._is_closed = True
        for opening in list(self._waiting.values()):
            self._withdraw(opening)
            self._refuse(opening, closing())
        bodies = [body for body in self._bodies.values() if body is not asyncio.current_task()]
        for opening in self._channels.values():
            opening.is_given_up = True
        for body in bodies:
            body.cancel()
        await asyncio.gather(*bodies, return_exceptions=True)

    def _drop(self, opening: Opening) -> None:
        if opening.body is not None:
            _give_up(opening)
        else:
            self._withdraw(opening)

    def _withdraw(self, opening: Opening) -> None:
        """Take back one that waits: it never runs."""
        self._leave(opening)
        self._forget(opening)

    def hear_early(self, link: Link, chunk: Chunk) -> bool:
        """Hear what comes on a channel whose opening waits; False if none does."""
        opening = self._waiting.get((link.remote, chunk.channel_id))
        if opening is None or opening.link is not link:
            return False
        if chunk.kind is Kind.CREDIT:
            opening.credit = _both(opening.credit, chunk.credit)
            return True
        self._withdraw(opening)
        if chunk.kind in (Kind.ITEM, Kind.END):
            self._refuse(opening, _early(opening))
        return True

    # Its turn

    def _begin(self, opening: Opening) -> None:
        if self._waiting.get(opening.channel) is not opening:
            return
        self._leave(opening)
        error = self._prepare(opening)
        if error is not None:
            self._forget(opening)
            self._refuse(opening, error)
            return
        if opening.link.is_shut:  # nobody is there to hear of it
            self._forget(opening)
            return
        body = self._start(
            f"stream/{opening.method.route_key}",
            self._body(opening),
            failed=partial(self._failed, opening),
        )
        opening.body = self._bodies[opening.channel] = body
        self._bodies_of[opening.link.remote] += 1
        body.add_done_callback(lambda _: self._ended(opening, body))
        if opening.writer is not None:
            opening.writer.on_stop = partial(_give_up, opening)
        if opening.reader is not None:
            opening.reader.grant_first()

    def _prepare(self, opening: Opening) -> CallError | None:
        """Make the halves; says why that cannot be."""
        now = asyncio.get_running_loop().time()
        if opening.deadline is not None and opening.deadline <= now:
            text = f"{opening.method.route_key} waited too long for its turn"
            return CallError(Code.DEADLINE_EXCEEDED, text)
        error = self._no_place(opening.link.remote)
        if error is not None:
            return error
        kind, route_key = opening.method.kind, opening.method.route_key
        half = opening.link, opening.channel[1], opening.method.payload_type
        try:
            if kind.requests_stream:
                opening.reader = self._streams.open_reader(*half, route_key=route_key)
            if kind.replies_stream:
                opening.writer = self._streams.open_writer(
                    *half, credit=opening.credit, route_key=route_key
                )
        except LimitError as exc:
            return _full(str(exc))
        except BusyError as exc:
            return CallError(Code.ALREADY_EXISTS, str(exc))
        return None

    async def _body(self, opening: Opening) -> None:
        reply = await run_body(
            self._handlers,
            self._actor,
            opening.link,
            opening.envelope,
            halves=(opening.reader, opening.writer),
            deadline=opening.deadline,
        )
        if reply is not None:
            _answer(opening, reply)

    def _failed(self, opening: Opening, exc: BaseException) -> None:
        """The body has failed in a way that nobody foresaw: its caller hears of it."""
        asked = Asked.by(opening.link.remote, opening.envelope)
        error = self._handlers.error_of(opening.method, exc, asked)
        if opening.writer is not None:
            opening.writer.end(error)
        else:
            _answer(opening, error)

    # The end

    def _ended(self, opening: Opening, body: asyncio.Task[None]) -> None:
        if body.cancelled() and not opening.is_given_up:  # by its own handler
            self._failed(opening, asyncio.CancelledError())
        self._forget(opening)

    def _leave(self, opening: Opening) -> None:
        """It waits no more."""
        del self._waiting[opening.channel]
        self._room.leave(opening.link.remote, opening.size)
        if opening.turn is not None:
            self._scheduler.withdraw(opening.turn)
            opening.turn = None

    def _forget(self, opening: Opening) -> None:
        if self._requests.get(opening.request) is opening:
            del self._requests[opening.request]
            del self._channels[opening.channel]
            if self._bodies.pop(opening.channel, None) is not None:
                self._leave_place(opening.link.remote)
        if opening.reader is not None:
            self._streams.forget_reader(opening.reader)
        if opening.writer is not None:
            self._streams.forget_writer(opening.writer)

    def _leave_place(self, remote: ActrId) -> None:
        self._bodies_of[remote] -= 1
        if not self._bodies_of[remote]:
            del self._bodies_of[remote]

    def _refuse(self, opening: Opening, error: CallError) -> None:
        """Say why a stream is not opened, where its opener listens.

        On a channel of another stream, and on one without a proper name, only the request can
        be answered.
        """
        channel_id = opening.envelope.channel_id
        is_own = opening.channel not in self._channels and 0 < len(channel_id) <= MAX_ID_CHARS
        listens = opening.method.kind.replies_stream
        if not listens and is_refusal(error):  # the method is of another kind there, perhaps
            listens = opening.envelope.credit > 0
        if listens and is_own:
            say(opening.link, encode_end(channel_id, 0, error))
        else:
            _answer(opening, error)


def _answer(opening: Opening, reply: bytes | CallError) -> None:
    """Send the one reply; to a caller that is gone, nothing."""
    request_id = opening.envelope.request_id
    if isinstance(reply, CallError):
        reply = encode_error(request_id, reply)
    with suppress(PeerError):
        answer(opening.link, PayloadType.RPC_RELIABLE, request_id, reply)


def _both(one: Credit, other: Credit) -> Credit:
    """Two grants as one; a grant of items that names no bytes lifts the limit on them."""
    is_unlimited = any(credit.items and not credit.size for credit in (one, other))
    return Credit(one.items + other.items, 0 if is_unlimited else one.size + other.size)


def _full(text: str) -> CallError:
    return CallError(Code.RESOURCE_EXHAUSTED, text, retryable=True, retry_after=RETRY_AFTER)


def _early(opening: Opening) -> CallError:
    return CallError(
        Code.FAILED_PRECONDITION,
        f"{opening.method.route_key}: items came before any were granted; "
        "the first grant says that the stream is open",
    )


def _give_up(opening: Opening, _error: PeerError | None = None) -> None:
    opening.is_given_up = True
    if opening.body is not None:
        opening.body.cancel()
