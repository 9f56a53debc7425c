"""Lengths of modules and functions and parameters of our own code, beside their limits.

Run by ``make measure``, and by ``make check``, which fails where a hard limit is passed.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("services/signaling/src", "services/peer/src", "bench", "lab", "tools")
GENERATED = ("_pb2.py", "_actr.py")

MODULE_LINES_SOFT = 300
MODULE_LINES_HARD = 400
LONG_MODULES = 27
"""How many may be between the two: who shortens one makes this less, and nobody makes it more."""
FUNCTION_LINES = 50
POSITIONAL_PARAMETERS = 5


@dataclass(frozen=True, slots=True)
class Function:
    """One function, as its source shows it."""

    where: str
    lines: int
    positional: int


def sources() -> list[Path]:
    """All modules written by hand, tests excluded."""
    return sorted(
        path
        for folder in SOURCES
        for path in (ROOT / folder).rglob("*.py")
        if not path.name.endswith(GENERATED)
    )


def functions(path: Path, tree: ast.Module) -> Iterator[Function]:
    """Every function of a module; ``self`` and ``cls`` are not counted as parameters."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names = [arg.arg for arg in (*node.args.posonlyargs, *node.args.args)]
            yield Function(
                where=f"{path.relative_to(ROOT)}:{node.lineno} {node.name}",
                lines=(node.end_lineno or node.lineno) - node.lineno + 1,
                positional=len([name for name in names if name not in ("self", "cls")]),
            )


def long_modules(lengths: Iterable[int]) -> int:
    """How many are over the soft limit."""
    return sum(lines > MODULE_LINES_SOFT for lines in lengths)


def ratchet(lengths: Iterable[int], limit: int = LONG_MODULES) -> list[str]:
    """What is wrong with the number of long modules, if something is."""
    found = long_modules(lengths)
    if found > limit:
        return [f"{found} modules over {MODULE_LINES_SOFT} lines (limit {limit}): part one"]
    return []


def main() -> int:
    """Print the figures; 1 when a hard limit is passed."""
    modules: dict[Path, int] = {}
    found: list[Function] = []
    for path in sources():
        text = path.read_text(encoding="utf-8")
        modules[path] = text.count("\n")
        found.extend(functions(path, ast.parse(text)))
    lengths = [function.lines for function in found]
    p90 = quantiles(lengths, n=10)[-1] if len(lengths) > 1 else 0
    print(f"modules    {len(modules)}: median {median(modules.values()):.0f} lines, ", end="")
    print(f"longest {max(modules.values())} (limit {MODULE_LINES_HARD})")
    print(f"functions  {len(found)}: p90 {p90:.0f} lines, ", end="")
    print(f"longest {max(lengths)} (limit {FUNCTION_LINES})")
    for path, lines in modules.items():
        if MODULE_LINES_SOFT < lines <= MODULE_LINES_HARD:
            print(f"long       {path.relative_to(ROOT)}: {lines} lines")
    print(
        f"long       {long_modules(modules.values())} modules over {MODULE_LINES_SOFT} lines ",
        end="",
    )
    print(f"(LONG_MODULES, which only falls: {LONG_MODULES})")

    broken = [
        f"{path.relative_to(ROOT)}: {lines} lines (limit {MODULE_LINES_HARD})"
        for path, lines in modules.items()
        if lines > MODULE_LINES_HARD
    ]
    broken.extend(ratchet(modules.values()))
    for function in found:
        if function.lines > FUNCTION_LINES:
            broken.append(f"{function.where}: {function.lines} lines (limit {FUNCTION_LINES})")
        if function.positional > POSITIONAL_PARAMETERS:
            broken.append(f"{function.where}: {function.positional} positional parameters")
    for line in broken:
        print(f"too long   {line}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
