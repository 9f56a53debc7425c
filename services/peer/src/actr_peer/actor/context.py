"""What a handler may do besides answering. Fast-path callbacks get no Context."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from google.protobuf.message import Message

from actr_peer.actor.reach import Actor, Reach
from actr_peer.actor.turn import Deferred, Outcome, Turn
from actr_peer.errors import CallError, LocalProtocolError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.rpc.access.principals import Principal
from actr_peer.protocol.rpc.envelopes import encode_error, encode_reply
from actr_peer.rpc.destinations.scope import Scope
from actr_peer.service import Caller, Method

if TYPE_CHECKING:
    from actr_peer.state.mailbox.transaction import Transaction

LATER: Any = object()
"""What a handler returns that has put its reply off (:meth:`Context.defer`)."""


def checked(method: Method[Any, Any], reply: object) -> Message:
    """What a handler gave.

    Raises:
        TypeError: If it is no message of the method's reply type: a bug of the handler.
    """
    if not isinstance(reply, method.reply):
        raise TypeError(
            f"{method.route_key} must give a {method.reply.__name__}, not {type(reply).__name__}"
        )
    message: Message = reply
    return message


def serialize(method: Method[Any, Any], reply: object) -> bytes:
    """The bytes of what a handler gave; raises as :func:`checked`."""
    message: Message = reply if isinstance(reply, method.reply) else checked(method, reply)
    return message.SerializeToString()


class DeferredReply:
    """A reply that comes after its handler has returned: hand it to a task, return ``later``.

    The actor takes its next request meanwhile. One of the two methods is called once; what
    comes after the first is void.

    Attributes:
        later: What the handler returns.
    """

    def __init__(self, method: Method[Any, Any], request_id: str, deferred: Deferred) -> None:
        self.later: Any = LATER
        self._method = method
        self._request_id = request_id
        self._deferred = deferred

    def set_on_cancel(self, callback: Callable[[], None]) -> None:
        """Have ``callback`` called if the reply is void before it is given."""
        self._deferred.on_cancel = callback

    def send(self, reply: Message) -> None:
        """Give the reply.

        Raises:
            TypeError: If it is no message of the method's reply type.
        """
        data = encode_reply(self._request_id, serialize(self._method, reply))
        self._deferred.finish(Outcome(data))

    def fail(self, error: CallError) -> None:
        """Give an error instead."""
        reply = encode_error(self._request_id, error)
        self._deferred.finish(Outcome(reply, code=error.code))


class Origin(Protocol):
    """Where a request came from: an envelope, or a call from inside the process."""

    @property
    def request_id(self) -> str: ...

    @property
    def metadata(self) -> Mapping[str, str]: ...

    @property
    def traceparent(self) -> str: ...

    @property
    def tracestate(self) -> str: ...

    @property
    def call_chain(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose request a handler ran for, as the log has it."""

    caller: str
    request_id: str
    attempt: int = 1
    """Which try it was."""

    @classmethod
    def by(cls, caller: ActrId, origin: Origin) -> Asked:
        """Of what is tried once."""
        return cls(str(caller), origin.request_id)

    def __str__(self) -> str:
        return f"caller={self.caller} request={self.request_id} try={self.attempt}"


class Context(Reach):
    """One request's surroundings; good until its handler ends.

    Attributes:
        caller: Who asks, from the authenticated wire, with the claims of its certificate; this
            actor itself for calls from inside the process.
        method: What is asked: the row of its service's table.
    """

    __slots__ = ("_deadline", "_origin", "_turn", "caller", "method")

    def __init__(
        self,
        actor: Actor,
        caller: Principal,
        origin: Origin,
        *,
        deadline: float | None,
        method: Method[Any, Any],
        turn: Turn | None = None,
    ) -> None:
        self._actor = actor  # one is made for each request: its class above is not asked
        self._origin = origin
        self._turn = turn
        self.method = method
        self._deadline = deadline
        """By the loop's clock; None: the caller set none."""
        self.caller = caller

    @property
    def request_id(self) -> str:
        """The same for every retry of one call."""
        return self._origin.request_id

    @property
    def metadata(self) -> Mapping[str, str]:
        """As the caller sent it."""
        return self._origin.metadata

    def _inherited(self) -> Scope:
        """What calls of this handler inherit."""
        origin = self._origin
        return Scope(
            traceparent=origin.traceparent,
            tracestate=origin.tracestate,
            call_chain=(*origin.call_chain, origin.request_id),
            remaining=self.remaining,
        )

    @property
    def self_id(self) -> ActrId:
        return self._actor.id

    @property
    def trace(self) -> str:
        """The caller's ``traceparent`` (W3C Trace Context); empty without one."""
        return self._origin.traceparent

    def remaining(self) -> float | None:
        """Seconds the caller still waits, at least 0; None: it set no deadline."""
        if self._deadline is None:
            return None
        return max(0.0, self._deadline - asyncio.get_running_loop().time())

    def to(self, remote: ActrId | str) -> Caller:
        """A caller for ``remote``; its calls keep this request's deadline and trace.

        ``remote`` is as for :meth:`ActrRef.to`, and may be ``"shell"``.

        Raises:
            ConfigError: If the text is no destination.
        """
        return self._caller(remote, self._inherited())

    def to_self(self, *, durable: bool = False) -> Caller:
        """A caller for the own workload by the mailbox; see ``ActrRef.to_self``.

        A call that this handler waits for has to have another conflict key: it is a cycle else.
        """
        scope = self._inherited()
        return self._through(self._actor.caller_to_self(scope, durable=durable), "self", scope)

    @property
    def shell(self) -> Caller:
        """A caller for the code around the workload."""
        scope = self._inherited()
        return self._through(self._actor.caller_to_shell(scope), "shell", scope)

    def transaction(self) -> Transaction:
        """Effects that are committed with this request's completion and reply, or not at all.

        Raises:
            LocalProtocolError: If the request is not kept in the mailbox (a stream, or a call
                from inside the process).
        """
        if self._turn is None:
            raise LocalProtocolError(
                "only a request that is kept in the mailbox has a transaction: not a stream, nor "
                "a call from inside the process, unless it is made with to_self() or durable="
            )
        return self._turn.transaction()

    def defer(self) -> DeferredReply:
        """Put the reply off: ``reply = ctx.defer()``, hand it on, ``return reply.later``.

        Raises:
            LocalProtocolError: If the request is not kept in the mailbox.
            LimitError: If too many replies are due already.
        """
        if self._turn is None:
            raise LocalProtocolError(
                "only a request that is kept in the mailbox can be deferred: not a stream, nor a "
                "call from inside the process, unless it is made with to_self() or durable="
            )
        return DeferredReply(self.method, self.request_id, self._turn.defer())


def turn_of(ctx: Context) -> Turn | None:
    """For who stands around handlers: the turn of a request that the mailbox keeps; None: of a
    stream, or a call from inside the process."""
    return ctx._turn
