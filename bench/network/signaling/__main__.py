"""The signaling service's relay and connections, beside others: ``make bench-signaling [JSON=1]``.

Five parts, of which ``--parts`` takes some.

*Rivals*: each cell starts a service in a process of its own and a load in another, which looks at
the CPU time and the memory of the first. Cells alternate between systems; of each the median
counts. Rows:

- ``msg_per_s``, ``cpu_us``: messages of 1.5 KB from client to client at saturation, and CPU of
  the service for each.
- ``p50_ms``, ``p99_ms``: from sent to arrived, at half of that, in bursts of a millisecond.
- ``accept_ms``: CPU of the service for a connection that joins.
- ``idle_kb``: memory of the service for one of 1,000 that say nothing.

*Crowds*: one service under 100, 1,000 and 10,000 peers; ``idle_us`` is the CPU in a second of one
that only beats, ``steady_us`` that of a message at 500 a second besides, ``half_cpu_us`` that at
half of saturation. *Replicas*: two services and the Redis between them, all three together, beside
two of picows. *Store*: what an entry of presence costs Redis and each service. *Storms*: a service
is killed and started again; until all its peers are back.

Those of Node.js are installed below the user's cache folder, where there are ``node`` and ``npm``.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

from rich.progress import Progress

from bench.network.signaling import load, rivals, scale
from bench.network.signaling.dialects import DIALECTS, SECRET
from bench.report import console, show, write_json
from lab.processes import Child, child

NODE = {"ws": "8.23.0", "peer": "1.0.2", "socket.io": "4.8.4"}
"""Exact versions, as of November 2026."""
INSTALL_SECONDS = 180
RIVALS = Path(__file__).with_name("rivals.cjs")
PARTS = ("rivals", "crowds", "replicas", "store", "storms")
COUNTS = [100, 1_000, 10_000]
STORMS = [1_500, 10_000]
TITLES = {
    "crowds": "One service, more peers",
    "replicas": "Two services and Redis, together",
    "store": "One entry of presence",
    "storms": "Peers that come back after SIGKILL",
}
PER_ADDRESS = 100
"""Peers behind one address, in a storm: limits are those of the service by default."""
Row = dict[str, Any]


def node_modules() -> Path | None:
    """The folder that has the packages, installed once; None: they cannot be had here."""
    if not shutil.which("node") or not shutil.which("npm"):
        return None
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    wanted = [f"{name}@{version}" for name, version in NODE.items()]
    folder = cache / "actr-bench" / "_".join(wanted)
    if not (folder / "node_modules" / ".package-lock.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        console.print(f"installing {', '.join(wanted)} in {folder}")
        command = ["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", "."]
        try:
            subprocess.run(  # noqa: S603 - of names on this page
                [*command, *wanted], cwd=folder, check=True, timeout=INSTALL_SECONDS
            )
        except (subprocess.SubprocessError, OSError) as error:
            console.print(f"they cannot be installed: {error}")
            return None
    return folder


@asynccontextmanager
async def node(system: str, folder: Path) -> AsyncIterator[tuple[Child, int]]:
    """One of Node.js."""
    process = await asyncio.create_subprocess_exec(
        "node",
        str(RIVALS),
        system,
        str(folder),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    started = Child(process)
    try:
        yield started, (await started.line())["port"]
    finally:
        await started.stop()


@asynccontextmanager
async def service(system: str, folder: Path | None) -> AsyncIterator[tuple[Child, int]]:
    """A service, and its port."""
    if system.startswith("actr"):
        with tempfile.NamedTemporaryFile(prefix="actr-bench-") as secret:
            secret.write(SECRET)
            secret.flush()
            named = {"REALM_SECRET_FILE": secret.name} if "secret" in system else {}
            async with scale.actr(settings=named) as started:
                yield started
    elif system in NODE:
        assert folder is not None
        async with node(system, folder) as started:
            yield started
    else:
        async with child([rivals.__name__, system]) as process:
            yield process, (await process.line())["port"]


async def cell(system: str, what: str, folder: Path | None, seconds: float) -> Row:
    """One measurement, of a service that was just started."""
    async with service(system, folder) as (process, port):
        arguments = [what, system, str(port), str(process.pid), str(seconds)]
        async with child([load.__name__, *arguments]) as loading:
            return await loading.line(timeout=60 + 4 * seconds)


async def everything(systems: list[str], folder: Path | None, rounds: int, seconds: float) -> Any:
    """All rows: of each system the medians."""
    cells: dict[str, list[Row]] = {system: [] for system in systems}
    with Progress(console=console) as progress:
        task = progress.add_task("signaling", total=rounds * len(systems) * 2)
        for _ in range(rounds):
            for system in systems:
                row: Row = {}
                for what in ("relays", "connections"):
                    progress.update(task, description=f"{system}, {what}")
                    row |= await cell(system, what, folder, seconds)
                    progress.advance(task)
                cells[system].append(row)
    return [
        {"system": system, **{name: median(row[name] for row in rows) for name in rows[0]}}
        for system, rows in cells.items()
    ]


def _files() -> None:
    """Let this process and its children have as many sockets as they may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def larger(arguments: argparse.Namespace) -> dict[str, list[Row]]:
    """All rows of the parts about what grows."""

    def told(what: str) -> None:
        console.print(f"measuring: {what}")

    parts, seconds = arguments.parts, arguments.seconds
    rows: dict[str, list[Row]] = {}
    if "crowds" in parts:
        rows["crowds"] = await scale.crowds(arguments.peers, seconds, told)
    if "replicas" in parts:
        rows["replicas"] = await scale.replicas(seconds, arguments.rounds, told)
    if "store" in parts:
        rows["store"] = await scale.stored(told)
    if "storms" in parts:
        rows["storms"] = await scale.storms(arguments.storms, arguments.per_address, told)
    return rows


def main() -> None:
    """Parse the arguments, measure, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="*", default=list(PARTS), choices=PARTS)
    parser.add_argument("--only", nargs="*", default=list(DIALECTS), choices=list(DIALECTS))
    parser.add_argument("--seconds", type=float, default=3.0, help="of a cell")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--peers", nargs="*", type=int, default=COUNTS, help="of crowds")
    parser.add_argument("--storms", nargs="*", type=int, default=STORMS, help="peers of storms")
    parser.add_argument("--per-address", type=int, default=PER_ADDRESS, help="peers of storms")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    _files()
    document: dict[str, list[Row]] = {}
    if "rivals" in arguments.parts:
        document["rows"] = beside_others(arguments)
        show("Relays and connections of one process", document["rows"])
        console.print("cpu_us, accept_ms: CPU of the service for a message, for a connection")
    document |= asyncio.run(larger(arguments))
    for part in PARTS:
        if document.get(part):
            show(TITLES[part], document[part])
    if arguments.json:
        write_json(document)


def beside_others(arguments: argparse.Namespace) -> list[Row]:
    """The rows of those that can be had here."""
    systems = list(arguments.only)
    folder = node_modules() if set(systems) & set(NODE) else None
    if folder is None and set(systems) & set(NODE):
        console.print(f"left out, for want of node and npm: {', '.join(NODE)}")
        systems = [system for system in systems if system not in NODE]
    rows: list[Row] = asyncio.run(everything(systems, folder, arguments.rounds, arguments.seconds))
    return rows


if __name__ == "__main__":
    main()
