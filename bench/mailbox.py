"""The mailbox alone: ``python -m bench.mailbox [--seconds 1] [--rounds 3] [--json]``.

One cycle is put, run, complete; a cell keeps 1, 16 or 256 of them going. Rows:

- ``mailbox power|process|memory``: the real class and the scheduler.
- ``mailbox, effects``: each handler writes one row in its transaction.
- ``thread, one statement``: its writer alone: all that arrived is one statement, delivered
  from memory after the commit; completions ride the next one.
- ``thread, a statement a row``: the same as a transaction of single statements.
- ``aiosqlite, one statement``: the same statements on aiosqlite's thread.
- ``aiosqlite, one by one``: what a straightforward mailbox does: each statement awaited.
- ``attempt in the journal|in a commit``: what it costs to note durably that a handler starts.

The cells alternate round by round and the median round counts, for machines are noisy.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path

import aiosqlite
import uvloop

from actr_peer.actor.scheduler import Outcome, Scheduler, Turn
from actr_peer.protocol.mailbox.requests import Put, Request
from actr_peer.protocol.payload import PayloadType
from actr_peer.state.mailbox.mailbox import Mailbox
from actr_peer.state.mailbox.tables import TABLES, UPSERT, done_row
from actr_peer.state.storage.batches import Upsert
from actr_peer.state.storage.database import Connection, Durability
from actr_peer.state.storage.journal import RunJournal
from actr_peer.state.storage.operations import Finish, Insert, Operation, Row, RowWrite
from actr_peer.state.storage.writer import ThreadWriter
from bench.report import console, percentile, show, write_json

IN_FLIGHT = (1, 16, 256)
PRAGMAS = ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL")
ENVELOPE = b"x" * 200
REPLY = b"y" * 60

Cell = tuple[float, list[float]]
"""Cycles per second, and the seconds from put to delivery of each."""
Measure = Callable[[Path, int, float], Coroutine[None, None, Cell]]


class Load:
    """Keeps requests going for a while, and notes when each was put and delivered."""

    def __init__(self, send: Callable[[str], None], *, in_flight: int, seconds: float) -> None:
        self._send = send
        self._in_flight = in_flight
        self._seconds = seconds
        self._put_at: dict[str, float] = {}
        self._waits: list[float] = []
        self._count = self._open = 0
        self._over = asyncio.Event()

    async def run(self) -> Cell:
        began = time.perf_counter()
        self._end = began + self._seconds
        for _ in range(self._in_flight):
            self._next()
        await self._over.wait()
        return len(self._waits) / (time.perf_counter() - began), self._waits

    def _next(self) -> None:
        self._count += 1
        self._open += 1
        name = f"0190163d-8694-739b-aea5-{self._count:012}"
        self._put_at[name] = time.perf_counter()
        self._send(name)

    def delivered(self, name: str) -> None:
        self._waits.append(time.perf_counter() - self._put_at.pop(name))

    def completed(self) -> None:
        self._open -= 1
        if time.perf_counter() < self._end:
            self._next()
        elif not self._open:
            self._over.set()


def of_mailbox(durability: Durability, *, effects: bool = False) -> Measure:
    """The real class under the real scheduler."""

    async def measure(folder: Path, in_flight: int, seconds: float) -> Cell:
        async with Mailbox(folder / "box.db", durability=durability) as mailbox:

            def send(name: str) -> None:
                kind = PayloadType.RPC_RELIABLE
                request = Request(
                    sender="acme:room@2:default",
                    request_id=name,
                    payload_type=kind,
                    is_tell=False,
                    route_key="a.B.C",
                    envelope=ENVELOPE,
                )
                mailbox.put(request, acknowledge)

            async def run(request: Request, turn: Turn) -> Outcome:
                load.delivered(request.request_id)
                if effects:
                    async with turn.transaction() as tx:
                        await tx.execute("CREATE TABLE IF NOT EXISTS note(id)")
                        await tx.execute("INSERT INTO note VALUES(?)", (request.request_id,))
                return Outcome(REPLY)

            load = Load(send, in_flight=in_flight, seconds=seconds)
            async with Scheduler(
                mailbox,
                run=run,
                reply=lambda request, reply: load.completed(),
                key_of=lambda request: None,
            ):
                return await load.run()

    return measure


def acknowledge(result: Put) -> None:
    """Where the session would acknowledge."""


def row_of(number: int) -> Row:
    """A request as the mailbox would store it."""
    name = f"0190163d-8694-739b-aea5-{number:012}"
    return (number, 0, "acme:room@2:default", name, 0, "a.B.C", ENVELOPE, 0, 0)


class BareStore:
    """The mailbox's table and statement, and nothing else of it."""

    trouble: Exception | None = None
    loss = ""

    def __init__(self, folder: Path, upsert: Upsert) -> None:
        self._path = folder / "box.db"
        self._upsert = upsert

    def open(self) -> None:
        self._database = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        for statement in (*PRAGMAS, *TABLES):
            self._database.execute(statement)

    def apply(self, batch: list[Operation]) -> None:
        rows = [operation.row for operation in batch if isinstance(operation, RowWrite)]
        self._upsert.execute(self._database, rows)

    def apply_now(self, batch: list[Operation]) -> bool:
        self.apply(batch)
        return True

    def close(self) -> None:
        self._database.close()


def of_thread(upsert: Upsert) -> Measure:
    """The writer thread with one statement for each batch, as the mailbox has it."""

    async def measure(folder: Path, in_flight: int, seconds: float) -> Cell:
        done: list[Operation] = []

        def committed(batch: list[Operation]) -> None:
            for operation in batch:
                if isinstance(operation, Insert):
                    load.delivered(operation.owner)
                    done.append(Finish(None, done_row(operation.row[0], REPLY), 0))
                    load.completed()

        def send(name: str) -> None:
            for operation in done:
                writer.submit(operation)
            done.clear()
            writer.submit(Insert(name, row_of(int(name[-12:])), 0))

        writer = ThreadWriter(BareStore(folder, upsert), committed, "bench")
        await writer.start()
        load = Load(send, in_flight=in_flight, seconds=seconds)
        result = await load.run()
        await writer.stop()
        return result

    return measure


