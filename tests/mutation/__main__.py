"""``make mutation-test [ONLY=word] [JSON=1]``: break, test, compare; 0 if all were caught.

Each worker has a copy of the tree. The unmutated tests run there first and must pass; then one
line at a time is broken, and the tests that the table names must fail, or not come to an end. All
mutants that are for the same tests run in forks of one pytest; one that survives there, or cannot
be made there, has a pytest of its own.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from bench.report import write_json
from tests.mutation.forks import CANNOT
from tests.mutation.table import ROOT, MovedError, Mutation, load
from tests.mutation.trees import FAILED, PASSED, Trees

LEAST_SECONDS = 20.0
"""A mutant that takes longer, and ten times as long as its tests did, is caught: it hangs."""
MOST_SECONDS = 600.0
"""For tests of which nothing is broken."""
TRIES = 3
"""Some tests try what chance gives them: a mutant survives that passes as many runs as this."""
CAUGHT = (None, FAILED)
"""How tests end that notice a mutation: not at all, or failed."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one mutation."""

    mutation: Mutation
    is_caught: bool
    how: str
    seconds: float
    tries: int


def judge(trees: Trees, mutations: Sequence[Mutation]) -> Iterator[Verdict]:
    """Run mutations that are for the same tests, each until they catch it.

    Raises:
        SystemExit: If the tests fail without a mutation: nothing could be said of any.
    """
    tests = mutations[0].tests
    with trees.collected(tests) as run:
        # Nothing is broken, but a file's functions get new code: what that does, too, is no catch.
        harmless = replace(mutations[0], becomes=mutations[0].line)
        for tried in range(1, TRIES + 1):
            began = time.monotonic()
            status = run(harmless, MOST_SECONDS)
            if status == PASSED:
                break
            sys.stderr.write(f"without any mutation, try {tried}: {status}: {' '.join(tests)}\n")
        else:
            sys.exit(f"these fail without any mutation: {' '.join(tests)}")
        limit = max(LEAST_SECONDS, 10 * (time.monotonic() - began))
        first = []
        for mutation in mutations:
            began = time.monotonic()
            first.append((run(mutation, limit), time.monotonic() - began))
    for mutation, (status, seconds) in zip(mutations, first, strict=True):
        began = time.monotonic()
        tries = int(status != CANNOT)
        # Nothing but failing tests counts: a tree that cannot be imported proves nothing. And one
        # that survives in a fork may be one that only a fork does not notice.
        while status not in CAUGHT and tries < TRIES:
            status = trees.pytest(mutation, tests, limit)
            tries += 1
        how = {None: "hung", FAILED: "failed", PASSED: "SURVIVED"}.get(status, f"exit {status}")
        seconds += time.monotonic() - began
        yield Verdict(mutation, status in CAUGHT, how, seconds, tries)


def by_tests(mutations: list[Mutation]) -> list[list[Mutation]]:
    """Those that are for the same tests together, the most first."""
    groups: dict[tuple[str, ...], list[Mutation]] = {}
    for mutation in mutations:
        groups.setdefault(mutation.tests, []).append(mutation)
    return sorted(groups.values(), key=len, reverse=True)


def main() -> None:
    """Parse the arguments, run everything, report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="", help="mutations whose name or file has this in it")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    mutations = [m for m in load() if arguments.only in m.name or arguments.only in m.file]
    moved = []
    for mutation in mutations:
        try:
            mutation.apply((ROOT / mutation.file).read_text())
        except (MovedError, OSError) as exc:
            moved.append(str(exc))
    if moved:
        sys.exit("the table does not fit the tree:\n" + "\n".join(moved))
    workers = 2 * (os.cpu_count() or 1)  # a mutant that hangs or waits leaves its core to another
    verdicts: list[Verdict] = []
    with (
        tempfile.TemporaryDirectory(prefix="actr-mutation-") as folder,
        ThreadPoolExecutor(workers) as pool,
    ):
        trees = Trees(Path(folder), workers)
        counted = count(1)

        def all_of(group: list[Mutation]) -> None:
            for verdict in judge(trees, group):
                verdicts.append(verdict)
                sys.stderr.write(
                    f"{next(counted):3}/{len(mutations)} {verdict.how:9} "
                    f"{verdict.seconds:5.1f} s  {verdict.mutation.name}\n"
                )

        list(pool.map(all_of, by_tests(mutations)))
    survived = [verdict.mutation.name for verdict in verdicts if not verdict.is_caught]
    named = [f"; {v.mutation.name} ({v.how})" for v in verdicts if not v.is_caught]
    by_chance = [v.mutation.name for v in verdicts if v.is_caught and v.tries > 1]
    for name in by_chance:
        sys.stderr.write(f"caught, but not at the first try: {name}\n")
    # One line, for it is what a summary keeps.
    sys.stderr.write(
        f"mutations: {len(verdicts)}, {len(verdicts) - len(survived)} caught, "
        f"{len(survived)} survived{''.join(named)}\n"
    )
    if arguments.json:
        caught = [verdict.mutation.name for verdict in verdicts if verdict.is_caught]
        write_json(
            {
                "total": len(verdicts),
                "caught": len(caught),
                "survived": len(survived),
                "caught_names": caught,
                "survived_names": survived,
                "caught_by_chance_names": by_chance,
            }
        )
    sys.exit(bool(survived))


if __name__ == "__main__":
    main()
