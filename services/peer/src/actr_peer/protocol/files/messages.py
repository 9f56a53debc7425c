"""Sans-I/O: what the two sides of a transfer say, as protobuf (docs/files.md)."""

from __future__ import annotations

from collections.abc import Iterator

from actr.services.files_pb2 import (
    FilesBegin,
    FilesDone,
    FilesEnd,
    FilesEntries,
    FilesEntry,
    FilesKept,
    FilesOffer,
    FilesPiece,
    FilesProof,
    FilesReply,
    FilesVerified,
    FilesWord,
)
from actr_peer.errors import CallError, Code, RemoteProtocolError
from actr_peer.protocol.files.manifest import (
    BLOCK_BYTES,
    DIGEST_BYTES,
    ENTRIES_EACH,
    PIECE_BYTES,
    Entry,
    FileOffer,
    Manifest,
)
from actr_peer.protocol.files.order import Event

__all__ = [
    "FilesReply",
    "FilesWord",
    "begin",
    "done",
    "end",
    "entries_of",
    "event_of",
    "kept",
    "offer_of",
    "opening",
    "pieces",
    "proof",
    "verified",
]


def event_of(word: FilesWord | FilesReply) -> Event:
    """What is said.

    Raises:
        RemoteProtocolError: If it is nothing that this version knows.
    """
    name = word.WhichOneof("word")
    if name is None:
        raise RemoteProtocolError("a transfer of files: a word that is not known here")
    return Event(name)


# The sender's words


def opening(manifest: Manifest) -> Iterator[FilesWord]:
    """The offer, then its entries in messages of a bounded length."""
    offer = manifest.offer
    yield FilesWord(
        offer=FilesOffer(
            name=offer.name,
            is_directory=offer.is_directory,
            entries=offer.entries,
            size_bytes=offer.size_bytes,
            block_bytes=BLOCK_BYTES,
        )
    )
    entries = manifest.entries
    for first in range(0, len(entries), ENTRIES_EACH):
        rows = [
            FilesEntry(
                path=entry.path,
                size_bytes=entry.size_bytes,
                mtime_ns=entry.mtime_ns,
                is_directory=entry.is_directory,
            )
            for entry in entries[first : first + ENTRIES_EACH]
        ]
        yield FilesWord(entries=FilesEntries(entries=rows))


def proof(root: bytes) -> FilesWord:
    return FilesWord(proof=FilesProof(digest=root))


def pieces(block: bytes, digest: bytes) -> Iterator[FilesWord]:
    """One block in pieces; the last has its digest."""
    last = (len(block) - 1) // PIECE_BYTES * PIECE_BYTES
    for start in range(0, last, PIECE_BYTES):
        yield FilesWord(piece=FilesPiece(data=block[start : start + PIECE_BYTES]))
    yield FilesWord(piece=FilesPiece(data=block[last:], digest=digest))


def end(root: bytes) -> FilesWord:
    return FilesWord(end=FilesEnd(digest=root))


def offer_of(word: FilesWord) -> FileOffer:
    """Read an offer.

    Raises:
        CallError: INVALID_ARGUMENT, if its blocks are not those of this version.
    """
    said = word.offer
    if said.block_bytes != BLOCK_BYTES:
        raise CallError(
            Code.INVALID_ARGUMENT,
            f"blocks of {said.block_bytes} bytes are not taken here: {BLOCK_BYTES} are",
        )
    return FileOffer(
        name=said.name,
        is_directory=said.is_directory,
        entries=said.entries,
        size_bytes=said.size_bytes,
    )


def entries_of(word: FilesWord) -> list[Entry]:
    """Read some entries.

    Raises:
        CallError: INVALID_ARGUMENT, if one message has too many, or none.
    """
    said = word.entries.entries
    if not 0 < len(said) <= ENTRIES_EACH:
        raise CallError(
            Code.INVALID_ARGUMENT, f"{len(said)} entries in a message; up to {ENTRIES_EACH} go"
        )
    return [
        Entry(
            path=row.path,
            size_bytes=row.size_bytes,
            mtime_ns=row.mtime_ns,
            is_directory=row.is_directory,
        )
        for row in said
    ]


# The receiver's words


def kept(blocks: int) -> FilesReply:
    return FilesReply(kept=FilesKept(blocks=blocks))


def begin(block: int) -> FilesReply:
    return FilesReply(begin=FilesBegin(block=block))


def verified(blocks: int) -> FilesReply:
    return FilesReply(verified=FilesVerified(blocks=blocks))


def done(name: str, *, was_there: bool) -> FilesReply:
    return FilesReply(done=FilesDone(name=name, was_there=was_there))


class Pieces:
    """Pieces of one block after another, as they come in.

    Args:
        manifest: Of the transfer.
        first: The block that comes next.
    """

    def __init__(self, manifest: Manifest, first: int) -> None:
        self.number = first
        """Of the block that comes."""
        self._manifest = manifest
        self._held = bytearray()

    def take(self, word: FilesWord) -> tuple[int, bytearray, bytes] | None:
        """Take a piece; the number, bytes and digest of a block once it is whole.

        Raises:
            CallError: INVALID_ARGUMENT, if it does not fit.
        """
        data, digest = word.piece.data, word.piece.digest
        if self.number >= self._manifest.blocks or not data:
            raise _unfit("a piece of nothing, or after the last block")
        size = self._manifest.block(self.number).size_bytes
        self._held += data
        if len(self._held) > size or bool(digest) != (len(self._held) == size):
            raise _unfit(f"block {self.number} has {size} bytes, and its digest in the last piece")
        if not digest:
            return None
        if len(digest) != DIGEST_BYTES:
            raise _unfit("a digest that is no SHA-256")
        whole, self._held = self._held, bytearray()
        self.number += 1
        return self.number - 1, whole, digest


def _unfit(text: str) -> CallError:
    return CallError(Code.INVALID_ARGUMENT, f"a transfer of files: {text}")
