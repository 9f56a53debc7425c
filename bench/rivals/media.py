"""Encoded video over bare aiortc, between two processes: ``python -m bench.rivals.media``.

Its receiver hands a frame to a decoder in a thread; that decoder is taken out here, for random
bytes cannot be decoded, and notes the frame instead.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction
from typing import Any, Protocol

import av
import uvloop
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
    rtcrtpreceiver,
)

from actr_peer import Sample
from lab.media_far import Seen, lines, say
from lab.processes import Child


class Source(Protocol):
    """A source of the benchmark."""

    async def read(self) -> Sample | None: ...


class Encoded(MediaStreamTrack):
    """A track of packets; aiortc sends them as they are."""

    kind = "video"

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._source = source

    async def recv(self) -> Any:
        """The next packet; at the end it waits for ever."""
        sample = await self._source.read()
        if sample is None:
            await asyncio.Event().wait()
        assert sample is not None
        packet = av.Packet(sample.data)
        packet.pts, packet.time_base = sample.timestamp, Fraction(1, 90_000)
        return packet


class Bare:
    """The sending end."""

    def __init__(self, far: Child) -> None:
        self._far = far
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))

    async def send(self, source: Source) -> None:
        """Add a track, with an exchange of descriptions by the pipes."""
        self.connection.addTransceiver(Encoded(source), "sendonly")
        await self.connection.setLocalDescription()
        await self._far.tell(ask="offer", sdp=self.connection.localDescription.sdp)
        answer = await self._far.line()
        await self.connection.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))


@asynccontextmanager
async def bare(far: Child) -> AsyncIterator[Bare]:
    """A connection to ``far``, which is this module as a process; closed with the block."""
    await far.line()
    made = Bare(far)
    try:
        yield made
    finally:
        await made.connection.close()


class Noting:
    """In the place of a decoder."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen

    def decode(self, frame: Any) -> list[Any]:
        """Note one frame; called in aiortc's thread."""
        self._seen.take("video", frame.data)
        return []


async def main() -> None:
    """The receiving end: run until standard input ends."""
    seen = Seen()
    vars(rtcrtpreceiver)["get_decoder"] = lambda codec: Noting(seen)
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    say(event="ready")
    async for line in await lines():
        asked = json.loads(line)
        if asked["ask"] == "offer":
            await connection.setRemoteDescription(RTCSessionDescription(asked["sdp"], "offer"))
            await connection.setLocalDescription()
            say(sdp=connection.localDescription.sdp)
        else:
            say(**seen.told(line))
    await connection.close()


if __name__ == "__main__":
    uvloop.run(main())
