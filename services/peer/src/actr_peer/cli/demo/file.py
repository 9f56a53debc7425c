"""The file that travels: the user's own, or one that is made up."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from actr.demo.chat_pb2 import FileHeader, FilePiece

PIECE_BYTES: Final = 64 * 1024
"""Four fragments of a lane: large enough to be cheap, small enough to overtake."""
SEED: Final = 7
"""The made-up file is the same each time."""


class Pieces:
    """A header, then the file from start to end; reads as it goes, so memory stays flat.

    Attributes:
        total_bytes: Size of the file.
        sent_bytes: How much has been handed out.
        sha256: Hex digest, complete when the iteration has ended.
    """

    def __init__(self, path: str | None, *, total_bytes: int) -> None:
        self._path = Path(path) if path else None
        self.total_bytes = total_bytes
        self.sent_bytes = 0
        self.sha256 = ""

    def __iter__(self) -> Iterator[FilePiece]:
        name = self._path.name if self._path else "made-up.bin"
        yield FilePiece(header=FileHeader(name=name, size_bytes=self.total_bytes))
        digest = hashlib.sha256()
        for data in self._read() if self._path else self._make_up():
            digest.update(data)
            self.sent_bytes += len(data)
            yield FilePiece(data=data, sent_at_ns=time.monotonic_ns())
        self.sha256 = digest.hexdigest()

    def _read(self) -> Iterator[bytes]:
        assert self._path is not None
        with self._path.open("rb") as file:
            while data := file.read(PIECE_BYTES):
                yield data

    def _make_up(self) -> Iterator[bytes]:
        dice = random.Random(SEED)  # noqa: S311 test data, no secret
        left = self.total_bytes
        while left:
            size = min(left, PIECE_BYTES)
            left -= size
            yield dice.randbytes(size)
