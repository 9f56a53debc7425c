"""What an entry of presence costs Redis, and each replica that holds it and hears its changes."""

from __future__ import annotations

import time
import tracemalloc
from typing import Any

from actr_signaling.ledger.redis import scripts
from actr_signaling.ledger.redis.address import Address
from actr_signaling.ledger.redis.line import Line
from actr_signaling.ledger.redis.orders import Orders
from actr_signaling.protocol.identity import ActrId
from actr_signaling.protocol.presence import stored
from actr_signaling.protocol.presence.changes import Put
from actr_signaling.protocol.presence.records import Entry, Load, Registration
from actr_signaling.protocol.presence.view import PresenceView
from lab.processes import spent

ENTRIES = 20_000
AT_ONCE = 500


def entry(number: int, epoch: int = 1) -> Entry:
    """As a peer with one service registers."""
    registration = Registration(
        id=ActrId("bench", "p", str(number), "default"),
        ws_address="ws://10.1.2.3:9100/v1/wire",
        services={"demo.Chat": "0123456789abcdef"},
        incarnation=number,
    )
    return Entry(
        registration=registration, load=Load(), epoch=epoch, session="s" * 32, replica="r" * 16
    )


async def measure(pid: int, port: int) -> dict[str, Any]:
    """One row; CPU of Redis for a registration and for a renewed lease, and of a replica."""
    orders = Orders(prefix="bench", lease=30, wake=lambda: None)
    async with Line(Address(f"redis://127.0.0.1:{port}/0"), timeout=30) as line:
        await line.run([("SCRIPT", "LOAD", script) for script in scripts.ALL])
        row: dict[str, Any] = {"entries": ENTRIES}
        (before,) = await line.run([("INFO", "memory")])
        granted: list[int] = []
        used = spent(pid)
        for number in range(ENTRIES):
            orders.register(entry(number), above=0)
        while batch := orders.take(AT_ONCE):
            granted += [int(each) for each in await line.run([order.command for order in batch])]
        row["register_us"] = (spent(pid) - used) / ENTRIES * 1e6
        (after,) = await line.run([("INFO", "memory")])
        row["stored_kb"] = (_used(after) - _used(before)) / ENTRIES / 1024
        used = spent(pid)
        for number, epoch in enumerate(granted):
            orders.hold(entry(number, epoch), fenced=lambda _: None)
        while batch := orders.take(AT_ONCE):
            await line.run([order.command for order in batch])
        row["hold_us"] = (spent(pid) - used) / ENTRIES * 1e6
    return row | hear()


def hear() -> dict[str, float]:
    """What each replica spends on a change that another one has made, and its memory."""
    changes = [
        b"P%016d%016d" % (number, number + 1) + b"%016d" % (number + 1)
        + stored.pack_tail(entry(number))
        for number in range(ENTRIES)
    ]  # fmt: skip
    view = PresenceView()
    used = time.process_time()
    for change in changes:
        _, put = stored.unpack_change(change)
        assert isinstance(put, Put)
        view.put(put.entry, put.version)
    used = time.process_time() - used
    tracemalloc.start()
    view = PresenceView()
    for change in changes:
        _, put = stored.unpack_change(change)
        assert isinstance(put, Put)
        view.put(put.entry, put.version)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return {"hear_us": used / ENTRIES * 1e6, "view_kb": held / ENTRIES / 1024}


def _used(info: object) -> int:
    text = info if isinstance(info, bytes) else str(info).encode()
    for line in text.splitlines():
        if line.startswith(b"used_memory:"):
            return int(line.partition(b":")[2])
    raise ValueError("no used_memory")
