"""What generated code is written against: methods, services, clients, callers (docs/codegen.md).

A generated module holds, for each service, a subclass of :class:`Service` with one abstract
handler per method, a subclass of :class:`Client` with one typed method per RPC, and the
static table of :class:`Method` rows. Nothing here knows of wires or lanes.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from google.protobuf.message import Message

from actr_peer.errors import LocalProtocolError
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.rpc.bounds import check_texts, is_plain
from actr_peer.protocol.rpc.contracts.fingerprint import Signature, canonical, number_of

__all__ = [
    "DEFAULT_OPTIONS",
    "CallOptions",
    "Caller",
    "Client",
    "Method",
    "MethodKind",
    "PayloadType",
    "Service",
    "call_options",
]

Req = TypeVar("Req", bound=Message)
Res = TypeVar("Res", bound=Message)
Req_contra = TypeVar("Req_contra", bound=Message, contravariant=True)


class MethodKind(Enum):
    """gRPC's four kinds: which sides stream."""

    UNARY = "unary"
    SERVER_STREAM = "server_stream"
    CLIENT_STREAM = "client_stream"
    BIDI_STREAM = "bidi_stream"

    @property
    def requests_stream(self) -> bool:
        return self in (MethodKind.CLIENT_STREAM, MethodKind.BIDI_STREAM)

    @property
    def replies_stream(self) -> bool:
        return self in (MethodKind.SERVER_STREAM, MethodKind.BIDI_STREAM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Method(Generic[Req, Res]):
    """One row of a service's static table."""

    route_key: str
    """``package.Service.Method``."""
    handler: str
    """Name of the handler on the service class, snake_case."""
    kind: MethodKind
    payload_type: PayloadType
    """Of the items for streaming methods; their opening always is ``RPC_RELIABLE``."""
    request: type[Req]
    reply: type[Res]
    conflict_key: str | None = None
    """``"sender"`` or a field of the request; None: the actor's serial order."""
    max_failures: int = 0
    """Tries of a failing handler before the request is a dead letter; 0: answer the error."""
    handler_timeout: float | None = None
    """Seconds a handler may run."""
    requires: tuple[str, ...] = ()
    """Claims that the caller's certificate must have, each ``name`` or ``name=value``."""
    is_idempotent: bool = False
    """To run it twice is as good as once: a call to a type may be tried at another actor where
    the first may have run it."""
    _contract: int = field(default=-1, init=False, repr=False, compare=False)

    @property
    def contract(self) -> int:
        """The number of :attr:`form`, as it travels with each call."""
        if self._contract < 0:  # made once, and kept past the freezing: it is no news
            object.__setattr__(self, "_contract", number_of(self.form))
        return self._contract

    @property
    def form(self) -> str:
        """What callers rely on: the canonical form of the service with this method alone."""
        service, _, name = self.route_key.rpartition(".")
        request: Any = self.request.DESCRIPTOR
        reply: Any = self.reply.DESCRIPTOR
        signature = Signature(name, self.kind.value, self.payload_type, request, reply)
        return canonical(service, (signature,))


_FINGERPRINTS: dict[str, str] = {}
"""By service, of the generated modules that are imported."""


def fingerprint_of(service: str) -> str:
    """The fingerprint of ``package.Service`` here; empty: no generated module of it is known."""
    return _FINGERPRINTS.get(service, "")


_KNOWN: dict[type[Message], dict[str, tuple[str, Method[Any, Any]]]] = {}
"""By type of request, then by route key: the typed client's name, and the method."""


def method_taking(request: type[Req], *, replies_stream: bool) -> Method[Req, Any]:
    """The one known method that takes one message of this type.

    Args:
        replies_stream: Whether it gives a stream of replies, or one.

    Raises:
        LocalProtocolError: If there is none, or more than one.
    """
    known = _KNOWN.get(request, {}).values()
    unary = [each for each in known if not each[1].kind.requests_stream]
    fitting = [each for each in unary if each[1].kind.replies_stream == replies_stream]
    if len(fitting) == 1:
        return fitting[0][1]
    name = request.DESCRIPTOR.full_name
    if fitting:
        routes = " and ".join(sorted(method.route_key for _, method in fitting))
        clients = " or ".join(sorted({client for client, _ in fitting}))
        raise LocalProtocolError(f"{name} is taken by {routes}: give method=, or use {clients}")
    for client, method in known:
        kind = method.kind.value
        raise LocalProtocolError(
            f"{name} is taken by {method.route_key}, which is {kind}: use {client}, or "
            + ("stream()" if method.kind.replies_stream else "call()")
            + (" with method=" if method.kind.requests_stream else "")
        )
    raise LocalProtocolError(
        f"no known method takes {name}: import the generated module of its service, or give method="
    )


def known_method(route_key: str) -> Method[Any, Any] | None:
    """The method of this route key, once the generated module of its service is imported."""
    found = (methods[route_key][1] for methods in _KNOWN.values() if route_key in methods)
    return next(found, None)


class Service:
    """Base of generated service classes; a workload subclasses one or several of them.

    Handlers take ``(request, ctx)``, where request is a message, or an async iterator of
    them where the client streams; they are ``async def`` returning a message, or async
    generators where the server streams.
    """

    SERVICE_NAME: ClassVar[str] = ""
    """``package.Service``."""
    FINGERPRINT: ClassVar[str] = ""
    """SHA-256 of the service's canonical descriptor, 64 hex digits (docs/codegen.md)."""
    METHODS: ClassVar[tuple[Method[Any, Any], ...]] = ()
    INTERCEPTORS: ClassVar[Sequence[object]] = ()
    """Of the actor that the workload is attached to, behind those that ``attach`` is given."""

    def __init_subclass__(cls, **named: Any) -> None:
        """Have the methods of a generated service known by the types of their requests."""
        super().__init_subclass__(**named)
        if "SERVICE_NAME" in cls.__dict__:  # generated: what derives from it adds none
            _FINGERPRINTS[cls.SERVICE_NAME] = cls.FINGERPRINT
            client = f"{cls.__name__.removesuffix('Service')}Client"
            for method in cls.__dict__.get("METHODS", ()):
                _KNOWN.setdefault(method.request, {})[method.route_key] = client, method

    @classmethod
    def fingerprints(cls) -> Mapping[str, str]:
        """Service name to fingerprint, over all generated services this class derives from."""
        return MappingProxyType(
            {
                base.__dict__["SERVICE_NAME"]: base.__dict__["FINGERPRINT"]
                for base in cls.__mro__
                if base.__dict__.get("SERVICE_NAME")
            }
        )

    @classmethod
    def method_table(cls) -> Mapping[str, Method[Any, Any]]:
        """Route key to method, over all generated services this class derives from."""
        table: dict[str, Method[Any, Any]] = {}
        for base in cls.__mro__:
            for method in base.__dict__.get("METHODS", ()):
                table.setdefault(method.route_key, method)
        return MappingProxyType(table)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOptions:
    """What a caller may say about one call."""

    timeout: float | None = None
    """Seconds over connecting, sending, retries and waiting; None: the configured default
    for unary calls, no limit for streams."""
    metadata: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    durable: bool | str = False
    """Kept in the caller's outbox until answered, across the caller's restart. A text is the
    application's key of the call: the same key asks for the same call's reply, also after a
    restart, and runs nothing twice. Its reply is kept until ``ActrRef.forget_call(key)``."""

    def __post_init__(self) -> None:
        """What is said wrongly is told where it is said.

        Raises:
            LocalProtocolError: If the timeout is no number, metadata are no texts, or ``durable``
                is neither a truth value nor a text.
        """
        timeout = self.timeout
        is_number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
        if timeout is not None and not (is_number and timeout == timeout):
            raise LocalProtocolError(f"timeout = {timeout!r}: must be seconds, or None")
        if not isinstance(self.durable, bool | str):
            raise LocalProtocolError(f"durable = {self.durable!r}: must be True, False, or a key")
        if isinstance(self.durable, str) and not is_plain(self.durable):
            raise LocalProtocolError(f"durable = {self.durable!r}: must be text in UTF-8")
        if self.metadata:
            check_texts(self.metadata)
            # The call's own: it is read again at each retry, and inside the process.
            object.__setattr__(self, "metadata", MappingProxyType(dict(self.metadata)))


DEFAULT_OPTIONS = CallOptions()


def call_options(
    timeout: float | None, metadata: Mapping[str, str] | None, *, durable: bool | str = False
) -> CallOptions:
    """Make the options of one call; a call that says nothing shares one object.

    Raises:
        LocalProtocolError: If one of them cannot be.
    """
    if timeout is None and not metadata and not durable:
        return DEFAULT_OPTIONS
    return CallOptions(
        timeout=timeout, metadata=metadata or DEFAULT_OPTIONS.metadata, durable=durable
    )


class Caller(Protocol):
    """One destination as a client sees it: a remote actor, the local workload, or the shell.

    Errors of all methods: ``UnreachableError``, ``DeadlineError``, ``CallError``,
    ``BrokenError``, ``ClosedError``, ``LimitError`` (message too long). Cancelling a call
    cancels the handler on the far side.
    """

    async def unary(self, method: Method[Req, Res], request: Req, options: CallOptions) -> Res: ...

    def server_stream(
        self, method: Method[Req, Res], request: Req, options: CallOptions
    ) -> AsyncIterator[Res]: ...

    async def client_stream(
        self, method: Method[Req, Res], requests: AsyncIterable[Req], options: CallOptions
    ) -> Res: ...

    def bidi_stream(
        self, method: Method[Req, Res], requests: AsyncIterable[Req], options: CallOptions
    ) -> AsyncIterator[Res]: ...

    async def tell(self, method: Method[Req, Any], request: Req, options: CallOptions) -> None:
        """Send a request that has no reply; returns when the runtime has accepted it."""


class Client:
    """Base of generated clients: ``RoomClient(ref.to("acme:room@2:default"))``."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def tell(
        self,
        method: Method[Req, Any],
        request: Req,
        *,
        metadata: Mapping[str, str] | None = None,
        durable: bool | str = False,
    ) -> None:
        """Send ``request`` without waiting for a reply."""
        await self._caller.tell(method, request, call_options(None, metadata, durable=durable))
