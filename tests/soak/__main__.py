"""``make soak-test [MINUTES=3] [SEED=n] [JSON=1]``: run, compare, judge; 0 if nothing is wrong."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.report import show, write_json
from lab import netns
from lab.hosts import network
from tests.soak.faults import Faults
from tests.soak.notes import COUNTED, Counts, compare
from tests.soak.stage import PEERS, PUBLISHERS, REPLICAS, STEADY, Stage, name_signaling
from tests.soak.vitals import Trend, trends

FAULT_SECONDS = 15.0
SAMPLE_SECONDS = 10.0
WARM_SECONDS = 1200.0
SETTLE_SECONDS = 120.0
FRAME_SECONDS = 60.0
TRACEBACK = "Traceback (most recent call last)"
FIRST_LINES = 40
"""Shown of the first traceback in each log."""


async def run(minutes: float, seed: int, folder: Path) -> dict[str, Any]:
    """Soak for so long; return the whole result."""
    name_signaling(folder)
    dice = random.Random(seed)
    async with network() as net:
        stage = Stage(net, folder)
        try:
            await stage.start_redis()
            await asyncio.gather(*(stage.start(name) for name in REPLICAS))
            await asyncio.gather(*(stage.start(name) for name in PEERS))
            faults = Faults(stage, dice)
            began = time.monotonic()
            warm = min(WARM_SECONDS, minutes * 60 / 3)
            await soak(stage, faults, minutes * 60, warm)
            frozen_tracks = await tracks_that_stand(stage)
            still = await stage.quiesce(SETTLE_SECONDS)
            await stage.sample()
        finally:
            await stage.close()
    counts = compare(folder, PEERS, (*PEERS, *stage.storms), STEADY)
    found = [trend for life in stage.lives for trend in trends(life, since=began + warm)]
    return result(stage, faults, counts, found, {"still_open": still, "tracks": frozen_tracks})


async def soak(stage: Stage, faults: Faults, seconds: float, warm: float) -> None:
    """Break something every fifteen seconds, oftener in a run too short for the whole deck."""
    period = min(FAULT_SECONDS, seconds / (len(faults) + 1))
    sampling = asyncio.get_running_loop().create_task(keep_sampling(stage))
    began = time.monotonic()
    try:
        for number in range(1, int(seconds / period)):
            await asyncio.sleep(max(0.0, began + number * period - time.monotonic()))
            elapsed = time.monotonic() - began
            if elapsed > seconds:
                break
            faults.may_end_first = elapsed < warm
            name = faults.next()
            sys.stderr.write(
                f"{elapsed / 60:6.1f} of {seconds / 60:g} min  {name:18}"
                f" ended by themselves: {len(stage.deaths)}\n"
            )
            await faults.happen(name)
        await asyncio.sleep(max(0.0, began + seconds - time.monotonic()))
    finally:
        sampling.cancel()


async def keep_sampling(stage: Stage) -> None:
    while True:
        await stage.sample()
        await asyncio.sleep(SAMPLE_SECONDS)


async def tracks_that_stand(stage: Stage) -> list[str]:
    """Publishers whose frames do not arrive though everything is whole again."""
    await stage.sample()
    waiting = {publisher: stage.running[to].frames for publisher, to in PUBLISHERS.items()}
    end = time.monotonic() + FRAME_SECONDS
    while waiting and time.monotonic() < end:
        await asyncio.sleep(1)
        await stage.sample()
        waiting = {
            publisher: frames
            for publisher, frames in waiting.items()
            if stage.running[PUBLISHERS[publisher]].frames <= frames
        }
    return sorted(waiting)


def tracebacks(text: str) -> dict[str, Any]:
    """How many a log has, and the lines of the first, for the folder is not kept."""
    before, _, after = text.partition(TRACEBACK)
    said = before.splitlines()[-1:]
    lines = [*said, TRACEBACK, *after.splitlines()[1:FIRST_LINES]]
    return {"count": text.count(TRACEBACK), "first": lines}


def result(
    stage: Stage,
    faults: Faults,
    counts: dict[str, Counts],
    found: list[Trend],
    rest: dict[str, Any],
) -> dict[str, Any]:
    """Everything in one document; ``ok`` says whether all held."""
    durable = sum(durable_open(stage.folder / f"{name}.db-outbox") for name in PEERS)
    total = {name: sum(getattr(one, name) for one in counts.values()) for name in COUNTED}
    texts = {log.name: log.read_text(errors="replace") for log in stage.folder.glob("*.log")}
    noisy = {name: tracebacks(text) for name, text in sorted(texts.items()) if TRACEBACK in text}
    is_clean = all(one.is_clean for one in counts.values())
    is_flat = all(trend.is_flat for trend in found)
    return {
        "ok": is_clean and is_flat and not (stage.deaths or durable or any(rest.values())),
        **total,
        "durable_open": durable,
        "ended_by_themselves": [asdict(death) for death in stage.deaths],
        **rest,
        "tracebacks": noisy,
        "faults": dict(faults.dealt),
        "kinds": {kind: one.row() for kind, one in counts.items()},
        "trends": [trend.row() for trend in found],
    }


def durable_open(path: Path) -> int:
    """Durable calls that an outbox still holds open."""
    if not path.exists():
        return 0
    with closing(sqlite3.connect(path)) as database, database:
        row = database.execute("SELECT count(*) FROM actr_outbox WHERE state=0").fetchone()
    return int(row[0])


def tell(outcome: dict[str, Any]) -> None:
    """The tables, on standard error."""
    kinds = outcome["kinds"]
    show(
        "Calls", [{"kind": kind, **{c: kinds[kind][c] for c in COUNTED}} for kind in sorted(kinds)]
    )
    show("Faults", [{"fault": name, "times": n} for name, n in sorted(outcome["faults"].items())])
    if outcome["trends"]:
        rows = [{k: v for k, v in row.items() if k != "least"} for row in outcome["trends"]]
        show("After the warm-up", rows)
    for kind, one in kinds.items():
        for example in one["examples"]:
            sys.stderr.write(f"{kind}: {example}\n")
    for name in ("durable_open", "still_open", "tracks"):
        if outcome[name]:
            sys.stderr.write(f"{name}: {outcome[name]}\n")
    for name, noise in outcome["tracebacks"].items():
        first = "\n    ".join(noise["first"])
        sys.stderr.write(f"{name}: {noise['count']} tracebacks, the first:\n    {first}\n")
    for death in outcome["ended_by_themselves"]:
        text = "\n    ".join(death["last_lines"])
        sys.stderr.write(f"{death['process']} ended with {death['status']}:\n    {text}\n")
    sys.stderr.write(
        f"soak: {outcome['minutes']:g} min, seed {outcome['seed']}, {outcome['begun']} begun, "
        f"{outcome['lost']} lost, {outcome['doubled']} doubled, {outcome['wrong']} wrong, "
        f"{outcome['out_of_order']} out of order, {outcome['durable_open']} durable open, "
        f"{len(outcome['ended_by_themselves'])} ended by themselves: "
        f"{'ok' if outcome['ok'] else 'FAILED'}\n"
    )


def main() -> None:
    """Parse the arguments, run in a private network, report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keep", type=Path, help="a folder for the run's files, kept")
    arguments = parser.parse_args()
    if shutil.which("redis-server") is None:
        sys.exit("redis-server is not installed (apt-get install redis-server)")
    netns.enter()
    seed = arguments.seed if arguments.seed is not None else int.from_bytes(os.urandom(3))
    sys.stderr.write(f"soak: {arguments.minutes:g} minutes, SEED={seed}\n")
    with tempfile.TemporaryDirectory(prefix="actr-soak-") as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        outcome = asyncio.run(run(arguments.minutes, seed, folder))
    outcome = {"minutes": arguments.minutes, "seed": seed, **outcome}
    tell(outcome)
    if arguments.json:
        write_json(outcome)
    sys.exit(not outcome["ok"])


if __name__ == "__main__":
    main()
