"""Checks that are taken out, one at a time: the attack that each is against has to succeed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.progress import Progress

from bench.report import console
from tests.mutation.table import ROOT, Mutation

TABLE = Path(__file__).with_name("faults.toml")
SERVICES = ("peer", "signaling")
SECONDS = 300.0
WORKERS = 2


@dataclass(frozen=True, slots=True)
class Fault:
    """One line of the source, without its check, and the attack that this lets through."""

    mutation: Mutation
    attack: str

    @property
    def name(self) -> str:
        return self.mutation.name


def load() -> list[Fault]:
    """The whole table.

    Raises:
        ValueError: If two have one name.
    """
    found = []
    for entry in tomllib.loads(TABLE.read_text("utf-8"))["fault"]:
        attack = entry.pop("attack")
        found.append(Fault(Mutation(tests=(attack,), **entry), attack))
    if len({fault.name for fault in found}) != len(found):
        raise ValueError("two faults have one name")
    return found


def run(only: str) -> list[dict[str, Any]]:
    """Try each fault with this in its name, or in its attack's; a row for each.

    Raises:
        MovedError: If the table does not fit the tree; nothing is run then.
    """
    chosen = [fault for fault in load() if only in fault.name or only in fault.attack]
    for fault in chosen:
        mutated(fault)
    with ThreadPoolExecutor(WORKERS) as pool, Progress(console=console, transient=True) as bars:
        return list(bars.track(pool.map(judge, chosen), total=len(chosen), description="faults"))


def mutated(fault: Fault) -> str:
    return fault.mutation.apply((ROOT / fault.mutation.file).read_text("utf-8"))


def judge(fault: Fault) -> dict[str, Any]:
    """Attack a copy of the services without the check."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="actr-fault-") as folder:
        for service in SERVICES:
            place = Path("services", service, "src")
            # With what is compiled: a copy has the times of its sources.
            shutil.copytree(ROOT / place, folder / place)
        (folder / Path(fault.mutation.file)).write_text(mutated(fault), "utf-8")
        rows = list(attacked(Path(folder), fault.attack))
    verdict = rows[0]["verdict"] if rows else "did not run"
    return {
        "fault": fault.name,
        "attack": fault.attack,
        "verdict": verdict,
        "caught": verdict == "SUCCEEDED",
        "seconds": round(time.monotonic() - began, 1),
    }


def attacked(folder: Path, attack: str) -> Iterator[dict[str, Any]]:
    sources = [str(folder / "services" / service / "src") for service in SERVICES]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tests.adversary", "--only", attack, "--json"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sources)},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        console.print(f"{attack}: no end within {SECONDS:g} s", style="red")
        return
    try:
        rows = json.loads(done.stdout)["rows"]
    except ValueError:
        console.print(done.stderr[-2000:], style="red")
        return
    yield from (row for row in rows if row["attack"] == attack)
