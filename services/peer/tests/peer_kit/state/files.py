"""A sender and a receiver of files in one loop, and a path between them that can break."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

from actr.services.files_pb2 import FilesReply, FilesWord
from actr_peer.actor.files.service import FilesHere
from actr_peer.errors import BrokenError, PeerError
from actr_peer.protocol.identity import ActrId

Change = Callable[[FilesWord], FilesWord]
SENDER = ActrId.parse("acme:caller@1:default")


class Path:
    """A caller that reaches ``here`` by plain calls.

    Attributes:
        breaks: After so many pieces of a try the path breaks; one number for each try.
        error: What a break raises.
        change: What becomes of each word on its way.
        pieces: Pieces that went over, in all tries.
    """

    def __init__(self, here: FilesHere, sender: ActrId = SENDER) -> None:
        self.here = here
        self.breaks: list[int] = []
        self.change: Change = lambda word: word
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
                yield self.change(word)

        replies = self.here.send(words(), self._context)
        try:
            async for reply in replies:
                yield reply
        finally:
            await replies.aclose()  # type: ignore[attr-defined]
