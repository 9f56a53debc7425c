"""The way of a message has no stop that decides nothing, and none that is not to be seen.

Slots: whoever is to be told is given when a thing is made. An attribute that a class sets to a
function which does nothing, or says to be a function or None, and that is assigned from outside of
the class, hides who is called, and is silent where that was forgotten.

Forwarders: a function that only hands its parameters to one of the same name is a stop that a
reader must pass. Whoever needs the other is given it. A method may forward where it is a promise,
to users or to who owns the object, that does not show what is behind it: those stand here with the
reason.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("services/peer/src", "services/signaling/src", "bench", "lab")

Definition = ast.FunctionDef | ast.AsyncFunctionDef

ALLOWED = {
    "Credentials.sign": "who signs has an Identity, inside a block and outside; the key is its own",
    "OwnIdentity.sign": "who signs has an Identity; the key is its own",
    "ActrRef.network_changed": "users have the ref; the transport is none of theirs",
    "ActrRef.subscribe": "users have the ref; the signaling client is none of theirs",
    "Calls.has_room": "what each remote owes is its own",
    "FileStore.apply": "the writer's store; what a batch is, the batches know",
    "FileStore.apply_now": "the writer's store, likewise",
    "Hub.answered": "the ledger's sink: the hub shares it out",
    "Link.add": "its bundle of wires is its own",
    "Link.wire": "its bundle of wires is its own",
    "Mailbox.put": "what comes in is its intake's, which is not shown",
    "Orders.clear": "what waits is its own",
    "Recorder.request_keyframe": "it is a source around a source",
    "Sealed.pause_writing": "TLS is between the socket and the wire: it passes on what is no byte",
    "Sealed.resume_writing": "likewise",
    "Replica.leave": "the web server is not shown",
    "Scheduler.bound": "its tasks are its own",
    "SignalingClient.find": "what it has seen is its own",
    "StreamReader.listen": "the core of a half is behind its shell",
    "Turns.add": "an order within an order: which of them waits is not shown",
    "Watchers.catch_up": "its crier is its own",
    "WebRtcWire.candidate": "the engine's sink: the wire shares it out",
    "WebRtcWire.view": "its engine is its own",
}
"""Class and method, and why it forwards. ``close`` may: to end what it owns is an owner's work."""


LATE = {
    "on_cancel": "a handler says it while it runs: there may be nothing to undo",
    "on_frame": "a connection carries data before anybody wants its tracks",
    "on_tracks": "as on_frame: which tracks there are is told after each exchange",
    "on_stop": "the handler that feeds a stream is started after its half is open",
    "on_arrival": "only of streams that a callback takes; who iterates over one waits for it",
}
"""Slots that others fill, and why they are none of those that hide who is called."""


def trees(root: Path) -> Iterator[tuple[str, ast.Module]]:
    for folder in SOURCES:
        for path in sorted((root / folder).rglob("*.py")):
            if not path.name.endswith(("_pb2.py", "_actr.py")):
                yield str(path.relative_to(root)), ast.parse(path.read_text(encoding="utf-8"))


# Slots


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


def is_optional_function(node: ast.AST) -> bool:
    """Whether it declares a function that may be missing: ``x: Callable[[], None] | None``."""
    if not isinstance(node, ast.AnnAssign):
        return False
    said = ast.unparse(node.annotation)
    return "Callable[" in said and "None" in said.rpartition("]")[2]


