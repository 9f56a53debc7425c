"""The shell's handle on a running actor."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator, Mapping
from functools import partial
from typing import Any, Protocol, overload

from actr_peer.actor.reach import Reach
from actr_peer.errors import ConfigError
from actr_peer.node.assembly import Assembly
from actr_peer.node.config import NodeConfig
from actr_peer.node.contract.handlers import check_handlers
from actr_peer.node.observe.view import NodeView
from actr_peer.protocol.identity import ActrId, Place
from actr_peer.protocol.signaling.presence import Presence
from actr_peer.rpc.destinations.scope import ROOT
from actr_peer.rpc.destinations.verbs import Target
from actr_peer.rpc.local import LocalGate
from actr_peer.service import Caller, CallOptions, Method, MethodKind, Req, Service


class Running(Protocol):
    """The :class:`~actr_peer.Node` behind a ref, as the code around an actor sees it."""

    config: NodeConfig
    ended: asyncio.Event
    """Set when it has ended, or must end: a newer process has its identity."""

    @property
    def failure(self) -> BaseException | None:
        """What ended it, once it has ended without being asked to."""

    def view(self) -> NodeView:
        """What it looks like at this moment."""

    async def close(self) -> None: ...


class ActrRef(LocalGate, Reach):
    """A running actor, as the code around it sees it.

    It is itself a :class:`~actr_peer.service.Caller` for the own workload, so
    ``RoomClient(ref)`` calls the workload inside the process and ``RoomClient(ref.to(other))``
    calls another actor. ``durable=`` and :meth:`to_self` call the own workload by its mailbox.
    Awaiting it waits for the actor's end.

    Attributes:
        node: What looks inside: ``ref.node.view()``.
    """

    def __init__(self, assembly: Assembly, node: Running) -> None:
        Reach.__init__(self, assembly)
        end, out = assembly.local.to_workload, assembly.outbound
        LocalGate.__init__(self, end, out, mailbox_of=assembly.id)
        self.node = node
        self._assembly = assembly
        self._tell: Callable[..., Any] = partial(LocalGate.tell, self)
        if assembly.interceptors:  # in place of the class's own, where nothing is asked
            own = self._through(LocalGate(end, out, mailbox_of=assembly.id), "self", ROOT)
            self._tell = own.tell
            for kind in MethodKind:
                setattr(self, kind.value, getattr(own, kind.value))

    @property
    def id(self) -> ActrId:
        return self._assembly.id

    def to(self, remote: ActrId | str, *, wait_for_ready: bool = True) -> Caller:
        """A caller for ``remote``.

        Args:
            remote: An :class:`ActrId`, its text or its URI; ``"self"``, the workload; or an actor
                type (``acme:room``): as :meth:`any` of it.
            wait_for_ready: As gRPC's: False makes new calls fail at once with UNAVAILABLE and a
                retry-after while a link that worked is being mended; True lets them wait for a
                wire within their deadline. An actor that was not reached yet is dialled three times
                within some seconds, whatever this says; then calls to it end with UnreachableError.

        Raises:
            ConfigError: If the text is no destination, or the shell, which this is.
            ClosedError: If the actor is closed.
        """
        if remote == Place.SHELL.value:
            raise ConfigError("destination 'shell': this is the shell; handlers call it by ctx")
        return self._caller(remote, ROOT, waits=wait_for_ready)

    @overload
    def tell(
        self, method: Method[Req, Any], request: Req, options: CallOptions
    ) -> Coroutine[Any, Any, None]: ...

    @overload
    def tell(
        self,
        remote: Target,
        request: Req,
        *,
        method: Method[Req, Any] | None = None,
        metadata: Mapping[str, str] | None = None,
        durable: bool | str = False,
    ) -> Coroutine[Any, Any, None]: ...

    def tell(self, *given: Any, **named: Any) -> Any:
        """Send a request without waiting for a reply: see :meth:`Context.tell`.

        With a method first it is the :class:`Caller`'s, by which a typed client tells.
        """
        if given and isinstance(given[0], Method):
            return self._tell(*given, **named)
        return Reach.tell(self, *given, **named)

    def to_self(self, *, durable: bool = False) -> Caller:
        """A caller for the own workload by the complete path, as a remote's calls come.

        Its calls and tells are stored in the mailbox before they run: they survive a crash, have
        a ``ctx.transaction()``, may be deferred, and run under their conflict keys. A tell
        returns when it is stored. Streams go the direct way, which keeps nothing.

        Args:
            durable: As ``durable=True`` with each call: it is kept in the outbox too, until it
                is answered. A call may name a key of its own.

        Raises:
            ClosedError: If the actor is closed.
        """
        return self._through(self._assembly.caller_to_self(ROOT, durable=durable), "self", ROOT)

    def serve(self, *services: Service) -> None:
        """Let the workload call these objects through ``ctx.shell``.

        Raises:
            ConfigError: As :meth:`System.attach`.
        """
        for service in services:
            check_handlers(service)
        self._assembly.shell_handlers.add(services)

    async def subscribe(self, actr_type: str = "") -> list[Presence]:
        """Hear of actors of a type (all of the realm when empty) through ``on_presence``.

        Returns those that are online now.
        """
        return await self._assembly.signaling.subscribe(actr_type)

    def durable_keys(self) -> list[str]:
        """Keys of the durable calls that are kept, of this start and of earlier ones.

        Make a call again with its key to get its reply; it does not run twice.
        """
        return self._assembly.durable.keys()

    def forget_call(self, key: str) -> None:
        """Forget a durable call whose reply has been acted on; harmless if it is unknown."""
        self._assembly.durable.forget(key)

    def network_changed(self) -> None:
        """This machine's network changed: make every WebRTC wire anew beside the old one."""
        self._assembly.transport.network_changed()

    async def close(self) -> None:
        """End the actor gracefully; harmless when it has ended. See ``Node.close``.

        Raises:
            BaseException: What ended the actor, if it did not end because it was asked to.
        """
        await self.node.close()

    def __await__(self) -> Generator[Any, None, None]:
        """Wait until the actor has ended, or was replaced by a newer process.

        Raises:
            BaseException: What ended the actor, if it did not end because it was asked to.
        """
        yield from self.node.ended.wait().__await__()
        if self.node.failure is not None:
            raise self.node.failure
