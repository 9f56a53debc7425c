"""Runs the workload's handlers: from the mailbox, from streams, from inside the process.

This is the boundary to the user's code, one of two places that catch every exception: a
handler's failure becomes an error reply and the actor lives on (spec 3.4).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from google.protobuf.message import DecodeError

from actr_peer.errors import CallError, Code, ConfigError, DeadlineError, PeerError
from actr_peer.lifecycle.context import LATER, Actor, Context, serialize
from actr_peer.lifecycle.scheduler import Deferred, Outcome, Turn
from actr_peer.protocol.envelopes import (
    Envelope,
    decode_envelope,
    encode_error,
    encode_reply,
)
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.mailbox import Request
from actr_peer.service import Method, MethodKind, Service
from actr_peer.transport.local import LocalCall

log = logging.getLogger(__name__)

Bound = tuple[Method[Any, Any], Callable[..., Any]]


class Handlers:
    """The static table from route key to bound handler, and how each kind is run."""

    def __init__(self, services: Sequence[Service]) -> None:
        self.on_failure: Callable[[BaseException], None] = lambda error: None
        """Told of exceptions that no handler means to raise."""
        self._table: dict[str, Bound] = {}
        self.knows: Callable[[str], bool] = self._table.__contains__
        """Whether a route key has a handler."""
        self.add(services)

    def add(self, services: Sequence[Service]) -> None:
        """Take the methods of more services.

        Raises:
            ConfigError: If a method has a handler already.
        """
        for service in services:
            names: set[str] = set()
            for route_key, method in type(service).method_table().items():
                if route_key in self._table:
                    raise ConfigError(
                        f"{route_key} has two handlers; attach one object for each service"
                    )
                if method.handler in names:
                    raise ConfigError(
                        f"{route_key}: two services of one object have a handler "
                        f"{method.handler!r}; attach one object for each service"
                    )
                names.add(method.handler)
                self._table[route_key] = (method, getattr(service, method.handler))

    def method(self, route_key: str) -> Method[Any, Any]:
        """The row of a method that :meth:`knows` knows."""
        return self._table[route_key][0]

    def bound(self, route_key: str) -> Bound:
        """The row of a known method, and its handler."""
        return self._table[route_key]

    def key_of(self, request: Request) -> str | None:
        """The conflict key of a request; None: the actor's serial order."""
        bound = self._table.get(request.route_key)
        if bound is None:
            return None
        method = bound[0]
        field = method.conflict_key
        if field is None:
            return None
        if field == "sender":
            return f"sender={request.sender}"
        try:
            message = method.request.FromString(decoded(request).payload)
        except (DecodeError, PeerError):
            return None  # run() refuses it with the right words
        # By the field's name, so that methods with the same key keep out of each other's way.
        return f"{field}={getattr(message, field)}"

    async def run(self, actor: Actor, request: Request, turn: Turn) -> Outcome | Deferred:
        """Run one request of the mailbox to its reply."""
        envelope = decoded(request)
        bound = self._table.get(request.route_key)
        if bound is None:  # recovered from a time when this actor had the method
            error = CallError(Code.UNIMPLEMENTED, f"no method {request.route_key!r} here any more")
            return Outcome(error_reply(request, error))
        method, handler = bound
        if method.kind is not MethodKind.UNARY:
            error = CallError(Code.INVALID_ARGUMENT, f"{method.route_key} is a stream: open it")
            return Outcome(error_reply(request, error))
        try:
            message = method.request.FromString(envelope.payload)
        except DecodeError:
            error = CallError(
                Code.INVALID_ARGUMENT,
                f"{method.route_key}: the request is no {method.request.__name__}; "
                "compare the .proto files of both sides (actr proto check)",
            )
            return Outcome(error_reply(request, error))
        now = turn.now()
        timeout = envelope.timeout
        deadline = None if timeout is None else now + timeout
        limit = method.handler_timeout
        if limit is not None:
            turn.limit(now + limit if timeout is None else now + min(limit, timeout))
        elif deadline is not None:
            turn.limit(deadline)
        context = Context(
            actor, sender_id(request.sender), envelope, deadline=deadline, turn=turn, method=method
        )
        try:
            reply = await handler(message, context)
            if reply is LATER and turn.deferred is not None:
                return turn.deferred
            if request.is_tell:
                return Outcome()
            return Outcome(encode_reply(request.request_id, serialize(method, reply)))
        except Exception as exc:  # noqa: BLE001 - the user's code ends here
            error = self.error_of(method, exc)
            is_failure = not isinstance(exc, CallError)
            return Outcome(
                error_reply(request, error),
                failed=is_failure,
                max_failures=method.max_failures,
            )

    async def run_local(self, actor: Actor, call: LocalCall) -> None:
        """Run one call from inside the process; its future gets the reply object or the error."""
        method, handler = self._table[call.method.route_key]
        context = Context(actor, actor.id, call, deadline=_deadline(call.timeout))
        if method.kind.replies_stream:
            # The caller's own task iterates: its pace is the handler's pace.
            result: object = handler(_requests(call), context)
        else:
            try:
                result = await handler(_requests(call), context)
            except Exception as exc:  # noqa: BLE001 - the user's code ends here
                if not call.future.done():
                    call.future.set_exception(self.error_of(method, exc))
                return
        if not call.future.done():
            call.future.set_result(result)

    def error_of(self, method: Method[Any, Any], exc: Exception) -> CallError:
        """What the caller is told of a handler's exception: its class, never its inside."""
        if isinstance(exc, CallError):
            return exc
        if isinstance(exc, TimeoutError | DeadlineError):
            return CallError(Code.DEADLINE_EXCEEDED, f"{method.route_key} ran out of time")
        log.error("handler failed: route=%s", method.route_key, exc_info=exc)
        self.on_failure(exc)
        return CallError(Code.INTERNAL, f"{method.route_key} failed with {type(exc).__name__}")


# Requests come from few senders, again and again: reading the text each time costs 4 µs.
sender_id = lru_cache(maxsize=4096)(ActrId.parse)


def _deadline(timeout: float | None) -> float | None:
    return None if timeout is None else asyncio.get_running_loop().time() + timeout


def decoded(request: Request) -> Envelope:
    """The envelope of a request; one that waited through a restart is decoded anew."""
    envelope: Envelope = request.decoded or decode_envelope(request.envelope)
    return envelope


def error_reply(request: Request, error: CallError) -> bytes | None:
    """The response that says ``error``; None for a tell, which has none."""
    return None if request.is_tell else encode_error(request.request_id, error)


def _requests(call: LocalCall) -> Any:
    if call.method.kind in (MethodKind.CLIENT_STREAM, MethodKind.BIDI_STREAM):
        return aiter(call.request)
    return call.request
