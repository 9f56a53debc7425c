"""Copies of the tree and pytest in them, each run a fork of a process that has the libraries.

Importing pytest, aiortc and the like takes longer than most of the tests that catch a mutation.
What is tested is imported from the copy, where all but the broken file is compiled: once for all
mutants of the same tests (:meth:`Trees.collected`), or anew for one (:meth:`Trees.pytest`).
"""

from __future__ import annotations

import compileall
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from py_compile import PycInvalidationMode
from queue import SimpleQueue

from tests.mutation.forks import CANNOT, HUNG, Broken, Forks
from tests.mutation.table import ROOT, Mutation

COPIED = ("proto", "services", "tests", "bench", "lab", "docs", "pyproject.toml", "README.md")
PASSED, FAILED = 0, 1
"""Of pytest's exit statuses."""
LIBRARIES = (
    "pytest", "hypothesis", "hypothesis.stateful", "anyio", "attr", "unittest.mock", "yaml",
    "aiortc", "uvloop", "picows", "websockets", "fastapi", "uvicorn", "redis.asyncio", "aiosqlite",
    "google.protobuf.descriptor_pool", "structlog", "typer", "rich.table", "pydantic_settings",
    "cryptography", "opentelemetry.trace", "anyio.pytest_plugin", "anyio._backends._asyncio",
    "_hypothesis_pytestplugin", "pytest_asyncio.plugin", "pytest_randomly", "pytest_timeout",
    "pytest_docker.plugin", "xdist.plugin", "xdist.newhooks", "xdist.looponfail",
    "_pytest.junitxml", "_pytest.unittest", "_pytest.unraisableexception", "pdb",
)  # fmt: skip
"""Imported once; one that is not there is passed over. Plugins too: pytest would rewrite them."""

Run = Callable[[Mutation, float], int | None]
"""Tests with one mutation, in so many seconds: pytest's exit status; None: they did not end."""


class Trees:
    """Copies of the tree, one for each worker.

    Args:
        folder: Where they are put.
        count: How many.
    """

    def __init__(self, folder: Path, count: int) -> None:
        self._processes = multiprocessing.get_context("forkserver")
        self._processes.set_forkserver_preload(list(LIBRARIES))
        self._free: SimpleQueue[Path] = SimpleQueue()
        first = folder / "tree0"
        first.mkdir()
        for name in COPIED:
            _copy(ROOT / name, first / name)
        # By its hash: a line is broken and mended within a second, which no time of change tells.
        compileall.compile_dir(
            first, quiet=2, workers=0, invalidation_mode=PycInvalidationMode.CHECKED_HASH
        )
        self._free.put(first)
        for number in range(1, count):
            self._free.put(shutil.copytree(first, folder / f"tree{number}"))

    def pytest(self, mutation: Mutation, tests: tuple[str, ...], limit: float) -> int | None:
        """Run tests in a copy that has one mutation; None: they did not end in time."""
        tree = self._free.get()
        try:
            with _broken(tree, mutation):
                return self._run(tree, tests, limit)
        finally:
            self._free.put(tree)

    @contextmanager
    def collected(self, tests: tuple[str, ...]) -> Iterator[Run]:
        """Collect tests once; what is yielded runs them as :meth:`pytest` does, in a fork.

        It answers :data:`~tests.mutation.forks.CANNOT` for a mutant that is none in a fork.
        """
        tree = self._free.get()
        here, there = multiprocessing.Pipe()
        try:
            with here, tempfile.TemporaryFile("w+", dir=tree) as output:
                said = f"/proc/{os.getpid()}/fd/{output.fileno()}"
                process = self._processes.Process(
                    target=_run_pytest, args=(tree, tests, said, there)
                )
                process.start()
                there.close()

                def run(mutation: Mutation, limit: float) -> int | None:
                    with _broken(tree, mutation) as change:
                        try:
                            here.send((limit, change))
                            status: int = here.recv()
                        except (EOFError, OSError):  # it collects nothing, and has ended
                            status = -signal.SIGPIPE
                    if status not in (PASSED, FAILED, CANNOT, HUNG):
                        output.seek(0)
                        sys.stderr.write(output.read()[-3000:])
                    return None if status == HUNG else status

                try:
                    yield run
                finally:
                    _end(process.pid)
                    process.join()
        finally:
            self._free.put(tree)

    def _run(self, tree: Path, tests: tuple[str, ...], limit: float) -> int | None:
        """Run them; what they print is shown if they neither pass nor fail."""
        with tempfile.TemporaryFile("w+", dir=tree) as output:
            said = f"/proc/{os.getpid()}/fd/{output.fileno()}"
            process = self._processes.Process(target=_run_pytest, args=(tree, tests, said))
            process.start()
            try:
                process.join(limit)
                if process.exitcode is None:
                    return None
                if process.exitcode not in (PASSED, FAILED):
                    output.seek(0)
                    sys.stderr.write(output.read()[-3000:])
                return process.exitcode
            finally:
                _end(process.pid)
                process.join()


@contextmanager
def _broken(tree: Path, mutation: Mutation) -> Iterator[Broken]:
    """One mutation in a tree."""
    path = tree / mutation.file
    source = path.read_text()
    changed = mutation.apply(source)
    path.write_text(changed)
    try:
        yield str(path), source, changed
    finally:
        path.write_text(source)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        skipped = shutil.ignore_patterns("__pycache__", ".hypothesis", "*.egg-info")
        shutil.copytree(source, target, ignore=skipped)
    else:
        shutil.copy2(source, target)


def _end(group: int | None) -> None:
    """End what still runs of one run's processes."""
    if group is not None:
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            return


def _run_pytest(
    tree: Path, tests: tuple[str, ...], said: str, asked: Connection | None = None
) -> None:
    """In a process of its own: pytest, as it would be in ``tree``; forks of it if ``asked``."""
    os.setsid()
    os.chdir(tree)
    for number, name, flags in ((0, os.devnull, os.O_RDONLY), (1, said, os.O_WRONLY)):
        opened = os.open(name, flags)
        os.dup2(opened, number)
        os.close(opened)
    os.dup2(1, 2)
    sources = [tree / "services/peer/src", tree / "services/signaling/src", tree / "proto"]
    sys.path[:0] = [str(tree), *map(str, sources)]
    for module in [name for name in sys.modules if name.split(".")[0] in COPIED]:
        del sys.modules[module]  # ours, from the tree itself
    os.environ["PYTHONPATH"] = os.pathsep.join(map(str, sources))
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False  # tests that pytest has rewritten are kept, too
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(tree / ".hypothesis")
    import pytest

    known = ("-W", "ignore::pytest.PytestAssertRewriteWarning")  # imported before pytest began
    plugins = [] if asked is None else [Forks(asked)]
    status = pytest.main(["-x", "-q", "-p", "no:cacheprovider", *known, *tests], plugins)
    sys.stdout.flush()
    os._exit(status)  # threads that tests left behind are nobody's
