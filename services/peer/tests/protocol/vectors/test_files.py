"""What both sides of a transfer of files say, as ``proto/vectors/files.json`` has it."""

from __future__ import annotations

from typing import Any

import pytest

from actr.services.files_pb2 import FilesEntries, FilesEntry, FilesReply, FilesWord
from actr_peer.errors import CallError, RemoteProtocolError
from actr_peer.protocol.files import messages
from actr_peer.protocol.files.manifest import Digests, Entry, FileOffer, Manifest, digest_of
from actr_peer.protocol.files.names import check_name, folded
from actr_peer.protocol.files.order import RECEIVING, SENDING, Event, Order, State
from peer_kit.vectors import Vector, each

BYTES = {"data", "digest"}
ROW = {"size_bytes": 0, "mtime_ns": 0, "path": "", "is_directory": False}


def said(kind: type[Any], fields: dict[str, Any]) -> Any:
    """The message with these fields set."""
    ((word, values),) = fields.items()
    if word == "entries":
        rows = [FilesEntry(**row) for row in values["entries"]]
        return kind(entries=FilesEntries(entries=rows))
    values = {name: bytes.fromhex(v) if name in BYTES else v for name, v in values.items()}
    return kind(**{word: values})


@each("files", "words")
def test_what_a_sender_says_has_these_bytes(vector: Vector) -> None:
    word = said(FilesWord, vector["fields"])
    assert word.SerializeToString(deterministic=True).hex() == vector["hex"]
    read = FilesWord.FromString(bytes.fromhex(vector["hex"]))
    assert read == word
    assert messages.event_of(read).value in vector["fields"]
    match messages.event_of(read):
        case Event.OFFER:
            fields = vector["fields"]["offer"]
            assert messages.offer_of(read).name == fields["name"]
            assert messages.offer_of(read).entries == fields.get("entries", 0)
        case Event.ENTRIES:
            rows = [ROW | row for row in vector["fields"]["entries"]["entries"]]
            assert messages.entries_of(read) == [Entry(**row) for row in rows]
        case Event.PROOF:
            assert messages.proof(read.proof.digest) == word
        case Event.END:
            assert messages.end(read.end.digest) == word


@each("files", "replies")
def test_what_a_receiver_says_has_these_bytes(vector: Vector) -> None:
    ((word, fields),) = vector["fields"].items()
    match word:
        case "kept":
            reply = messages.kept(fields.get("blocks", 0))
        case "begin":
            reply = messages.begin(fields.get("block", 0))
        case "verified":
            reply = messages.verified(fields["blocks"])
        case _:
            reply = messages.done(fields["name"], was_there=fields.get("was_there", False))
    assert reply.SerializeToString(deterministic=True).hex() == vector["hex"]
    read = FilesReply.FromString(bytes.fromhex(vector["hex"]))
    assert read == said(FilesReply, vector["fields"])
    assert messages.event_of(read).value == word


@each("files", "orders")
def test_so_many_words_are_taken_in_this_order(vector: Vector) -> None:
    order = Order(RECEIVING if vector["side"] == "receiver" else SENDING)
    taken = 0
    for word in vector["words"]:
        if order.state is State.LISTING and word != "entries":
            order.hear(Event.LISTED)  # the receiver has counted them
        try:
            order.hear(Event(word))
        except RemoteProtocolError:
            break
        taken += 1
    assert taken == vector["taken"]


@each("files", "names")
def test_a_name_is_taken_or_refused(vector: Vector) -> None:
    if vector["taken"]:
        check_name(vector["name"], hidden=vector["hidden"])
    else:
        with pytest.raises(CallError):
            check_name(vector["name"], hidden=vector["hidden"])


@each("files", "twins")
def test_two_names_are_one_or_two(vector: Vector) -> None:
    one, two = vector["names"]
    assert (folded(one) == folded(two)) is vector["is_one"]


@each("files", "blocks")
def test_files_have_these_blocks_and_digests(vector: Vector) -> None:
    sizes: list[int] = vector["sizes"]
    offer = FileOffer(name="x", is_directory=True, entries=len(sizes), size_bytes=sum(sizes))
    rows = [
        Entry(path=f"f{number}", size_bytes=size, mtime_ns=0) for number, size in enumerate(sizes)
    ]
    made, digests = Manifest(offer, rows), Digests()
    blocks = [made.block(number) for number in range(made.blocks)]
    assert [[each.entry, each.offset, each.size_bytes] for each in blocks] == vector["blocks"]
    for block in blocks:
        span = range(block.offset, block.offset + block.size_bytes)
        digests.add(digest_of(bytes((7 * number + 3) % 251 for number in span)))
    assert [digests[number].hex() for number in range(len(digests))] == vector["digests"]
    assert digests.root(len(blocks)).hex() == vector["root"]
