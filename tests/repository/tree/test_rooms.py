"""No folder and no module is so full that nobody reads it; ``bench/`` holds only what measures."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tools.measure import LONG_MODULES, MODULE_LINES_SOFT, long_modules, ratchet

ROOT = Path(__file__).resolve().parents[3]
PLACES = ("services", "proto", "bench", "lab", "tests")
UNCOUNTED = {"__init__.py", "__main__.py", "py.typed"}
MANY = 9
MOST = 12
PEER = "services/peer/src/actr_peer"
FULL = {
    "bench": "a program for each verb that measures, and what they share",
    "bench/network/signaling": "one verb: its services and loads, a file each, and their model",
    "lab": "peers that tests start as processes, and the network between them",
    PEER: "the layers, and three modules below all of them",
    f"{PEER}/actor": "a handler's turn from queue to outcome",
    f"{PEER}/actor/files": "one conversation: its two sides, and what each reads and writes",
    f"{PEER}/cli": "the command itself, what its verbs share, and a room for each large verb",
    f"{PEER}/cli/demo": "one verb: its processes, its traffic, its report",
    f"{PEER}/cli/verbs": "a file for each verb",
    f"{PEER}/cli/verbs/gateway": "a request from its connection to its call, and what bounds it",
    f"{PEER}/node": "what joins the layers, and what a program holds of it",
    f"{PEER}/protocol": "six rooms of one subject each, and what all of them read",
    f"{PEER}/protocol/identity": "an actor's name, and what proves it",
    f"{PEER}/protocol/session": "one machine and its parts: no second subject to part it by",
    f"{PEER}/protocol/rpc": "calls: what travels, who may, and a room for those by HTTP",
    f"{PEER}/rpc": "calls both ways, and what both share",
    f"{PEER}/state/mailbox": "one file: what waits in it, and what is known of who sent it",
    f"{PEER}/state/storage": "one file and its writer, down to the pages",
    f"{PEER}/transport": "a link, from remote down to lane",
    f"{PEER}/wire": "a room for each way to others, and what both kinds of wire share",
    f"{PEER}/wire/webrtc/aiortc": "one connection: a file for each part of the library",
    "proto/actr": "the wire contract: three files to each subject, and the services of every actor",
    "proto/actr/services": "what every actor serves: four files to each service",
    "proto/vectors": "a file for each subject of the contract",
    "services/signaling/src/actr_signaling": "the layers, the issuer beside them, what all share",
    "services/signaling/src/actr_signaling/hub": "who is here, and a file for each thing told them",
    "services/signaling/src/actr_signaling/web": "a connection, from its port to its session",
    "services/signaling/src/actr_signaling/web/browser/built": "each file with its source map",
    "services/signaling/src/actr_signaling/issuer": "its office, what it signs, and its rooms",
    "services/signaling/tests/protocol": "the rooms of protocol/, and what vectors hold",
    "services/signaling/src/actr_signaling/issuer/protocol": "whom the issuer certifies, why, when",
    f"{PEER}/protocol/websocket": "one wire, from its door to its frames",
    "services/signaling/tests/protocol/issuer/protocol": "a file for each module",
    "services/peer/tests/protocol/vectors": "a file for each of proto/vectors",
    "services/peer/tests/service": "a room for each layer, and what stands for other programs",
    "services/peer/tests/service/cli/verbs": "a file or a room for each verb that has one",
    "services/peer/tests/peer_kit": "fakes by the layer that they stand for",
    "services/peer/tests/protocol": "the rooms of protocol/, and what vectors hold",
    "services/peer/tests/protocol/rpc": "a file for each module, and the messages of the documents",
    "services/peer/tests/protocol/websocket": "a file for each module, and the page's examples",
    "services/peer/tests/protocol/session": "a file for each module, and whole sessions",
    "services/peer/tests/shell/cli": "a file for each module, and a room for each large verb",
    "services/peer/tests/shell/transport": "a file for each part of a link, and whole ones",
    "services/signaling/tests/shell": "a room for each layer, and what all of them share",
    "tests": "a folder for each thing that is tried on the whole system",
    "tests/abuse": "two doors, who abuses them, and who is honest",
    "tests/fuzz/targets": "a file for each side and subject whose bytes are read",
    "tests/repository": "a file for each thing that is true of the whole tree",
    "tests/mutation": "a table for each part of the system, and what reads them",
    "tests/integration": "a file for each thing that the composed system promises",
}
"""Folders over nine entries, with the reason why they are one."""


@cache
def tracked() -> tuple[str, ...]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *PLACES],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return tuple(name for name in listed.stdout.split("\0") if name and (ROOT / name).exists())


def entries(paths: Iterable[str]) -> dict[str, int]:
    """Folder to how many files and folders are in it."""
    held: dict[str, set[str]] = {}
    for path in paths:
        parts = path.split("/")
        for depth in range(1, len(parts)):
            held.setdefault("/".join(parts[:depth]), set()).add(parts[depth])
    return {folder: len(names - UNCOUNTED) for folder, names in held.items()}


def test_no_folder_has_more_than_twelve_entries() -> None:
    assert {name: count for name, count in entries(tracked()).items() if count > MOST} == {}


def test_a_folder_of_more_than_nine_entries_has_its_reason_here() -> None:
    over = {name for name, count in entries(tracked()).items() if count > MANY}
    assert over - set(FULL) == set(), "part it, or say why it is one"
    assert set(FULL) - over == set(), "it has room again: take its reason away"


def test_what_python_needs_of_a_folder_is_not_counted() -> None:
    paths = ["a/__init__.py", "a/__main__.py", "a/py.typed", "a/b.py", "a/c/d.py", "a/c/e.py"]
    assert entries(paths) == {"a": 2, "a/c": 2}


LONG = MODULE_LINES_SOFT + 1


def test_a_module_of_just_the_soft_limit_is_not_long() -> None:
    assert long_modules([MODULE_LINES_SOFT, LONG, 1]) == 1


def test_as_many_long_modules_as_there_were_are_let_pass() -> None:
    assert ratchet([LONG] * LONG_MODULES) == []


def test_one_more_long_module_is_refused() -> None:
    [line] = ratchet([LONG] * (LONG_MODULES + 1))
    assert "part one" in line


# What measures is run by itself, or serves what is; what others need has its place elsewhere.


def modules_of(folder: str) -> dict[str, ast.Module]:
    """``bench.rivals.naive`` to its tree."""
    return {
        name.removesuffix(".py").removesuffix("/__main__").replace("/", "."): ast.parse(
            (ROOT / name).read_text("utf-8")
        )
        for name in tracked()
        if name.startswith(f"{folder}/") and name.endswith(".py") and "__init__" not in name
    }


def imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_program(tree: ast.Module) -> bool:
    return any(isinstance(node, ast.If) and "__name__" in ast.dump(node.test) for node in tree.body)


def idle(modules: dict[str, ast.Module], run: Iterable[str]) -> set[str]:
    """Modules that no program of those that are run needs."""
    waiting = [name for name in modules if name in run]
    seen = set(waiting)
    while waiting:
        for name in set(imports(modules[waiting.pop()])) & set(modules) - seen:
            seen.add(name)
            waiting.append(name)
    return set(modules) - seen


def test_every_module_of_bench_measures_or_serves_what_does() -> None:
    told_in = [ROOT / "Makefile", *sorted(ROOT.glob("docs/**/*.md"))]
    pages = "".join(path.read_text("utf-8") for path in told_in)
    modules = modules_of("bench")
    programs = {name for name, tree in modules.items() if is_program(tree)}
    told = {name for name in programs if name in pages or name.replace(".", "/") in pages}
    assert idle(modules, told) == set(), "nobody is told to run it"


@pytest.mark.parametrize("folder", ["services", "lab", "tests"])
def test_nobody_else_needs_more_of_bench_than_its_report(folder: str) -> None:
    used = {
        (name, found)
        for name, tree in modules_of(folder).items()
        for found in imports(tree)
        if found.startswith("bench.") and not found.startswith("bench.report")
    }
    assert used == set(), "what others need is no measure: lab/ is its place"
