"""The WebRTC library alone: aiortc's own data channel, with nothing of ours around it.

``python -m bench.rivals.library NAME FOLDER``. JSON lines carry the descriptions; then one
side sends numbered messages on one ordered, reliable channel, and both keep records as peers do.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import Any

import uvloop
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCSessionDescription,
)

from lab.record import Record, RecordFile

LANE = "stream"
FLUSH_SECONDS = 15.0


class Alone:
    """One side of the connection."""

    def __init__(self, name: str, folder: Path) -> None:
        self._connection = RTCPeerConnection(
            RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self._channel = self._connection.createDataChannel("all", negotiated=True, id=0)
        self._accepted = RecordFile(folder / f"{name}.accepted")
        self._arrived = RecordFile(folder / f"{name}.arrived")
        self._channel.on("message", self._take)
        self._sender: asyncio.Task[None] | None = None

    def _take(self, data: bytes) -> None:
        number, sent_at, _ = data.split(b" ", 2)
        self._arrived.write(Record(LANE, int(number), time.monotonic(), float(sent_at)))

    async def offer(self) -> dict[str, Any]:
        await self._connection.setLocalDescription(await self._connection.createOffer())
        return {"sdp": self._connection.localDescription.sdp}

    async def answer(self, sdp: str) -> dict[str, Any]:
        await self._connection.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        await self._connection.setLocalDescription(await self._connection.createAnswer())
        return {"sdp": self._connection.localDescription.sdp}

    async def accept(self, sdp: str) -> dict[str, Any]:
        await self._connection.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
        return {}

    async def send(self, rate: float, size: int) -> dict[str, Any]:
        """Send so many messages a second, once the channel is open."""
        await is_open(self._channel)
        self._sender = asyncio.get_running_loop().create_task(self._send(rate, size))
        return {}

    async def _send(self, rate: float, size: int) -> None:
        started = time.monotonic()
        for number in count():
            await asyncio.sleep(max(0.0, started + number / rate - time.monotonic()))
            if self._channel.readyState != "open":
                return
            now = time.monotonic()
            self._channel.send(f"{number} {now} ".ljust(size, "x").encode())
            self._accepted.write(Record(LANE, number, now, now))

    async def stop(self) -> dict[str, Any]:
        """Send no more; give what was sent some time to arrive."""
        if self._sender is not None:
            self._sender.cancel()
        sctp = self._connection.sctp
        end = time.monotonic() + FLUSH_SECONDS
        while time.monotonic() < end and sctp is not None:
            if not (sctp._data_channel_queue or sctp._outbound_queue or sctp._sent_queue):
                return {"ok": True}
            await asyncio.sleep(0.05)
        return {"ok": False}

    async def close(self) -> dict[str, Any]:
        await self._connection.close()
        return {}


async def is_open(channel: RTCDataChannel) -> None:
    """Wait until a channel can send."""
    opened = asyncio.Event()
    channel.on("open", opened.set)
    if channel.readyState != "open":
        async with asyncio.timeout(20):
            await opened.wait()


async def main(name: str, folder: str) -> None:
    """Serve orders until standard input ends."""
    side = Alone(name, Path(folder))
    verbs: dict[str, Callable[..., Awaitable[dict[str, Any]]]] = {
        "offer": side.offer,
        "answer": side.answer,
        "accept": side.accept,
        "send": side.send,
        "stop": side.stop,
        "close": side.close,
    }
    orders = asyncio.StreamReader(limit=1 << 20)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    sys.stdout.write(json.dumps({"event": "ready"}) + "\n")
    sys.stdout.flush()
    while line := await orders.readline():
        order = json.loads(line)
        number, verb = order.pop("id"), order.pop("do")
        answer = await verbs[verb](**order)
        sys.stdout.write(json.dumps({"id": number, **answer}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
