"""The ways through the system on docs/architecture.md: each function named there calls the next.

A line of the page is ``name  file function, function → file function ⇢ file function``. After
``→`` the function before calls the next one by its name. After ``⇢`` it is handed over: the next
one is called by its name too, or is given away somewhere as a value (a callback), or answers on
the far side of a queue; that it exists is all that is checked.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/architecture.md"
PACKAGES = (
    ROOT / "services/peer/src/actr_peer",
    ROOT / "services/signaling/src/actr_signaling",
)
BLOCK = re.compile(r"^## Five ways.*?^```\n(.*?)^```", flags=re.S | re.M)
WAYS = ("a call out", "a frame in", "an offer in", "a publication", "a relay")


class Step(NamedTuple):
    """One function of a way; ``is_called``: by name, by the one before."""

    file: str
    function: str
    is_called: bool


def lines(page: str) -> dict[str, str]:
    """Name of a way to its text; what begins with a blank goes on with the line before."""
    block = BLOCK.search(page)
    assert block is not None
    joined = re.sub(r"\n +", " ", block[1])
    ways = (line.partition(":") for line in joined.splitlines())
    return {name.strip(): way for name, _, way in ways}


def steps(way: str) -> Iterator[Step]:
    for part in re.split(r"(?=[→⇢])", way.strip()):
        file, _, names = part.lstrip("→⇢ ").strip().partition(" ")
        for place, name in enumerate(names.split(",")):
            yield Step(file, name.strip(), is_called=place > 0 or not part.startswith("⇢"))


@cache
def functions(path: Path) -> dict[str, list[ast.AST]]:
    """By name; a file may have several of one."""
    found: dict[str, list[ast.AST]] = {}
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.setdefault(node.name, []).append(node)
    return found


def called(function: ast.AST) -> set[str]:
    """Last names of all that the body of a function calls, or hands to what it calls."""
    names = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Call):
            for each in (node.func, *node.args):
                if isinstance(each, ast.Attribute):
                    names.add(each.attr)
                if isinstance(each, ast.Name):
                    names.add(each.id)
    return names


def found(step: Step, packages: tuple[Path, ...] = PACKAGES) -> list[ast.AST]:
    """Where the function of a step is defined."""
    return [
        function
        for package in packages
        if (path := package / step.file).is_file()
        for function in functions(path).get(step.function, [])
    ]


def broken(way: str, packages: tuple[Path, ...] = PACKAGES) -> list[str]:
    """Steps that are not there, or that the one before does not call."""
    wrong = []
    before: list[ast.AST] | None = None
    for step in steps(way):
        here = found(step, packages)
        if not here:
            wrong.append(f"{step.file} has no {step.function}")
        elif step.is_called and before and not any(step.function in called(f) for f in before):
            wrong.append(f"nobody calls {step.function} of {step.file} there")
        before = here
    return wrong


def test_the_page_shows_the_five_ways() -> None:
    assert tuple(lines(PAGE.read_text("utf-8"))) == WAYS


@pytest.mark.parametrize("name", WAYS)
def test_each_function_of_a_way_calls_the_next(name: str) -> None:
    assert broken(lines(PAGE.read_text("utf-8"))[name]) == []


@pytest.mark.parametrize(
    ("way", "wrong"),
    [
        ("a.py first, second → b.py third", []),
        ("a.py first ⇢ b.py fourth", []),
        ("a.py first → b.py third", ["nobody calls third of b.py there"]),
        ("a.py second → c.py third", ["c.py has no third"]),
        ("a.py first, fifth", ["a.py has no fifth"]),
    ],
    ids=["whole", "handed over", "one left out", "a file that is gone", "a function that is gone"],
)
def test_a_way_that_is_no_way_is_found(tmp_path: Path, way: str, wrong: list[str]) -> None:
    (tmp_path / "a.py").write_text(
        "class A:\n    def first(self): self.second()\n    def second(self): run(self.b.third)\n"
    )
    (tmp_path / "b.py").write_text("def third(): pass\ndef fourth(): pass\n")
    assert broken(way, (tmp_path,)) == wrong
