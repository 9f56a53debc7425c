"""Every call that a peer began and how it ended, in files; and the comparison at the end.

One line for each: ``kind target number outcome``. ``begun`` comes first, then one of
``answered`` (with the number of the effect), ``accepted`` (tells and items), ``refused`` (with
the error's name), or ``hung``. What took effect is in the callee's own table.
"""

from __future__ import annotations

import os
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

KINDS = ("call", "durable", "tell", "visit")
"""Kinds that have an effect in the callee's table."""
COUNTED = ("begun", "answered", "refused", "lost", "doubled", "wrong", "out_of_order")
TABLE = (
    "CREATE TABLE IF NOT EXISTS effects "
    "(number INTEGER PRIMARY KEY AUTOINCREMENT, caller TEXT, kind TEXT, call INTEGER)"
)


class Notes:
    """The file of one peer, over all its processes; each record is one write."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, kind: str, target: str, number: int, outcome: str) -> None:
        os.write(self._file, f"{kind} {target} {number} {outcome}\n".encode())

    def close(self) -> None:
        os.close(self._file)


def read(path: Path) -> Iterator[tuple[str, str, int, str]]:
    """All records of a file, oldest first; none if there is no file."""
    if not path.exists():
        return
    with path.open() as lines:
        for line in lines:
            if line.endswith("\n"):
                kind, target, number, outcome = line.split(" ", 3)
                yield kind, target, int(number), outcome.strip()


@dataclass(slots=True)
class Counts:
    """What came of the calls of one kind, over all pairs of peers."""

    begun: int = 0
    answered: int = 0
    refused: int = 0
    lost: int = 0
    doubled: int = 0
    wrong: int = 0
    out_of_order: int = 0
    examples: list[str] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    def fail(self, what: str, detail: str) -> None:
        """Count one fault, and keep the first few of them."""
        setattr(self, what, getattr(self, what) + 1)
        if len(self.examples) < 20:
            self.examples.append(f"{what}: {detail}")

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.doubled or self.wrong or self.out_of_order)

    def row(self) -> dict[str, object]:
        """As JSON takes it."""
        return {name: getattr(self, name) for name in COUNTED} | {
            "examples": self.examples,
            "errors": dict(self.errors),
        }


Effects = dict[tuple[str, str], list[tuple[int, int]]]
"""By caller and kind: (effect, call), in the order in which they happened."""


def effects(path: Path) -> Effects:
    """What a callee wrote into its table."""
    found: Effects = defaultdict(list)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(TABLE)
        for number, caller, kind, call in database.execute("SELECT * FROM effects ORDER BY number"):
            found[caller, kind].append((number, call))
    return found


def compare(
    folder: Path, names: Sequence[str], callers: Sequence[str], steady: Sequence[str]
) -> dict[str, Counts]:
    """Compare what all callers noted with what all callees did.

    Args:
        names: Peers with a table of effects.
        callers: Whose notes are compared.
        steady: Peers whose process never ended: what it accepted must arrive. Tells that an ended
            process had accepted may have ended with it.
    """
    done = {name: effects(folder / f"{name}.db") for name in names}
    totals: dict[str, Counts] = defaultdict(Counts)
    for caller in callers:
        notes: dict[tuple[str, str], dict[int, str]] = defaultdict(dict)
        for kind, target, number, outcome in read(folder / f"{caller}.notes"):
            totals[kind].begun += outcome == "begun"
            notes[kind, target][number] = outcome
        for (kind, target), outcomes in notes.items():
            counts = totals[kind]
            where = f"{caller} to {target}, {kind}"
            _count(counts, outcomes, where)
            if kind in KINDS:
                happened = done[target].get((caller, kind), [])
                must_arrive = kind != "tell" or (caller in steady and target in steady)
                _judge(counts, outcomes, happened, where, must_arrive=must_arrive)
            if kind == "items" and caller in steady and target in steady:
                _judge_items(counts, outcomes, folder / f"{target}.notes", caller, where)
            if kind == "durable":
                _judge_durable(counts, outcomes, done[target].get((caller, kind), []), where)
    return dict(totals)


def _count(counts: Counts, outcomes: dict[int, str], where: str) -> None:
    for number, outcome in outcomes.items():
        word, _, detail = outcome.partition(" ")
        if word in ("answered", "accepted"):
            counts.answered += 1
        elif word == "refused":
            counts.refused += 1
            counts.errors[detail] += 1
        elif word == "wrong":
            counts.fail("wrong", f"{where} {number}: {detail}")
        elif word == "hung":
            counts.fail("lost", f"{where} {number} never ended")


def _judge(
    counts: Counts,
    outcomes: dict[int, str],
    happened: list[tuple[int, int]],
    where: str,
    *,
    must_arrive: bool,
) -> None:
    """Effects against outcomes: each answer has its one effect, in the order of the calls."""
    by_call: dict[int, list[int]] = defaultdict(list)
    for effect, call in happened:
        by_call[call].append(effect)
    for call, numbers in by_call.items():
        if len(numbers) > 1:
            counts.fail("doubled", f"{where} {call} has effects {numbers}")
    for number, outcome in outcomes.items():
        word, _, detail = outcome.partition(" ")
        if word == "answered" and number not in by_call:
            counts.fail("lost", f"{where} {number} was answered and has no effect")
        elif word == "answered" and int(detail) not in by_call[number]:
            counts.fail("wrong", f"{where} {number} got {detail}, effects {by_call[number]}")
        elif word == "accepted" and must_arrive and number not in by_call:
            counts.fail("lost", f"{where} {number} was accepted and has no effect")
    for (_, earlier), (_, later) in pairwise(happened):
        if later < earlier and not where.endswith("visit"):  # those are of twenty actors
            counts.fail("out_of_order", f"{where} {later} after {earlier}")


def _judge_durable(
    counts: Counts, outcomes: dict[int, str], happened: list[tuple[int, int]], where: str
) -> None:
    """Durable calls are numbered without gaps: all up to the last that was kept are answered."""
    answered = {number for number, outcome in outcomes.items() if outcome.startswith("answered")}
    last = max([0, *answered, *(call for _, call in happened)])
    for number in range(1, last + 1):
        if number not in answered:
            outcome = outcomes.get(number, "never begun")
            counts.fail("lost", f"{where} {number} was kept, and ended as: {outcome}")


def _judge_items(
    counts: Counts, outcomes: dict[int, str], notes: Path, sender: str, where: str
) -> None:
    """Items between two processes that lived all the time: none that was accepted is missing."""
    taken = {number for kind, by, number, _ in read(notes) if kind == "taken" and by == sender}
    for number, outcome in outcomes.items():
        if outcome == "accepted" and number not in taken:
            counts.fail("lost", f"{where} {number} was accepted and never came")
