"""Kill both peers at random under durable calls, then compare: ``make crash-test KILLS=200``.

A caller makes durable calls as fast as it can, a callee writes one row for each in the
transaction of its completion. One of them, or both, dies by SIGKILL after a random while and
starts again on the same files, ``KILLS`` times. In the end all calls are let through, and the
caller's outbox and notes are compared with the callee's rows:

- lost: a call that was accepted and has no effect, or no reply;
- doubled: a call with two effects;
- wrong: a reply that names another call's effect;
- out of order: an effect before that of an earlier call of the same caller.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import random
import signal
import sqlite3
import sys
import tempfile
from contextlib import AsyncExitStack, closing
from pathlib import Path

from rich.progress import Progress

from bench.report import console, show, write_json
from lab.crash_peer import read_notes
from lab.processes import Child, child, signaling

SHORTEST, LONGEST = 0.05, 0.8
"""Seconds that a peer lives after it is ready, until it is killed."""
SETTLE_SECONDS = 60.0
CALLER, CALLEE = "caller", "callee"


class Peers:
    """Both peers, started again after each death."""

    def __init__(self, url: str, folder: Path, env: dict[str, str]) -> None:
        self._url = url
        self._folder = folder
        self._env = env
        self._alive: dict[str, tuple[AsyncExitStack, Child]] = {}

    async def start(self, *roles: str) -> None:
        """Start peers and wait until they are registered."""
        await asyncio.gather(*(self._start(role) for role in roles))

    async def kill(self, *roles: str) -> None:
        """SIGKILL."""
        for role in roles:
            self._alive[role][1].kill()
        for role in roles:
            stack, _ = self._alive.pop(role)
            await stack.aclose()

    async def finish(self, role: str) -> None:
        """SIGTERM, and wait until the peer has ended by itself.

        Raises:
            TimeoutError: If it has not in time.
        """
        stack, process = self._alive.pop(role)
        process.signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(SETTLE_SECONDS):
                await process.process.wait()
        finally:
            await stack.aclose()

    async def close(self) -> None:
        """Kill what is alive."""
        await self.kill(*self._alive)

    async def _start(self, role: str) -> None:
        stack = AsyncExitStack()
        arguments = ["lab.crash_peer", role, self._url, str(self._folder)]
        process = await stack.enter_async_context(child(arguments, env=self._env))
        self._alive[role] = (stack, process)
        await process.line()


async def run(kills: int, seed: int, folder: Path, env: dict[str, str]) -> dict[str, object]:
    """Kill, settle, compare."""
    dice = random.Random(seed)
    done = 0
    async with signaling() as url:
        peers = Peers(url, folder, env)
        try:
            await peers.start(CALLEE, CALLER)
            with Progress(console=console, transient=True) as progress:
                bar = progress.add_task("kills", total=kills)
                while done < kills:
                    await asyncio.sleep(dice.uniform(SHORTEST, LONGEST))
                    roles = dice.choice([(CALLER,), (CALLEE,), (CALLER, CALLEE)])
                    await peers.kill(*roles)
                    await peers.start(*roles)
                    done += len(roles)
                    progress.update(bar, completed=min(done, kills))
            await peers.finish(CALLER)
            await peers.finish(CALLEE)
        finally:
            await peers.close()
    return {"kills": done, **compare(folder)}


def compare(folder: Path) -> dict[str, int]:
    """What was accepted, against what came of it."""
    replies: dict[int, int] = {}
    wrong = 0
    for entry in read_notes(folder / "notes.jsonl"):
        if replies.setdefault(entry["call"], entry["reply"]) != entry["reply"]:
            wrong += 1
    effects: dict[int, list[int]] = {}
    order: list[int] = []
    with closing(sqlite3.connect(folder / "callee.db")) as database, database:
        for number, call in database.execute("SELECT number, call FROM effects ORDER BY number"):
            effects.setdefault(int(call), []).append(number)
            order.append(int(call))
    with closing(sqlite3.connect(folder / "caller.db-outbox")) as database, database:
        still_open = database.execute("SELECT count(*) FROM actr_outbox WHERE state<2").fetchone()[
            0
        ]
    accepted = range(1, max([0, *replies, *effects]) + 1)
    lost = sum(1 for call in accepted if call not in effects or call not in replies)
    wrong += sum(
        1 for call, reply in replies.items() if call in effects and reply not in effects[call]
    )
    return {
        "accepted": len(accepted),
        "lost": lost,
        "doubled": sum(1 for numbers in effects.values() if len(numbers) > 1),
        "wrong": wrong,
        "out_of_order": sum(1 for a, b in itertools.pairwise(order) if b < a),
        "still_open": still_open,
    }


def main() -> None:
    """Parse the arguments, run, report; the exit status is 0 if nothing is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keep", type=Path, help="a folder for the peers' files, kept")
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else int.from_bytes(os.urandom(4))
    with tempfile.TemporaryDirectory(prefix="actr-crash-") as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        result = {"seed": seed, **asyncio.run(run(arguments.kills, seed, folder, {}))}
    counts = {name: value for name, value in result.items() if name != "seed"}
    show(f"Durable calls, both sides killed at random (--seed {seed})", [counts])
    if arguments.json:
        write_json(result)
    faults = ("lost", "doubled", "wrong", "out_of_order", "still_open")
    sys.exit(any(result[name] for name in faults))


if __name__ == "__main__":
    main()
