"""Runs the workload's handlers: from the mailbox, from streams, from inside the process.

This is the boundary to the user's code, one of two places that catch every exception: a
handler's failure becomes an error reply and the actor lives on.
"""

from __future__ import annotations

import logging
from asyncio import CancelledError, get_running_loop, timeout
from collections.abc import Callable, Sequence
from typing import Any

from google.protobuf.message import DecodeError, Message

from actr_peer.actor.context import LATER, Asked, Context, checked, serialize
from actr_peer.actor.reach import Actor
from actr_peer.actor.scheduler import Deferred, Outcome, Turn
from actr_peer.errors import CallError, Code, ConfigError, DeadlineError, PeerError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.mailbox.requests import Request
from actr_peer.protocol.rpc.access.principals import Principals
from actr_peer.protocol.rpc.call_errors import described, internal, no_request, sendable, wrong_kind
from actr_peer.protocol.rpc.contracts.refusals import is_refusal, refusal
from actr_peer.protocol.rpc.envelopes import Envelope, decode_envelope, encode_error, encode_reply
from actr_peer.rpc.tracing import arrive
from actr_peer.service import Method, MethodKind, Service
from actr_peer.tasks import is_asked, is_torn_down, note_failure
from actr_peer.transport.local.calls import LocalCall

log = logging.getLogger(__name__)

Bound = tuple[Method[Any, Any], Callable[..., Any]]


class Handlers:
    """The static table from route key to bound handler, and how each kind is run.

    Args:
        failed: Told of exceptions that no handler means to raise.
        wrap: Puts what intercepts requests in front of a handler.
        who: What is known of whoever asks.
    """

    def __init__(
        self,
        services: Sequence[Service],
        failed: Callable[[BaseException], None] | None = None,
        wrap: Callable[[Method[Any, Any], Any], Any] = lambda _, handler: handler,
        who: Principals | None = None,
    ) -> None:
        self.who = Principals() if who is None else who
        self._failed, self._wrap = failed, wrap
        self._table: dict[str, Bound] = {}
        self._refusals: dict[str, CallError | None] = {}
        self.knows: Callable[[str], bool] = self._table.__contains__
        """Whether a route key has a handler."""
        self.waits_for_no_turn: set[str] = set()
        """Route keys of streams that begin as soon as they come."""
        self.services: list[type[Service]] = []
        """Those of the objects that were added, in that order."""
        self.add(services)

    def add(self, services: Sequence[Service], *, takes_turns: bool = True) -> None:
        """Take the methods of more services.

        Args:
            takes_turns: Whether streams wait for their turn; not where they tell of the actor
                and touch nothing of the workload's.

        Raises:
            ConfigError: If one is no object of a service, or a method has a handler already.
        """
        for service in services:
            if not isinstance(service, Service):
                raise ConfigError(
                    f"{service!r} is no object of a service class; attach an instance, as Room()"
                )
            self.services.append(type(service))
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
                if not takes_turns:
                    self.waits_for_no_turn.add(route_key)
                bound = getattr(service, method.handler)
                self._table[route_key] = (method, self._wrap(method, bound))

    def method(self, route_key: str) -> Method[Any, Any]:
        """The row of a method that :meth:`knows` knows."""
        return self._table[route_key][0]

    def refusal(self, route_key: str, contract: int) -> CallError | None:
        """Why a call of a known method is not taken that was made with another contract; None: it
        is the same, or too long to be compared."""
        method = self._table[route_key][0]
        if method.contract == contract:
            return None
        if route_key not in self._refusals:  # once: whoever asks again and again costs nothing
            self._refusals[route_key] = refusal(route_key, method.form)
        return self._refusals[route_key]

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
            payload = decoded(request).payload
        except PeerError:
            return None  # run() refuses it with the right words
        return _key_in(method, field, payload)

    def key_of_opening(
        self, method: Method[Any, Any], sender: ActrId, envelope: Envelope
    ) -> str | None:
        """The conflict key of a stream's opening, as :meth:`key_of` of a request."""
        field = method.conflict_key
        if field is None or field == "sender":
            return field and f"sender={sender}"
        if method.kind.requests_stream:  # there is no request yet
            return None
        return _key_in(method, field, envelope.payload)

    def key_of_call(self, call: LocalCall, sender: ActrId) -> str | None:
        """The conflict key of a call from inside the process, as :meth:`key_of` of a request."""
        method = self.method(call.method.route_key)
        field = method.conflict_key
        if field is None or field == "sender":
            return field and f"sender={sender}"
        if method.kind.requests_stream:  # there is no request yet
            return None
        return _field_key(field, call.request)

    async def run(self, actor: Actor, request: Request, turn: Turn) -> Outcome | Deferred:
        """Run one request of the mailbox to its reply."""
        envelope: Envelope = request.decoded or decoded(request)
        read = self._read(request, envelope)
        if isinstance(read, CallError):
            return Outcome(error_reply(request, read))
        method, handler, message = read
        now = turn.now()
        deadline = deadline_of(request, envelope, now)
        if deadline is not None and deadline <= now:
            text = f"{method.route_key} waited too long for its turn"
            return Outcome(error_reply(request, CallError(Code.DEADLINE_EXCEEDED, text)))
        if method.handler_timeout is not None:
            end = now + method.handler_timeout
            turn.limit(end if deadline is None else min(end, deadline))
        elif deadline is not None:
            turn.limit(deadline)
        caller = self.who[request.sender]
        context = Context(actor, caller, envelope, deadline=deadline, turn=turn, method=method)
        arrive(envelope)
        try:
            reply = await handler(message, context)
            if reply is LATER and turn.deferred is not None:
                return turn.deferred
            if request.is_tell:
                return Outcome()
            return Outcome(encode_reply(request.request_id, serialize(method, reply)))
        except CancelledError:
            raise  # the scheduler knows who asked for it
        except BaseException as exc:
            if is_torn_down(exc) or turn.is_hindrance(exc):
                raise  # the scheduler answers for what is not the handler's doing
            asked = Asked(request.sender, request.request_id, request.attempts + 1)
            error = self.error_of(method, exc, asked)
            is_failure = not isinstance(exc, CallError)
            return Outcome(
                error_reply(request, error),
                failed=is_failure,
                max_failures=method.max_failures,
                error=described(exc) if is_failure else "",
            )

    def _read(
        self, request: Request, envelope: Envelope
    ) -> tuple[Method[Any, Any], Callable[..., Any], Message] | CallError:
        """The method of a request, its handler, and the message; or why there is none."""
        bound = self._table.get(request.route_key)
        if bound is None:  # recovered from a time when this actor had the method
            return CallError(Code.UNIMPLEMENTED, f"no method {request.route_key!r} here any more")
        method, handler = bound
        if method.kind is not MethodKind.UNARY:
            return CallError(Code.INVALID_ARGUMENT, wrong_kind(method.route_key, method.kind.value))
        try:
            return method, handler, method.request.FromString(envelope.payload)
        except DecodeError:
            return no_request(method.route_key, method.request.__name__)

    async def run_local(self, actor: Actor, call: LocalCall) -> None:
        """Run one call from inside the process that does not stream; its future gets the reply
        object or the error."""
        method, handler = self._table[call.method.route_key]
        caller = self.who[actor.id.text]
        context = Context(actor, caller, call, deadline=call.deadline, method=method)
        arrive(call)
        try:
            if method.handler_timeout is None:  # nearly always
                call.succeed(checked(method, await handler(call.request, context)))
            else:
                async with timeout(method.handler_timeout):
                    call.succeed(checked(method, await handler(call.request, context)))
        except CancelledError as exc:
            if call.future.done() or is_asked():
                raise
            call.fail(self.error_of(method, exc, Asked.by(actor.id, call)))
        except BaseException as exc:
            if is_torn_down(exc):
                raise
            call.fail(self.error_of(method, exc, Asked.by(actor.id, call)))

    def error_of(self, method: Method[Any, Any], exc: BaseException, asked: Asked) -> CallError:
        """What the caller is told of a handler's exception: its class, never its inside, and the
        id by which the log here has all of it.

        It can be sent, whatever it is: the way out for unary calls, streams, and calls inside the
        process.
        """
        if isinstance(exc, CallError):
            error = sendable(exc)
            if error is not exc:
                log.warning("error cannot be sent as it is: route=%s", method.route_key)
            # A refusal is of a call that the handler made: its own caller would take it for one.
            return CallError(error.code, error.message) if is_refusal(error) else error
        if isinstance(exc, TimeoutError | DeadlineError):
            return CallError(Code.DEADLINE_EXCEEDED, f"{method.route_key} ran out of time")
        log.error("handler failed: method=%s %s", method.route_key, asked, exc_info=exc)
        if self._failed is not None:
            self._failed(exc)
        return internal(method.route_key, exc, asked.request_id)


