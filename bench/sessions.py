"""CPU per message of lane sessions and links, in microseconds, with nothing below them.

    python bench/sessions.py [--count 20000]

``core`` drives two sessions by hand: accept and pack, read and deliver, acknowledge. ``link``
sends through two whole links whose wires are function calls: both sides together, so half of it
is one process's share. ``dispatch`` is the fast path of one item of a stream, from its message to
the callback of its channel: decoding, credit, and the turn of its worker.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Mapping
from itertools import count
from types import SimpleNamespace
from typing import Any

from actr_peer.actor.subscribers.streams import StreamSubscribers
from actr_peer.errors import PeerError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import (
    MAX_WIRE_MESSAGE_BYTES,
    RPC_LANES,
    PayloadType,
    WireKind,
)
from actr_peer.protocol.session.session import Session
from actr_peer.protocol.session.wires.policy import WireState
from actr_peer.protocol.streams.chunks import Chunk, encode_item
from actr_peer.rpc.dispatch import Dispatcher, Routes
from actr_peer.tasks import Start, Tasks
from actr_peer.transport.channels import Streams
from actr_peer.transport.link import Link
from actr_peer.transport.remote import RemoteTransport
from actr_peer.wire.base import Wire, WireSink, next_wire_id

RPC = PayloadType.RPC_RELIABLE
ROUND = 256
"""Messages between two acknowledgements: within the window."""
CASES = ((1, 100), (16, 100), (64, 100), (16, 4000))
ADA, BOB = ActrId("bench", "ada", "1"), ActrId("bench", "bob", "1")


def joined_sessions() -> tuple[Session, Session]:
    near, far = Session(1, prefer=list(WireKind)), Session(2, prefer=list(WireKind))
    near.open(1, WireKind.WEBSOCKET, 0.0, was_dialled=True)
    far.open(2, WireKind.WEBSOCKET, 0.0, was_dialled=False)
    for _ in range(4):
        for source, wire, target, other in ((near, 1, far, 2), (far, 2, near, 1)):
            while (item := source.take(wire, 0.0, is_full=False)) is not None:
                target.receive(other, *item, 0.0)
    return near, far


def core(lane: PayloadType, batch: int, size: int, total: int) -> tuple[float, float, float]:
    """Microseconds of CPU per message to send, to receive, and to acknowledge."""
    near, far = joined_sessions()
    sender, body, now = near.lanes.sender(lane), b"x" * size, 1.0
    clock, spent = time.thread_time, [0.0, 0.0, 0.0]
    for _ in range(total // ROUND):
        begin = clock()
        messages = []
        for _ in range(ROUND // batch):
            for _ in range(batch):
                sender.accept(body, now)
            while (item := near.take(1, now, is_full=False)) is not None:
                messages.append(item)
        sent = clock()
        deliveries = [d for item in messages for d in far.receive(2, *item, now)]
        received = clock()
        if lane in RPC_LANES:
            for _, _, number in deliveries:
                far.lanes.acknowledge(lane, number, now)
        while (item := far.take(2, now, is_full=False)) is not None:
            near.receive(1, *item, now)
        acknowledged = clock()
        for phase, seconds in enumerate((sent - begin, received - sent, acknowledged - received)):
            spent[phase] += seconds
        now += 0.0001
    send, receive, acknowledge = (seconds / total * 1e6 for seconds in spent)
    return send, receive, acknowledge


class CallWire:
    """A wire that is a function call in the next turn of the loop."""

    kind = WireKind.WEBSOCKET
    is_relayed = False
    max_message_bytes = 1 << 18
    pack_bytes = MAX_WIRE_MESSAGE_BYTES[kind]
    buffered_bytes = 0
    is_full = False
    certificate = None

    def __init__(self, remote: ActrId, *, was_dialled: bool) -> None:
        self.id = next_wire_id()
        self.remote = remote
        self.was_dialled = was_dialled
        self.far: CallWire
        self._sink: WireSink | None = None
        self._queue: list[tuple[int, bytes]] = []
        self._loop = asyncio.get_running_loop()

    def attach(self, sink: WireSink) -> None:
        self._sink = sink

    def send(self, channel: int, data: bytes) -> None:
        if not self._queue:
            self._loop.call_soon(self._move)
        self._queue.append((channel, data))

    def _move(self) -> None:
        queue, self._queue = self._queue, []
        if (sink := self.far._sink) is not None:
            for item in queue:
                sink.message(self.far, *item)

    async def close(self) -> None:
        pass

    def abort(self) -> None:
        pass


class Echo:
    """Acknowledges RPC messages at once; answers requests where it is told to."""

    def __init__(self, *, answers: bool) -> None:
        self.answers = answers
        self.heard = 0
        self.target = 0
        self.done = asyncio.Event()

    def message(self, link: Link, payload_type: PayloadType, message: bytes, number: int) -> None:
        link.acknowledge(payload_type, number)
        if self.answers:
            link.lane(payload_type).post(message)
        self.heard += 1
        if self.heard == self.target:
            self.done.set()

    def reset(self, link: Link, last_delivered: Mapping[PayloadType, int]) -> None:
        pass

    def gone(self, link: Link, error: PeerError) -> None:
        pass

    def wire_changed(self, link: Link, kind: WireKind, state: WireState, wire: Wire | None) -> None:
        pass


async def link(in_flight: int, total: int) -> float:
    """Microseconds per request and reply of 100 bytes, both sides together."""
    near, far = Echo(answers=False), Echo(answers=True)

    async def dial(remote: ActrId) -> Wire:
        ends = CallWire(BOB, was_dialled=True), CallWire(ADA, was_dialled=False)
        ends[0].far, ends[1].far = ends[1], ends[0]
        asyncio.get_running_loop().call_soon(there.accept, ends[1])
        return ends[0]

    kinds = [WireKind.WEBSOCKET]
    incarnations = count(1)
    async with (
        RemoteTransport(
            self_id=BOB, incarnation=next(incarnations) << 32, dialers={}, sink=far, prefer=kinds
        ) as there,
        RemoteTransport(
            self_id=ADA,
            incarnation=next(incarnations) << 32,
            dialers={WireKind.WEBSOCKET: dial},
            sink=near,
            prefer=kinds,
        ) as here,
    ):
        to_bob = here.link(BOB)
        await to_bob.ready()
        lane, body = to_bob.lane(RPC), b"x" * 100
        begin = time.process_time()
        for _ in range(total // in_flight):
            near.done.clear()
            near.target = near.heard + in_flight
            for _ in range(in_flight):
                await lane.send(body)
            await near.done.wait()
        spent = time.process_time() - begin
    return spent / total * 1e6


class Heard:
    """Callbacks of so many channels, and the way of an item to them."""

    def __init__(self, streams: int, start: Start) -> None:
        self.items = 0
        self.link = SimpleNamespace(
            remote=ADA, is_shut=False, lane=lambda _: SimpleNamespace(post=lambda _: None)
        )
        channels = Streams(unknown=lambda *first: self.subscribers.open(*first))
        self.subscribers = StreamSubscribers(channels, start)
        unused: Any = None
        self.dispatcher = Dispatcher(
            Routes(
                put=unused, knows=unused, refusal=unused, is_cycle=unused, resolve=unused,
                cancel=unused, open_stream=unused, chunk=channels.receive,
                reject_chunk=channels.reject,
            )
        )  # fmt: skip
        for number in range(streams):
            self.subscribers.register(f"c{number}", self.hear)

    def hear(self, chunk: Chunk, sender: ActrId) -> None:
        self.items += 1


async def dispatch(streams: int, total: int) -> float:
    """Microseconds of CPU per item; in a turn of the loop one of each comes, or 16 of one."""
    rounds = max(total // streams, 50)
    names = [f"c{number}" for number in range(streams)]
    async with Tasks("bench") as tasks:
        heard = Heard(streams, tasks.start)
        link: Any = heard.link
        spent, sent = 0.0, 0
        for number in range(rounds):
            round_ = [encode_item(name, number, bytes(100), opening=1) for name in names]
            begin = time.process_time()
            for message in round_:
                heard.dispatcher.message(link, PayloadType.STREAM_RELIABLE, message, 0)
            sent += streams
            if streams > 1 or not sent % 16:
                while heard.items < sent:  # noqa: ASYNC110 - no event on the path that is measured
                    await asyncio.sleep(0)
            if number:  # the first opens the streams
                spent += time.process_time() - begin
        return spent / (sent - streams) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    total = parser.parse_args().count
    print(f"{'core':<20}{'batch':>6}{'bytes':>7}{'send':>8}{'receive':>9}{'ack':>7}")
    for lane in (RPC, PayloadType.STREAM_RELIABLE):
        for batch, size in CASES:
            rounds = [core(lane, batch, size, total) for _ in range(3)]
            send, receive, ack = (min(column) for column in zip(*rounds, strict=True))
            print(f"{lane.name:<20}{batch:>6}{size:>7}{send:>8.2f}{receive:>9.2f}{ack:>7.2f}")
    print(f"{'link':<20}{'in flight':>10}{'per exchange':>14}")
    for in_flight in (1, 16, 64, 256):
        best = min(asyncio.run(link(in_flight, total)) for _ in range(3))
        print(f"{'':<20}{in_flight:>10}{best:>14.2f}")
    print(f"{'dispatch':<20}{'streams':>10}{'per item':>14}")
    for streams in (1, 10, 100, 5000):
        best = min(asyncio.run(dispatch(streams, total)) for _ in range(3))
        print(f"{'':<20}{streams:>10}{best:>14.2f}")


if __name__ == "__main__":
    main()
