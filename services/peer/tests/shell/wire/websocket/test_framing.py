"""What one turn of the loop reads of a WebSocket: once, and about a millisecond's work."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from actr_peer.wire.websocket import framing
from actr_peer.wire.websocket.framing import MAX_WINDOW_BYTES, MIN_SHARE_BYTES, TURN_SECONDS
from peer_kit.fakes import turns


class Socket:
    """A connection below, which can be paused."""

    def __init__(self) -> None:
        self.did: list[str] = []
        self.is_paused = self.is_gone = False

    def is_reading(self) -> bool:
        return not self.is_paused

    def is_closing(self) -> bool:
        return self.is_gone

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False
        self.did.append("resumed")


class Reading(framing.Framing):
    """Takes what it reads in a time that the test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        counting = SimpleNamespace(frames=0, is_deaf=False)
        super().__init__(None, counting, dialled="bob:1/")  # type: ignore[arg-type]  # never used
        self.socket = Socket()
        self.clock = self.seconds = 0.0
        monkeypatch.setattr(framing, "thread_time", lambda: self.clock)

    @property
    def transport(self) -> SimpleNamespace:
        return SimpleNamespace(underlying_transport=self.socket)

    def get_buffer(self, size_hint: int) -> memoryview:
        return self._share_of(memoryview(bytes(MAX_WINDOW_BYTES)))

    def _read(self, nbytes: int) -> None:
        self.socket.did.append("read")
        self.clock += self.seconds

    async def fill(self) -> int:
        """Read as much as there is room for, and let the loop turn; returns how much that was."""
        size = len(self.get_buffer(-1))
        self.buffer_updated(size)
        self._loop.call_soon(self.socket.did.append, "others")
        await turns(2)
        return size


@pytest.fixture
async def reading(monkeypatch: pytest.MonkeyPatch) -> Reading:
    return Reading(monkeypatch)


async def test_where_there_may_be_more_to_read_others_have_their_turn_first(
    reading: Reading,
) -> None:
    room = reading.get_buffer(-1)
    reading._loop.call_soon(reading.socket.did.append, "others")
    reading.buffer_updated(len(room))
    assert reading.socket.is_paused
    await turns(2)
    assert reading.socket.did == ["read", "others", "resumed"]


async def test_where_all_was_read_nothing_is_put_off(reading: Reading) -> None:
    reading.buffer_updated(len(reading.get_buffer(-1)) - 1)
    await turns(2)
    assert (reading.socket.did, reading.socket.is_paused) == (["read"], False)


async def test_a_wire_that_was_paused_while_it_read_stays_paused(reading: Reading) -> None:
    room = reading.get_buffer(-1)
    reading.socket.is_paused = True
    reading.buffer_updated(len(room))
    await turns(2)
    assert (reading.socket.did, reading.socket.is_paused) == (["read"], True)


async def test_a_wire_that_closes_is_left_alone(reading: Reading) -> None:
    room = reading.get_buffer(-1)
    reading.socket.is_gone = True
    reading.buffer_updated(len(room))
    assert not reading.socket.is_paused
    reading.socket.is_gone = False
    reading.buffer_updated(len(reading.get_buffer(-1)))
    reading.socket.is_gone = True
    await turns(2)
    assert reading.socket.did == ["read", "read"]


async def test_the_share_of_a_turn_follows_what_it_takes(reading: Reading) -> None:
    assert await reading.fill() == MAX_WINDOW_BYTES
    reading.seconds = 4 * TURN_SECONDS
    await reading.fill()
    assert await reading.fill() == MAX_WINDOW_BYTES // 4
    assert await reading.fill() == MIN_SHARE_BYTES, "and no less"
    reading.seconds = 0.0
    assert [await reading.fill() for _ in range(3)] == [
        MIN_SHARE_BYTES,
        2 * MIN_SHARE_BYTES,
        4 * MIN_SHARE_BYTES,
    ]
    for _ in range(6):
        await reading.fill()
    assert await reading.fill() == MAX_WINDOW_BYTES
