from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr.services.files_pb2 import FilesEntries, FilesOffer, FilesPiece, FilesReply, FilesWord
from actr_peer.errors import CallError, RemoteProtocolError
from actr_peer.protocol.files import messages
from actr_peer.protocol.files.manifest import (
    BLOCK_BYTES,
    ENTRIES_EACH,
    PIECE_BYTES,
    Entry,
    FileOffer,
    Manifest,
    digest_of,
)
from actr_peer.protocol.files.order import Event


def manifest(*sizes: int) -> Manifest:
    offer = FileOffer(name="x", is_directory=True, entries=len(sizes), size_bytes=sum(sizes))
    entries = [
        Entry(path=f"f{number}", size_bytes=size, mtime_ns=number)
        for number, size in enumerate(sizes)
    ]
    return Manifest(offer, entries)


def piece(data: bytes, digest: bytes = b"") -> FilesWord:
    return FilesWord(piece=FilesPiece(data=data, digest=digest))


def test_an_offer_and_its_entries_come_back_as_they_were() -> None:
    made = manifest(*range(ENTRIES_EACH + 1))
    first, *rest = messages.opening(made)
    assert messages.offer_of(first) == made.offer
    assert len(rest) == 2
    assert [row for word in rest for row in messages.entries_of(word)] == list(made.entries)
    assert messages.event_of(first) is Event.OFFER


def test_every_word_is_an_event() -> None:
    said = [
        messages.proof(b"x"),
        *messages.pieces(b"x", b"y"),
        messages.end(b"x"),
        messages.kept(1),
        messages.begin(0),
        messages.verified(2),
        messages.done("x", was_there=True),
    ]
    names = [messages.event_of(word).value for word in said]
    assert names == ["proof", "piece", "end", "kept", "begin", "verified", "done"]


def test_a_word_that_is_not_known_breaks_the_rules() -> None:
    with pytest.raises(RemoteProtocolError):
        messages.event_of(FilesReply())


def test_an_offer_of_other_blocks_is_refused() -> None:
    with pytest.raises(CallError, match="blocks of 5 bytes"):
        messages.offer_of(FilesWord(offer=FilesOffer(block_bytes=5)))


def test_entries_come_in_bounded_messages() -> None:
    with pytest.raises(CallError, match="0 entries"):
        messages.entries_of(FilesWord(entries=FilesEntries()))


@given(st.binary(min_size=1, max_size=3 * PIECE_BYTES))
def test_a_block_in_pieces_is_whole_again(block: bytes) -> None:
    taken = messages.Pieces(manifest(len(block)), 0)
    words = list(messages.pieces(block, digest_of(block)))
    assert [taken.take(word) for word in words[:-1]] == [None] * (len(words) - 1)
    assert taken.take(words[-1]) == (0, bytearray(block), digest_of(block))
    assert taken.number == 1


@pytest.mark.parametrize(
    "word",
    [
        pytest.param(piece(b""), id="nothing"),
        pytest.param(piece(b"123456", bytes(32)), id="too long"),
        pytest.param(piece(b"12345"), id="no digest"),
        pytest.param(piece(b"123", bytes(32)), id="a digest too early"),
        pytest.param(piece(b"12345", b"x"), id="no SHA-256"),
    ],
)
def test_a_piece_that_does_not_fit_is_refused(word: FilesWord) -> None:
    with pytest.raises(CallError):
        messages.Pieces(manifest(5), 0).take(word)


def test_a_piece_after_the_last_block_is_refused() -> None:
    with pytest.raises(CallError, match="after the last"):
        messages.Pieces(manifest(BLOCK_BYTES), 1).take(piece(b"x"))


def test_a_block_goes_in_pieces_with_its_digest_in_the_last() -> None:
    block = bytes(PIECE_BYTES + 5)
    first, last = messages.pieces(block, digest_of(block))
    assert not first.piece.digest
    assert last.piece.digest == digest_of(block)
    taken = messages.Pieces(manifest(len(block)), 0)
    assert taken.take(first) is None
    assert taken.take(last) == (0, bytearray(block), digest_of(block))
