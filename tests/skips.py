"""What this machine lacks for all tests, in one line each at the end of a run.

A reason to skip says what is not there and, after a semicolon, what to do: ``redis-server is not
installed; apt install redis-server``. A plugin of pytest, which the conftest.py of the root loads.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {
    "redis-server": "apt install redis-server",
    "openssl": "apt install openssl",
    "turnserver": "apt install coturn",
    "npm": "apt install npm nodejs",
    "zsh": "apt install zsh",
    "fish": "apt install fish",
    "protoc": "apt install protobuf-compiler",
    "buf": "it comes from buf.build",
    "basedpyright": "make types installs it",
    "promtool": "apt install prometheus",
}
"""Programs that some tests need, and where they come from."""


def lacking(program: str) -> str:
    """The reason to skip what needs a program that is not there."""
    return f"{program} is not installed; {PACKAGES[program]}"


def lines(reasons: Iterable[str]) -> list[str]:
    """One line for each reason, most tests first: what, how many tests, what to do."""
    told = []
    for reason, count in sorted(Counter(reasons).items(), key=lambda pair: (-pair[1], pair[0])):
        what, semicolon, advice = reason.partition("; ")
        tests = "1 test was" if count == 1 else f"{count} tests were"
        told.append(f"{what}: {tests} skipped{semicolon}{advice}")
    return told


def suites(*, has_docker: bool, is_root: bool) -> Iterator[str]:
    """Lines for the suites with a verb of their own that cannot run here."""
    if not has_docker:
        yield (
            f"Docker does not answer: {count('tests/integration')} tests of tests/integration "
            "wait for it; install Docker with Compose (on Debian: sudo tools/setup-docker), "
            "then make integration-test"
        )
    if not is_root:
        yield (
            f"not root: {count('tests/faults')} tests of tests/faults need a network of their "
            "own; sudo make fault-test"
        )


def count(folder: str) -> int:
    """Test functions below a folder; one that takes parameters counts once."""
    trees = [ast.parse(path.read_text("utf-8")) for path in (ROOT / folder).rglob("test_*.py")]
    return sum(
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
        for tree in trees
        for node in tree.body
    )


def has_docker() -> bool:
    """Whether an engine answers."""
    if shutil.which("docker") is None:
        return False
    try:
        asked = subprocess.run(["docker", "info"], capture_output=True, timeout=10, check=False)
    except subprocess.TimeoutExpired:
        return False
    return asked.returncode == 0


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say what was skipped, and after a run of everything what has not even been asked for."""
    told = lines(
        report.longrepr[2].removeprefix("Skipped: ")
        for report in terminalreporter.stats.get("skipped", ())
        if isinstance(report.longrepr, tuple)
    )
    chosen = config.option.keyword or config.option.markexpr
    if config.args_source is pytest.Config.ArgsSource.TESTPATHS and not chosen:
        told += suites(has_docker=has_docker(), is_root=os.geteuid() == 0)
    if told:
        terminalreporter.section("not run here")
        for line in told:
            terminalreporter.write_line(line)
