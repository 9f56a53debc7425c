"""What a machine lacks is told in one line, with what to install and how many tests wait for it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.skips import PACKAGES, count, lacking, lines, suites

ROOT = Path(__file__).resolve().parents[3]

SUITE = """
import pytest
from tests.skips import lacking

@pytest.fixture(scope="session")
def server():
    pytest.skip(lacking("redis-server"))

@pytest.mark.parametrize("number", range(3))
def test_with_a_server(server, number): ...

@pytest.mark.skipif(True, reason=lacking("turnserver"))
def test_with_a_relay(): ...

@pytest.mark.skip(reason="only on Mondays")
def test_on_mondays(): ...

def test_that_runs(): ...
"""


def closing(folder: Path, *arguments: str) -> str:
    """What pytest says of the suite above, with the plugin and nothing else of this repository."""
    (folder / "test_suite.py").write_text(SUITE, "utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", "utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("PYTEST_ADDOPTS", None)
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tests.skips", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_ends_with_one_line_for_each_thing_that_is_not_there(
    tmp_path: Path, workers: int
) -> None:
    said = closing(tmp_path, "-n", str(workers)).splitlines()
    start = next(i for i, line in enumerate(said) if "not run here" in line)
    assert said[start + 1 : start + 4] == [
        "redis-server is not installed: 3 tests were skipped; apt install redis-server",
        "only on Mondays: 1 test was skipped",
        "turnserver is not installed: 1 test was skipped; apt install coturn",
    ]
    assert "1 passed, 5 skipped" in said[-1]


def test_a_run_that_skips_nothing_says_nothing(tmp_path: Path) -> None:
    assert "not run here" not in closing(tmp_path, "-k", "runs")


def test_the_most_that_waits_for_one_thing_comes_first() -> None:
    assert lines(["a; b", "c", "c"]) == ["c: 2 tests were skipped", "a: 1 test was skipped; b"]
    assert lines([]) == []


@pytest.mark.parametrize(
    ("has_docker", "is_root", "named"),
    [
        (True, True, []),
        (False, True, ["tests/integration"]),
        (True, False, ["tests/faults"]),
        (False, False, ["tests/integration", "tests/faults"]),
    ],
)
def test_suites_with_a_verb_of_their_own_are_named_where_they_cannot_run(
    *, has_docker: bool, is_root: bool, named: list[str]
) -> None:
    said = list(suites(has_docker=has_docker, is_root=is_root))
    assert [next(iter(re.findall(r"of (tests/\w+)", line))) for line in said] == named
    verbs = set(re.findall(r"make ([\w-]+)", " ".join(said)))
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert [verb for verb in verbs if f"\n{verb}:" not in makefile] == []


def test_tests_are_counted_without_being_run() -> None:
    assert count("tests/integration") > 10
    assert count("tests/faults") > 10


@pytest.mark.parametrize("program", PACKAGES)
def test_what_is_lacking_says_where_it_comes_from(program: str) -> None:
    assert lacking(program) == f"{program} is not installed; {PACKAGES[program]}"
