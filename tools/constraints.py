"""Write the pins of requirements/ to where uv reads constraints: pyproject.toml.

``uv sync`` and ``uv run`` know no file of constraints, only a table: with it they take the versions
that pip takes. `tools/lock` calls this; a test compares.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)
TABLES = {
    "constraint-dependencies": "requirements/dev.txt",
    "build-constraint-dependencies": "requirements/build.txt",
}
"""Key of ``[tool.uv]`` to the file of its pins."""


def pins(path: Path) -> list[str]:
    """``name==version`` of each package, sorted."""
    return sorted(f"{name}=={version}" for name, version in PIN.findall(path.read_text("utf-8")))


def with_pins(project: str, root: Path = ROOT) -> str:
    """The text of pyproject.toml with the pins of today.

    Raises:
        ValueError: If a table is not there, or twice.
    """
    for key, path in TABLES.items():
        lines = "".join(f'    "{pin}",\n' for pin in pins(root / path))
        table = re.compile(rf"^{key} = \[\n.*?^\]$", re.MULTILINE | re.DOTALL)
        project, count = table.subn(f"{key} = [\n{lines}]", project)
        if count != 1:
            raise ValueError(f"pyproject.toml has {count} tables {key}: write one, empty")
    return project


def main() -> int:
    """Rewrite pyproject.toml; say so where it changed."""
    path = ROOT / "pyproject.toml"
    before = path.read_text("utf-8")
    after = with_pins(before)
    if after != before:
        path.write_text(after, "utf-8")
        print("constraints: pyproject.toml has the new pins", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
