"""A replica of signaling that tells what it uses, one JSON line for each on standard input."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Callable

from actr_signaling import __main__ as program
from actr_signaling.program import loop_factory
from tests.soak.vitals import sample


def watched(factory: Callable[[], asyncio.AbstractEventLoop]) -> asyncio.AbstractEventLoop:
    """The program's own loop, with a reader of orders beside it."""
    loop = factory()

    def answer(order: dict[str, object]) -> None:
        tasks = len(asyncio.all_tasks(loop))
        sys.stdout.write(json.dumps({"id": order["id"], "frames": 0, **sample(tasks)}) + "\n")
        sys.stdout.flush()

    def listen() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(answer, json.loads(line))

    threading.Thread(target=listen, daemon=True).start()
    return loop


def main() -> int:
    """Run the program with its loop replaced by a watched one."""
    chosen = loop_factory() or asyncio.new_event_loop
    vars(program)["loop_factory"] = lambda: lambda: watched(chosen)
    return program.main()


if __name__ == "__main__":
    sys.exit(main())
