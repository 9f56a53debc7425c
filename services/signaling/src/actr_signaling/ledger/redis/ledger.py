"""The shared ledger: presence in Redis, a channel for each replica, one writer, one reader.

::

    ledger/link           connects, again and again; writes all that one turn has in one go
     ├─ link/reader       changes of presence, batches from other replicas
     ├─ link/primary      of several servers: ends the link when another is the primary
     └─ link/sweeper      the one periodic task: leases, lost data, a sign of life

After every connect, every missed change and every loss of Redis' data the writer takes the whole
state and writes this replica's own entries again (:meth:`RedisLedger._sync`).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from enum import Enum, auto
from typing import NoReturn, Self

import structlog

from actr_signaling.errors import BadMessageError
from actr_signaling.ledger.base import LedgerSink
from actr_signaling.ledger.redis import answers, scripts
from actr_signaling.ledger.redis.address import Address, Form
from actr_signaling.ledger.redis.answers import StoreError
from actr_signaling.ledger.redis.inbox import Inbox
from actr_signaling.ledger.redis.line import Command, Line, RefusedError
from actr_signaling.ledger.redis.orders import Orders
from actr_signaling.ledger.redis.outbox import Outbox
from actr_signaling.ledger.redis.places import answering_primary, primary
from actr_signaling.protocol.presence import stored
from actr_signaling.protocol.presence.records import Entry
from actr_signaling.protocol.presence.view import Reason
from actr_signaling.protocol.relay.parcels import Parcel
from actr_signaling.protocol.relay.routing import Undelivered
from actr_signaling.tasks import Tasks

log = structlog.get_logger()

SWEEP_SECONDS = 0.5
SETTLE = 1.5
"""Seconds that all replicas have to write their own after a loss; above a retry and a sweep."""
SETTLE_SEVERAL = 3.0
"""Likewise where there are several servers: replicas come to the next one at different times."""
RETRY = 0.5
"""Seconds between attempts to connect, at most."""
SILENCE = 3.0
"""Seconds without even this replica's own sign of life until a subscription counts as dead."""
WATCH = 1.0
"""Seconds between looks at who is the primary, where there are several servers."""
FIRST_EXPIRY = 5.0
"""Seconds after a connect in which overdue entries are left alone."""
MAX_EXPIRED = 200
"""Entries that one sweep ends: a script holds up the whole server."""
MAX_COMMANDS = 512
"""In one write."""
FLUSH = 2.0


class _Link(Enum):
    NEW = auto()
    """Never connected yet."""
    UP = auto()
    DOWN = auto()


