"""One loop, shared: with a clock that moves only when somebody works."""

from __future__ import annotations

import asyncio

import pytest

from actr_signaling.protocol.shares import Flow
from actr_signaling.web.turns import SLICE, TURN, Outgoing, Turns


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Worker:
    """Has so many pieces of work; notes each in a common list."""

    def __init__(self, name: str, pieces: int, clock: Clock, done: list[str]) -> None:
        self.share = Flow(name)
        self.pieces = pieces
        self.ended = asyncio.Event()
        self._name = name
        self._clock = clock
        self._done = done

    def fail(self) -> None:
        self.ended.set()

    def work(self, until: float) -> bool:
        while self.pieces:
            self.pieces -= 1
            self._clock.now += SLICE / 2
            self._done.append(self._name)
            if self._clock.now >= until:
                break
        if not self.pieces:
            self.ended.set()
        return bool(self.pieces)


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_who_has_little_is_served_at_once(clock: Clock) -> None:
    done: list[str] = []
    assert Turns(clock=clock).enter(Worker("a", 1, clock, done))
    assert done == ["a"]


async def test_who_has_much_is_served_a_slice_and_then_with_the_others(clock: Clock) -> None:
    done: list[str] = []
    turns = Turns(clock=clock)
    greedy, modest = Worker("greedy", 500, clock, done), Worker("modest", 1, clock, done)
    assert not turns.enter(greedy)
    assert done == ["greedy"] * 2
    assert not turns.enter(modest)
    await modest.ended.wait()
    assert done.index("modest") <= 4
    await greedy.ended.wait()
    assert len(done) == 501


async def test_others_of_the_loop_come_after_each_turn(clock: Clock) -> None:
    done: list[str] = []
    turns = Turns(clock=clock)
    worker = Worker("a", 100, clock, done)
    turns.enter(worker)
    lengths = []
    while not worker.ended.is_set():
        before = clock.now
        await asyncio.sleep(0)
        lengths.append(clock.now - before)
    assert max(lengths) <= TURN + SLICE
    assert len(lengths) > 4


async def test_what_is_done_elsewhere_counts_in_the_turn(clock: Clock) -> None:
    done: list[str] = []
    turns = Turns(clock=clock)
    turns.spend(TURN)
    worker = Worker("a", 1, clock, done)
    assert not turns.enter(worker)
    assert done == []
    await worker.ended.wait()


class Broken(Worker):
    """Fails in its second slice."""

    def work(self, until: float) -> bool:
        if self.pieces < 100:
            raise RuntimeError("a failure of this side's")
        return super().work(until)


async def test_a_failure_ends_one_connection_and_others_of_its_address_go_on(clock: Clock) -> None:
    done: list[str] = []
    turns = Turns(clock=clock)
    broken, neighbour = Broken("a", 100, clock, done), Worker("a", 10, clock, done)
    other = Worker("b", 10, clock, done)
    for worker in (broken, neighbour, other):
        turns.enter(worker)
    async with asyncio.timeout(60):
        for worker in (broken, neighbour, other):
            await worker.ended.wait()
    assert not neighbour.pieces
    assert not other.pieces


class Transport(asyncio.Transport):
    """Notes each write, and sends nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.is_aborted = False

    def abort(self) -> None:
        self.is_aborted = True

    def get_write_buffer_size(self) -> int:
        return sum(map(len, self.writes))

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(data))


async def test_what_is_sent_in_one_turn_is_written_once_and_in_order(clock: Clock) -> None:
    turns = Turns(clock=clock)
    first, second = Transport(), Transport()
    to_first, to_second = (Outgoing(turns, one, limit=100) for one in (first, second))
    to_first.add(b"a")
    to_second.add(b"x")
    to_first.add(b"b")
    assert (first.writes, second.writes) == ([], [])
    await asyncio.sleep(0)
    assert (first.writes, second.writes) == ([b"ab"], [b"x"])
    to_first.add(b"c")
    await asyncio.sleep(0)
    assert first.writes == [b"ab", b"c"]


async def test_what_waits_is_unsent_and_over_the_limit_nothing_waits(clock: Clock) -> None:
    transport = Transport()
    outgoing = Outgoing(Turns(clock=clock), transport, limit=4)
    outgoing.add(b"abc")
    outgoing.add(b"d")
    assert outgoing.unsent() == 4
    assert transport.writes == []
    outgoing.add(b"e")
    assert outgoing.unsent() == 5
    assert transport.writes == [b"abcde"]
    outgoing.add(b"f")
    assert transport.writes == [b"abcde", b"f"]
    await asyncio.sleep(0)
    assert transport.writes == [b"abcde", b"f"]


async def test_nothing_is_written_where_nobody_is_any_more(clock: Clock) -> None:
    transport = Transport()
    outgoing = Outgoing(Turns(clock=clock), transport, limit=100)
    outgoing.add(b"a")
    outgoing.drop()
    await asyncio.sleep(0)
    assert transport.writes == []
    assert outgoing.unsent() == 0


async def test_a_write_that_fails_ends_one_connection_and_keeps_no_other_waiting(
    clock: Clock,
) -> None:
    class Broken(Transport):
        def write(self, data: bytes | bytearray | memoryview) -> None:
            raise RuntimeError("a bug")

    turns = Turns(clock=clock)
    broken, sound = Broken(), Transport()
    Outgoing(turns, broken, limit=100).add(b"a")
    Outgoing(turns, sound, limit=100).add(b"b")
    await asyncio.sleep(0)
    assert broken.is_aborted
    assert sound.writes == [b"b"]
