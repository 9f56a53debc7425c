"""The files of a new project: which names will do, and what is in them."""

from __future__ import annotations

import keyword
import re
import sys
from dataclasses import dataclass
from importlib.machinery import PathFinder
from importlib.resources import files
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory
from typing import Final, Self

from actr_peer.cli.codegen.compiler import generate_modules
from actr_peer.cli.verbs.dev.named import read_workloads
from actr_peer.errors import ConfigError

NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
MAX_NAME_CHARACTERS: Final = 40
REALM: Final = "default"
TAKEN: Final = frozenset({"caller", "actr", "google", "build", "dist", "venv"})
"""Modules and folders that the project has besides, needs, or passes over."""
TAKEN_CLASSES: Final = frozenset(
    {"AsyncIterator", "CallError", "Code", "Context", "Line", "Query", "Receipt"}
)
"""What its contract and its workload call something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A project's name, in each form."""

    name: str
    """Of the folder and the package: ``my-room``."""
    module: str
    """``my_room``."""
    service: str
    """``MyRoom``."""
    actor: str
    """Who it is under ``actr dev``."""

    @classmethod
    def of(cls, name: str) -> Self:
        """Read a name.

        Raises:
            ConfigError: If no project, module and class can be called so.
        """
        if not NAME.fullmatch(name) or len(name) > MAX_NAME_CHARACTERS:
            raise ConfigError(
                f"project {name!r}: write 1 to {MAX_NAME_CHARACTERS} small letters and digits, "
                "parted by '-' or '_', as my-room"
            )
        module = re.sub("[-_]", "_", name)
        service = "".join(part.capitalize() for part in module.split("_"))
        why = _why_not(module, service)
        if why:
            raise ConfigError(f"project {name!r}: {why}; choose another name, as my-{name}")
        (named,) = read_workloads([f"{module}:{service}"], REALM)
        return cls(name=name, module=module, service=service, actor=str(named.id))


def _why_not(module: str, service: str) -> str:
    """Why there can be no module, or no class, of this name; empty: there can."""
    for word in (module, service):
        if keyword.iskeyword(word) or keyword.issoftkeyword(word):
            return f"{word} is a word of Python"
    if module in TAKEN or service in TAKEN_CLASSES or module.startswith("test_"):
        return f"{module} is what something else of the project is called"
    if module in sys.stdlib_module_names:
        return f"{module} is a module of Python"
    here = Path.cwd()
    elsewhere = [path for path in sys.path if path and Path(path).resolve() != here]
    found = PathFinder.find_spec(module, elsewhere)
    if found is not None and found.origin is not None:
        return f"a module {module} is installed"
    return ""


def contents(words: Words) -> dict[str, str]:
    """Path in the project, to text; without generated modules."""
    sources = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        ".gitignore": "gitignore",
        f"{words.module}.proto": "contract.proto",
        f"{words.module}.py": "workload.py",
        "caller.py": "caller.py",
        f"test_{words.module}.py": "test.py",
    }
    return {path: _filled(template, words) for path, template in sources.items()}


def _filled(template: str, words: Words) -> str:
    folder = files("actr_peer.cli.verbs.new") / "templates"
    text = (folder / f"{template}.tmpl").read_text(encoding="utf-8")
    return Template(text).substitute(
        name=words.name, module=words.module, service=words.service, actor=words.actor
    )


def generated(words: Words) -> dict[str, str]:
    """The modules that ``actr gen`` makes of its contract.

    Raises:
        ConfigError: If the tools for that are not installed.
    """
    contract = f"{words.module}.proto"
    with TemporaryDirectory(prefix="actr-new-") as scratch:
        path = Path(scratch, contract)
        path.write_text(contents(words)[contract], encoding="utf-8")
        return {str(name): text for name, text in generate_modules([path]).items()}
