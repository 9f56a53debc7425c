"""The tables of mutations and of checks to take out fit the tree, and notice when it moves."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.adversary import faults
from tests.adversary.attacks import SIDES
from tests.mutation.table import ROOT, MovedError, Mutation, load

SOURCE = "def f(x):\n    if x > 1:\n        return 1\n    return 0\n"


def mutation(line: str, becomes: str) -> Mutation:
    return Mutation(name="n", file="f.py", line=line, becomes=becomes, tests=("t",))


@pytest.mark.parametrize("one", load(), ids=lambda one: one.name)
def test_every_mutation_fits_the_tree_and_its_tests_exist(one: Mutation) -> None:
    source = (ROOT / one.file).read_text("utf-8")
    assert one.apply(source) != source
    assert [test for test in one.tests if not (ROOT / test).is_file()] == []


@pytest.mark.parametrize("one", faults.load(), ids=lambda one: one.name)
def test_every_check_that_is_taken_out_is_there_and_so_is_its_attack(one: faults.Fault) -> None:
    assert faults.mutated(one) != (ROOT / one.mutation.file).read_text("utf-8")
    side, _, attack = one.attack.partition(": ")
    assert attack in SIDES[side]


def test_a_line_keeps_its_indentation() -> None:
    mutated = mutation("if x > 1:", "if x > 2:").apply(SOURCE)
    assert mutated == SOURCE.replace("x > 1", "x > 2")


def test_several_lines_are_one_place() -> None:
    mutated = mutation("if x > 1:\nreturn 1", "if x > 1:\nreturn 2").apply(SOURCE)
    assert mutated == SOURCE.replace("return 1", "return 2")


@pytest.mark.parametrize("line", ["if x > 3:", "return"])
def test_a_line_that_is_not_there_is_an_error(line: str) -> None:
    with pytest.raises(MovedError, match="0 times"):
        mutation(line, "pass").apply(SOURCE)


def test_a_line_that_is_there_twice_is_an_error() -> None:
    with pytest.raises(MovedError, match="2 times"):
        mutation("return 0", "return 1").apply(SOURCE + SOURCE)


def test_what_is_no_python_is_an_error() -> None:
    with pytest.raises(MovedError, match="no Python"):
        mutation("if x > 1:", "if x >").apply(SOURCE)


def test_a_mutation_without_tests_is_an_error(tmp_path: Path) -> None:
    entry = '[[mutation]]\nname = "n"\nfile = "f"\nline = "l"\nbecomes = "b"\ntests = []\n'
    (tmp_path / "a.toml").write_text(entry)
    with pytest.raises(ValueError, match="without tests"):
        load(tmp_path)
