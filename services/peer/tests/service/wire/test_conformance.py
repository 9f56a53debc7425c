"""What every wire does, whatever carries it: one suite over all of them.

A wire joins by a row in ``LINES``: an async context manager that gives both ends, the dialler's
first, open and with no sink attached.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from actr_peer.errors import BrokenError, LimitError, RemoteProtocolError
from actr_peer.protocol.webrtc.candidates import AddressRule
from actr_peer.testing.wires import join
from actr_peer.wire.base import CHANNELS, Wire
from actr_peer.wire.websocket.wires import WebSocketWires
from peer_kit.fakes import ALICE, BOB, Recorder, turns
from peer_kit.vectors.identities import Issuer
from peer_kit.webrtc.pair import webrtc_pair

Line = AbstractAsyncContextManager[tuple[Wire, Wire]]

pytestmark = [pytest.mark.service, pytest.mark.timeout(20)]


@asynccontextmanager
async def memory_line() -> AsyncIterator[tuple[Wire, Wire]]:
    near, far = join(ALICE, BOB)
    yield near, far
    await near.close()
    await far.close()


@asynccontextmanager
async def websocket_line(
    secret: bytes | None = None, issuer: Issuer | None = None
) -> AsyncIterator[tuple[Wire, Wire]]:
    arrived: asyncio.Queue[Wire] = asyncio.Queue(1)
    async with (
        WebSocketWires(
            self_id=BOB,
            listen="127.0.0.1:0",
            on_wire=arrived.put_nowait,
            secret=secret,
            certified=issuer and issuer.certified(BOB),
        ) as listener,
        WebSocketWires(
            self_id=ALICE,
            listen=None,
            on_wire=arrived.put_nowait,
            secret=secret,
            certified=issuer and issuer.certified(ALICE),
            rule=AddressRule(allow_loopback=True),
        ) as dialler,
    ):
        near = await dialler.dial(BOB, listener.address)
        yield near, await arrived.get()


@asynccontextmanager
async def secret_websocket_line() -> AsyncIterator[tuple[Wire, Wire]]:
    async with websocket_line(b"realm secret") as ends:
        yield ends


@asynccontextmanager
async def sealed_websocket_line() -> AsyncIterator[tuple[Wire, Wire]]:
    async with websocket_line(issuer=Issuer()) as ends:
        yield ends


@asynccontextmanager
async def webrtc_line() -> AsyncIterator[tuple[Wire, Wire]]:
    async with webrtc_pair() as pair:
        yield await pair.connect()


LINES: dict[str, Callable[[], Line]] = {
    "memory": memory_line,
    "websocket": websocket_line,
    "websocket with a secret": secret_websocket_line,
    "websocket in TLS": sealed_websocket_line,
    "webrtc": webrtc_line,
}


@pytest.fixture(params=LINES)
def make_line(request: pytest.FixtureRequest) -> Callable[[], Line]:
    return LINES[request.param]


@pytest.fixture
async def line(make_line: Callable[[], Line]) -> AsyncIterator[tuple[Wire, Wire]]:
    async with make_line() as ends:
        yield ends
    await turns()
    assert asyncio.all_tasks() == {asyncio.current_task()}, "a wire left a task behind"


def attach(*wires: Wire) -> list[Recorder]:
    sinks = [Recorder() for _ in wires]
    for wire, sink in zip(wires, sinks, strict=True):
        wire.attach(sink)
    return sinks


async def test_both_ends_know_who_and_what_they_are(line: tuple[Wire, Wire]) -> None:
    near, far = line
    assert (near.remote, far.remote) == (BOB, ALICE)
    assert (near.was_dialled, far.was_dialled) == (True, False)
    assert near.kind is far.kind
    assert near.id != far.id
    assert not near.is_full
    assert not near.is_relayed


async def test_messages_of_a_channel_arrive_in_order_both_ways(line: tuple[Wire, Wire]) -> None:
    near, far = line
    near_sink, far_sink = attach(near, far)
    sent = [b"%d" % number for number in range(500)]
    for data in sent:
        near.send(0, data)
        far.send(0, data)
    await far_sink.received(len(sent))
    await near_sink.received(len(sent))
    assert far_sink.on(0) == sent
    assert near_sink.on(0) == sent


async def test_channels_are_kept_apart(line: tuple[Wire, Wire]) -> None:
    near, far = line
    _, sink = attach(near, far)
    for number in range(40):
        near.send(number % CHANNELS, b"%d" % number)
    await sink.received(40)
    for channel in range(CHANNELS):
        mine = [b"%d" % number for number in range(40) if number % CHANNELS == channel]
        # Channel 3 is the unordered one.
        assert (sorted(sink.on(channel)), sink.on(channel))[channel != 3] == (
            (sorted(mine), mine)[channel != 3]
        )


@pytest.mark.parametrize("size", [0, 1, 125, 126, 1024, 1025, 65_535, 65_536, 200_000])
async def test_a_message_of_any_size_up_to_the_limit_arrives_whole(
    line: tuple[Wire, Wire], size: int
) -> None:
    near, far = line
    near_sink, far_sink = attach(near, far)
    size = min(size, near.max_message_bytes)
    data = bytes(index % 251 for index in range(size))
    near.send(2, data)
    far.send(2, data)
    assert await far_sink.received(1) == [(2, data)]
    assert await near_sink.received(1) == [(2, data)]


async def test_a_burst_of_long_messages_arrives_unmixed_both_ways(line: tuple[Wire, Wire]) -> None:
    near, far = line
    near_sink, far_sink = attach(near, far)
    sent = [bytes([number]) * (9_000 + 700 * number) for number in range(30)]
    for data in sent:
        near.send(2, data)
        far.send(2, data)
    await far_sink.received(len(sent))
    await near_sink.received(len(sent))
    assert far_sink.on(2) == sent
    assert near_sink.on(2) == sent


async def test_the_longest_message_arrives_and_one_byte_more_is_refused(
    line: tuple[Wire, Wire],
) -> None:
    near, far = line
    near_sink, far_sink = attach(near, far)
    longest = b"\xa5" * near.max_message_bytes
    with pytest.raises(LimitError) as caught:
        near.send(0, longest + b"!")
    assert caught.value.asked == near.max_message_bytes + 1
    near.send(0, longest)
    near.send(0, b"after")
    assert await far_sink.received(2) == [(0, longest), (0, b"after")]
    assert not near_sink.ends


async def test_a_wire_that_is_full_says_when_it_is_writable(line: tuple[Wire, Wire]) -> None:
    near, far = line
    near_sink, far_sink = attach(near, far)
    data = b"\x5a" * 16_384
    count = 0
    while not near.is_full:  # nothing is read meanwhile, for no turn of the loop passes
        near.send(2, data)
        count += 1
        assert count < 10_000, "a wire that is never full keeps everything in memory"
    assert near.buffered_bytes > 0
    assert near_sink.writable_count == 0
    await near_sink.until(lambda: near_sink.writable_count > 0)
    assert not near.is_full
    await far_sink.received(count)
    assert far_sink.on(2) == [data] * count


async def parked(line: tuple[Wire, Wire]) -> Wire:
    """The far end, where twenty messages have come before its sink."""
    near, far = line
    near_sink = Recorder()
    near.attach(near_sink)
    for number in range(20):
        near.send(0, b"%d" % number)
        far.send(0, b"%d" % number)
    await near_sink.received(20)
    await turns(20)
    return far


async def test_messages_that_come_before_the_sink_wait_for_it(line: tuple[Wire, Wire]) -> None:
    far = await parked(line)
    far_sink = Recorder()
    far.attach(far_sink)
    await far_sink.received(20)
    assert far_sink.on(0) == [b"%d" % number for number in range(20)]


async def test_a_sink_that_closes_on_the_first_message_that_waited_gets_no_other(
    line: tuple[Wire, Wire],
) -> None:
    far = await parked(line)
    far_sink = Recorder(lambda wire, channel, data: wire.abort())
    far.attach(far_sink)
    await far_sink.until(lambda: bool(far_sink.messages))
    await far_sink.gone.wait()
    await turns(20)
    assert far_sink.messages == [(0, b"0")]
    assert far_sink.late == []


async def test_close_delivers_what_was_sent_before_and_is_clean_for_both(
    line: tuple[Wire, Wire],
) -> None:
    near, far = line
    near_sink, far_sink = attach(near, far)
    sent = [bytes([number]) * 1000 for number in range(50)]
    for data in sent:
        near.send(0, data)
    await near.close()
    assert near_sink.ends == [None]
    await far_sink.gone.wait()
    assert far_sink.on(0) == sent
    assert far_sink.ends == [None]


async def test_closing_twice_and_from_both_sides_is_told_once(line: tuple[Wire, Wire]) -> None:
    near, far = line
    sinks = attach(near, far)
    await asyncio.gather(near.close(), near.close(), far.close())
    near.abort()
    await near.close()
    await turns()
    assert [sink.ends for sink in sinks] == [[None], [None]]
    assert [sink.late for sink in sinks] == [[], []]


async def test_a_closed_wire_refuses_to_send(line: tuple[Wire, Wire]) -> None:
    near, far = line
    attach(near, far)
    await near.close()
    with pytest.raises(BrokenError):
        near.send(0, b"late")
    assert near.buffered_bytes == 0


async def test_abort_is_told_later_and_breaks_the_far_side(line: tuple[Wire, Wire]) -> None:
    near, far = line
    near_sink, far_sink = attach(near, far)
    near.abort()
    assert near_sink.ends == [], "told while the caller still runs"
    with pytest.raises(BrokenError):
        near.send(0, b"late")
    await near_sink.gone.wait()
    await far_sink.gone.wait()
    assert near_sink.ends == [None]
    assert isinstance(far_sink.ends[0], BrokenError)
    with pytest.raises(BrokenError):
        far.send(0, b"late")


async def test_nothing_reaches_a_sink_after_the_end(line: tuple[Wire, Wire]) -> None:
    near, far = line
    near_sink, far_sink = attach(near, far)
    far_sink.on_message = lambda wire, channel, data: wire.abort()
    for number in range(100):
        near.send(0, b"%d" % number)
        far.send(0, b"%d" % number)
    await far_sink.gone.wait()
    await near_sink.gone.wait()
    await turns(20)
    assert len(far_sink.messages) == 1
    assert (near_sink.late, far_sink.late) == ([], [])


async def test_no_message_reaches_a_sink_that_closes(line: tuple[Wire, Wire]) -> None:
    near, far = line
    near_sink, far_sink = attach(near, far)
    for number in range(100):
        far.send(0, b"%d" % number)
    closing = asyncio.gather(near.close())
    await turns(1)
    count = len(near_sink.messages)
    await closing
    assert len(near_sink.messages) == count
    await far_sink.gone.wait()


@pytest.mark.parametrize(
    "error", [RemoteProtocolError("nonsense"), LimitError("things", limit=1, asked=2)]
)
async def test_a_violation_seen_by_the_sink_closes_the_wire_with_it(
    line: tuple[Wire, Wire], error: Exception
) -> None:
    near, far = line

    def refuse(wire: Wire, channel: int, data: bytes) -> None:
        raise error

    near_sink = Recorder()
    far_sink = Recorder(refuse)
    near.attach(near_sink)
    far.attach(far_sink)
    near.send(0, b"nonsense")
    near.send(0, b"more")
    await far_sink.gone.wait()
    await near_sink.gone.wait()
    assert far_sink.ends == [error]
    assert far_sink.messages == [(0, b"nonsense")]
    assert isinstance(near_sink.ends[0], BrokenError)


async def test_a_sink_that_fails_is_shown_and_closes_the_wire(line: tuple[Wire, Wire]) -> None:
    near, far = line
    shown: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: shown.append(context))

    def fail(wire: Wire, channel: int, data: bytes) -> None:
        raise ZeroDivisionError

    near_sink = Recorder()
    far_sink = Recorder(fail)
    near.attach(near_sink)
    far.attach(far_sink)
    near.send(0, b"x")
    await far_sink.gone.wait()
    await near_sink.gone.wait()
    assert isinstance(far_sink.ends[0], BrokenError)
    assert isinstance(near_sink.ends[0], BrokenError)
    assert [type(context["exception"]) for context in shown] == [ZeroDivisionError]


async def test_the_end_waits_for_a_sink_that_comes_late(line: tuple[Wire, Wire]) -> None:
    near, far = line
    near_sink = Recorder()
    near.attach(near_sink)
    near.send(1, b"last words")
    await turns(20)
    closing = asyncio.gather(near.close())
    await turns(20)
    far_sink = Recorder()
    far.attach(far_sink)
    await far_sink.gone.wait()
    await closing
    assert far_sink.messages == [(1, b"last words")]
    assert far_sink.ends == [None]
    again = Recorder()
    far.attach(again)
    await turns()
    assert again.ends == [], "the end was told before"


@pytest.mark.parametrize("after", range(1, 5))
async def test_a_cancelled_close_closes_all_the_same(line: tuple[Wire, Wire], after: int) -> None:
    near, far = line
    near_sink, far_sink = attach(near, far)
    near.send(0, b"x")
    closing = asyncio.gather(near.close())
    await turns(after)
    closing.cancel()
    await asyncio.wait([closing])
    await near_sink.gone.wait()
    await far_sink.gone.wait()
    await near.close()
    assert len(near_sink.ends) == len(far_sink.ends) == 1
