"""Two transports in one process, joined by memory wires of both kinds, and what they hear."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from actr_peer.errors import PeerError, UnreachableError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import RPC_LANES, PayloadType, WireKind
from actr_peer.protocol.session.wires.policy import WireState
from actr_peer.testing.wires import MemoryNet
from actr_peer.transport.link import Link
from actr_peer.transport.remote import RemoteTransport
from actr_peer.wire.base import Wire

ADA = ActrId("acme", "ada", "1")
BOB = ActrId("acme", "bob", "1")
KINDS = (WireKind.WEBRTC, WireKind.WEBSOCKET)
PATIENCE = 60.0
"""Seconds after which a test that waits has failed; never waited for in full."""


class Heard:
    """A sink that keeps what it is told, and acknowledges RPC messages at once if asked."""

    def __init__(self, *, acknowledges: bool = True) -> None:
        self.acknowledges = acknowledges
        self.messages: list[tuple[PayloadType, bytes, int]] = []
        self.resets: list[Mapping[PayloadType, int]] = []
        self.errors: list[PeerError] = []
        self.changes: list[tuple[WireKind, WireState]] = []
        self._changed = asyncio.Event()

    def message(self, link: Link, payload_type: PayloadType, message: bytes, number: int) -> None:
        self.messages.append((payload_type, message, number))
        if self.acknowledges and payload_type in RPC_LANES:
            link.acknowledge(payload_type, number)
        self._changed.set()

    def reset(self, link: Link, last_delivered: Mapping[PayloadType, int]) -> None:
        self.resets.append(last_delivered)
        self._changed.set()

    def gone(self, link: Link, error: PeerError) -> None:
        self.errors.append(error)
        self._changed.set()

    def wire_changed(self, link: Link, kind: WireKind, state: WireState, wire: Wire | None) -> None:
        self.changes.append((kind, state))
        self._changed.set()

    def bodies(self, payload_type: PayloadType = PayloadType.RPC_RELIABLE) -> list[bytes]:
        return [message for lane, message, _ in self.messages if lane is payload_type]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until ``condition`` holds; it is asked again after each thing heard."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait for what nobody reports: acknowledgements, closed duplicates."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


Dial = Callable[[ActrId], Awaitable[Wire]]


class Side:
    """One process: its transport, what it heard, and how it dials."""

    def __init__(self, actr_id: ActrId, nets: Mapping[WireKind, MemoryNet], incarnation: int):
        self.id = actr_id
        self.heard = Heard()
        self.dials: list[WireKind] = []
        self._nets = nets
        self.dialers: dict[WireKind, Dial] = {}
        self.incarnation = incarnation
        self.transport: RemoteTransport

    def dialer(self, kind: WireKind) -> Dial:
        incarnation = self.incarnation

        async def dial(remote: ActrId) -> Wire:
            self.dials.append(kind)
            if incarnation != self.incarnation:
                raise UnreachableError(str(remote), "this process is dead")
            return await self._nets[kind].dial(self.id, remote)

        return dial

    def make(self, **options: object) -> RemoteTransport:
        self.dialers = {kind: self.dialer(kind) for kind in self._nets}
        self.transport = RemoteTransport(
            self_id=self.id,
            incarnation=self.incarnation,
            dialers=self.dialers,
            sink=self.heard,
            prefer=KINDS,
            **options,  # type: ignore[arg-type]
        )
        for net in self._nets.values():
            net.listen(self.id, self.transport.accept)
        return self.transport


class Pair:
    """Ada and Bob and the network between them."""

    def __init__(self) -> None:
        self.nets = {kind: MemoryNet(kind) for kind in KINDS}
        self.ada = Side(ADA, self.nets, incarnation=1000)
        self.bob = Side(BOB, self.nets, incarnation=2000)

    def cut(self, kind: WireKind) -> None:
        for wire in self.nets[kind].wires:
            wire.cut()


@asynccontextmanager
async def joined(**options: object) -> AsyncIterator[Pair]:
    """A pair whose transports run until the block ends."""
    pair = Pair()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(pair.bob.make(**options))
        await stack.enter_async_context(pair.ada.make(**options))
        yield pair
