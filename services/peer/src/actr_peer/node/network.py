"""How a node reaches others: signaling, all kinds of wire, and the transport over them."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from types import TracebackType
from typing import Self

from actr_peer.errors import CertificateError, UnreachableError
from actr_peer.node.config import NodeConfig
from actr_peer.node.sinks import Above, NodeLinkSink, NodeSignalingSink, RefusalEvent
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.descriptions import Statements
from actr_peer.protocol.identity.identity import Certified
from actr_peer.protocol.media.frames import TrackStats
from actr_peer.protocol.payload import WireKind
from actr_peer.protocol.session.wires.policy import WireState
from actr_peer.protocol.signaling.presence import Load, Registration
from actr_peer.protocol.webrtc.negotiation import IceServer, Join, NegotiateMessage
from actr_peer.service import Service
from actr_peer.transport.link import Link
from actr_peer.transport.remote import RemoteTransport
from actr_peer.wire.base import Wire
from actr_peer.wire.issuer.credentials import Credentials
from actr_peer.wire.relayed.wires import RelayedWires
from actr_peer.wire.signaling.client import SignalingClient
from actr_peer.wire.webrtc.engine import EngineOptions
from actr_peer.wire.webrtc.signed import SignedRelay
from actr_peer.wire.webrtc.wire import WebRtcWire
from actr_peer.wire.webrtc.wires import WebRtcWires
from actr_peer.wire.websocket.wire import WebSocketWire
from actr_peer.wire.websocket.wires import WebSocketWires

log = logging.getLogger(__name__)


class Network:
    """Layers 0 and 1 of a node; a block, owned by the node.

    Leaving the block closes the links first, then signaling, so that a connection which is being
    closed still can say so.
    """

    def __init__(
        self, config: NodeConfig, incarnation: int, services: Sequence[Service], above: Above
    ) -> None:
        self._config, self._above, self._stack = config, above, AsyncExitStack()
        self._incarnation, self._services = incarnation, services
        self.credentials = _credentials(config, above, self._end_revoked)
        own = self.credentials
        certified = None if own is None else own.certified(above.shown)
        told = partial(_refuse_wire, above)
        self.websocket = WebSocketWires(
            self_id=config.id,
            listen=config.listen if WireKind.WEBSOCKET in config.prefer else None,
            advertise=config.advertise,
            allowed_origins=config.allowed_origins,
            towards=config.signaling_url,
            on_wire=self._accept,
            secret=config.realm_secret,
            certified=certified,
            refused=told,
            rule=config.reach,
        )
        self.webrtc = WebRtcWires(
            self_id=config.id,
            relay=self._relay,
            ice_servers=self._ice_servers,
            ice_policy=config.ice_policy,
            options=EngineOptions(rule=config.reach),
            on_wire=self._accept,
            certified=certified,
        )
        self.signaling = SignalingClient(
            url=config.signaling_url,
            registration=self._registration,
            secret=config.realm_secret,
            relayed=self._hear,
            sink=NodeSignalingSink(above.hooks, above.replaced),
            load=self._load,
            certified=certified,
            start_timeout=config.start_timeout,
            absent_timeout=config.absent_timeout,
        )
        self.relayed = self._relayed(certified, told)
        self.signed = self._signed(above)
        self.transport = self._transport(above)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            if self.credentials is not None:
                await stack.enter_async_context(self.credentials)
            for part in (self.websocket, self.webrtc, self.relayed, self.signaling, self.transport):
                await stack.enter_async_context(part)
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
        await self.transport.close()
        await self.signaling.unregister()

    def _relayed(
        self, certified: Certified | None, told: Callable[[ActrId, str], None]
    ) -> RelayedWires:
        return RelayedWires(
            self_id=self._config.id,
            url=self._config.signaling_url,
            ask=self.signaling.relay,
            on_wire=self._accept,
            secret=self._config.realm_secret,
            allowed_realms=self._config.allowed_realms,
            certified=certified,
            refused=told,
        )

    def _signed(self, above: Above) -> SignedRelay | None:
        """Descriptions with proof; None: this actor has nothing to prove itself with."""
        own = self.credentials
        if own is None:
            return None
        statements = Statements(
            self._config.id,
            self._incarnation,
            identity=own,
            believe=own.verify,
            is_required=own.is_required,
        )
        return SignedRelay(
            statements,
            now=own.clock.now,
            incarnation_of=self._incarnation_of,
            relay=self.signaling.relay,
            receive=self.webrtc.receive,
            is_live=self.webrtc.knows,
            refused=lambda remote, error: above.hooks.post(
                "on_refusal", RefusalEvent(remote=remote, what="description", why=str(error))
            ),
        )

    def _transport(self, above: Above) -> RemoteTransport:
        """Links over all kinds of wire."""
        prefer = (*self._config.prefer, *((WireKind.RELAYED,) if self._config.relayed else ()))
        dial = {
            WireKind.WEBRTC: self._dial_webrtc,
            WireKind.WEBSOCKET: self._dial_websocket,
            WireKind.RELAYED: self.relayed.dial,
        }
        return RemoteTransport(
            self_id=self._config.id,
            incarnation=self._incarnation,
            dialers={kind: dial[kind] for kind in prefer},
            sink=NodeLinkSink(
                above.hooks,
                message=above.message,
                reset=above.reset,
                gone=above.gone,
                wire_changed=self._wire_changed,
            ),
            prefer=prefer,
            health_interval=self._config.health_interval,
            in_use=lambda link: above.is_awaited(link.remote),
            own_frame=partial(above.frame, self._config.id),
            own_described=partial(above.tracks, self._config.id, 0),
        )

    def request_keyframe(self, remote: ActrId, track_id: str) -> None:
        """Ask ``remote`` for a key frame of a track that it sends; does nothing without it."""
        link = self.transport.find(remote)
        wire = link.wire(WireKind.WEBRTC) if link is not None else None
        if remote == self._config.id:
            self.transport.own_tracks.request_keyframe(track_id)
        elif wire is not None:
            self.webrtc.request_keyframe(wire, track_id)

    def media_stats(self, remote: ActrId) -> tuple[list[TrackStats], float | None]:
        """How the tracks to and from ``remote`` fare, and the round trip; empty without a wire."""
        link = self.transport.find(remote)
        wire = link.wire(WireKind.WEBRTC) if link is not None else None
        return self.webrtc.media_stats(wire) if wire is not None else ([], None)

    def _wire_changed(
        self, link: Link, kind: WireKind, state: WireState, wire: Wire | None
    ) -> None:
        self._above.wire(link.remote, kind, state)
        if kind is WireKind.WEBRTC and state is WireState.READY and wire is not None:
            self._follow_media(wire)  # anew: by now it is known what its remote may

    def _follow_media(self, wire: Wire) -> Wire:
        """Tell of each wire's tracks, whichever of two the link takes: the far side may differ."""
        told = partial(self._above.tracks, wire.remote, wire.id)
        self.webrtc.receive_media(wire, partial(self._above.frame, wire.remote), told)
        return wire

    def _end_revoked(self) -> None:
        """End the links and wires of those whose certificate is revoked by now."""
        own = self.credentials
        assert own is not None
        found: dict[ActrId, CertificateError] = {}
        wires: list[WebSocketWire | WebRtcWire] = [*self.websocket.wires(), *self.webrtc.wires()]
        wires += self.relayed.wires()
        for wire in wires:
            try:
                own.refuse_revoked(wire.certificate)
            except CertificateError as error:
                found.setdefault(wire.remote, error)
                if (link := self.transport.find(wire.remote)) is not None:
                    link.fail(error)  # first: it would mend what has lost a wire
                wire.fail(error)
        for remote, why in found.items():
            log.warning("link ended: remote=%s cause=%s", remote, why)
            event = RefusalEvent(remote=remote, what="link", why=str(why))
            self._above.hooks.post("on_refusal", event)

    def _accept(self, wire: Wire) -> None:
        self.transport.accept(self._follow_media(wire))

    async def _dial_webrtc(self, remote: ActrId) -> Wire:
        return self._follow_media(await self.webrtc.dial(remote))

    async def _dial_websocket(self, remote: ActrId) -> Wire:
        presence = await self.signaling.lookup(remote)
        if presence is None:
            raise UnreachableError(str(remote), "no such actor is online")
        if not presence.ws_address:
            raise UnreachableError(str(remote), "it has no WebSocket listener")
        return await self.websocket.dial(remote, presence.ws_address)

    async def _relay(self, remote: ActrId, message: NegotiateMessage) -> None:
        relay = self.signaling.relay if self.signed is None else self.signed.relay
        await relay(remote, message)

    def _hear(self, source: ActrId, message: NegotiateMessage) -> None:
        if isinstance(message.body, Join):
            if self._config.relayed:
                self.relayed.invited(source, message)
        elif WireKind.WEBRTC in self._config.prefer:  # else an offer is of no use
            receive = self.webrtc.receive if self.signed is None else self.signed.receive
            receive(source, message)

    async def _incarnation_of(self, remote: ActrId) -> int:
        presence = await self.signaling.lookup(remote)
        return 0 if presence is None else presence.incarnation

    def _registration(self, local_host: str) -> Registration:
        config = self._config
        return Registration(
            id=config.id,
            ws_address=self.websocket.address_from(local_host),
            services=tuple(pair for one in self._services for pair in one.fingerprints().items()),
            incarnation=self._incarnation,
            metadata=config.metadata,
            visibility=config.visibility,
            allowed_realms=config.allowed_realms,
            takes_over=config.takes_over,
        )

    def _ice_servers(self) -> Sequence[IceServer]:
        # Asked for each connection: the library is loaded by then, and not before.
        from actr_peer.wire.webrtc.aiortc.ice import usable_servers

        return (*self._config.ice_servers, *usable_servers(self.signaling.ice_servers))

    def _load(self) -> Load:
        # What the machine has left: processors that nothing runs on, by the last minute's load.
        busy = os.getloadavg()[0] / (os.cpu_count() or 1)
        return Load(mailbox_backlog=self._above.backlog(), power_reserve=max(0.0, 1.0 - busy))


def _refuse_wire(above: Above, remote: ActrId, why: str) -> None:
    above.hooks.post("on_refusal", RefusalEvent(remote=remote, what="wire", why=why))


def _credentials(
    config: NodeConfig, above: Above, looked: Callable[[], None]
) -> Credentials | None:
    """What this actor proves itself with; None: nothing, or the secret alone."""
    if config.identity is None:
        return None
    return Credentials(
        config.id,
        config.identity,
        secret=config.realm_secret,
        failed=partial(above.hooks.post, "on_error"),
        start_timeout=config.start_timeout,
        ruled=above.ruled,
        looked=looked,
    )
