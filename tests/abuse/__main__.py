"""Abuse what listens to strangers, and look how honest clients fare: ``make abuse-test [JSON=1]``.

Each service is a process of its own, fifty honest clients are another, the abuser is a third. While
an abuse runs, the honest clients go on; green is: 99 of 100 of what they do takes less than 100 ms,
nothing fails, and the service does not grow. ``before_p99_ms`` is the same without an abuse, just
before it: what the machine itself costs. An abuse that is too slow is measured twice more, and the
median counts: a machine that stands still for a moment is no abuse. ``ARGS="--only WORD"`` runs the
abuses with this word in their name. With ``STORE=redis`` signaling is two replicas on a Redis of
their own, and not one on memory.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import psutil
from rich.progress import Progress, TaskID

from bench.report import console, percentile, show, write_json
from lab.processes import Child, child
from tests.abuse.side import MEASURED, REST, Service, Side, prefer
from tests.abuse.sides import SIDES

SECONDS = 3.0
"""For which each abuse is measured."""
TRIES = 3
"""How often, if the first is too slow."""
MAX_P99_MS = 100.0
MAX_GROWTH_MIB = 48.0
"""Of the service, during one abuse: buffers of some hundred connections, and no queue."""
BREATH = 0.7
"""Seconds after an abuse: what is left of it must not be measured in the next."""
CALM = 1.0
"""Seconds before an abuse in which honest clients are alone: what the machine costs just now."""


class Resident:
    """The memory of one process, sampled while a block runs.

    Attributes:
        growth: MiB, from the beginning of the block to the highest sample in it.
    """

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._before = self._now()
        self.growth = 0.0

    def sample(self) -> None:
        self.growth = max(self.growth, self._now() - self._before)

    async def watch(self) -> None:
        while True:
            self.sample()
            await asyncio.sleep(0.1)

    def _now(self) -> float:
        return self._process.memory_info().rss / 2**20


async def run_side(
    name: str, side: Side, abuses: Sequence[str], seconds: float, advance: Any
) -> list[dict[str, Any]]:
    """All chosen abuses of one service, one after the other; a row for each."""
    rows = []
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(side.serve())
        arguments = ["tests.abuse.honest", name, service.address]
        honest = await stack.enter_async_context(child(arguments))
        await honest.line(timeout=60)
        for pid in (service.pid, honest.pid):
            prefer(pid, MEASURED)
        await measure(honest, 1.0)  # imports and caches of both
        for abuse in abuses:
            tries = [await run_abuse(name, abuse, service, honest, seconds)]
            while not is_green(counting(tries)) and is_harmless(tries[-1]) and len(tries) < TRIES:
                await asyncio.sleep(BREATH)
                tries.append(await run_abuse(name, abuse, service, honest, seconds))
            rows.append(counting(tries))
            advance(f"{name}: {abuse}")
            await asyncio.sleep(BREATH)
    return rows


async def run_abuse(
    name: str, abuse: str, service: Service, honest: Child, seconds: float
) -> dict[str, Any]:
    arguments = ["tests.abuse.abuser", name, abuse, service.address]
    async with AsyncExitStack() as stack:
        # It is started meanwhile: that takes a second of its own.
        abuser = None if abuse == REST else await stack.enter_async_context(child(arguments))
        calm = await measure(honest, CALM)
        resident = Resident(service.pid)
        watching = asyncio.create_task(resident.watch())
        stack.callback(watching.cancel)
        if abuser is not None:
            await abuser.tell(begin=True)
            await abuser.line(timeout=60)
        said = await measure(honest, seconds)
        if abuser is not None:
            if abuser.process.returncode is not None:
                raise RuntimeError(f"the abuser of {abuse!r} ended by itself")
            abuser.kill()
        resident.sample()
    for example in said["examples"]:
        console.print(f"{name}: {abuse}: {example}", style="red")
    return {
        "abuse": f"{name}: {abuse}",
        "honest_p50_ms": round(percentile(said["taken"], 0.5), 2),
        "honest_p99_ms": round(percentile(said["taken"], 0.99), 2),
        "before_p99_ms": round(percentile(calm["taken"], 0.99), 2),
        "errors": said["errors"],
        "rss_growth_mib": round(resident.growth, 1),
    }


async def measure(honest: Child, seconds: float) -> dict[str, Any]:
    await honest.tell(seconds=seconds)
    return await honest.line(timeout=seconds + 60)


def is_harmless(row: dict[str, Any]) -> bool:
    """Whether nothing failed, and nothing grew."""
    return not row["errors"] and row["rss_growth_mib"] < MAX_GROWTH_MIB


def is_green(row: dict[str, Any]) -> bool:
    return bool(is_harmless(row) and row["honest_p99_ms"] < MAX_P99_MS)


def counting(tries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The one that failed, else the one in the middle."""
    harmful = [row for row in tries if not is_harmless(row)]
    ordered = sorted(tries, key=lambda row: row["honest_p99_ms"])
    return {**(harmful or ordered)[-1 if harmful else len(ordered) // 2], "tries": len(tries)}


async def run(only: str, seconds: float) -> list[dict[str, Any]]:
    chosen = {
        name: [REST, *(abuse for abuse in side.abuses if only in f"{name}: {abuse}")]
        for name, side in SIDES.items()
    }
    rows: list[dict[str, Any]] = []
    with Progress(console=console, transient=True) as progress:
        bar: TaskID = progress.add_task("abuses", total=sum(map(len, chosen.values())))

        def advance(title: str) -> None:
            progress.update(bar, description=title, advance=1)

        for name, abuses in chosen.items():
            if abuses != [REST]:
                rows += await run_side(name, SIDES[name], abuses, seconds, advance)
    return rows


def main() -> None:
    """Run, report; the exit status is 0 if all rows are green."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="", help="abuses with this in their name")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each abuse")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = asyncio.run(run(arguments.only, arguments.seconds))
    if not rows:
        parser.error("no abuse has this name")
    show("Honest clients beside each abuse", rows)
    failed = [row["abuse"] for row in rows if not is_green(row)]
    done = sum(not row["abuse"].endswith(f": {REST}") for row in rows)
    summary = f"{done} abuses, {len(failed)} red" + (f": {', '.join(failed)}" if failed else "")
    console.print(summary, soft_wrap=True)
    if arguments.json:
        write_json({"rows": rows})
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
