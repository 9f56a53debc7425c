"""``make mutation-test [ONLY=word] [JSON=1]``: break, test, compare; 0 if all were caught.

Each worker has a copy of the tree. The unmutated tests run there first and must pass; then one
line at a time is broken, and the tests that the table names must fail, or not come to an end.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from bench.report import write_json
from tests.mutation.table import ROOT, MovedError, Mutation, load

COPIED = ("proto", "services", "tests", "bench", "lab", "docs", "pyproject.toml", "README.md")
PASSED, FAILED, NOT_COLLECTED = 0, 1, 5
"""pytest's exit statuses."""
LEAST_SECONDS = 60.0
"""A mutant that takes longer, and ten times as long as its tests did, is caught: it hangs."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one mutation."""

    mutation: Mutation
    is_caught: bool
    how: str
    seconds: float


class Trees:
    """Copies of the tree, one for each worker."""

    def __init__(self, folder: Path, count: int) -> None:
        self._free: SimpleQueue[Path] = SimpleQueue()
        for number in range(count):
            tree = folder / f"tree{number}"
            tree.mkdir()
            for name in COPIED:
                _copy(ROOT / name, tree / name)
            self._free.put(tree)

    def pytest(self, mutation: Mutation | None, tests: tuple[str, ...], limit: float) -> int | None:
        """Run tests in a copy that has one mutation; None: they did not end in time."""
        tree = self._free.get()
        try:
            if mutation is None:
                return _pytest(tree, tests, limit)
            path = tree / mutation.file
            source = path.read_text()
            path.write_text(mutation.apply(source))
            try:
                return _pytest(tree, tests, limit)
            finally:
                path.write_text(source)
        finally:
            self._free.put(tree)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        skipped = shutil.ignore_patterns("__pycache__", ".hypothesis", "*.egg-info")
        shutil.copytree(source, target, ignore=skipped)
    else:
        shutil.copy2(source, target)


def _pytest(tree: Path, tests: tuple[str, ...], limit: float) -> int | None:
    sources = [tree / "services/peer/src", tree / "services/signaling/src", tree / "proto"]
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, sources)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HYPOTHESIS_STORAGE_DIRECTORY": str(tree / ".hypothesis"),
    }
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p",
               "no:randomly", *tests]  # fmt: skip
    process = subprocess.Popen(
        command, cwd=tree, env=env, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        said, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return None
    if process.returncode not in (PASSED, FAILED):
        sys.stderr.write(said[-3000:])
    return process.returncode


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
    """Run one mutation's tests."""
    began = time.monotonic()
    status = trees.pytest(mutation, mutation.tests, max(LEAST_SECONDS, 10 * usual))
    seconds = time.monotonic() - began
    how = {None: "hung", FAILED: "failed", PASSED: "SURVIVED"}.get(status, f"exit {status}")
    # Nothing but failing tests counts: a tree that cannot be imported proves nothing.
    return Verdict(mutation, status in (None, FAILED), how, seconds)


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
    workers = max(1, os.cpu_count() or 1)
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
    for name in survived:
        sys.stderr.write(f"survived: {name}\n")
    sys.stderr.write(
        f"mutations: {len(verdicts)}, {len(verdicts) - len(survived)} caught, "
        f"{len(survived)} survived\n"
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
            }
        )
    sys.exit(bool(survived))


if __name__ == "__main__":
    main()
