"""Which tasks may end the actor is said in one place, and the sources hold to it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = ROOT / "services/peer/src/actr_peer"
DECISION = ROOT / "docs/decisions/0006-crash-policy.md"
ROW = re.compile(r"^\| `([\w/.]+)` \| `([\w/]+)` \|", re.M)
COMMANDS = ("cli/", "node/process/")
"""Their tasks belong to the command and end that."""
STARTERS = {
    "tasks.py": "is the one",
    "wire/relayed/wires.py": "closes its wires side by side, and waits for them",
    "wire/websocket/wires.py": "closes its wires side by side, and waits for them",
    "wire/webrtc/aiortc/ice.py": "asks its servers side by side, and waits for them",
    "wire/webrtc/aiortc/media/receivers.py": "stands in for a method of the library",
}
"""Modules that start tasks by themselves, and why."""


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = str(path.relative_to(PACKAGE))
        if not name.startswith(COMMANDS):
            yield name, ast.parse(path.read_text("utf-8"))


def task_name(node: ast.expr) -> str | None:
    """``stream/{}`` of the name that a task is given; None of what is no name."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(
                str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts
            )
        case ast.Name() | ast.Attribute():
            return "{}"
        case _:
            return None


def starts() -> Iterator[tuple[str, str, bool]]:
    """Module, task and whether it is contained, of every call that starts a task in a block."""
    for module, tree in modules():
        for node in ast.walk(tree):
            match node:
                case ast.Call(
                    func=ast.Attribute(attr="start" | "_start"),
                    args=[first, ast.Call() | ast.Name()],
                    keywords=keywords,
                ) if (name := task_name(first)) is not None:
                    yield (
                        module,
                        name,
                        any(
                            word.arg == "failed" and ast.unparse(word.value) != "None"
                            for word in keywords
                        ),
                    )
                case _:
                    pass


def test_only_the_tasks_that_the_decision_names_may_end_the_actor() -> None:
    named = set(ROW.findall(DECISION.read_text("utf-8")))
    bare = {(module, name) for module, name, contained in starts() if not contained}
    assert named <= bare, "the decision names tasks that are contained, or are not there"
    assert bare <= named, "contain these (failed=), or say in the decision why not"


@pytest.mark.parametrize("call", ["create_task", "ensure_future", "TaskGroup"])
def test_tasks_are_started_in_one_place(call: str) -> None:
    found = {
        module
        for module, tree in modules()
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr == call)
        or (isinstance(node, ast.Name) and node.id == call)
    }
    assert found <= set(STARTERS)
