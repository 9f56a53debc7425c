"""Where an arriving message goes: one table over payload type and direction.

Requests and tells go to the mailbox, replies to the pending calls, chunks to the stream
channels. The dispatcher knows none of them: the node hands it what to call, so that inbound
and outbound stay apart. What fits nowhere is counted and dropped, and the link lives on.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from actr_peer.errors import CallError, Code, PeerError, RemoteProtocolError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.mailbox.requests import STORED, Put, Refused, Repeated, Request
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.rpc.bounds import channel_of, request_id_of
from actr_peer.protocol.rpc.call_errors import call_cycle, no_method
from actr_peer.protocol.rpc.envelopes import (
    CANCEL,
    RESPONSE,
    TELL,
    Envelope,
    decode_envelope,
    encode_error,
)
from actr_peer.protocol.session.receiver import UNNUMBERED
from actr_peer.protocol.streams.chunks import Chunk, decode_chunk
from actr_peer.rpc.answers import answer, refuse
from actr_peer.rpc.stalled import StalledLanes
from actr_peer.transport.link import Link

_SIGNAL = PayloadType.RPC_SIGNAL  # looked up once: it is on the path of every message


@dataclass(slots=True, kw_only=True)
class Routes:
    """Where things go; filled by the node."""

    put: Callable[[Request, Callable[[Put], None]], None]
    """Stores a request, or keeps as a dead letter one that can never run, and says what became of
    it on the loop, after the sync."""
    knows: Callable[[str], bool]
    """Whether a route key has a handler here."""
    refusal: Callable[[str, int], CallError | None]
    """Why a call of a known method is not taken whose contract has another number."""
    is_cycle: Callable[[Request, tuple[str, ...]], bool]
    """Whether a request would wait for a handler that waits for it."""
    resolve: Callable[[ActrId, Envelope, bytes], None]
    """A reply came; the last is the whole message."""
    cancel: Callable[[ActrId, str], None]
    """The caller waits no more."""
    open_stream: Callable[[Link, Envelope], None]
    """A request that opens a stream came."""
    chunk: Callable[[Link, PayloadType, Chunk], None]
    reject_chunk: Callable[[Link, str, int, PeerError], None]
    """A chunk of this channel and opening could not be read."""
    may_not: Callable[[ActrId, str], CallError | None] | None = None
    """Why a caller is refused that asks for a route key; None: nobody is."""


@dataclass(slots=True)
class Counts:
    """What was dropped, and why."""

    undecodable: int = 0
    unknown_route: int = 0
    refused: int = 0
    other_contract: int = 0
    denied: int = 0
    repeated: int = 0


class Dispatcher:
    """Takes every message of every link; owned by the node."""

    def __init__(self, routes: Routes) -> None:
        self.counts = Counts()
        self._routes = routes
        self._may_not = routes.may_not
        self._stalled = StalledLanes(routes.put, self._stored)

    def message(self, link: Link, payload_type: PayloadType, message: bytes, number: int) -> None:
        """Route one message. RPC messages are acknowledged when they are safe, or useless."""
        if payload_type > _SIGNAL:
            self._chunk(link, payload_type, message)
            return
        if number == UNNUMBERED:
            self._answer(link, message)
            return
        try:
            envelope = decode_envelope(message)
        except RemoteProtocolError as exc:
            self._blame(link, payload_type, message, exc)
            self.counts.undecodable += 1
            self._take(link, payload_type, number, _undecodable(link, payload_type, message, exc))
            return
        direction = envelope.direction
        if direction == RESPONSE:
            link.acknowledge(payload_type, number)
            self._routes.resolve(link.remote, envelope, message)
        elif direction == CANCEL:
            link.acknowledge(payload_type, number)
            self._cancel(link, envelope.request_id)
        elif self._may_not is not None and (
            denial := self._may_not(link.remote, envelope.route_key)
        ):  # before anything that says which methods there are
            self.counts.denied += 1
            link.acknowledge(payload_type, number)
            refuse(link, payload_type, envelope, denial)
        elif not self._routes.knows(envelope.route_key):
            self.counts.unknown_route += 1
            request = _request(link, payload_type, message, envelope)
            request.dead = no_method(envelope.route_key)
            self._take(link, payload_type, number, request)
        elif envelope.opens_stream:
            link.acknowledge(payload_type, number)
            self._routes.open_stream(link, envelope)
        elif (contract := envelope.contract) and (
            error := self._routes.refusal(envelope.route_key, contract)
        ):
            self.counts.other_contract += 1
            link.acknowledge(payload_type, number)
            refuse(link, payload_type, envelope, error)
        else:
            self._keep(link, number, _request(link, payload_type, message, envelope), envelope)

    def _keep(self, link: Link, number: int, request: Request, envelope: Envelope) -> None:
        """Store a request, unless whoever waits for it is waited for by this actor."""
        payload_type, chain = request.payload_type, envelope.has_call_chain
        if chain and not request.is_tell and self._routes.is_cycle(request, envelope.call_chain):
            self.counts.refused += 1
            refuse(link, payload_type, envelope, call_cycle(request.route_key))
            link.acknowledge(payload_type, number)
        else:
            self._take(link, payload_type, number, request)

    def _take(self, link: Link, payload_type: PayloadType, number: int, request: Request) -> None:
        """Store a request; what comes behind a tell that found no room waits with it."""
        if self._stalled and self._stalled.is_held_up(link, payload_type):
            self._stalled.wait(link, payload_type, number, request)
            return
        self._routes.put(request, partial(self._stored, link, payload_type, number, request))

    def _blame(
        self, link: Link, payload_type: PayloadType, message: bytes, why: RemoteProtocolError
    ) -> None:
        """Tell a caller that its request breaks the rules, if it can be told."""
        request_id = request_id_of(message)
        if request_id and not link.is_shut:
            error = CallError(Code.INVALID_ARGUMENT, str(why))
            _tell(link, payload_type, request_id, encode_error(request_id, error))

    def _answer(self, link: Link, message: bytes) -> None:
        """Take what came by a reply lane; nothing there is stored, so a request has no place.

        Raises:
            RemoteProtocolError: If it is neither a reply nor a cancellation.
        """
        envelope = decode_envelope(message)
        if envelope.direction == RESPONSE:
            self._routes.resolve(link.remote, envelope, message)
        elif envelope.direction == CANCEL:
            self._cancel(link, envelope.request_id)
        else:
            raise RemoteProtocolError("a request on a reply lane")

    def _cancel(self, link: Link, request_id: str) -> None:
        waiting = self._stalled.cancel(link, request_id) if self._stalled else None
        if waiting is not None:
            link.acknowledge(*waiting)
        else:
            self._routes.cancel(link.remote, request_id)

    def _chunk(self, link: Link, payload_type: PayloadType, message: bytes) -> None:
        try:
            chunk = decode_chunk(message)
        except RemoteProtocolError as exc:
            self.counts.undecodable += 1
            channel = channel_of(message)
            if channel is not None:
                self._routes.reject_chunk(link, *channel, exc)
            return
        self._routes.chunk(link, payload_type, chunk)

    def _stored(
        self, link: Link, payload_type: PayloadType, number: int, request: Request, result: Put
    ) -> None:
        """The mailbox has decided about one request; called on the loop, after the sync."""
        if result is STORED:  # nearly always
            if request.dead and not request.is_tell and not link.is_shut:
                error = CallError(Code.UNIMPLEMENTED, request.dead)
                refuse(link, payload_type, request.decoded, error)
        elif link.is_shut:
            return  # nobody is there to hear, and what was not taken is sent again elsewhere
        elif isinstance(result, Repeated):
            self.counts.repeated += 1
            if result.reply is not None:
                _tell(link, payload_type, request.request_id, result.reply)
        elif isinstance(result, Refused):
            self.counts.refused += 1
            if request.is_tell:
                # Nobody hears a refused tell, so it stays unacknowledged and is tried again.
                self._stalled.hold_up(link, payload_type, number, request, result.retry_after)
                return
            error = CallError(
                result.code, result.message, retryable=True, retry_after=result.retry_after
            )
            refuse(link, payload_type, request.decoded, error)
        link.acknowledge(payload_type, number)


def _tell(link: Link, payload_type: PayloadType, request_id: str, reply: bytes) -> None:
    """Answer at once; who is gone, or goes now because it takes nothing, hears nothing."""
    with suppress(PeerError):
        answer(link, payload_type, request_id, reply)


def _undecodable(
    link: Link, payload_type: PayloadType, message: bytes, error: RemoteProtocolError
) -> Request:
    return Request(
        sender=link.remote.text,
        request_id="",
        payload_type=payload_type,
        is_tell=True,
        route_key="",
        envelope=message,
        dead=str(error),
    )


def _request(link: Link, payload_type: PayloadType, message: bytes, envelope: Envelope) -> Request:
    request = Request(
        sender=link.remote.text,
        request_id=envelope.request_id,
        payload_type=payload_type,
        is_tell=envelope.direction == TELL,
        route_key=envelope.route_key,
        envelope=message,
        arrived_at=link.used_at,
        decoded=envelope,
    )
    if envelope.call_number:
        request.call_number = envelope.call_number
        request.low_water = envelope.low_water
        request.store_id = envelope.store_id
    return request
