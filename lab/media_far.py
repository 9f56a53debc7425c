"""The receiving process of ``bench.media``: ``python -m lab.media_far URL``."""

from __future__ import annotations

import asyncio
import json
import secrets
import struct
import sys
import time
from collections import defaultdict
from typing import Any

import uvloop

from actr_peer import ActrId, MediaFrame, System
from lab.echo import Echo, node_config

FAR = "bench:far@1:default"
_STAMP = struct.Struct("!cQ")
_NOISE = secrets.token_bytes(1 << 21)


def stamped(size: int, *, is_first: bool) -> bytes:
    """A frame that says when it was made; its first byte is that of a VP8 frame."""
    head = _STAMP.pack(b"\x10" if is_first else b"\x11", time.monotonic_ns())
    return head + _NOISE[: max(0, size - len(head))]


def age(data: bytes) -> float:
    """Seconds since it was made, on the same machine."""
    return float(time.monotonic_ns() - _STAMP.unpack_from(data)[1]) / 1e9


class Seen:
    """What arrived since the last ``begin``; answers the lines of the sending process."""

    def __init__(self) -> None:
        self._ages: defaultdict[str, list[float]] = defaultdict(list)
        self._began = self._cpu = 0.0

    def take(self, track_id: str, data: bytes) -> None:
        """One frame arrived."""
        self._ages[track_id].append(age(data))

    def told(self, line: bytes) -> dict[str, Any]:
        """The answer to one line."""
        if json.loads(line)["ask"] == "begin":
            self._ages.clear()
            self._began, self._cpu = time.perf_counter(), time.process_time()
            return {"event": "begun"}
        passed = time.perf_counter() - self._began
        return {"ages": dict(self._ages), "cpu": (time.process_time() - self._cpu) / passed}


async def lines() -> asyncio.StreamReader:
    """Standard input."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer
    )
    return reader


def say(**values: object) -> None:
    """One JSON line to the sending process."""
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


async def main(url: str) -> None:
    """Run until standard input ends."""
    seen = Seen()

    def arrived(frame: MediaFrame, sender: ActrId) -> None:
        seen.take(frame.track_id, frame.data)

    async with System(node_config("far", url, "webrtc", "fast")).attach(Echo()) as node:
        node.ref.register_media(None, arrived)
        say(event="ready", id=str(node.id))
        async for line in await lines():
            say(**seen.told(line))


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
