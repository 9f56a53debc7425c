"""A sender and a receiver of files in one loop, and a path between them that can break."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from pathlib import Path as FilePath
from types import SimpleNamespace
from typing import Any

import pytest

from actr.services.files_pb2 import FilesReply, FilesWord
from actr_peer.actor.files.rules import FileRules
from actr_peer.actor.files.sending import PATIENCE, send_file
from actr_peer.actor.files.service import FilesHere
from actr_peer.actor.files.told import FileProgress, SentFile
from actr_peer.errors import BrokenError, CallError, ClosedError, Code, PeerError
from actr_peer.protocol.files.manifest import BLOCK_BYTES, PIECE_BYTES
from actr_peer.protocol.files.names import HOLD
from actr_peer.protocol.identity import ActrId

Change = Callable[[FilesWord], FilesWord]
Wait = Callable[[FilesWord], Awaitable[FilesWord]]
PIECES_EACH = BLOCK_BYTES // PIECE_BYTES
SENDER = ActrId.parse("acme:caller@1:default")


async def _as_it_is(word: FilesWord) -> FilesWord:
    return word


class Path:
    """A caller that reaches ``here`` by plain calls.

    Attributes:
        breaks: After so many pieces of a try the path breaks; one number for each try.
        error: What a break raises.
        change: What becomes of each word on its way.
        wait: The same, for as long as it takes.
        pieces: Pieces that went over, in all tries.
    """

    def __init__(self, here: FilesHere, sender: ActrId = SENDER) -> None:
        self.here = here
        self.breaks: list[int] = []
        self.change: Change = lambda word: word
        self.wait: Wait = _as_it_is
        self.error: PeerError = BrokenError("the path broke")
        self.pieces = 0
        self._context: Any = SimpleNamespace(caller=sender, self_id=ActrId.parse("a:b@1:default"))

    async def bidi_stream(
        self, _method: object, requests: AsyncIterable[FilesWord], _options: object
    ) -> AsyncIterator[FilesReply]:
        left = self.breaks.pop(0) if self.breaks else None

        async def words() -> AsyncIterator[FilesWord]:
            nonlocal left
            async for word in requests:
                if word.WhichOneof("word") == "piece":
                    if left == 0:
                        raise self.error
                    left = None if left is None else left - 1
                    self.pieces += 1
                yield await self.wait(self.change(word))

        replies = self.here.send(words(), self._context)
        try:
            async for reply in replies:
                yield reply
        finally:
            await replies.aclose()  # type: ignore[attr-defined]


class Met:
    """A receiver, the path to it, and a folder of each side."""

    def __init__(self, tmp_path: FilePath) -> None:
        self.here = FilesHere()
        self.path = Path(self.here)
        self.folder = tmp_path / "in"
        self.out = tmp_path / "out"
        self.out.mkdir()
        self.progress: list[FileProgress] = []

    def receive(self, **rules: Any) -> None:
        self.receiving = self.here.open(self.folder, FileRules(**rules))

    def restart(self, **rules: Any) -> None:
        """Another process of the receiver, on the same folder."""
        self.receiving.folder.close()  # as the system does for a process that has ended
        self.here = FilesHere()
        self.path.here = self.here
        self.receive(**rules)

    def make(self, name: str = "a.bin", blocks: float = 3.5) -> FilePath:
        path = self.out / name
        path.write_bytes(os.urandom(int(blocks * BLOCK_BYTES)))
        return path

    async def send(self, path: FilePath, by: Path | None = None, **more: Any) -> SentFile:
        options = {"progress": self.progress.append, "name": None, "timeout": None}
        options |= {"patience": PATIENCE, **more}
        return await send_file(by or self.path, path, **options)  # type: ignore[arg-type]

    def names(self) -> set[str]:
        return set(os.listdir(self.folder)) - {HOLD}


async def refused(work: Any, code: Code, words: str = ".") -> None:
    with pytest.raises(CallError, match=words) as caught:
        await work
    assert caught.value.code is code


async def broken_off(met: Met, path: FilePath, pieces: int = PIECES_EACH * 4 + 3) -> FilePath:
    """A transfer that ended in its fifth block; the folder of what is there."""
    met.path.breaks = [pieces]
    met.path.error = ClosedError("closed")
    with pytest.raises(ClosedError):
        await met.send(path)
    (partial,) = (each for each in (met.folder / HOLD).iterdir() if each.is_dir())
    met.path.pieces = 0
    return partial
