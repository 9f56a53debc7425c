"""WebRTC without a library: engines whose events a test makes, and one side of connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.webrtc.candidates import AddressRule
from actr_peer.protocol.webrtc.negotiation import Answer, Candidate, NegotiateMessage, Offer
from actr_peer.wire.base import Wire
from actr_peer.wire.webrtc.engine import EngineOptions, EngineSink
from peer_kit.fakes import BOB, turns


class Engine:
    """No library, no network: the test makes its events."""

    media = None
    max_message_bytes = 65536
    buffered_bytes = 0
    is_full = False
    is_relayed = False
    address_rule = AddressRule()

    def __init__(self, options: EngineOptions, sink: EngineSink, tasks: Any) -> None:
        self.sink = sink
        self.closed = False
        self.failure: BaseException | None = None
        """Raised by everything that is asked of it."""
        self.freed = asyncio.Event()
        self.freed.set()

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure

    async def offer(self) -> Offer:
        self._fail()
        return Offer("v=0\r\n")

    async def answer(self, offer: Offer) -> Answer:
        self._fail()
        return Answer("v=0\r\n")

    async def accept(self, answer: Answer) -> None:
        self._fail()

    async def add_candidate(self, candidate: Candidate) -> None:
        self._fail()

    def send(self, channel: int, data: bytes) -> None:
        self._fail()

    def send_text(self, data: bytes) -> None:
        self._fail()

    def view(self) -> Mapping[str, Any]:
        return {"failures": ()}

    async def close(self, flush_timeout: float) -> None:
        self.closed = True
        await self.freed.wait()
        self._fail()


class Side:
    def __init__(self) -> None:
        self.engines: list[Engine] = []
        self.arrived: list[Wire] = []
        self.said: list[NegotiateMessage] = []
        self.wires: Any = None
        self.prepare: Callable[[Engine], None] = lambda engine: None
        self.on_wire: Callable[[Wire], None] = self.arrived.append

    def make(self, options: EngineOptions, sink: EngineSink, tasks: Any) -> Engine:
        engine = Engine(options, sink, tasks)
        self.prepare(engine)
        self.engines.append(engine)
        return engine

    async def relay(self, remote: ActrId, message: NegotiateMessage) -> None:
        self.said.append(message)

    async def open(self, remote: ActrId = BOB) -> Any:
        dial = asyncio.gather(self.wires.dial(remote))
        await turns()
        self.engines[-1].sink.opened()
        return (await dial)[0]
