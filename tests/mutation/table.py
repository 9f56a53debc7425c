"""The table of mutations: one file for each part of the system, one entry for each broken line.

::

    [[mutation]]
    name = "the deadline of a handler does not stop it"
    file = "services/peer/src/actr_peer/actor/scheduler.py"
    line = "self._stop(turn, Stopped.TIMEOUT)"
    becomes = "pass"
    tests = ["peer/tests/shell/test_scheduler.py"]

``line`` is one source line or several, without indentation; it must be there exactly once, so
that an entry cannot go on about code that has moved. ``becomes`` takes its place, with its
indentation. ``tests`` are below ``services``: files, or ``file.py::test_name`` where the whole file
takes long.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


class MovedError(Exception):
    """The line of a mutation is not where its entry says, or not only there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """One line of the source, broken."""

    name: str
    """What is then not so any more, as a sentence."""
    file: str
    line: str
    becomes: str
    tests: tuple[str, ...]

    def apply(self, source: str) -> str:
        """Return the mutated source.

        Raises:
            MovedError: If the line is not there exactly once, or the result is no Python.
        """
        wanted = self.line.strip("\n").splitlines()
        lines = source.splitlines()
        stripped = [line.strip() for line in lines]
        wanted = [line.strip() for line in wanted]
        places = [
            at
            for at in range(len(lines) - len(wanted) + 1)
            if stripped[at : at + len(wanted)] == wanted
        ]
        if len(places) != 1:
            raise MovedError(f"{self.name!r}: {len(places)} times in {self.file}: {self.line!r}")
        at = places[0]
        new = [
            (indent_of(lines[at + number]) if number < len(wanted) else indent_of(lines[at]))
            + text.strip()
            for number, text in enumerate(self.becomes.strip("\n").splitlines())
        ]
        mutated = "\n".join([*lines[:at], *new, *lines[at + len(wanted) :]]) + "\n"
        try:
            compile(mutated, self.file, "exec")
        except SyntaxError as exc:
            raise MovedError(f"{self.name!r}: what it becomes is no Python: {exc}") from exc
        return mutated


def indent_of(line: str) -> str:
    """The spaces that a line begins with."""
    return line[: len(line) - len(line.lstrip())]


def load(folder: Path = HERE) -> list[Mutation]:
    """All mutations of a folder's tables.

    Raises:
        ValueError: If two have one name, or one has no tests.
    """
    found: list[Mutation] = []
    for path in sorted(folder.glob("*.toml")):
        for entry in tomllib.loads(path.read_text())["mutation"]:
            tests = tuple(f"services/{test}" for test in entry.pop("tests"))
            found.append(Mutation(tests=tests, **entry))
    names = [mutation.name for mutation in found]
    if len(set(names)) != len(names):
        raise ValueError(
            f"names that come twice: {sorted({n for n in names if names.count(n) > 1})}"
        )
    if empty := [mutation.name for mutation in found if not mutation.tests]:
        raise ValueError(f"without tests: {empty}")
    return found