def declared(tree: ast.Module, idle: set[str]) -> Iterator[str]:
    """Attributes that the classes of a module declare as functions that may be missing."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for part in node.body:
                match part:
                    case ast.AnnAssign(target=ast.Name(id=name), value=value) if (
                        is_optional_function(part) or does_nothing(value, idle)
                    ):
                        yield name
                    case _:
                        pass
        elif (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Attribute)
            and is_own(node.target)
            and is_optional_function(node)
        ):
            yield node.target.attr


def slots(modules: list[tuple[str, ast.Module]]) -> dict[str, list[str]]:
    """Name of a slot to the places where others fill it."""
    made: set[str] = set()
    filled: dict[str, list[str]] = defaultdict(list)
    for where, tree in modules:
        idle = idle_functions(tree)
        made |= set(declared(tree, idle))
        for node in ast.walk(tree):
            for target, value in assigned(node):
                if not is_own(target):
                    filled[target.attr].append(f"{where}:{target.lineno}")
                elif does_nothing(value, idle):
                    made.add(target.attr)
    return {name: filled[name] for name in sorted(made) if name in filled}


def test_no_attribute_does_nothing_until_somebody_else_fills_it() -> None:
    assert set(slots(list(trees(ROOT)))) - set(LATE) == set()


def test_what_may_be_filled_late_is_filled_late() -> None:
    assert set(LATE) - set(slots(list(trees(ROOT)))) == set(), "take its row away"


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
    assert slots(modules) == {}, "None may be any value, where nothing says that it is a function"


@pytest.mark.parametrize(
    "made",
    [
        "class Bell:\n    rings: Callable[[], None] | None = None\n",
        "class Bell:\n    rings: Callable[[], None] = lambda: None\n",
        "class Bell:\n    def __init__(self):\n"
        "        self.rings: Callable[[str], None] | None = None\n",
    ],
)
def test_a_function_that_may_be_missing_and_is_filled_by_others_is_a_slot(made: str) -> None:
    other = "def fill(bell):\n    bell.rings = print\n"
    modules = [("bell.py", ast.parse(made)), ("door.py", ast.parse(other))]
    assert slots(modules) == {"rings": ["door.py:2"]}


# Forwarders


def call_of(function: Definition) -> ast.Call | None:
    """The one call that the whole body is, if it is one."""
    body = function.body
    if ast.get_docstring(function) is not None:
        body = body[1:]
    match body:
        case [ast.Return(value=value)] | [ast.Expr(value=value)]:
            pass
        case [
            ast.Assign(targets=[ast.Name(id=kept)], value=value),
            ast.Return(value=ast.Name(id=returned)),
        ] if kept == returned:
            pass
        case [
            ast.AsyncFor(target=ast.Name(id=item), iter=value, body=[only]),
        ] | [ast.For(target=ast.Name(id=item), iter=value, body=[only])] if (
            ast.unparse(only) == f"yield {item}"
        ):
            pass
        case _:
            return None
    if isinstance(value, ast.Await | ast.YieldFrom):
        value = value.value
    return value if isinstance(value, ast.Call) else None


def forwards(function: Definition) -> bool:
    """Whether it calls what bears its name elsewhere, with just what it was given."""
    call = call_of(function)
    if call is None or not isinstance(call.func, ast.Attribute) or call.func.attr != function.name:
        return False
    if function.name == "close":
        return False
    if any(isinstance(part, ast.Call) for part in ast.walk(call.func)):
        return False  # of something that is made here
    given = [name_of(value) for value in call.args]
    given += [name_of(word.value) for word in call.keywords]
    spec = function.args
    taken = [arg.arg for arg in (*spec.posonlyargs, *spec.args, *spec.kwonlyargs)]
    taken = [name for name in taken if name not in ("self", "cls")]
    return None not in given and set(given) == set(taken)


def name_of(value: ast.expr) -> str | None:
    if isinstance(value, ast.Starred):
        value = value.value
    return value.id if isinstance(value, ast.Name) else None


def forwarders(tree: ast.Module) -> Iterator[str]:
    """The public functions of a module that forward; methods with their class."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for part in node.body:
                if is_public(part) and forwards(part):
                    yield f"{node.name}.{part.name}"
    for node in tree.body:
        if is_public(node) and forwards(node):
            yield node.name


def is_public(node: ast.stmt) -> TypeGuard[Definition]:
    return isinstance(node, Definition) and not node.name.startswith("_")


def test_no_public_function_only_hands_on_what_it_was_given() -> None:
    services = (tree for where, tree in trees(ROOT) if where.startswith("services/"))
    assert {name for tree in services for name in forwarders(tree)} == set(ALLOWED)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def f(self, a, *, b): return self.x.f(a, b=b)", True),
        ("async def f(self, a):\n  'Says it.'\n  await self.x.y.f(a)", True),
        ("def f(self): self.x.f()", True),
        ("def f(self, a):\n  b = self.x.f(a)\n  return b", True),
        ("async def f(self, a):\n  async for b in self.x.f(a):\n    yield b", True),
        ("async def f(self, a):\n  async for b in self.x.f(a):\n    yield str(b)", False),
        ("def f(self, a): return self.x.f(a, 1)", False),
        ("def f(self, a): return self.x.f(str(a))", False),
        ("def f(self, a): return self.x.g(a)", False),
        ("def f(self, a):\n  if a: return self.x.f(a)", False),
        ("def f(self, a): return self.x.f()", False),
        ("def f(self): return self.make().f()", False),
        ("async def close(self): await self.x.close()", False),
    ],
)
def test_a_forwarder_is_known_by_its_body(source: str, found: bool) -> None:
    (function,) = ast.parse(source).body
    assert isinstance(function, Definition)
    assert forwards(function) is found
