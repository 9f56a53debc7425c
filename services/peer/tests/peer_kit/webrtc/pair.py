"""Two ``WebRtcWires`` in one process, joined by a relay in memory, for tests."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from actr_peer.errors import UnreachableError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.certificates import Certificate, read_certificate
from actr_peer.protocol.identity.identity import Certified
from actr_peer.protocol.webrtc.negotiation import NegotiateMessage
from actr_peer.wire.base import Wire
from actr_peer.wire.webrtc.wires import WebRtcWires
from peer_kit.fakes import ALICE, BOB

Said = tuple[ActrId, NegotiateMessage]


@dataclass
class Relay:
    """Stands for signaling: brings messages over, in order, in a later turn of the loop.

    Attributes:
        said: All messages that were handed over, with their source, oldest first.
        is_down: While true, nothing is taken: senders get ``UnreachableError``.
        lose: Messages for which this is true are taken and never arrive.
        signed: Who signs what it says, and with which certificate.
    """

    said: list[Said] = field(default_factory=list)
    is_down: bool = False
    lose: Callable[[NegotiateMessage], bool] = lambda message: False
    signed: dict[ActrId, Certificate] = field(default_factory=dict)
    _ends: dict[ActrId, WebRtcWires] = field(default_factory=dict)

    def join(self, wires: WebRtcWires) -> None:
        self._ends[wires.self_id] = wires

    def of(self, source: ActrId) -> Callable[[ActrId, NegotiateMessage], Any]:
        async def relay(remote: ActrId, message: NegotiateMessage) -> None:
            await asyncio.sleep(0)
            if self.is_down or remote not in self._ends:
                raise UnreachableError(str(remote), "offline")
            self.said.append((source, message))
            if not self.lose(message):
                self._ends[remote].receive(source, message, self.signed.get(source))

        return relay


@dataclass
class Pair:
    """ALICE, who offers, and BOB.

    Attributes:
        arrived: Wires that the far side asked for, on either side.
    """

    relay: Relay
    alice: WebRtcWires
    bob: WebRtcWires
    arrived: asyncio.Queue[Wire]

    async def connect(self) -> tuple[Any, Any]:
        """Dial from ALICE; return both ends, the dialler's first."""
        near = await self.alice.dial(BOB)
        return near, await self.arrived.get()


@asynccontextmanager
async def webrtc_pair(
    certified: Mapping[ActrId, Certified] | None = None, **settings: Any
) -> AsyncIterator[Pair]:
    """Yield both sides with nothing connected; ``settings`` are those of ``WebRtcWires``."""
    certified = certified or {}
    relay = Relay()
    for who, own in certified.items():
        relay.signed[who] = read_certificate(own.identity.certificate.encode())
    arrived: asyncio.Queue[Wire] = asyncio.Queue()
    settings = {"ice_servers": tuple} | settings

    def make(self_id: ActrId) -> WebRtcWires:
        return WebRtcWires(
            self_id=self_id,
            relay=relay.of(self_id),
            on_wire=arrived.put_nowait,
            certified=certified.get(self_id),
            **settings,
        )

    loop = asyncio.get_running_loop()
    shown: list[dict[str, Any]] = []

    def show(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        # A test that cancels what it gathered leaves just that behind.
        if not isinstance(context.get("exception"), asyncio.CancelledError):
            shown.append(context)

    loop.set_exception_handler(show)
    async with make(ALICE) as alice, make(BOB) as bob:
        relay.join(alice)
        relay.join(bob)
        yield Pair(relay, alice, bob, arrived)
    await asyncio.sleep(0)
    gc.collect()  # tasks that failed with nobody waiting say so now
    assert shown == []
