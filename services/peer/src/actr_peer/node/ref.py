"""The shell's handle on a running actor."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Generator
from typing import TYPE_CHECKING, Any

from actr_peer.actor.subscribers import MediaCallback, StreamCallback
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.signaling.presence import Presence
from actr_peer.rpc.remote import ROOT
from actr_peer.service import Caller, CallOptions, Method, Req, Res, Service
from actr_peer.transport.publications import Publication
from actr_peer.transport.streams import StreamWriter

if TYPE_CHECKING:
    from actr_peer.node.node import Node


class ActrRef:
    """A running actor, as the code around it sees it.

    It is itself a :class:`~actr_peer.service.Caller` for the own workload, so
    ``RoomClient(ref)`` calls the workload inside the process and ``RoomClient(ref.to(other))``
    calls another actor. Awaiting it waits for the actor's end.
    """

    def __init__(self, node: Node) -> None:
        self._node = node

    @property
    def id(self) -> ActrId:
        return self._node.id

    def to(self, remote: ActrId | str, *, wait_for_ready: bool = True) -> Caller:
        """A caller for ``remote``, an :class:`ActrId` or its text form.

        Args:
            wait_for_ready: As gRPC's: False makes new calls fail at once with UNAVAILABLE and a
                retry-after while a link that worked is being mended; True lets them wait for a
                wire within their deadline.

        Raises:
            ConfigError: If the text is no actor id.
            ClosedError: If the actor is closed.
        """
        return self._node.caller_to(remote, ROOT, wait_for_ready=wait_for_ready)

    def serve(self, *services: Service) -> None:
        """Let the workload call these objects through ``ctx.shell``."""
        self._node.serve_shell(services)

    async def unary(self, method: Method[Req, Res], request: Req, options: CallOptions) -> Res:
        return await self._node.caller_to_workload().unary(method, request, options)

    async def tell(self, method: Method[Req, Any], request: Req, options: CallOptions) -> None:
        await self._node.caller_to_workload().tell(method, request, options)

    def server_stream(
        self, method: Method[Req, Res], request: Req, options: CallOptions
    ) -> AsyncIterator[Res]:
        return self._node.caller_to_workload().server_stream(method, request, options)

    async def client_stream(
        self, method: Method[Req, Res], requests: AsyncIterable[Req], options: CallOptions
    ) -> Res:
        return await self._node.caller_to_workload().client_stream(method, requests, options)

    def bidi_stream(
        self, method: Method[Req, Res], requests: AsyncIterable[Req], options: CallOptions
    ) -> AsyncIterator[Res]:
        return self._node.caller_to_workload().bidi_stream(method, requests, options)

    async def discover(
        self, actr_type: str = "", *, service: str = "", limit: int = 16
    ) -> list[Presence]:
        """Actors that are online, by type or by service, best first."""
        return await self._node.discover(actr_type, service=service, limit=limit)

    async def subscribe(self, actr_type: str = "") -> list[Presence]:
        """Hear of actors of a type (all of the realm when empty) through ``on_presence``.

        Returns those that are online now.
        """
        return await self._node.wiring.subscribe(actr_type)

    def open_stream(
        self, remote: ActrId | str, channel_id: str, *, latency_first: bool = False
    ) -> StreamWriter:
        """The sending half of a channel that ``remote`` has registered a callback for."""
        return self._node.open_stream(remote, channel_id, latency_first=latency_first)

    def register_stream(self, channel_id: str, callback: StreamCallback) -> Callable[[], None]:
        """Have ``callback(chunk, sender)`` called for each item; returns what unregisters it."""
        return self._node.register_stream(channel_id, callback)

    def register_media(self, track_id: str | None, callback: MediaCallback) -> Callable[[], None]:
        """Have ``callback(frame, sender)`` called for each frame; None is any track."""
        return self._node.register_media(track_id, callback)

    async def publish(
        self, remote: ActrId | str, source: Any, *, timeout: float | None = None
    ) -> Publication:
        """Send a track of encoded samples to ``remote`` as native RTP."""
        return await self._node.publish(remote, source, timeout=timeout)

    def request_keyframe(self, remote: ActrId | str, track_id: str) -> None:
        """Ask ``remote`` for a key frame of a track that it sends; harmless if it sends none.

        After a loss the runtime asks by itself.
        """
        self._node.request_keyframe(remote, track_id)

    def durable_keys(self) -> list[str]:
        """Keys of the durable calls that are kept, of this start and of earlier ones.

        Make a call again with its key to get its reply; it does not run twice.
        """
        return self._node.durable.keys()

    def forget_call(self, key: str) -> None:
        """Forget a durable call whose reply has been acted on; harmless if it is unknown."""
        self._node.durable.forget(key)

    def network_changed(self) -> None:
        """This machine's network changed: make every WebRTC wire anew beside the old one."""
        self._node.wiring.transport.network_changed(None)

    @property
    def node(self) -> Node:
        """The node itself, for what looks inside: ``actr ps``, tests."""
        return self._node

    async def close(self) -> None:
        """End the actor gracefully; harmless when it has ended. See ``Node.close``.

        Raises:
            BaseException: What ended the actor, if it did not end because it was asked to.
        """
        await self._node.close()

    def __await__(self) -> Generator[Any, None, None]:
        """Wait until the actor has ended, or was replaced by a newer process.

        Raises:
            BaseException: What ended the actor, if it did not end because it was asked to.
        """
        yield from self._node.ended.wait().__await__()
        if self._node.failure is not None:
            raise self._node.failure
