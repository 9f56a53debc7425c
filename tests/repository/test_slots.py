"""Whoever is to be told is given when a thing is made: no slot is idle until somebody fills it.

A slot is an attribute that a class sets to a function which does nothing, and that is assigned from
outside of the class. It hides who is called, and it is silent where the filling was forgotten.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("services/peer/src", "services/signaling/src", "bench", "lab")


def trees(root: Path) -> Iterator[tuple[str, ast.Module]]:
    for folder in SOURCES:
        for path in sorted((root / folder).rglob("*.py")):
            if not path.name.endswith(("_pb2.py", "_actr.py")):
                yield str(path.relative_to(root)), ast.parse(path.read_text(encoding="utf-8"))


def does_nothing(value: ast.expr | None, idle: set[str]) -> bool:
    """Whether ``value`` is a function that gives a constant, whatever it is given."""
    if isinstance(value, ast.Name):
        return value.id in idle
    return isinstance(value, ast.Lambda) and isinstance(value.body, ast.Constant)


def idle_functions(tree: ast.Module) -> set[str]:
    """Names of the module's functions that have nothing but a docstring, or ``return`` nothing."""
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and all(
            (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))
            or isinstance(part, ast.Pass)
            or (isinstance(part, ast.Return) and isinstance(part.value, ast.Constant | None))
            for part in node.body
        )
    }


def assigned(node: ast.AST) -> Iterator[tuple[ast.Attribute, ast.expr | None]]:
    """The attributes that a statement assigns, each with its value where there is one."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Attribute):
                yield target, node.value
            elif isinstance(target, ast.Tuple):
                values = node.value.elts if isinstance(node.value, ast.Tuple) else ()
                for number, part in enumerate(target.elts):
                    if isinstance(part, ast.Attribute):
                        yield part, values[number] if number < len(values) else None
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Attribute):
        yield node.target, node.value


def is_own(target: ast.Attribute) -> bool:
    return isinstance(target.value, ast.Name) and target.value.id == "self"


def slots(modules: list[tuple[str, ast.Module]]) -> dict[str, list[str]]:
    """Name of a slot to the places where others fill it."""
    made: set[str] = set()
    filled: dict[str, list[str]] = defaultdict(list)
    for where, tree in modules:
        idle = idle_functions(tree)
        for node in ast.walk(tree):
            for target, value in assigned(node):
                if not is_own(target):
                    filled[target.attr].append(f"{where}:{target.lineno}")
                elif does_nothing(value, idle):
                    made.add(target.attr)
    return {name: filled[name] for name in sorted(made) if name in filled}


def test_no_attribute_does_nothing_until_somebody_else_fills_it() -> None:
    assert slots(list(trees(ROOT))) == {}


SLOT = '''
def nothing(error):
    """Nobody wants to know."""

class Bell:
    def __init__(self):
        self.rings = {idle}
'''


def test_a_slot_is_found_whatever_does_nothing_in_it() -> None:
    other = "def fill(bell):\n    bell.rings = print\n"
    for idle in ("lambda: None", "lambda error: False", "nothing"):
        modules = [("bell.py", ast.parse(SLOT.format(idle=idle))), ("door.py", ast.parse(other))]
        assert slots(modules) == {"rings": ["door.py:2"]}


def test_what_a_class_fills_itself_and_what_does_something_are_no_slots() -> None:
    own = "class Bell:\n    def fill(self, rings):\n        self.rings = rings\n"
    modules = [("bell.py", ast.parse(SLOT.format(idle="nothing"))), ("own.py", ast.parse(own))]
    assert slots(modules) == {}
    other = "def fill(bell):\n    bell.rings = print\n"
    modules = [("bell.py", ast.parse(SLOT.format(idle="None"))), ("door.py", ast.parse(other))]
    assert slots(modules) == {}
