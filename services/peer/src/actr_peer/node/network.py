"""How a node reaches others: signaling, both kinds of wire, and the transport over them."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from types import TracebackType
from typing import Any, Self

from actr_peer.errors import ClosedError, UnreachableError
from actr_peer.node.config import NodeConfig
from actr_peer.node.sinks import LinkEvents, SignalingEvents
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.media import MediaFrame
from actr_peer.protocol.payload import WireKind
from actr_peer.protocol.session.wires.policy import WireState
from actr_peer.protocol.signaling.presence import Load, Presence, Registration
from actr_peer.protocol.webrtc.negotiation import IceServer, NegotiateMessage
from actr_peer.service import Service
from actr_peer.transport.link import Link
from actr_peer.transport.publications import Publication, Publications
from actr_peer.transport.remote import RemoteTransport
from actr_peer.wire.base import Wire
from actr_peer.wire.signaling.client import SignalingClient
from actr_peer.wire.webrtc.aiortc.ice import usable_servers
from actr_peer.wire.webrtc.engine import EngineOptions
from actr_peer.wire.webrtc.source import guard
from actr_peer.wire.webrtc.wires import WebRtcWires
from actr_peer.wire.websocket.wires import WebSocketWires

log = logging.getLogger(__name__)


class Wiring:
    """Layers 0 and 1 of a node; a block, owned by the node.

    Leaving the block closes the links first, then signaling, so that a connection which is being
    closed still can say so.
    """

    def __init__(
        self,
        config: NodeConfig,
        incarnation: int,
        services: Sequence[Service],
        links: LinkEvents,
        signaling: SignalingEvents,
        *,
        backlog: Callable[[], int],
    ) -> None:
        self.on_frame: Callable[[ActrId, MediaFrame], None] = lambda remote, frame: None
        self.is_awaited: Callable[[ActrId], bool] = lambda remote: False
        """Whether a call, a stream or a handler waits for something of a remote."""
        self._config = config
        self._incarnation, self._services = incarnation, services
        self._signaling_events = signaling
        self._backlog = backlog
        self._publications: dict[ActrId, Publications] = {}
        self._is_leaving = False
        self._stack = AsyncExitStack()
        self.signaling: SignalingClient | None = None
        self.websocket = WebSocketWires(
            self_id=config.id,
            listen=config.listen if WireKind.WEBSOCKET in config.prefer else None,
            advertise=config.advertise,
            towards=config.signaling_url,
            on_wire=self._accept,
            secret=config.realm_secret,
            rule=config.reach,
        )
        self.webrtc = WebRtcWires(
            self_id=config.id,
            relay=self._relay,
            ice_servers=self._ice_servers,
            ice_policy=config.ice_policy,
            options=EngineOptions(rule=config.reach),
            on_wire=self._accept,
        )
        dial = {WireKind.WEBRTC: self.webrtc.dial, WireKind.WEBSOCKET: self._dial_websocket}
        self.transport = RemoteTransport(
            self_id=config.id,
            incarnation=incarnation,
            dialers={kind: dial[kind] for kind in config.prefer},
            sink=links,
            prefer=config.prefer,
            health_interval=config.health_interval,
            in_use=self._in_use,
        )
        links.on_wire = self._wire_changed
        signaling.on_relayed = self._relayed

    async def __aenter__(self) -> Self:
        config = self._config
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.websocket)
            await stack.enter_async_context(self.webrtc)
            registration = Registration(
                id=config.id,
                ws_address=self.websocket.address or "",
                services=tuple(
                    pair for service in self._services for pair in service.fingerprints().items()
                ),
                incarnation=self._incarnation,
            )
            self.signaling = SignalingClient(
                url=config.signaling_url,
                registration=registration,
                secret=config.realm_secret,
                sink=self._signaling_events,
                load=self._load,
                address=self.websocket.address_from,
            )
            await stack.enter_async_context(self.signaling)
            await stack.enter_async_context(self.transport)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.__aexit__(exc_type, exc, traceback)

    async def leave(self) -> None:
        """Flush and close the links, then leave signaling; nothing new comes after."""
        self._is_leaving = True
        # All at once, and of those that there are now: others may be asked for meanwhile.
        everybody = tuple(self._publications.values())
        await asyncio.gather(*(publications.close() for publications in everybody))
        await self.transport.close()
        await self._client().unregister()

    async def discover(
        self, actr_type: str = "", *, service: str = "", limit: int = 16
    ) -> list[Presence]:
        """Who is online, best first."""
        return await self._client().discover(actr_type, service=service, limit=limit)

    async def subscribe(self, actr_type: str = "") -> list[Presence]:
        """Hear of actors of a type from now on; returns those that are online."""
        return await self._client().subscribe(actr_type)

    async def publish(self, remote: ActrId, source: Any, *, timeout: float) -> Publication:
        """Send a track to ``remote``, now and on every later WebRTC wire to it.

        Raises:
            ClosedError: If this side leaves.
            PeerError: As ``Publications.publish``.
        """
        source = guard(source)
        if self._is_leaving:
            raise ClosedError("the actor is leaving")
        link = self.transport.link(remote)
        publications = self._publications.get(remote)
        if publications is None:
            publications = self._publications[remote] = Publications(remote)
            wire = link.wire(WireKind.WEBRTC)
            if wire is not None:
                publications.wire_ready(wire)
        return await publications.publish(source, timeout=timeout)

    def request_keyframe(self, remote: ActrId, track_id: str) -> None:
        """Ask ``remote`` for a key frame of a track that it sends; does nothing without it."""
        link = self.transport.find(remote)
        wire = link.wire(WireKind.WEBRTC) if link is not None else None
        if wire is not None:
            self.webrtc.request_keyframe(wire, track_id)

    def _wire_changed(
        self, link: Link, kind: WireKind, state: WireState, wire: Wire | None
    ) -> None:
        if kind is not WireKind.WEBRTC:
            return
        if state is WireState.READY and wire is not None:
            remote = link.remote
            self.webrtc.on_frame_of(wire, partial(self._frame, remote))
            publications = self._publications.get(remote)
            if publications is not None:
                publications.wire_ready(wire)
        elif wire is None and link.remote in self._publications:
            self._publications[link.remote].wire_lost()

    def _frame(self, remote: ActrId, frame: MediaFrame) -> None:
        self.on_frame(remote, frame)

    def _in_use(self, link: Link) -> bool:
        """Whether a silent link still is needed: for its tracks, or for what is above."""
        publications = self._publications.get(link.remote)
        has_tracks = publications is not None and bool(publications.tracks())
        return has_tracks or self.is_awaited(link.remote)

    def _accept(self, wire: Wire) -> None:
        self.transport.accept(wire)

    async def _dial_websocket(self, remote: ActrId) -> Wire:
        presence = await self._client().lookup(remote)
        if presence is None:
            raise UnreachableError(str(remote), "no such actor is online")
        if not presence.ws_address:
            raise UnreachableError(str(remote), "it has no WebSocket listener")
        return await self.websocket.dial(remote, presence.ws_address)

    async def _relay(self, remote: ActrId, message: NegotiateMessage) -> None:
        await self._client().relay(remote, message)

    def _relayed(self, source: ActrId, message: NegotiateMessage) -> None:
        if WireKind.WEBRTC in self._config.prefer:
            self.webrtc.receive(source, message)

    def _ice_servers(self) -> Sequence[IceServer]:
        theirs = self.signaling.ice_servers if self.signaling is not None else ()
        return (*self._config.ice_servers, *usable_servers(theirs))

    def _load(self) -> Load:
        # What the machine has left: processors that nothing runs on, by the last minute's load.
        busy = os.getloadavg()[0] / (os.cpu_count() or 1)
        return Load(mailbox_backlog=self._backlog(), power_reserve=max(0.0, 1.0 - busy))

    def _client(self) -> SignalingClient:
        if self.signaling is None:
            raise UnreachableError(self._config.signaling_url, "the actor has not started")
        return self.signaling
