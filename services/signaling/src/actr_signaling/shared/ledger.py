"""The shared ledger: presence in Redis, a channel for each replica, one writer, one reader.

::

    signaling ─ ledger/link        connects, again and again; owns for each connection:
                 ├─ writer         all that was asked for in one turn, in one write
                 ├─ reader         changes of presence, batches from other replicas
                 └─ sweeper        the one periodic task: leases, lost data, a sign of life

After every connect, every missed change and every loss of Redis' data the writer takes the whole
state and writes this replica's own entries again (:meth:`SharedLedger._sync`).
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn, Self

import structlog

from actr_signaling.errors import BadMessageError, ConfigError
from actr_signaling.ledger import LedgerSink
from actr_signaling.protocol import stored
from actr_signaling.protocol.parcels import Parcel
from actr_signaling.protocol.presence import Reason
from actr_signaling.protocol.records import Entry
from actr_signaling.shared import scripts
from actr_signaling.shared.inbox import Inbox
from actr_signaling.shared.line import Command, Line, StoreError
from actr_signaling.shared.outbox import Outbox
from actr_signaling.tasks import Tasks

log = structlog.get_logger()

SWEEP_SECONDS = 0.5
SETTLE = 1.5
"""Seconds that all replicas have to write their own after a loss; above a retry and a sweep."""
RETRY = 0.5
"""Seconds between attempts to connect, at most."""
SILENCE = 3.0
"""Seconds without even this replica's own sign of life until a subscription counts as dead."""
MAX_EXPIRED = 200
"""Entries that one sweep ends: a script holds up the whole server."""
MAX_COMMANDS = 512
"""In one write."""
FLUSH = 2.0


@dataclass(frozen=True, slots=True)
class Order:
    """One command, and who takes its answer."""

    command: Command
    answered: Callable[[Any], None]


