"""A day in the life of a mailbox, and what must be true whenever it ends.

:func:`live` runs the real class and writes down what was promised to whom; at random steps of
the disk the power is cut, in a copy. :func:`faults` starts the class over such a copy and says
what is wrong with what it finds: nothing, or a list of sentences.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from actr_peer.protocol.mailbox.requests import STORED, Put, Repeated, Request
from actr_peer.state.mailbox.mailbox import Mailbox
from actr_peer.state.storage.database import Connection, Durability
from peer_kit.state.powercut import Disk, Image
from peer_kit.state.requests import request, settled

Promise = dict[str, bytes]


@dataclass
class Ledger:
    """What the mailbox has promised so far."""

    order: list[str] = field(default_factory=list)
    """Requests as they were put."""
    acknowledged: set[str] = field(default_factory=set)
    replied: Promise = field(default_factory=dict)
    """Replies that went out after their commit, effects included."""

    def copy(self) -> Ledger:
        return Ledger(list(self.order), set(self.acknowledged), dict(self.replied))


@dataclass
class Cut:
    """The disk and the promises at the moment the power failed."""

    image: Image
    journal: bytes
    mark: bytes
    promised: Ledger


def open_mailbox(kind: type[Mailbox], disk: Disk, path: Path, durability: Durability) -> Mailbox:
    return kind(path, max_bytes=1_000_000, durability=durability, connect=disk.connect)


async def live(
    kind: type[Mailbox],
    path: Path,
    *,
    dice: random.Random,
    cuts: int,
    durability: Durability = "power",
    bursts: int = 25,
) -> list[Cut]:
    """Run bursts of requests, half of them with effects, and cut the power ``cuts`` times."""
    disk, promised = Disk(), Ledger()
    _mark(path).unlink(missing_ok=True)  # of the disk before
    made: list[Cut] = []

    def maybe_cut() -> None:
        if len(made) < cuts and dice.random() < 0.6:
            image = disk.cut(dice)
            notes = _journal(path).read_bytes(), _mark(path).read_bytes()
            made.append(Cut(image, *notes, promised.copy()))

    async with open_mailbox(kind, disk, path, durability) as mailbox:
        await mailbox.state_file.ask(
            lambda connection: connection.execute("CREATE TABLE effect(id)")
        )
        disk.on_step = maybe_cut

        def run(items: list[Request]) -> None:
            for item in items:
                _run(mailbox, item, promised)

        mailbox.attach(run)
        for burst in range(bursts):
            waiting = [_put(mailbox, f"{burst}.{n}", promised) for n in range(dice.randint(1, 8))]
            await asyncio.gather(*waiting)
        await settled(mailbox)
        disk.on_step = lambda: None
    return made


def _journal(path: Path) -> Path:
    return path.with_name(path.name + "-run")


def _mark(path: Path) -> Path:
    return path.with_name(path.name + "-mark")


def _put(mailbox: Mailbox, name: str, promised: Ledger) -> asyncio.Future[None]:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def done(result: Put) -> None:
        if result == STORED:
            promised.acknowledged.add(name)
        future.set_result(None)

    promised.order.append(name)
    mailbox.put(request(name), done)
    return future


def _run(mailbox: Mailbox, item: Request, promised: Ledger) -> None:
    """A handler: every second request writes an effect, every third is left running."""
    number = int(item.request_id.split(".")[1])
    name = item.request_id
    slot = mailbox.journal.enter(item.sequence)
    if number % 3 == 2:
        return
    mailbox.journal.leave(slot)
    reply = f"reply to {name}".encode()
    if number % 2:
        mailbox.complete(item, reply)
        return
    tx = mailbox.transaction()
    tx._marks.append(0)
    tx._note("INSERT INTO effect VALUES(?)", (name,))

    def committed(error: Exception | None) -> None:
        if error is None:
            promised.replied[name] = reply

    mailbox.complete(item, reply, effects=tx, done=committed)


async def faults(
    kind: type[Mailbox], path: Path, cut: Cut, *, durability: Durability = "power"
) -> list[str]:
    """What a start over the remains breaks of what was promised."""
    disk, found = Disk(cut.image), []
    promised = cut.promised
    _journal(path).write_bytes(cut.journal)
    _mark(path).write_bytes(cut.mark if durability == "power" else b"")
    async with open_mailbox(kind, disk, path, durability) as mailbox:
        queued: list[Request] = []
        mailbox.attach(queued.extend)
        check, effects, finished = await mailbox.state_file.ask(_look)
        names = [item.request_id for item in queued]
        if check != ["ok"]:
            found.append(f"corrupt: {check[:2]}")
        found += [f"lost: {name}" for name in promised.acknowledged - {*names, *finished}]
        found += [f"doubled effect: {name}" for name in _twice(effects)]
        found += [f"effect without completion: {name}" for name in {*effects} - {*finished}]
        found += [f"lost effect: {name}" for name in promised.replied.keys() - {*effects}]
        place = {name: number for number, name in enumerate(promised.order)}
        if [place[name] for name in names] != sorted(place[name] for name in names):
            found.append(f"out of order: {names}")
        for name, reply in promised.replied.items():
            answer = await _repeat(mailbox, name)
            if answer != Repeated(reply):
                found.append(f"wrong answer to a repeat of {name}: {answer}")
    return found


def _look(connection: Connection) -> list[list[str]]:
    """Integrity, effects, and finished requests."""
    connection.execute("CREATE TABLE IF NOT EXISTS effect(id)")
    queries = (
        "PRAGMA integrity_check",
        "SELECT id FROM effect",
        "SELECT request_id FROM actr_inbox WHERE state=2",
    )
    return [[row[0] for row in connection.execute(query).fetchall()] for query in queries]


def _twice(names: Sequence[str]) -> set[str]:
    return {name for name in names if names.count(name) > 1}


async def _repeat(mailbox: Mailbox, name: str) -> Put:
    future: asyncio.Future[Put] = asyncio.get_running_loop().create_future()
    mailbox.put(request(name), future.set_result)
    return await future
