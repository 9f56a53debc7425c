"""Attack what is real, and see that it is refused: ``make adversary-test [ONLY=word] [JSON=1]``.

Real actors, a real issuer, two replicas of signaling on a real Redis; between them stands who
lies. Each attack has to be refused, counted and named, and beside each an honest pair calls and
streams with no error. A row is green if all of this is so.

With ``FAULTS=1`` each check of ``faults.toml`` is taken out, one at a time, in a process of its
own: the attack that it is against has to succeed then.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.progress import Progress

from bench.report import console, show, write_json
from tests.adversary import faults
from tests.adversary.attack import PATIENCE, Attack, SucceededError
from tests.adversary.attacks import SIDES
from tests.adversary.world import World

REFUSED, SUCCEEDED, UNCLEAR = "refused", "SUCCEEDED", "unclear"


async def judge(world: World, name: str, attack: Attack) -> dict[str, Any]:
    """Run one attack; a row."""
    began = time.monotonic()
    await world.beside()
    row: dict[str, Any] = {"attack": name, "verdict": REFUSED, "counted": "", "named": ""}
    try:
        async with asyncio.timeout(2 * PATIENCE):
            refusal = await attack(world)
        row |= {"counted": refusal.counted, "named": refusal.named}
    except SucceededError as exc:
        row |= {"verdict": SUCCEEDED, "named": str(exc)}
    except Exception as exc:  # noqa: BLE001 - whatever it is, it is no clear refusal
        row |= {"verdict": UNCLEAR, "named": _said(exc)}
    acts, errors = await beside(world)
    for error in errors:
        console.print(f"{name}: the honest pair: {error}", style="red")
    seconds = round(time.monotonic() - began, 2)
    return {**row, "honest_acts": acts, "honest_errors": len(errors), "seconds": seconds}


async def beside(world: World) -> tuple[int, list[str]]:
    """What the honest pair did meanwhile: something of each kind, and what failed."""
    calls = items = 0
    errors: list[str] = []
    async with asyncio.timeout(PATIENCE):
        while not (calls and items):
            told = await world.beside()
            calls, items = calls + told["calls"], items + told["items"]
            errors += told["errors"]
            if not (calls and items):
                await asyncio.sleep(0.05)
    return calls + items, errors


def _said(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(map(_said, error.exceptions))
    return f"{type(error).__name__}: {error}"


def _short(value: object) -> object:
    """For the table: the document has all of it."""
    return f"{value[:57]}…" if isinstance(value, str) and len(value) > 58 else value


def is_green(row: Mapping[str, Any]) -> bool:
    return row["verdict"] == REFUSED and not row["honest_errors"]


async def run(only: str) -> list[dict[str, Any]]:
    rows = []
    with tempfile.TemporaryDirectory(prefix="actr-adversary-") as folder:
        async with World(Path(folder)) as world:
            chosen = {
                f"{side}: {name}": attack
                for side, attacks in SIDES.items()
                for name, attack in attacks.items()
                if only in f"{side}: {name}" and (side != "redis" or world.store is not None)
            }
            with Progress(console=console, transient=True) as progress:
                bar = progress.add_task("attacks", total=len(chosen))
                for name, attack in chosen.items():
                    progress.update(bar, description=name)
                    rows.append(await judge(world, name, attack))
                    progress.advance(bar)
    return rows


def main() -> None:
    """Run, report; the exit status is 0 if all is as it should be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="", help="attacks with this in their name")
    parser.add_argument("--faults", action="store_true", help="take out each check in turn")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    # What is refused is logged by who refuses; here it is what is wanted.
    logging.basicConfig(level=logging.CRITICAL)
    rows = faults.run(arguments.only) if arguments.faults else asyncio.run(run(arguments.only))
    if not rows:
        parser.error("nothing has this name")
    if arguments.faults:
        failed = [row["fault"] for row in rows if not row["caught"]]
        title, summary = "Checks taken out", f"{len(rows)} faults, {len(failed)} not caught"
    else:
        failed = [row["attack"] for row in rows if not is_green(row)]
        title, summary = "Attacks", f"{len(rows)} attacks, {len(failed)} red"
    show(title, [{name: _short(value) for name, value in row.items()} for row in rows])
    console.print(summary + (f": {'; '.join(failed)}" if failed else ""), soft_wrap=True)
    if arguments.json:
        write_json({"rows": rows})
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
