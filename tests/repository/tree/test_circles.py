"""No two modules of a service name each other, nor go round in a longer circle.

An import counts wherever it stands: under ``TYPE_CHECKING`` and inside a function as well, for a
reader has to know both modules either way. The contracts of ``make layers`` look between folders;
this looks between files, those of one folder included.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SOURCES = {
    "actr_peer": ROOT / "services/peer/src",
    "actr_signaling": ROOT / "services/signaling/src",
}


def names_of_modules(sources: Path, package: str) -> dict[str, Path]:
    """``package.folder.module`` to its file; a folder is named by its ``__init__``."""
    found = {}
    for path in sorted((sources / package).rglob("*.py")):
        parts = path.relative_to(sources).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(tree: ast.Module, modules: Mapping[str, Path], folder: str) -> Iterator[str]:
    """The modules of the package that one module names in its imports, wherever they stand.

    Args:
        folder: The package that the module is in, for ``from . import``.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        if isinstance(node, ast.ImportFrom) and (base := source_of(node, folder)) in modules:
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield inner if inner in modules else base


def source_of(node: ast.ImportFrom, folder: str) -> str:
    """Where it imports from, by its whole name."""
    if not node.level:
        return node.module or ""
    parts = folder.split(".")
    return ".".join([*parts[: len(parts) - node.level + 1], *filter(None, [node.module])])


def graph(sources: Path, package: str) -> dict[str, set[str]]:
    modules = names_of_modules(sources, package)
    return {
        name: set(imported(ast.parse(path.read_text("utf-8")), modules, folder_of(name, path)))
        - {name}
        for name, path in modules.items()
    }


def folder_of(name: str, path: Path) -> str:
    return name if path.name == "__init__.py" else name.rpartition(".")[0]


def reached(start: str, edges: Mapping[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for name in edges[waiting.pop()] - seen:
            seen.add(name)
            waiting.append(name)
    return seen


def circles(edges: Mapping[str, set[str]]) -> set[frozenset[str]]:
    """Modules that reach each other, in groups as large as they come."""
    ways = {name: reached(name, edges) for name in edges}
    return {
        frozenset(other for other in way if name in ways[other])
        for name, way in ways.items()
        if name in way
    }


def all_circles() -> list[set[str]]:
    """Of both services; modules by their last name."""
    return [
        {name.rpartition(".")[2] for name in circle}
        for package, sources in SOURCES.items()
        for circle in circles(graph(sources, package))
    ]


def test_no_two_modules_of_a_service_name_each_other() -> None:
    assert all_circles() == []


@pytest.mark.parametrize(
    "back",
    [
        "from package.a import A",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from package.a import A",
        "def f():\n    from package import a",
        "import package.c",
        "from .a import A",
        "from . import a",
    ],
    ids=["plain", "for types", "inside a function", "over a third", "relative", "of the folder"],
)
def test_a_circle_is_found_wherever_the_import_stands(tmp_path: Path, back: str) -> None:
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "a.py").write_text("from package.b import B")
    (folder / "b.py").write_text(back)
    (folder / "c.py").write_text("import package.a")
    [circle] = circles(graph(tmp_path, "package"))
    assert {"package.a", "package.b"} <= circle


def test_modules_that_import_one_way_are_no_circle(tmp_path: Path) -> None:
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "a.py").write_text("from package import b")
    (folder / "b.py").write_text("import package")
    assert circles(graph(tmp_path, "package")) == set()