def of_aiosqlite(upsert: Upsert) -> Measure:
    """The same statements, each batch awaited on aiosqlite's thread."""

    async def measure(folder: Path, in_flight: int, seconds: float) -> Cell:
        database = await _open(folder)
        arrived: list[str] = []
        done: list[Row] = []
        wake = asyncio.Event()

        async def write() -> None:
            while True:
                await wake.wait()
                wake.clear()
                new, rows = arrived[:], done[:]
                arrived.clear()
                done.clear()
                rows += [row_of(int(name[-12:])) for name in new]
                if rows:
                    await database.execute(*upsert.statement(rows))
                for name in new:
                    load.delivered(name)
                    done.append(done_row(int(name[-12:]), REPLY))
                    load.completed()

        def send(name: str) -> None:
            arrived.append(name)
            wake.set()

        load = Load(send, in_flight=in_flight, seconds=seconds)
        async with asyncio.TaskGroup() as group:
            writer = group.create_task(write())
            result = await load.run()
            writer.cancel()
        await database.close()
        return result

    return measure


async def _open(folder: Path) -> aiosqlite.Connection:
    database = await aiosqlite.connect(folder / "box.db", isolation_level=None)
    for statement in (*PRAGMAS, *TABLES):
        await database.execute(statement)
    return database


async def one_by_one(folder: Path, in_flight: int, seconds: float) -> Cell:
    """Every request by itself: insert, deliver, complete."""
    database = await _open(folder)

    async def cycle(name: str) -> None:
        number = int(name[-12:])
        await database.execute(*UPSERT.statement([row_of(number)]))
        load.delivered(name)
        await database.execute(*UPSERT.statement([done_row(number, REPLY)]))
        load.completed()

    async with asyncio.TaskGroup() as group:
        load = Load(
            lambda name: (group.create_task(cycle(name)), None)[1],
            in_flight=in_flight,
            seconds=seconds,
        )
        result = await load.run()
    await database.close()
    return result


class ManyStatements(Upsert):
    """A statement for each row, as ``executemany`` runs them."""

    def execute(self, connection: Connection, rows: Sequence[Row]) -> None:
        connection.execute("BEGIN")
        for row in rows:
            connection.execute(*self.statement([row]))
        connection.execute("COMMIT")


def note_in_journal(folder: Path, seconds: float) -> float:
    """Starts and ends of handlers per second, in the mapped file."""
    journal = RunJournal(str(folder / "run"))
    count, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        for _ in range(1000):
            journal.leave(journal.enter(count))
        count += 1000
    journal.close()
    return count / seconds


def note_in_commit(folder: Path, seconds: float) -> float:
    """The same, as a transaction for each start."""
    database = sqlite3.connect(folder / "run.db", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE box(id INTEGER PRIMARY KEY, attempts)")
    database.execute("INSERT INTO box VALUES(1, 0)")
    count, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        database.execute("UPDATE box SET attempts=attempts+1 WHERE id=1")
        count += 1
    database.close()
    return count / seconds


COLUMNS = "sequence state sender request_id kind route_key body store_id call_number"
MANY = ManyStatements("actr_inbox", COLUMNS.split(), ("state", "body"))
SYSTEMS: dict[str, Measure] = {
    "mailbox power": of_mailbox("power"),
    "mailbox power, effects": of_mailbox("power", effects=True),
    "mailbox process": of_mailbox("process"),
    "mailbox memory": of_mailbox("memory"),
    "thread, one statement": of_thread(UPSERT),
    "thread, a statement a row": of_thread(MANY),
    "aiosqlite, one statement": of_aiosqlite(UPSERT),
    "aiosqlite, one by one": one_by_one,
}


def rows(*, seconds: float, rounds: int, folder: Path) -> list[dict[str, object]]:
    """The median round of every cell."""
    cells: dict[tuple[str, int], list[Cell]] = {}
    for turn in range(rounds):
        for name, measure in SYSTEMS.items():
            for in_flight in IN_FLIGHT:
                place = folder / f"{turn}-{name}-{in_flight}"
                place.mkdir()
                cell = uvloop.run(measure(place, in_flight, seconds))
                cells.setdefault((name, in_flight), []).append(cell)
                console.print(f"round {turn + 1}: {name}, {in_flight} in flight: {cell[0]:,.0f}/s")
    found: list[dict[str, object]] = []
    for (name, in_flight), all_rounds in cells.items():
        waits = [wait for _, times in all_rounds for wait in times]
        found.append(
            {
                "system": name,
                "in_flight": in_flight,
                "per_s": round(statistics.median(rate for rate, _ in all_rounds)),
                "delivered_p50_ms": round(percentile(waits, 0.50) * 1000, 3),
                "delivered_p99_ms": round(percentile(waits, 0.99) * 1000, 3),
            }
        )
    return found


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each cell")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="actr-bench-", dir=Path.cwd()) as folder:
        place = Path(folder)
        found = rows(seconds=options.seconds, rounds=options.rounds, folder=place)
        attempts = {
            "attempts_in_journal_per_s": round(note_in_journal(place, options.seconds)),
            "attempts_in_commits_per_s": round(note_in_commit(place, options.seconds)),
        }
    if options.json:
        write_json({"rows": found, **attempts})
    else:
        show("the mailbox alone", found)
        console.print(attempts)


if __name__ == "__main__":
    main()