def _key_in(method: Method[Any, Any], field: str, payload: bytes) -> str | None:
    """The key of a request; None of one that cannot be read: its handler's turn says so."""
    try:
        return _field_key(field, method.request.FromString(payload))
    except DecodeError:
        return None
    except Exception as exc:  # noqa: BLE001 - the boundary: it reads what others sent
        note_failure("scheduler", f"key/{method.route_key}", exc)
        return None


def _field_key(field: str, message: Any) -> str:
    # By the field's name, so that methods with the same key keep out of each other's way.
    return f"{field}={getattr(message, field)}"


def deadline_of(request: Request, envelope: Envelope, now: float) -> float | None:
    """When the caller gives up, by the loop's clock; None: never.

    It counts from the request's arrival. One that waited through a restart has its time anew: it
    was accepted, so it runs (docs/mailbox.md).
    """
    seconds = envelope.timeout
    if seconds is None:
        return None
    return seconds + (now if request.arrived_at is None else request.arrived_at)


def latest_end(method: Method[Any, Any], deadline: float | None) -> float | None:
    """When the handler of a stream that starts now has to have ended, by the loop's clock; None:
    it may run for ever."""
    if method.handler_timeout is None:
        return deadline
    end = get_running_loop().time() + method.handler_timeout
    return end if deadline is None else min(end, deadline)


def decoded(request: Request) -> Envelope:
    """The envelope of a request; one that waited through a restart is decoded anew."""
    envelope: Envelope = request.decoded or decode_envelope(request.envelope)
    return envelope


def error_reply(request: Request, error: CallError) -> bytes | None:
    """The response that says ``error``; None for a tell, which has none."""
    return None if request.is_tell else encode_error(request.request_id, error)
