"""The scripts in Redis, asked directly through one ledger and another."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from actr_signaling.ledger.redis.address import Address
from actr_signaling.ledger.redis.ledger import RedisLedger
from actr_signaling.protocol.presence.changes import Put, Removed
from actr_signaling.protocol.presence.records import Entry, Load, Registration
from actr_signaling.protocol.presence.view import Reason
from actr_signaling.protocol.relay.parcels import Parcel
from actr_signaling.protocol.relay.routing import Undelivered
from signaling_kit.client import PATIENCE, actor
from signaling_kit.redis import RedisProcess

pytestmark = pytest.mark.service


class Sink:
    """Keeps what a ledger reports."""

    def __init__(self) -> None:
        self.changes: list[Put | Removed] = []
        self.fences: list[int] = []
        self.own: list[Entry] = []
        self.stored: dict[str, Entry] = {}
        self._news = asyncio.Event()

    def changed(self, change: Put | Removed) -> None:
        self.changes.append(change)
        self._news.set()

    def restored(self, entries: Iterable[Entry], version: int, *, is_partial: bool) -> None:
        self.stored = {entry.text: entry for entry in entries}
        self._news.set()

    def settled(self) -> None: ...

    def fenced(self, entry: Entry, epoch: int) -> None:
        self.fences.append(epoch)
        self._news.set()

    def arrived(self, replica: str, parcel: Parcel) -> Undelivered | None:
        return None

    def answered(self, number: int, reason: Undelivered | None) -> None: ...

    def lost(self) -> None: ...

    def own_entries(self) -> list[Entry]:
        return self.own

    async def until(self, true: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not true():
                self._news.clear()
                await self._news.wait()


Pair = tuple[RedisLedger, Sink]


@pytest.fixture
async def ledgers(redis_server: RedisProcess) -> AsyncIterator[list[Pair]]:
    prefix = f"t{secrets.token_hex(8)}"
    pairs: list[Pair] = []
    async with AsyncExitStack() as stack:
        for number in range(2):
            sink = Sink()
            ledger = RedisLedger(
                sink,
                address=Address(redis_server.url),
                replica=f"{number:016d}",
                lease=30,
                prefix=prefix,
            )
            await stack.enter_async_context(ledger)
            pairs.append((ledger, sink))
        async with asyncio.timeout(PATIENCE):
            while not all(ledger.is_ready for ledger, _ in pairs):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        yield pairs


def entry(name: str, session: str, replica: int = 0) -> Entry:
    return Entry(
        registration=Registration(id=actor(name)),
        load=Load(),
        epoch=0,
        session=session * 32,
        replica=f"{replica:016d}",
    )


async def granted(pair: Pair, wanted: Entry, above: int = 0) -> Entry:
    ledger, sink = pair
    ledger.register(wanted, above=above)
    await sink.until(
        lambda: any(isinstance(c, Put) and c.entry.session == wanted.session for c in sink.changes)
    )
    change = next(
        c for c in sink.changes if isinstance(c, Put) and c.entry.session == wanted.session
    )
    assert isinstance(change, Put)
    return change.entry


async def test_each_registration_has_a_higher_epoch_and_every_replica_hears_the_same(
    ledgers: list[Pair],
) -> None:
    first = await granted(ledgers[0], entry("a", "1"))
    second = await granted(ledgers[1], entry("a", "2", 1))
    assert second.epoch > first.epoch
    for _, sink in ledgers:
        await sink.until(lambda sink=sink: len(sink.changes) == 2)  # type: ignore[misc]
    assert ledgers[0][1].changes == ledgers[1][1].changes
    versions = [change.version for change in ledgers[0][1].changes]
    assert versions[1] >= versions[0] + 2


async def test_an_epoch_is_above_what_a_replica_remembers(ledgers: list[Pair]) -> None:
    future = 8_000_000_000_000_000
    assert (await granted(ledgers[0], entry("a", "1"), above=future)).epoch == future + 1


async def test_an_older_session_can_neither_renew_nor_delete_a_newer_one(
    ledgers: list[Pair],
) -> None:
    (one, sink), (two, _) = ledgers
    old = await granted(ledgers[0], entry("a", "1"))
    new = await granted(ledgers[1], entry("a", "2", 1))
    one.renew(old, is_changed=False)
    await sink.until(lambda: sink.fences)
    assert sink.fences == [new.epoch]
    one.leave(old, Reason.EXPIRED)
    await one.flush()
    two.leave(new, Reason.CLOSED)
    await sink.until(lambda: isinstance(sink.changes[-1], Removed))
    removed = sink.changes[-1]
    assert isinstance(removed, Removed)
    assert (removed.epoch, removed.reason) == (new.epoch, Reason.CLOSED)


async def test_an_older_session_does_not_return_after_the_newer_one_has_left(
    ledgers: list[Pair],
) -> None:
    (one, sink), (two, _) = ledgers
    old = await granted(ledgers[0], entry("a", "1"))
    new = await granted(ledgers[1], entry("a", "2", 1))
    two.leave(new, Reason.CLOSED)
    await two.flush()
    one.renew(old, is_changed=True)
    await sink.until(lambda: sink.fences)
    assert sink.fences == [new.epoch]
    assert isinstance(sink.changes[-1], Removed)


async def test_a_session_that_expired_by_mistake_returns_with_its_renewal(
    ledgers: list[Pair],
) -> None:
    (one, sink), (two, _) = ledgers
    mine = await granted(ledgers[0], entry("a", "1"))
    two.leave(mine, Reason.EXPIRED)  # as a sweep of another replica does
    await two.flush()
    one.renew(mine, is_changed=False)
    await sink.until(lambda: isinstance(sink.changes[-1], Put) and len(sink.changes) == 3)
    assert sink.changes[-1] == Put(mine, sink.changes[-1].version)


async def test_a_renewal_with_a_new_load_is_heard_and_one_without_is_not(
    ledgers: list[Pair],
) -> None:
    one, sink = ledgers[0]
    mine = await granted(ledgers[0], entry("a", "1"))
    one.renew(mine, is_changed=False)
    loaded = replace(mine, load=Load(100, 0.5))
    one.renew(loaded, is_changed=True)
    await sink.until(lambda: len(sink.changes) > 1)
    change = sink.changes[1]
    assert isinstance(change, Put)
    assert change.entry == loaded


async def test_a_session_that_beats_without_end_costs_the_store_few_writes(
    ledgers: list[Pair], redis_server: RedisProcess
) -> None:
    # 1. A thousand heartbeats in one turn of the loop, each with another load.  2. The first is
    # stored at once, the last with the next sweep, and nothing between.
    (one, sink), (_, other) = ledgers
    mine = await granted(ledgers[0], entry("a", "1"))
    sink.changes.clear()
    for backlog in range(1, 1001):
        one.renew(replace(mine, load=Load(backlog)), is_changed=True)
    await sink.until(lambda: len(sink.changes) == 2)
    loads = [change.entry.load.mailbox_backlog for change in sink.changes]  # type: ignore[union-attr]
    assert loads == [1, 1000]
    await other.until(lambda: other.changes[-1] == sink.changes[-1])


async def test_nothing_of_a_session_is_stored_after_it_has_left(ledgers: list[Pair]) -> None:
    one, sink = ledgers[0]
    mine = await granted(ledgers[0], entry("a", "1"))
    for backlog in range(1, 10):
        one.renew(replace(mine, load=Load(backlog)), is_changed=True)
    one.leave(mine, Reason.CLOSED)
    await sink.until(lambda: isinstance(sink.changes[-1], Removed))
    one._hold_again()
    await one.flush()
    assert isinstance(sink.changes[-1], Removed)
    assert not one._held


async def test_a_change_that_was_missed_is_made_up_for(
    ledgers: list[Pair], redis_server: RedisProcess
) -> None:
    # 1. The version moves on without a message.  2. The next change shows the gap.
    # 3. The whole state is taken, and changes go on.
    one, sink = ledgers[0]
    mine = await granted(ledgers[0], entry("a", "1"))
    keys = redis_server.ask("KEYS", f"{one._prefix}:state").split()
    redis_server.ask("HINCRBY", keys[0], "version", "2")
    one.register(entry("b", "2"), above=0)
    await sink.until(lambda: len(sink.stored) == 2)
    assert sink.stored[mine.text] == mine
    await granted(ledgers[0], entry("c", "3"))


@pytest.mark.parametrize("phase", ["unreachable", "silent", "linked", "broken"])
async def test_leaving_in_any_phase_leaves_no_task(own_redis: RedisProcess, phase: str) -> None:
    before = asyncio.all_tasks()
    url = "redis://127.0.0.1:1/0" if phase == "unreachable" else own_redis.url
    ledger = RedisLedger(Sink(), address=Address(url), replica="0" * 16, lease=30)
    if phase == "silent":
        own_redis.ask("CLIENT", "PAUSE", "60000")
    async with asyncio.timeout(PATIENCE), ledger:
        while phase in ("linked", "broken") and not ledger.is_ready:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        if phase == "broken":
            own_redis.kill()
            while ledger.is_ready:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.1)
    assert asyncio.all_tasks() == before


def step_clock(server: RedisProcess, prefix: str, id: str, milliseconds: int) -> None:
    """As if the clock of the Redis host was set: all that is stored is from that much before."""
    assert int(server.ask("HINCRBY", f"{prefix}:state", "seen", str(-milliseconds)))
    server.ask("ZINCRBY", f"{prefix}:leases", str(-milliseconds), id)


@pytest.mark.parametrize("milliseconds", [60_000, -60_000], ids=["forward", "back"])
async def test_a_step_of_the_clock_ends_nobody_and_leases_still_end(
    monkeypatch: pytest.MonkeyPatch, redis_server: RedisProcess, milliseconds: int
) -> None:
    # 1. An entry is stored whose replica renews nothing.  2. The clock is set, a minute on or back,
    # and set again.  3. The lease ends when it would have ended, and not before.
    monkeypatch.setattr("actr_signaling.ledger.redis.ledger.FIRST_EXPIRY", 0.0)
    prefix, sink, loop = f"t{secrets.token_hex(8)}", Sink(), asyncio.get_running_loop()
    ledger = RedisLedger(
        sink, address=Address(redis_server.url), replica="0" * 16, lease=4, prefix=prefix
    )
    async with ledger:
        await sink.until(lambda: ledger.is_ready)
        started = loop.time()
        stored = await granted((ledger, sink), entry("a", "s"))
        for _ in range(2):
            step_clock(redis_server, prefix, stored.text, milliseconds)
            await ledger.flush()
        await sink.until(lambda: isinstance(sink.changes[-1], Removed))
        # Twice up to two of its looks at the clock may be taken for a part of the step.
        assert loop.time() - started > 2.0
