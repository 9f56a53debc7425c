"""A mailbox on a volume that another file fills up.

``python -m peer_kit.state.full_disk DIR`` prints one JSON object with what happened in each step.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from pathlib import Path

from actr_peer.protocol.mailbox.requests import Refused, Stored
from actr_peer.state.mailbox.mailbox import Mailbox
from peer_kit.state.requests import Deliveries, put, request, settled

SIZE = 20_000


def fill(path: Path) -> None:
    """Take all the room that the volume has."""
    with path.open("wb", buffering=0) as file:
        for size in (65_536, 512):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))


async def put_until_refused(mailbox: Mailbox, name: str, signal: bool = False) -> tuple[int, str]:
    """How many were stored, and what the first that was not is told."""
    for n in range(10_000):
        answer = await asyncio.wait_for(
            put(mailbox, request(f"{name}{n}", size=SIZE, signal=signal)), 5
        )
        if isinstance(answer, Refused):
            return n, f"{answer.code.name}, again after {answer.retry_after} s"
    raise AssertionError("never refused")


async def main(folder: Path) -> dict[str, object]:
    report: dict[str, object] = {}
    filler = folder / "filler"
    async with Mailbox(folder / "box.db", max_bytes=64_000_000) as mailbox:
        deliveries = Deliveries(mailbox)
        accepted = 40
        for n in range(accepted):
            await put(mailbox, request(f"early{n}", size=SIZE))
        fill(filler)
        stored, report["refused"] = await put_until_refused(mailbox, "a")
        report["stored"] = stored + accepted
        report["signal stored"], _ = await put_until_refused(mailbox, "s", signal=True)
        for n, item in enumerate(deliveries.requests):
            mailbox.complete(item, f"reply {n}".encode() * 10)
        await settled(mailbox)
        report["completed"] = await mailbox.state_file.ask(
            lambda c: c.execute("SELECT count(*) FROM actr_inbox WHERE state=2").fetchone()[0]
        )
        answer = await put(mailbox, request("reuses the room of what is done", size=SIZE))
        report["after completing"] = isinstance(answer, Stored)
        report["stored again"], _ = await put_until_refused(mailbox, "b")
        os.unlink(filler)
        answer = await put(mailbox, request("after space came back", size=SIZE))
        report["after space came back"] = isinstance(answer, Stored)
        report["depth"] = mailbox.depth
    async with Mailbox(folder / "box.db", max_bytes=64_000_000) as mailbox:
        report["recovered"] = mailbox.counts.recovered
        report["integrity"] = await mailbox.state_file.ask(
            lambda c: c.execute("PRAGMA integrity_check").fetchone()[0]
        )
    return report


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(Path(sys.argv[1])))))  # noqa: T201 - its result
