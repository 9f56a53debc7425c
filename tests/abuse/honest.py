"""The process of the honest clients: ``python -m tests.abuse.honest SIDE ADDRESS``.

Says ``{"ready": true}`` when all are there. Then each line ``{"seconds": S}`` on its standard input
has them act for so long, and is answered with how long each act took.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import sys
import time
from collections.abc import Sequence

from tests.abuse.side import HONEST, Act
from tests.abuse.sides import SIDES

PACE = 0.15
"""Seconds between two acts of one client."""
PATIENCE = 5.0
"""Seconds after which an act counts as an error."""


async def act(one: Act, until: float, taken: list[float], errors: list[str]) -> None:
    """Act at the pace until the time is over."""
    await asyncio.sleep(random.uniform(0, PACE))
    while time.monotonic() < until:
        started = time.perf_counter()
        try:
            async with asyncio.timeout(PATIENCE):
                await one()
        except Exception as exc:  # noqa: BLE001 - whatever it is, an honest client was failed
            errors.append(f"{type(exc).__name__}: {exc}")
        taken.append(1000 * (time.perf_counter() - started))
        await asyncio.sleep(random.uniform(0.5, 1.5) * PACE)


async def measure(acts: Sequence[Act], seconds: float) -> dict[str, object]:
    taken: list[float] = []
    errors: list[str] = []
    until = time.monotonic() + seconds
    async with asyncio.TaskGroup() as tasks:
        for one in acts:
            tasks.create_task(act(one, until, taken, errors))
    return {"taken": taken, "errors": len(errors), "examples": errors[:3]}


async def main() -> None:
    side, address = SIDES[sys.argv[1]], sys.argv[2]
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with side.crowd(address, HONEST) as acts:
        gc.freeze()
        say({"ready": True})
        while line := await reader.readline():
            say(await measure(acts, json.loads(line)["seconds"]))


def say(values: object) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
