"""Each command that the README shows is run by a test, and the test that does it is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = re.compile(r"^```\w*\n(.*?)^```|`([^`\n]+)`", flags=re.S | re.M)
COMMAND = re.compile(r"(?:^|&& )(make [a-z-]+|docker compose up)\b", flags=re.M)
SERVICE = "services/peer/tests/service/test_readme.py"
SMALL = f"{SERVICE}::test_a_measurement_runs_in_its_smallest_size"
STARTS = "tests/repository/test_readme.py::test_a_measurement_that_takes_minutes_starts"
SHOWN_BY = {
    "make demo": f"{SERVICE}::test_the_demo_runs_as_the_readme_says",
    "docker compose up": "tests/integration/test_payloads.py::"
    "test_every_peer_exchanges_all_five_payload_types_with_every_other",
    "make bench-stream": SMALL,
    "make bench-state": SMALL,
    "make bench-failover": STARTS,
    "make bench-priority": STARTS,
    "make bench-media": STARTS,
    "make setup": "tests/repository/fresh",
    "make help": "tests/repository/fresh",
    "make check": "tests/repository",
    "make test": "services/peer/tests",
    "make fault-test": "tests/faults",
    "make crash-test": "tests/crash",
    "make abuse-test": "tests/abuse",
    "make fuzz": "tests/fuzz",
    "make soak-test": "tests/soak",
    "make mutation-test": "tests/mutation",
    "make integration-test": "tests/integration",
}
"""By command: the test that runs it, or the folder of tests that it runs itself."""


def commands() -> set[str]:
    text = (ROOT / "README.md").read_text("utf-8")
    parts = ["\n".join(found) for found in CODE.findall(text)]
    return {command for part in parts for command in COMMAND.findall(part)}


def test_every_command_of_the_readme_is_run_by_a_test_that_is_there() -> None:
    assert commands() == SHOWN_BY.keys()
    for where in SHOWN_BY.values():
        path, _, name = where.partition("::")
        assert (ROOT / path).exists(), where
        assert not name or f"def {name}(" in (ROOT / path).read_text("utf-8"), where


@pytest.mark.parametrize("command", [each for each, by in SHOWN_BY.items() if by == STARTS])
def test_a_measurement_that_takes_minutes_starts(command: str) -> None:
    said = subprocess.run(
        [*command.split(), "-n"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    modules = re.findall(r" -m (bench[\w.]+)", said.stdout)
    assert len(modules) == 1
    ended = subprocess.run(
        [sys.executable, "-m", modules[0], "-h"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert f"``{command} " in " ".join(ended.stdout.split()).replace("bench- ", "bench-")
