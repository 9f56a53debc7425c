"""The fault suite in a private network: ``make fault-test [SIZE=small|normal|full] [JSON=1]``.

Runs ``tests/faults`` with pytest, and tells of each scenario what was accepted and what arrived.
More arguments go to pytest: ``ARGS="-k frozen"``.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from typing import Any

import pytest

from bench.report import console, show, write_json
from lab import netns
from lab.record import RELIABLE

SUITE = "tests/faults"
COUNTS = ("accepted", "lost", "doubled", "out_of_order")


class Scenarios:
    """A pytest plug-in that keeps what each scenario recorded."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        is_scenario = report.user_properties or report.outcome == "failed"
        if not is_scenario or (report.when != "call" and report.outcome == "passed"):
            return
        noted: dict[str, Any] = dict(report.user_properties)
        lanes: Any = noted.pop("lanes", {})
        reliable = [counts for name, counts in lanes.items() if name.endswith(RELIABLE)]
        self.rows.append(
            {
                "scenario": report.nodeid.partition("::")[2],
                "outcome": report.outcome,
                "seconds": round(report.duration, 1),
                **{name: sum(counts[name] for counts in reliable) for name in COUNTS},
                "lanes": lanes,
                "noted": noted,
            }
        )


def main() -> None:
    """Run the suite; exit status as pytest's."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=("small", "normal", "full"), default="normal")
    parser.add_argument("--json", action="store_true")
    arguments, rest = parser.parse_known_args()
    netns.enter()
    scenarios = Scenarios()
    with contextlib.redirect_stdout(sys.stderr):
        command = [SUITE, "--size", arguments.size, "-p", "no:randomly", *rest]
        status = pytest.main(command, plugins=[scenarios])
    shown = ("scenario", "outcome", "seconds", *COUNTS)
    if scenarios.rows:
        show("Accepted and arrived", [{k: row[k] for k in shown} for row in scenarios.rows])
    for row in scenarios.rows:
        if row["noted"]:
            console.print(f"{row['scenario']}: {row['noted']}")
    if arguments.json:
        write_json(
            {
                "size": arguments.size,
                "passed": sum(row["outcome"] == "passed" for row in scenarios.rows),
                "failed": sum(row["outcome"] == "failed" for row in scenarios.rows),
                "scenarios": scenarios.rows,
            }
        )
    sys.exit(int(status))


if __name__ == "__main__":
    main()
