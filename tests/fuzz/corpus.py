"""The corpus in the tree: for each target what changed inputs have reached beyond its seeds.

Most seeds are the vectors of the wire contract, which are not written a second time. A line of
``corpus/*.jsonl`` is one input: the target, its bytes in base64, and for a find what it did once.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).parent / "corpus"
VECTORS = Path(__file__).resolve().parents[2] / "proto/vectors"
FINDS = "finds"
"""The file of what was found; those of what was reached are called as the service."""


class Entry(NamedTuple):
    target: str
    data: bytes
    was: str = ""
    """What it did before it was repaired; empty: it only reaches something."""


def entries() -> Iterator[Entry]:
    """All of the tree."""
    for path in sorted(FOLDER.glob("*.jsonl")):
        for line in path.read_text("utf-8").splitlines():
            said = json.loads(line)
            yield Entry(said["target"], b64decode(said["data"]), said.get("was", ""))


def of(target: str) -> list[bytes]:
    """The inputs of one target."""
    return [entry.data for entry in entries() if entry.target == target]


def write(service: str, found: Sequence[Entry]) -> None:
    """Write a service's file anew."""
    rows = [{"target": each.target, "data": b64encode(each.data).decode()} for each in found]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (FOLDER / f"{service}.jsonl").write_text(text, "utf-8")


def vectors(file: str, *groups: str) -> list[dict[str, Any]]:
    """The vectors of some groups of ``proto/vectors``."""
    read = json.loads((VECTORS / f"{file}.json").read_text("utf-8"))["groups"]
    return [vector for group in groups for vector in read[group]["vectors"]]


def hexes(file: str, *groups: str, name: str = "hex") -> list[bytes]:
    """What their member of this name says in hex."""
    return [bytes.fromhex(vector[name]) for vector in vectors(file, *groups)]
