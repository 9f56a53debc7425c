"""Our SCTP against itself, and against aiortc's own, over a line that does all that UDP may do."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiortc import RTCDataChannel, RTCSctpTransport
from aiortc.rtcdatachannel import RTCDataChannelParameters
from aiortc.rtcsctptransport import RTCSctpCapabilities

from actr_peer.errors import PeerError
from actr_peer.wire.base import CHANNELS
from actr_peer.wire.webrtc.aiortc.sctp.association import LaneSctp, upgrade
from actr_peer.wire.webrtc.engine import EngineOptions

pytestmark = pytest.mark.service

LATENCY_FIRST = 3


class Line:
    """Stands for DTLS: carries packets to the other end; drops, repeats and delays some.

    Args:
        chance: Of each of the three, for each packet.
    """

    state = "connected"

    def __init__(self, role: str, dice: random.Random, chance: float) -> None:
        self._role = role
        self.far: Line
        self.receiver: Any = None
        self.dice = dice
        self.chance = chance
        self._loop = asyncio.get_running_loop()

    def _register_data_receiver(self, receiver: Any) -> None:
        self.receiver = receiver

    def _unregister_data_receiver(self, receiver: Any) -> None:
        self.receiver = None

    async def _send_data(self, data: bytes) -> None:
        if self.dice.random() < self.chance:
            return
        for _ in range(1 + (self.dice.random() < self.chance)):
            late = self.dice.random() * 0.01 if self.dice.random() < self.chance else 0.0
            self._loop.call_later(late, self.far.arrive, data)

    def arrive(self, data: bytes) -> None:
        if self.receiver is not None:
            coro = self.receiver._handle_data(data)
            with pytest.raises(StopIteration):  # it never suspends
                coro.send(None)


class Sink:
    """Remembers."""

    def __init__(self) -> None:
        self.messages: dict[int, list[bytes]] = {channel: [] for channel in range(CHANNELS)}
        self.is_open = asyncio.Event()
        self.errors: list[PeerError | None] = []
        self.changed = asyncio.Event()

    def opened(self) -> None:
        self.is_open.set()

    def message(self, channel: int, data: bytes) -> None:
        self.messages[channel].append(data)
        self.changed.set()

    def writable(self) -> None: ...

    def overdue(self) -> None: ...

    def channels_closed(self, channels: frozenset[int]) -> None: ...

    def closed(self, error: PeerError | None) -> None:
        self.errors.append(error)

    async def until(self, channel: int, count: int) -> list[bytes]:
        while len(self.messages[channel]) < count:
            self.changed.clear()
            await self.changed.wait()
        return self.messages[channel]


def channels_of(transport: RTCSctpTransport) -> list[RTCDataChannel]:
    return [
        RTCDataChannel(
            transport,
            RTCDataChannelParameters(
                label=str(channel),
                negotiated=True,
                id=channel,
                ordered=channel != LATENCY_FIRST,
                maxPacketLifeTime=100 if channel == LATENCY_FIRST else None,
            ),
        )
        for channel in range(CHANNELS)
    ]


End = tuple[LaneSctp, list[RTCDataChannel], Sink]


@asynccontextmanager
async def joined(seed: int, chance: float, *, theirs: bool = False) -> AsyncIterator[list[End]]:
    """Two ends of an association, open; the second is aiortc's own where ``theirs``."""
    dice = random.Random(seed)
    lines = [Line("client", dice, chance), Line("server", dice, chance)]
    lines[0].far, lines[1].far = lines[1], lines[0]
    ends: list[Any] = []
    for line in lines:
        transport = RTCSctpTransport(line)  # type: ignore[arg-type]
        sink = Sink()
        if theirs and line is lines[1]:
            channels = channels_of(transport)
            for channel in channels:
                channel.on("message", lambda data, c=channel, s=sink: s.message(c.id, data))
            channels[0].on("open", sink.opened)
        else:
            transport = upgrade(transport, EngineOptions(min_resend_after=0.02), sink)
            transport._rto = 0.05
            channels = channels_of(transport)
        ends.append((transport, channels, sink))
    async with asyncio.timeout(60):
        for transport, _, _ in ends:
            await transport.start(RTCSctpCapabilities(maxMessageSize=262144), 5000)
        for _, _, sink in ends:
            await sink.is_open.wait()
        yield ends
        for transport, _, _ in ends:
            await transport.stop()


