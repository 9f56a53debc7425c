"""A peer that does what a line of JSON on its standard input asks for, and answers with another.

{"do": "kinds", "actor": "acme:page@1:default"}     calls of each kind of method
{"do": "say", "actor": …}                           one call; the number of the line
{"do": "upload", "actor": …, "bytes": 200000}       one upload; the size and hash of both sides
{"do": "time", "actor": …, "calls": 200}            milliseconds: the first call, the others
{"do": "publish", "actor": …, "frames": 90}         a picture that moves, until its track ends
{"do": "frames", "track": "py", "count": 30}        waits for so many; what has come of it
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

from actr.demo.chat_actr import ChatClient
from actr.demo.chat_pb2 import (
    CursorMove,
    FileHeader,
    FilePiece,
    KickRequest,
    PresenceRequest,
    SayRequest,
)
from actr_peer import ActrRef, CallError, MediaFrame, PeerError, TestPattern, connect

PIECE_BYTES = 20_000
TIMEOUT = 30.0


class Asked:
    """What can be asked for, by name."""

    def __init__(self, ref: ActrRef) -> None:
        self._ref = ref
        self._tracks: dict[str, dict[str, Any]] = {}
        self._came = asyncio.Event()
        ref.register_media(None, self._frame)

    def _frame(self, frame: MediaFrame, sender: object) -> None:
        first = {"sender": str(sender), "codec": frame.codec, "first_key": frame.keyframe}
        seen = self._tracks.setdefault(frame.track_id, {**first, "frames": 0})
        seen["frames"] += 1
        self._came.set()

    async def kinds(self, actor: str) -> dict[str, Any]:
        chat = ChatClient(self._ref.to(actor))
        said = await chat.say(SayRequest(author="ann", text="hello"), timeout=TIMEOUT)
        await chat.say(SayRequest(author="bob"), timeout=TIMEOUT)
        kicked = await chat.kick(KickRequest(who="bob"), timeout=TIMEOUT)
        people = [change.who async for change in chat.presence(PresenceRequest(), timeout=TIMEOUT)]
        moves = [move.x async for move in chat.cursors(_moves(), timeout=TIMEOUT)]
        uploaded = await self.upload(actor, 200_000)
        code = 0
        try:
            await chat.say(SayRequest(), timeout=TIMEOUT)
        except CallError as exc:
            code = int(exc.code)
        return {
            "number": said.number,
            "wasPresent": kicked.was_present,
            "people": people,
            "moves": moves,
            "isWhole": uploaded["size"] == 200_000 and uploaded["sent"] == uploaded["told"],
            "code": code,
        }

    async def say(self, actor: str, timeout: float = TIMEOUT) -> dict[str, Any]:
        chat = ChatClient(self._ref.to(actor))
        return {"number": (await chat.say(SayRequest(author="python"), timeout=timeout)).number}

    async def upload(self, actor: str, bytes: int) -> dict[str, Any]:
        data = hashlib.shake_128(b"file").digest(bytes)

        async def pieces() -> AsyncIterator[FilePiece]:
            yield FilePiece(header=FileHeader(name="f", size_bytes=len(data)))
            for at in range(0, len(data), PIECE_BYTES):
                yield FilePiece(data=data[at : at + PIECE_BYTES])

        reply = await ChatClient(self._ref.to(actor)).upload(pieces(), timeout=TIMEOUT)
        sent = hashlib.sha256(data).hexdigest()
        return {"size": reply.size_bytes, "told": reply.sha256, "sent": sent}

    async def time(self, actor: str, calls: int) -> dict[str, Any]:
        chat = ChatClient(self._ref.to(actor))
        times = []
        for _ in range(1 + calls):
            started = time.perf_counter()
            await chat.say(SayRequest(author="timed"), timeout=TIMEOUT)
            times.append((time.perf_counter() - started) * 1000)
        return {"first": times[0], "rest": times[1:]}

    async def publish(self, actor: str, frames: int) -> dict[str, Any]:
        publication = await self._ref.publish(actor, TestPattern(track_id="py", frames=frames))
        await publication.ended.wait()
        return {}

    async def frames(self, track: str, count: int) -> dict[str, Any]:
        async with asyncio.timeout(TIMEOUT):
            while self._tracks.get(track, {"frames": 0})["frames"] < count:
                self._came.clear()
                await self._came.wait()
        return self._tracks[track]


async def _moves() -> AsyncIterator[CursorMove]:
    for x in range(3):
        yield CursorMove(who="python", x=x)
        await asyncio.sleep(0.005)  # late ones are dropped: one at a time


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


async def main() -> None:
    async with connect() as ref:
        asked = Asked(ref)
        _say({"id": str(ref.id)})
        while line := await asyncio.to_thread(sys.stdin.readline):
            given = json.loads(line)
            try:
                _say({"result": await getattr(asked, given.pop("do"))(**given)})
            except PeerError as exc:
                _say({"error": f"{type(exc).__name__}: {exc}"})


if __name__ == "__main__":
    asyncio.run(main())
