"""``make mutation-test [ONLY=word] [JSON=1]``: break, test, compare; 0 if all were caught.

Each worker has a copy of the tree. The unmutated tests run there first and must pass; then one
line at a time is broken, and the tests that the table names must fail, or not come to an end.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bench.report import write_json
from tests.mutation.table import ROOT, MovedError, Mutation, load
from tests.mutation.trees import FAILED, PASSED, Trees

LEAST_SECONDS = 60.0
"""A mutant that takes longer, and ten times as long as its tests did, is caught: it hangs."""
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


def baseline(trees: Trees, mutations: list[Mutation], pool: ThreadPoolExecutor) -> dict[str, float]:
    """Seconds of each test file without a mutation.

    Raises:
        SystemExit: If one of them fails: nothing could be said of mutations.
    """

    def one(test: str) -> tuple[str, int | None, float]:
        began = time.monotonic()
        status = trees.pytest(None, (test,), 10 * LEAST_SECONDS)
        return test, status, time.monotonic() - began

    tests = sorted({test for mutation in mutations for test in mutation.tests})
    results = list(pool.map(one, tests))
    broken = [test for test, status, _ in results if status != PASSED]
    if broken:
        sys.exit(f"these fail without any mutation: {' '.join(broken)}")
    return {test: seconds for test, _, seconds in results}


def judge(trees: Trees, mutation: Mutation, usual: float) -> Verdict:
    """Run one mutation's tests until they catch it."""
    began = time.monotonic()
    status: int | None = PASSED
    tries = 0
    # Nothing but failing tests counts: a tree that cannot be imported proves nothing.
    while status not in CAUGHT and tries < TRIES:
        status = trees.pytest(mutation, mutation.tests, max(LEAST_SECONDS, 10 * usual))
        tries += 1
    how = {None: "hung", FAILED: "failed", PASSED: "SURVIVED"}.get(status, f"exit {status}")
    is_caught = status in CAUGHT
    return Verdict(mutation, is_caught, how, time.monotonic() - began, tries)


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
        usual = baseline(trees, mutations, pool)

        def one(mutation: Mutation) -> Verdict:
            return judge(trees, mutation, sum(usual[test] for test in mutation.tests))

        for verdict in pool.map(one, mutations):
            verdicts.append(verdict)
            sys.stderr.write(
                f"{len(verdicts):3}/{len(mutations)} {verdict.how:9} {verdict.seconds:5.1f} s  "
                f"{verdict.mutation.name}\n"
            )
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