class SharedLedger:
    """Presence and relays shared through Redis; see :class:`actr_signaling.ledger.Ledger`.

    Args:
        sink: Told of everything that arrives.
        url: Of Redis.
        replica: This replica's id, 16 characters.
        lease: Seconds for which an entry outlives its replica.
        prefix: Of all keys and channels.

    Raises:
        ConfigError: If ``url`` is none.
    """

    def __init__(
        self, sink: LedgerSink, *, url: str, replica: str, lease: float, prefix: str = "actr"
    ) -> None:
        try:
            Line(url)
        except (ValueError, TypeError) as exc:
            raise ConfigError(f"the Redis URL cannot be used: {exc}") from exc
        self._sink = sink
        self._url = url
        self._replica = replica
        # Less one sweep: an entry is gone within the promised time, not soon after it.
        self._lease_ms = max(100, round((lease - 2 * SWEEP_SECONDS) * 1000))
        self._prefix = prefix
        self._keys = tuple(f"{prefix}:{name}" for name in ("records", "leases", "state"))
        self._generation: bytes | None = None
        self._run_id = b""
        self._is_linked = False
        self._orders: deque[Order] = deque()
        self._leaves: dict[str, tuple[Entry, Reason]] = {}
        """By session: ends that the store has not confirmed."""
        self._outbox = Outbox(replica)
        self._inbox = Inbox(sink, self._outbox, self._want_sync)
        self._wants_sync = False
        self._wake = asyncio.Event()
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
        return self._is_linked

    def register(self, entry: Entry, *, above: int) -> None:
        if self._is_linked:  # else it is among the sink's own entries when the link is back
            tail = stored.pack_tail(entry)
            self._order(scripts.REGISTER, entry.text, above, self._lease_ms, tail)

    def renew(self, entry: Entry, *, is_changed: bool) -> None:
        del is_changed  # the script compares, and also mends what is missing
        if self._is_linked:
            self._hold(entry)

    def leave(self, entry: Entry, reason: Reason) -> None:
        self._leaves[entry.session] = entry, reason
        if self._is_linked:
            self._order_leave(entry, reason)

    def send(self, replica: str, parcel: Parcel) -> None:
        self._outbox.add(replica, parcel)
        self._wake.set()

    async def flush(self) -> None:
        if not self._is_linked:
            return
        done = asyncio.Event()
        self._orders.append(Order(("PING",), lambda _: done.set()))
        self._wake.set()
        try:
            async with asyncio.timeout(FLUSH):
                await done.wait()
        except TimeoutError:
            log.warning("left without the store's confirmation")

    # Orders

    def _order(
        self, script: str, *arguments: str | bytes | int, then: Callable[[Any], None] | None = None
    ) -> None:
        self._orders.append(Order(self._call(script, *arguments), then or _ignore))
        self._wake.set()

    def _call(self, script: str, *arguments: str | bytes | int) -> Command:
        name = scripts.digest(script)
        return ("EVALSHA", name, len(self._keys), *self._keys, self._prefix, *arguments)

    def _hold(self, entry: Entry) -> None:
        def answered(known: bytes) -> None:
            if int(known) > entry.epoch:
                self._sink.fenced(entry, int(known))

        tail = stored.pack_tail(entry)
        self._order(scripts.HOLD, entry.text, entry.epoch, self._lease_ms, tail, then=answered)

    def _order_leave(self, entry: Entry, reason: Reason) -> None:
        def answered(_: object) -> None:
            self._leaves.pop(entry.session, None)

        self._order(
            scripts.LEAVE,
            entry.text,
            entry.epoch,
            reason.value,
            scripts.FENCE_MS,
            then=answered,
        )

    # The link

    async def _keep_linked(self) -> NoReturn:
        while True:
            try:
                async with Line(self._url) as line, Line(self._url, timeout=SILENCE) as events:
                    await self._serve(line, events)
            except* StoreError as group:
                log.warning("the store is away", why=str(group.exceptions[0]))
            finally:
                self._unlink()
            await asyncio.sleep(random.uniform(RETRY / 5, RETRY))  # noqa: S311

    async def _serve(self, line: Line, events: Line) -> None:
        channels = f"{self._prefix}:presence", self._channel(self._replica)
        await events.run([("SUBSCRIBE", channel) for channel in channels])
        info = (await line.run([("INFO", "server")]))[0]
        self._run_id = _field(info, b"run_id")
        await line.run([("SCRIPT", "LOAD", script) for script in scripts.ALL])
        self._inbox.hold_back()
        async with Tasks("ledger/link") as tasks:
            tasks.start("reader", self._read(events))
            await self._sync(line)
            self._is_linked = True
            log.info("the store answers", entries=self._inbox.version)
            tasks.start("sweeper", self._sweep())
            await self._write(line)

    def _unlink(self) -> None:
        was_linked, self._is_linked = self._is_linked, False
        self._orders.clear()  # what they asked for is asked again from the sink's own entries
        self._outbox.clear()
        if was_linked:
            self._sink.lost()

    async def _read(self, events: Line) -> NoReturn:
        own = self._channel(self._replica).encode()
        while True:
            kind, channel, data = await events.read()
            if kind != b"message":
                continue
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
                count = min(MAX_COMMANDS, len(self._orders))
                orders = [self._orders.popleft() for _ in range(count)]
                batches = self._outbox.take()
                publishes: list[Command] = [
                    ("PUBLISH", self._channel(batch.replica), batch.data) for batch in batches
                ]
                answers = await line.run([order.command for order in orders] + publishes)
                for order, answer in zip(orders, answers, strict=False):
                    order.answered(answer)
                for batch, heard in zip(batches, answers[len(orders) :], strict=True):
                    if not heard:
                        self._inbox.nobody_heard(batch)

    async def _sweep(self) -> NoReturn:
        await asyncio.sleep(SETTLE)  # others may just be coming back too: expire nobody yet
        while True:
            self._orders.append(Order(self._sweep_call(MAX_EXPIRED), self._check_generation))
            self._orders.append(Order(("PUBLISH", self._channel(self._replica), b""), _ignore))
            self._wake.set()
            await asyncio.sleep(SWEEP_SECONDS)

    def _sweep_call(self, most: int) -> Command:
        return self._call(
            scripts.SWEEP,
            self._run_id,
            secrets.token_hex(8),
            most,
            Reason.EXPIRED.value,
            scripts.FENCE_MS,
            scripts.KEEP_MS,
        )

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
        generation, (version, values) = await line.run(
            [self._sweep_call(0), self._call(scripts.SNAPSHOT)]
        )
        if self._generation not in (None, generation):
            log.warning("the store has lost its data: writing our own again")
            self._settle_later(SETTLE)
        self._generation = generation
        is_partial = self._settling is not None
        self._inbox.take_state(int(version), _entries(values), is_partial=is_partial)
        for entry in self._sink.own_entries():
            if entry.epoch:
                self._hold(entry)
            else:
                tail = stored.pack_tail(entry)
                self._order(scripts.REGISTER, entry.text, 0, self._lease_ms, tail)
        for entry, reason in self._leaves.values():
            self._order_leave(entry, reason)

    def _settle_later(self, seconds: float | None) -> None:
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None
        if seconds is not None:
            self._settling = asyncio.get_running_loop().call_later(seconds, self._settled)

    def _settled(self) -> None:
        """All replicas have had their time; those that are linked have used it."""
        self._settling = None
        if self._is_linked:
            self._sink.settled()
        else:
            self._settle_later(SETTLE)

    def _channel(self, replica: str) -> str:
        return f"{self._prefix}:replica:{replica}"


def _ignore(answer: object) -> None:
    del answer


def _entries(values: list[bytes]) -> list[Entry]:
    entries = []
    for value in values:
        try:
            entries.append(stored.unpack(value))
        except BadMessageError as exc:
            log.error("stored entry skipped", why=exc.message)
    return entries


def _field(info: bytes, name: bytes) -> bytes:
    for line in info.splitlines():
        key, _, value = line.partition(b":")
        if key == name:
            return value
    return b""
