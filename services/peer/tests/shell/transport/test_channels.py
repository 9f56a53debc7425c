"""Named channels under every interleaving: cancelled, closed, failed, restarted, opened again.

Two nodes' streams are joined by queues that lose nothing and keep the order. Whatever happens at
either side, what is heard of an opening is the beginning of what was sent in it, nothing twice;
all of it, where nobody took it away; and no half is left at the end.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from actr_peer.actor.subscribers.streams import StreamSubscribers
from actr_peer.errors import BusyError, PeerError
from actr_peer.protocol.streams.chunks import Chunk
from actr_peer.transport.streams import StreamWriter
from peer_kit.streams import Block, Pair, turns

SIZES = (1, 100, 70_000, 600_000, 2_000_000)


class Sender:
    """One opening of the channel: its items leave one after the other, in a task of its own."""

    def __init__(self, writer: StreamWriter, number: int) -> None:
        self.writer = writer
        self.number = number
        self.queue: deque[int] = deque()
        self.sent = 0
        self.is_ending = self.is_done = False
        self.was_lost = False
        """Something in the script took it away: it may be heard in part."""
        self.error: PeerError | None = None
        self._wake = asyncio.Event()
        self.task = asyncio.create_task(self._run())

    def add(self, count: int, size: int) -> None:
        self.queue.extend([size] * count)
        self._wake.set()

    def end(self) -> None:
        self.is_ending = True
        self._wake.set()

    async def _run(self) -> None:
        try:
            while self.queue or not self.is_ending:
                if not self.queue:
                    self._wake.clear()
                    await self._wake.wait()
                    continue
                head = b"%d:%d:" % (self.number, self.sent)
                await self.writer.send(head.ljust(self.queue[0], b"x"))
                self.queue.popleft()
                self.sent += 1
            self.writer.end()
        except PeerError as exc:
            self.error = exc
        self.is_done = True


class World:
    """Both sides, and what each may do next."""

    def __init__(self) -> None:
        self.pair = Pair(is_prompt=False)
        self.heard: dict[int, list[int]] = defaultdict(list)
        self.senders: list[Sender] = []
        self.may_take = asyncio.Semaphore(0)
        self.refused = 0
        """Openings that were one too many for a reading process that is over."""
        self.block: Block
        self.subscribers: StreamSubscribers
        self.unregister: Callable[[], None]
        self.begin()

    def begin(self) -> None:
        """A new process reads."""
        self.block = Block()
        self.subscribers = self.pair.subscribe(self.block.start)
        self.listen()

    def listen(self) -> None:
        self.unregister = self.subscribers.register("c", self.take)

    async def take(self, chunk: Chunk, sender: object) -> None:
        await self.may_take.acquire()
        number, sequence, _ = chunk.data.split(b":", 2)
        self.heard[int(number)].append(int(sequence))

    @property
    def last(self) -> Sender | None:
        return self.senders[-1] if self.senders else None

    def reopen(self) -> None:
        try:
            writer = self.pair.named()
        except BusyError:
            return
        self.senders.append(Sender(writer, len(self.senders)))

    def give_up(self) -> None:
        if self.last is not None and not self.last.is_done:
            self.last.was_lost = True
            self.last.task.cancel()
            self.pair.near.forget_writer(self.last.writer)

    def lose(self) -> None:
        for sender in self.senders:
            sender.was_lost = True

    def close(self) -> None:
        self.lose()  # what is on its way to a closed reader is lost, and is told
        self.unregister()
        self.listen()

    def fail(self) -> None:
        self.lose()
        self.pair.near_link.room.set()
        self.pair.cut()
        self.pair.join(is_prompt=False)

    def restart_sender(self) -> None:
        self.lose()
        for sender in self.senders:
            sender.task.cancel()
        self.pair.restart_near()

    def restart_reader(self) -> None:
        self.lose()
        self.refused += self.pair.far.counts.refused
        for task in self.block.tasks:
            task.cancel()
        self.pair.restart_far()
        self.begin()

    def carry(self, count: int, *, back: bool) -> None:
        link = self.pair.far_link if back else self.pair.near_link
        for _ in range(count):
            link.deliver()

    async def settle(self) -> None:
        """Let all that can happen happen."""
        for sender in self.senders:
            sender.end()
        self.pair.near_link.room.set()
        for _ in range(10_000):
            links = (self.pair.near_link, self.pair.far_link)
            self.may_take.release()
            for link in links:
                link.deliver()
            await asyncio.sleep(0)
            if all(s.task.done() for s in self.senders) and not any(link.queue for link in links):
                break
        for _ in range(2000):
            self.may_take.release()
        await turns(300)


steps = st.one_of(
    st.tuples(st.just("send"), st.integers(1, 40), st.sampled_from(SIZES)),
    st.tuples(st.sampled_from(["forth", "back"]), st.integers(1, 40)),
    st.tuples(st.just("take"), st.integers(1, 40)),
    st.tuples(st.sampled_from(["reopen", "end", "give up", "close", "fail", "turns"])),
    st.tuples(st.sampled_from(["restart sender", "restart reader", "crowd", "room"])),
)


async def play(script: list[tuple[object, ...]]) -> World:
    world = World()
    world.reopen()
    actions: dict[object, Callable[..., object]] = {
        "send": lambda count, size: world.last and world.last.add(count, size),
        "forth": lambda count: world.carry(count, back=False),
        "back": lambda count: world.carry(count, back=True),
        "take": lambda count: [world.may_take.release() for _ in range(count)],
        "reopen": world.reopen,
        "end": lambda: world.last and world.last.end(),
        "give up": world.give_up,
        "close": world.close,
        "fail": world.fail,
        "restart sender": world.restart_sender,
        "restart reader": world.restart_reader,
        "crowd": lambda: world.pair.near_link.room.clear(),
        "room": lambda: world.pair.near_link.room.set(),
        "turns": lambda: None,
    }
    for name, *arguments in script:
        actions[name](*arguments)
        await turns(3)
    await world.settle()
    return world


@example(script=[("send", 1, 1), ("end",), ("reopen",), ("send", 1, 1)])
@example(script=[("send", 1, 1), ("forth", 1), ("restart sender",), ("reopen",), ("send", 65, 1)])
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, max_size=40))
def test_nothing_is_lost_or_doubled_and_no_half_is_left(script: list[tuple[object, ...]]):
    async def run() -> None:
        world = await play(script)
        for sender in world.senders:
            heard = world.heard[sender.number]
            assert heard == list(range(len(heard))), "a beginning, in order"
            assert len(heard) <= sender.sent
            assert sender.task.done()
            if not sender.was_lost and sender.error is None:
                assert len(heard) == sender.sent
        stopped = [s for s in world.senders if s.error is not None and not s.was_lost]
        assert len(stopped) <= world.refused + world.pair.far.counts.refused
        assert world.pair.far.counts.broken == 0
        assert not world.block.failures
        assert not world.block.tasks
        assert world.pair.near.open_count == world.pair.far.open_count == 0
        assert not world.pair.near._per_remote
        assert not world.pair.far._readers
        assert not world.pair.near._writers

    asyncio.run(run())
