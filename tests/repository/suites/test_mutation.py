"""The tables of mutations and of checks to take out fit the tree, and notice when it moves."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from tests.adversary import faults
from tests.adversary.attacks import SIDES
from tests.mutation.forks import patched
from tests.mutation.table import ROOT, MovedError, Mutation, load

SOURCE = "def f(x):\n    if x > 1:\n        return 1\n    return 0\n"


def mutation(line: str, becomes: str) -> Mutation:
    return Mutation(name="n", file="f.py", line=line, becomes=becomes, tests=("t",))


@pytest.mark.parametrize("one", load(), ids=lambda one: one.name)
def test_every_mutation_fits_the_tree_and_its_tests_exist(one: Mutation) -> None:
    source = (ROOT / one.file).read_text("utf-8")
    assert one.apply(source) != source
    for test in one.tests:
        file, _, name = test.partition("::")
        assert not name or f"def {name}(" in (ROOT / file).read_text("utf-8")
        assert (ROOT / file).is_file()


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


# In a process that has imported what is mutated

IMPORTED = """
LIMIT = 1

def deep(found):
    def inner(): return found
    return inner

class Box:
    size = 2
    def __init__(self, found): self.found = found
    def get(self): return self.found
    @property
    def twice(self): return [each for each in (self.found, self.found)]

BEFORE = deep(3)
key = lambda x: x + 1
"""


@pytest.fixture
def imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    path = tmp_path / "mutated_in_place.py"
    path.write_text(IMPORTED)
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, path.stem, module)
    spec.loader.exec_module(module)
    return module


def put(module: ModuleType, line: str, becomes: str) -> bool:
    assert module.__file__ is not None
    assert IMPORTED.count(line) == 1
    return patched(module.__file__, IMPORTED, IMPORTED.replace(line, becomes))


@pytest.mark.parametrize(
    ("line", "becomes", "seen"),
    [
        ("return self.found", "return 0", "box.get() == 0"),
        ("return self.found", "x = (\n1); return x", "box.get() == 1 and key(1) == 2"),
        ("(self.found, self.found)", "(self.found,)", "box.twice == [7]"),
        ("x + 1", "x + 5", "key(1) == 6"),
        ("return found", "return not found", "BEFORE() is False and deep(0)() is True"),
        ("self.found = found", "self.found = None", "Box(1).found is None and box.found == 7"),
    ],
)
def test_functions_that_are_there_get_the_code_of_the_mutant(
    imported: ModuleType, line: str, becomes: str, seen: str
) -> None:
    names = vars(imported)
    names["box"] = imported.Box(7)
    assert not eval(seen, names)
    assert put(imported, line, becomes)
    assert eval(seen, names)


@pytest.mark.parametrize(
    ("line", "becomes"),
    [
        ("LIMIT = 1", "LIMIT = 2"),
        ("size = 2", "size = 3"),
        ("    @property\n", ""),
        ("lambda x: x + 1", "abs"),
        ("(self, found)", "(self, found=1)"),
        ("return found", "return 5"),
    ],
    ids=["a constant", "a class's", "a decorator", "a function less", "a default", "a cell less"],
)
def test_a_mutant_that_is_more_than_functions_has_an_import_of_its_own(
    imported: ModuleType, line: str, becomes: str
) -> None:
    assert not put(imported, line, becomes)


def test_what_nobody_has_imported_is_read_from_the_file() -> None:
    assert patched("/nowhere/at/all.py", "LIMIT = 1\n", "LIMIT = 2\n")