class RedisLedger:
    """Presence and relays shared through Redis; see :class:`actr_signaling.ledger.base.Ledger`.

    Args:
        sink: Told of everything that arrives.
        address: Of Redis.
        replica: This replica's id, 16 characters.
        lease: Seconds for which an entry outlives its replica.
        prefix: Of all keys and channels.
        took: Told how long each write with its answers has taken.

    Raises:
        ConfigError: If ``address`` is none.
    """

    def __init__(
        self,
        sink: LedgerSink,
        *,
        address: Address,
        replica: str,
        lease: float,
        prefix: str = "actr",
        took: Callable[[float], None] = lambda _: None,
    ) -> None:
        address.check()
        self._took = took
        self._sink = sink
        self._address = address
        self._replica = replica
        self._prefix = prefix = address.tagged(prefix)
        self._settle = SETTLE if address.form is Form.SINGLE else SETTLE_SEVERAL
        is_cluster = address.form is Form.CLUSTER
        self._publish = "SPUBLISH" if is_cluster else "PUBLISH"
        self._subscribe = "SSUBSCRIBE" if is_cluster else "SUBSCRIBE"
        # A server of a Cluster counts its own listeners: one on another server may have heard.
        self._unheard = Undelivered.EXPIRED if is_cluster else Undelivered.OFFLINE
        self._generation: bytes | None = None
        self._run_id = b""
        self._link = _Link.NEW
        self._wake = asyncio.Event()
        # Less two sweeps: an entry is gone within the promised time, not soon after it.
        self._orders = Orders(prefix=prefix, lease=lease - 2 * SWEEP_SECONDS, wake=self._wake.set)
        self._held: dict[str, Entry | None] = {}
        """By session: renewed since the last sweep; what of them is to be stored with the next."""
        self._leaves: dict[str, tuple[Entry, Reason]] = {}
        """By session: ends that the store has not confirmed."""
        self._outbox = Outbox(replica)
        self._inbox = Inbox(sink, self._outbox, self._want_sync)
        self._wants_sync = False
        self._settling: asyncio.TimerHandle | None = None
        """While it is set, replicas are still writing their own after a loss."""
        self._tasks = Tasks("ledger")

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._tasks.start("link", self._keep_linked())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._settle_later(None)
        await self._tasks.__aexit__(None, None, None)

    # Ledger

    @property
    def is_ready(self) -> bool:
        return self._link is _Link.UP

    @property
    def is_shared(self) -> bool:
        return True

    @property
    def is_full(self) -> bool:
        return self._outbox.is_full

    def register(self, entry: Entry, *, above: int) -> None:
        self._held.pop(entry.session, None)
        if self.is_ready:  # else it is among the sink's own entries when the link is back
            self._orders.register(entry, above=above)

    def renew(self, entry: Entry, *, is_changed: bool) -> None:
        del is_changed  # the script compares, and also mends what is missing
        if self.is_ready and entry.session in self._held:
            self._held[entry.session] = entry  # with the next sweep
        elif self.is_ready:
            self._held[entry.session] = None
            self._hold(entry)

    def leave(self, entry: Entry, reason: Reason) -> None:
        self._held.pop(entry.session, None)
        self._leaves[entry.session] = entry, reason
        if self.is_ready:
            self._take_out(entry, reason)

    def send(self, replica: str, parcel: Parcel) -> None:
        self._outbox.add(replica, parcel)
        if not self._wake.is_set():
            self._wake.set()

    async def flush(self) -> None:
        if not self.is_ready:
            return
        done = asyncio.Event()
        self._orders.add(("PING",), lambda _: done.set())
        try:
            async with asyncio.timeout(FLUSH):
                await done.wait()
        except TimeoutError:
            log.warning("left without the store's confirmation")

    def _hold(self, entry: Entry) -> None:
        self._orders.hold(entry, fenced=lambda epoch: self._sink.fenced(entry, epoch))

    def _hold_again(self) -> None:
        """Store what was renewed more than once since the last sweep, each session's newest.

        One that beats five hundred times a second costs the store two writes.
        """
        held, self._held = self._held, {}
        for session, entry in held.items():
            if entry is not None:
                self._held[session] = None
                self._hold(entry)

    def _take_out(self, entry: Entry, reason: Reason) -> None:
        def done() -> None:
            self._leaves.pop(entry.session, None)

        self._orders.leave(entry, reason, done=done)

    # The link

    async def _keep_linked(self) -> NoReturn:
        while True:
            try:
                server = await answering_primary(self._address, self._prefix)
                async with (
                    Line(server, took=self._took) as line,
                    Line(server, timeout=SILENCE) as events,
                    Tasks("ledger/link") as tasks,
                ):
                    if server is not self._address:
                        tasks.start("primary", self._watch(server))
                    await self._serve(line, events, tasks)
            except* RefusedError as group:
                self._tell("the store refuses this service", group)
            except* StoreError as group:
                self._tell("the store is away", group)
            finally:
                self._unlink()
            await asyncio.sleep(random.uniform(RETRY / 5, RETRY))  # noqa: S311

    def _tell(self, what: str, group: BaseExceptionGroup[StoreError]) -> None:
        if self._link is not _Link.DOWN:  # said once for each outage
            log.warning(what, why=str(group.exceptions[0]))

    async def _serve(self, line: Line, events: Line, tasks: Tasks) -> NoReturn:
        channels = f"{self._prefix}:presence", self._channel(self._replica)
        await events.run([(self._subscribe, channel) for channel in channels])
        self._run_id = await line.run_id()
        await line.run([("SCRIPT", "LOAD", script) for script in scripts.ALL])
        self._inbox.hold_back()
        tasks.start("reader", self._read(events))
        await self._sync(line)
        self._link = _Link.UP
        log.info("the store answers", version=self._inbox.version)
        tasks.start("sweeper", self._sweep())
        await self._write(line)

    async def _watch(self, server: Address) -> NoReturn:
        while True:
            await asyncio.sleep(WATCH)
            try:
                now = await primary(self._address, self._prefix)
            except StoreError:
                continue  # who is connected goes on
            if now != server:
                raise StoreError("another server is the primary now")

    def _unlink(self) -> None:
        was, self._link = self._link, _Link.DOWN
        self._held.clear()
        self._orders.clear()  # what they asked for is asked again from the sink's own entries
        self._outbox.clear()
        if was is _Link.UP:
            self._sink.lost()

    async def _read(self, events: Line) -> NoReturn:
        own = self._channel(self._replica).encode()
        while True:
            told = answers.message(await events.read())
            if told is None:
                continue
            channel, data = told
            if channel == own:
                self._inbox.batch(data)
                self._wake.set()  # for the answers
            else:
                self._inbox.change(data)

    async def _write(self, line: Line) -> NoReturn:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._wants_sync:
                await self._sync(line)
            while self._orders or self._outbox:
                orders = self._orders.take(MAX_COMMANDS)
                batches = self._outbox.take()
                publishes: list[Command] = [
                    (self._publish, self._channel(batch.replica), batch.data) for batch in batches
                ]
                said = await line.run([order.command for order in orders] + publishes)
                for order, answer in zip(orders, said, strict=False):
                    order.answered(answer)
                for batch, heard in zip(batches, said[len(orders) :], strict=True):
                    if not heard:
                        self._inbox.nobody_heard(batch, self._unheard)

    async def _sweep(self) -> NoReturn:
        loop = asyncio.get_running_loop()
        # Peers of replicas that are gone may just be coming back: expire nobody yet.
        expires_at = loop.time() + FIRST_EXPIRY
        while True:
            self._hold_again()
            most = MAX_EXPIRED if loop.time() >= expires_at else 0
            command = self._orders.sweep_command(self._run_id, most=most)
            self._orders.add(command, self._check_generation)
            self._orders.add((self._publish, self._channel(self._replica), b""))
            await asyncio.sleep(SWEEP_SECONDS)

    def _check_generation(self, generation: bytes) -> None:
        if generation != self._generation:
            self._want_sync()

    def _want_sync(self) -> None:
        self._wants_sync = True
        self._inbox.hold_back()
        self._wake.set()

    async def _sync(self, line: Line) -> None:
        """Take the stored state for the view; have this replica's own entries stored."""
        self._wants_sync = False
        generation, version, values = answers.state(
            await line.run(
                [
                    self._orders.sweep_command(self._run_id, most=0),
                    self._orders.snapshot_command(),
                ]
            )
        )
        if self._generation not in (None, generation):
            log.warning("the store has lost its data: writing our own again")
            self._settle_later(self._settle)
        self._generation = generation
        is_partial = self._settling is not None
        self._inbox.take_state(version, _entries(values), is_partial=is_partial)
        for entry in self._sink.own_entries():
            if entry.epoch:
                self._hold(entry)
            else:
                self._orders.register(entry, above=0)
        for entry, reason in self._leaves.values():
            self._take_out(entry, reason)

    def _settle_later(self, seconds: float | None) -> None:
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None
        if seconds is not None:
            self._settling = asyncio.get_running_loop().call_later(seconds, self._settled)

    def _settled(self) -> None:
        """All replicas have had their time; those that are linked have used it."""
        self._settling = None
        if self.is_ready:
            self._sink.settled()
        else:
            self._settle_later(self._settle)

    def _channel(self, replica: str) -> str:
        return f"{self._prefix}:replica:{replica}"


def _entries(values: list[bytes]) -> list[Entry]:
    entries = []
    for value in values:
        try:
            entries.append(stored.unpack(value))
        except BadMessageError as exc:
            log.error("stored entry skipped", why=exc.message)
    return entries