def messages(seed: int, count: int) -> list[tuple[int, bytes]]:
    """(channel, data) of any size, from empty to several packets, each different."""
    dice = random.Random(seed)
    return [
        (
            dice.randrange(CHANNELS),
            b"%d:" % number + bytes(dice.choice((0, 1, 1157, 1158, 1160, 2320, 16_000, 50_000))),
        )
        for number in range(count)
    ]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("chance", [0.0, 0.05])
async def test_reliable_messages_arrive_once_and_in_order_whatever_the_line_does(
    seed: int, chance: float
) -> None:
    async with joined(seed, chance) as ((near, near_channels, _), (far, far_channels, sink)):
        sent = messages(seed, 120)
        for index, (channel, data) in enumerate(sent):
            near.send(near_channels[channel], data)
            far.send(far_channels[channel], data)
            if index % 10 == 0:
                await asyncio.sleep(0.001)
        for channel in range(LATENCY_FIRST):
            expected = [data for at, data in sent if at == channel]
            assert await sink.until(channel, len(expected)) == expected
        late = sink.messages[LATENCY_FIRST]
        assert len(set(late)) == len(late)
        assert set(late) <= {data for at, data in sent if at == LATENCY_FIRST}
        await near.drained()
        assert near.buffered_bytes == 0
        assert not sink.errors


@pytest.mark.parametrize("chance", [0.0, 0.05])
async def test_aiortcs_own_association_understands_ours(chance: float) -> None:
    async with joined(1, chance, theirs=True) as ((near, near_channels, at_near), far):
        _, far_channels, at_far = far
        sent = [(channel, data) for channel, data in messages(1, 100) if channel != LATENCY_FIRST]
        for channel, data in sent:
            near.send(near_channels[channel], data)
            far_channels[channel].send(data)
            await asyncio.sleep(0)
        for channel in range(LATENCY_FIRST):
            expected = [data for at, data in sent if at == channel]
            assert await at_far.until(channel, len(expected)) == expected
            assert await at_near.until(channel, len(expected)) == expected


async def test_an_answer_in_the_same_turn_carries_the_word_that_the_question_has_come() -> None:
    async with joined(1, 0.0) as ((near, near_channels, at_near), (far, far_channels, at_far)):
        packets: list[bytes] = []
        line: Any = far.transport
        send = line._send_data

        async def counted(data: bytes) -> None:
            packets.append(data)
            await send(data)

        line._send_data = counted
        at_far.message = lambda at, data: far.send(far_channels[at], data)  # type: ignore[method-assign]
        near.send(near_channels[0], b"question")
        assert await at_near.until(0, 1) == [b"question"]
        await near.drained()
        assert len(packets) == 1
        assert far._sack_timer is None
        assert near._sack_timer is None  # nothing went on: no timer for what will have no answer
        near.send(near_channels[0], b"another")
        assert await at_near.until(0, 2) == [b"question", b"another"]
        assert near._sack_timer is not None  # something goes on: the next may carry it
        await far.drained()


async def test_numbers_wrap() -> None:
    async with joined(1, 0.0) as ((near, near_channels, _), (far, _, sink)):
        for end in (near, far):  # as after four thousand million chunks, and sixty-five messages
            end._outbound_stream_seq = {0: 65_530}
        far._inbound_streams.clear()
        far._get_inbound_stream(0).sequence_number = 65_530
        near._local_tsn = near._last_sacked_tsn = near._advanced_peer_ack_tsn = 2**32 - 20
        near._local_tsn += 1
        far._last_received_tsn = 2**32 - 20
        sent = [b"%d" % number * 700 for number in range(40)]
        for data in sent:
            near.send(near_channels[0], data)
        assert await sink.until(0, len(sent)) == sent
        await near.drained()
