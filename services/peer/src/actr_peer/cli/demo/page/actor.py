"""The actor that the page talks to: chat, uploads, and a video that comes back in grey."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from functools import partial
from typing import Final

from actr.demo.chat_pb2 import FilePiece, UploadReply
from actr.demo.stage_actr import StageService
from actr.demo.stage_pb2 import GreyFrames, GreyRequest, Line, People, Word
from actr_peer import CallError, Code, Context, System, VideoTrack
from actr_peer.cli.demo.process import peer_main
from actr_peer.cli.demo.report import Finished, Ready, tell
from actr_peer.errors import PeerError
from actr_peer.node.config import NodeConfig
from actr_peer.node.process.startup import until_asked_to_stop
from actr_peer.tasks import Start, Tasks

QUEUE: Final = 4096
"""Words that wait for one page, some minutes of them; more drop the oldest."""
MAX_NAME: Final = 40
MAX_TEXT: Final = 2_000
KEPT_LINES: Final = 100
"""What a page that comes later is told first."""
GREY: Final = "grey"
TOLD_EVERY: Final = 10
"""Pictures between two words of how many went back."""


class Guest:
    """One page that talks: its name, and what waits for it."""

    def __init__(self) -> None:
        self.name = ""
        self.words: asyncio.Queue[Word | None] = asyncio.Queue(QUEUE)

    def offer(self, word: Word | None) -> None:
        """Have it told; one that takes nothing any more is not waited for."""
        if self.words.full():
            self.words.get_nowait()
        self.words.put_nowait(word)


class Stage(StageService):
    """Everybody who talks, and the last lines.

    Args:
        start: Starts what reads from a page while it is told of others.
    """

    def __init__(self, start: Start) -> None:
        self._start = start
        self._guests: set[Guest] = set()
        self._lines: list[Line] = []
        self._said = 0

    async def talk(self, requests: AsyncIterator[Word], ctx: Context, /) -> AsyncIterator[Word]:
        guest = Guest()
        self._guests.add(guest)
        reading = self._start(
            f"talk/{ctx.caller}", self._read(requests, guest), failed=lambda _: guest.offer(None)
        )
        try:
            for line in self._lines:
                yield Word(line=line)
            while (word := await guest.words.get()) is not None:
                yield word
        finally:
            reading.cancel()
            self._guests.discard(guest)
            self._tell_people()

    async def _read(self, requests: AsyncIterator[Word], guest: Guest) -> None:
        """What a page does, and how it ends, is over with its talk: others go on."""
        with suppress(PeerError):  # it has gone, or sent an error, or what is no word
            async for word in requests:
                self._take(word, guest)
        guest.offer(None)

    def _take(self, word: Word, guest: Guest) -> None:
        match word.WhichOneof("word"):
            case "beat":
                guest.offer(word)
            case "line" if text := word.line.text.strip()[:MAX_TEXT]:
                self._said += 1
                line = Line(number=self._said, author=guest.name or "somebody", text=text)
                self._lines = [*self._lines, line][-KEPT_LINES:]
                for each in self._guests:
                    each.offer(Word(line=line))
            case "people":
                guest.name = "".join(word.people.names[:1])[:MAX_NAME]
                self._tell_people()
            case _:
                pass

    def _tell_people(self) -> None:
        names = sorted(guest.name for guest in self._guests if guest.name)
        for each in self._guests:
            each.offer(Word(people=People(names=names)))

    async def upload(self, requests: AsyncIterator[FilePiece], ctx: Context, /) -> UploadReply:
        digest, size, expected = hashlib.sha256(), 0, None
        async for piece in requests:
            if piece.HasField("header"):
                expected = piece.header.size_bytes
                continue
            digest.update(piece.data)
            size += len(piece.data)
        if expected is None:
            raise CallError(Code.INVALID_ARGUMENT, "an upload starts with a header")
        if size != expected:
            raise CallError(Code.DATA_LOSS, f"{size} bytes came of {expected}")
        return UploadReply(size_bytes=size, sha256=digest.hexdigest())

    async def grey(self, request: GreyRequest, ctx: Context, /) -> AsyncIterator[GreyFrames]:
        back = VideoTrack(GREY, codec="VP8")
        publication = await ctx.publish(ctx.caller, back)
        made = 0
        try:
            async with aclosing(ctx.track(ctx.caller, request.track).decoded()) as pictures:
                async for picture in pictures:
                    reformat = getattr(picture, "reformat", None)
                    if reformat is None:  # sound
                        raise CallError(Code.INVALID_ARGUMENT, f"{request.track} is no video")
                    # Grey has no colour planes: a VP8 encoder wants them, empty.
                    await back.send(reformat(format="gray").reformat(format="yuv420p"))
                    made += 1
                    if made % TOLD_EVERY == 0:
                        yield GreyFrames(sent=made - back.dropped)
        finally:
            await publication.stop()


async def serve(config: NodeConfig) -> None:
    """Serve a stage until SIGTERM."""
    async with Tasks("stage") as tasks, System(config).attach(Stage(tasks.start)) as node:
        await until_asked_to_stop(node.ref, partial(tell, Ready(id=str(node.id))))
    tell(Finished())


if __name__ == "__main__":
    peer_main(serve)
