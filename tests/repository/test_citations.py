"""No docstring and no comment names a page, a section, a file or code that is not there."""

from __future__ import annotations

import ast
import builtins
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLACES = ("services", "proto", "bench", "lab", "tests", "tools", "conftest.py")
GENERATED = ("_pb2.py", "_actr.py")
PACKAGES = {"actr_peer": "services/peer/src", "actr_signaling": "services/signaling/src"}
NOWHERE = re.compile(r"\([Ss]pec\b|\b[Ss]pec \d")
PAGE = re.compile(r"\bdocs/[\w./-]*\w(?:#[\w-]+)?")
DECISION = re.compile(r"\bdecision (\d{4})")
ROLE = re.compile(r":(?:mod|class|func|meth|attr|data|exc):`(?:[^`<]*<)?~?([\w.]+)>?`")
FILE = re.compile(r"``((?:[\w.-]+/)*[\w-]+\.(?:py|proto|md|toml|yaml))``")
EXAMPLES = {"actr.toml", "demo/chat-room.proto"}
"""Files that a user makes."""


@cache
def tracked() -> frozenset[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return frozenset(name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file())


def sources() -> list[str]:
    return [
        name
        for name in sorted(tracked())
        if name.startswith(PLACES)
        and name.endswith((".py", ".proto"))
        and not name.endswith(GENERATED)
    ]


def said(name: str) -> str:
    """All docstrings and comments of a file, strings that stand alone included."""
    text = (ROOT / name).read_text("utf-8")
    if name.endswith(".proto"):
        return "\n".join(re.findall(r"//(.*)", text))
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
    alone = [
        node.value.value
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    ]
    return "\n".join([*comments, *alone])


def slug(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.strip().lower()).replace(" ", "-")


@cache
def anchors(page: str) -> frozenset[str]:
    text = (ROOT / page).read_text("utf-8")
    return frozenset(slug(found) for found in re.findall(r"^#+ (.*)$", text, flags=re.M))


def is_page(cited: str) -> bool:
    """A page, a section of one, a folder of pages, or a decision by its number alone."""
    path, _, anchor = cited.partition("#")
    if anchor:
        return (ROOT / path).is_file() and anchor in anchors(path)
    return (ROOT / path).exists() or (
        bool(re.fullmatch(r"docs/decisions/\d{4}", path)) and any(ROOT.glob(f"{path}-*.md"))
    )


def is_file(cited: str, name: str) -> bool:
    """Whether a file ends so: in the tree, or in the package of the one that names it."""
    here = f"{name.rpartition('/')[0]}/{cited}"
    return here in tracked() or any(f"/{path}".endswith(f"/{cited}") for path in tracked())


@dataclass(frozen=True, slots=True)
class Code:
    """What one module binds, and what each of its classes has and derives from."""

    names: frozenset[str]
    classes: dict[str, frozenset[str]]
    bases: dict[str, tuple[str, ...]]


def bound(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case (
                ast.ClassDef(name=name)
                | ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.Name(id=name, ctx=ast.Store())
                | ast.Attribute(attr=name, ctx=ast.Store())
                | ast.arg(arg=name)
            ):
                yield name
            case ast.alias(name=name, asname=asname):
                yield (asname or name).rpartition(".")[2]
            case _:
                pass


@cache
def code(name: str) -> Code:
    tree = ast.parse((ROOT / name).read_text("utf-8"))
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    return Code(
        names=frozenset(bound(tree)),
        classes={node.name: frozenset(bound(node)) for node in classes},
        bases={node.name: tuple(map(class_name, node.bases)) for node in classes},
    )


def class_name(base: ast.expr) -> str:
    """``Reach`` of ``Reach``, ``reach.Reach`` and ``Reach[Req]``."""
    return ast.unparse(base).partition("[")[0].rpartition(".")[2]


def module_file(dotted: str) -> str | None:
    package = dotted.partition(".")[0]
    path = "/".join(filter(None, (PACKAGES.get(package), dotted.replace(".", "/"))))
    return next((one for one in (f"{path}.py", f"{path}/__init__.py") if one in tracked()), None)


@cache
def members(cls: str) -> frozenset[str]:
    """What the classes of this name have, wherever they are, and what they derive from."""
    found: set[str] = set()
    for name in sources():
        if name.endswith(".py") and cls in code(name).classes:
            found |= code(name).classes[cls]
            for base in code(name).bases[cls]:
                found |= members(base) if base != cls else set()
    return frozenset(found)


def is_code(cited: str, name: str) -> bool:
    """Whether a reference resolves: from the module it stands in, or from a package."""
    here = code(name)
    first, _, rest = cited.partition(".")
    if hasattr(builtins, cited) or module_file(cited) is not None:
        return True
    if not rest:
        return first in here.names or any(first in members(cls) for cls in here.classes)
    if "." not in rest and (known := members(first)):
        return rest in known
    if first in here.names and module_file(first) is None:
        return True  # of a library
    owner, _, last = cited.rpartition(".")
    module, _, cls = owner.rpartition(".")
    if (path := module_file(owner)) is not None:
        return last in code(path).names
    return (path := module_file(module)) is not None and (
        cls in code(path).classes and last in members(cls)
    )


def astray(name: str) -> list[str]:
    """Everything that the docstrings and comments of one file name and that is nowhere."""
    text = said(name)
    lost = [found.group() for found in NOWHERE.finditer(text)]
    lost += [page for page in PAGE.findall(text) if not is_page(page)]
    lost += [
        f"decision {number}"
        for number in DECISION.findall(text)
        if not is_page(f"docs/decisions/{number}")
    ]
    lost += [
        path for path in FILE.findall(text) if path not in EXAMPLES and not is_file(path, name)
    ]
    if name.endswith(".py"):
        lost += [cited for cited in ROLE.findall(text) if not is_code(cited, name)]
    return lost


@pytest.mark.parametrize("room", sorted({name.rpartition("/")[0] for name in sources()}))
def test_no_citation_leads_nowhere(room: str) -> None:
    here = [name for name in sources() if name.rpartition("/")[0] == room]
    lost = {name: found for name in here if (found := astray(name))}
    assert lost == {}


@pytest.mark.parametrize(
    "text",
    [
        "As it is (spec 3.4).",
        "See docs/nowhere.md.",
        "See docs/protocol.md#no-such-section.",
        "See docs/decisions/9999.",
        "Why: decision 9999.",
        "It is in ``nowhere.py``.",
        ":mod:`actr_peer.protocol.nowhere` decides.",
        ":class:`~actr_peer.protocol.payload.Nothing` is.",
        ":meth:`ActrId.nothing` does.",
        ":data:`NOTHING` bounds it.",
    ],
)
def test_a_citation_that_leads_nowhere_is_found(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(astray.__globals__, "said", lambda _: text)
    assert len(astray("services/peer/src/actr_peer/protocol/identity/ids.py")) == 1


@pytest.mark.parametrize(
    "text",
    [
        "See docs/protocol.md, and docs/protocol.md#session-frames (docs/decisions/0006).",
        "It is in ``ids.py``, ``actr/signaling.proto`` and ``actr.toml``.",
        ":mod:`actr_peer.protocol.identity`, :class:`~actr_peer.protocol.identity.ActrId`",
        ":meth:`ActrId.parse`, :meth:`parse`, :data:`PART`, :class:`ExceptionGroup`",
        ":meth:`the one <actr_peer.protocol.identity.ids.ActrId.parse>`",
    ],
)
def test_a_citation_that_leads_somewhere_is_let_pass(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(astray.__globals__, "said", lambda _: text)
    assert astray("services/peer/src/actr_peer/protocol/identity/ids.py") == []
