"""Deliberate faults: each must be caught, or the other proofs prove nothing."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actr_peer.protocol.mailbox.requests import STORED, Put, Request
from actr_peer.state.mailbox.duplicates import Entry
from actr_peer.state.mailbox.intake import Intake
from actr_peer.state.mailbox.mailbox import Mailbox
from actr_peer.state.mailbox.store import Found, MailboxStore
from actr_peer.state.mailbox.transaction import Transaction
from actr_peer.state.storage.database import Connection, Durability
from actr_peer.state.storage.operations import Task
from peer_kit.state.history import faults, live

pytestmark = pytest.mark.service


class Sound(Mailbox):
    """The mailbox as it is."""


class AcknowledgesEarly(Mailbox):
    """Before the sync."""

    def put(self, request: Request, done: Callable[[Put], None]) -> None:
        super().put(request, lambda result: None)
        done(STORED)


class SplitsTheTransaction(Mailbox):
    """Effects in one commit, the completion in the next."""

    def complete(
        self,
        request: Request,
        reply: bytes | None,
        *,
        effects: Transaction | None = None,
        validate: bool = False,
        done: Callable[[sqlite3.Error | None], None] | None = None,
    ) -> None:
        if effects is None:
            super().complete(request, reply)
            return
        apply = effects.seal(validate=validate)

        def tell(task: Task) -> None:
            super(SplitsTheTransaction, self).complete(request, reply)
            if done is not None:
                done(task.error)

        self.state_file.write(Task(apply, tell))


class KnowsNoDuplicates(Mailbox):
    """Forgets what is finished."""

    def put(self, request: Request, done: Callable[[Put], None]) -> None:
        self._duplicates._known.pop(request.sender, None)
        super().put(request, done)


class _ForgetsTheRunning(MailboxStore):
    def open(self) -> Found:
        found = super().open()
        found.queued = [item for item in found.queued if not item.attempts]
        return found


class DoesNotRecoverTheRunning(Mailbox):
    """What ran when the process died stays as it is."""

    def __init__(self, path: Any, **options: Any) -> None:
        super().__init__(path, **options)
        self._store.__class__ = _ForgetsTheRunning


class _CountsByClock(Intake):
    _clock = random.Random(1)

    def _save(self, entry: Entry) -> None:
        self.last_sequence = time.time_ns() // 1000 + self._clock.randint(-500_000, 500_000)
        super()._save(entry)


class OrdersByClock(Mailbox):
    """By a clock that jumps, instead of a number that counts."""

    def __init__(self, path: Any, **options: Any) -> None:
        super().__init__(path, **options)
        self._intake.__class__ = _CountsByClock


FAULTS = [
    pytest.param(AcknowledgesEarly, "power", "lost: ", id="acknowledge before the sync"),
    pytest.param(SplitsTheTransaction, "power", "effect without", id="split transaction"),
    pytest.param(KnowsNoDuplicates, "power", "wrong answer", id="no duplicate table"),
    pytest.param(DoesNotRecoverTheRunning, "power", "lost: ", id="no recovery of running rows"),
    pytest.param(OrdersByClock, "power", "out of order", id="order by clock"),
    pytest.param(Sound, "process", "lost: ", id="synchronous NORMAL"),
]


async def find(kind: type[Mailbox], durability: Durability, path: Path) -> list[str]:
    """What fifty power cuts of ``kind`` break."""
    dice = random.Random(7)
    found: list[str] = []
    for cut in await live(kind, path, dice=dice, cuts=50, durability=durability):
        found += await faults(kind, path, cut, durability=durability)
    return found


@pytest.mark.parametrize(("kind", "durability", "expected"), FAULTS)
async def test_a_deliberate_fault_is_caught(
    kind: type[Mailbox], durability: Durability, expected: str, tmp_path: Path
) -> None:
    found = await find(kind, durability, tmp_path / "box.db")
    assert [sentence for sentence in found if sentence.startswith(expected)]


async def test_without_a_fault_nothing_is_found(tmp_path: Path) -> None:
    assert await find(Sound, "power", tmp_path / "box.db") == []


def test_faults_are_made_over_the_connection_that_tests_bring() -> None:
    assert {"execute", "close", "in_transaction"} <= set(dir(Connection))
