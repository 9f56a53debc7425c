"""A sender and a receiver over a path that breaks, lies and comes again; real files."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path as FilePath
from types import SimpleNamespace
from typing import Any

import pytest

from actr.services.files_pb2 import (
    FilesEntries,
    FilesEntry,
    FilesOffer,
    FilesPiece,
    FilesReply,
    FilesWord,
)
from actr_peer.actor.files import receiving
from actr_peer.actor.files.partial import Partial
from actr_peer.actor.files.told import FileProgress, ReceivedFile
from actr_peer.actor.files.transfer import Transfer
from actr_peer.errors import BusyError, CallError, ClosedError, Code, ConfigError
from actr_peer.protocol.files import bounds, order
from actr_peer.protocol.files.bounds import ExistingFile, FileQuota
from actr_peer.protocol.files.manifest import BLOCK_BYTES, PIECE_BYTES
from actr_peer.protocol.files.names import HOLD
from actr_peer.protocol.identity import ActrId
from peer_kit.state.files import PIECES_EACH, SENDER, Met, Path, broken_off, refused

pytestmark = pytest.mark.service  # it reads and writes files


@pytest.fixture
def met(tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch) -> Met:
    monkeypatch.setattr(order, "FIRST_DELAY", 0.0)
    return Met(tmp_path)


async def test_an_actor_that_receives_nothing_says_so(met: Met) -> None:
    await refused(met.send(met.make()), Code.UNIMPLEMENTED, "receive_files")


@pytest.mark.parametrize("blocks", [0, 0.5, 1, 2, 3.5])
async def test_a_file_arrives_as_it_is(met: Met, blocks: float) -> None:
    came: list[ReceivedFile] = []
    met.receive(on_received=came.append)
    path = met.make(blocks=blocks)
    sent = await met.send(path)
    there = met.folder / "a.bin"
    assert there.read_bytes() == path.read_bytes()
    assert there.stat().st_mtime_ns == path.stat().st_mtime_ns
    assert (sent.sent_bytes, sent.tries, sent.was_there) == (path.stat().st_size, 1, False)
    assert [(each.path, each.digest) for each in came] == [(str(there), sent.digest)]
    assert met.progress[-1].done_bytes == path.stat().st_size
    await met.receiving.idle()


async def test_a_directory_arrives_as_one_name_with_all_that_is_in_it(met: Met) -> None:
    met.receive()
    tree = met.out / "tree"
    (tree / "a" / "empty").mkdir(parents=True)
    (tree / "a" / "big").write_bytes(os.urandom(BLOCK_BYTES + 5))
    (tree / "nothing").write_bytes(b"")
    sent = await met.send(tree)
    there = met.folder / "tree"
    assert sent.files == 2
    assert (there / "a" / "empty").is_dir()
    assert (there / "a" / "big").read_bytes() == (tree / "a" / "big").read_bytes()
    assert (there / "nothing").stat().st_size == 0


async def test_a_break_costs_no_more_than_the_blocks_under_way(met: Met) -> None:
    met.receive()
    path = met.make(blocks=6)
    met.path.breaks = [PIECES_EACH * 4 + 3]
    sent = await met.send(path)
    assert (met.folder / "a.bin").read_bytes() == path.read_bytes()
    assert sent.tries == 2
    assert met.path.pieces <= PIECES_EACH * 6 + 2 * PIECES_EACH


async def test_a_restarted_receiver_goes_on_from_its_last_verified_block(met: Met) -> None:
    met.receive()
    path = met.make(blocks=6)
    await broken_off(met, path)
    met.restart()
    sent = await met.send(path)
    assert (met.folder / "a.bin").read_bytes() == path.read_bytes()
    assert met.path.pieces <= 3 * PIECES_EACH
    assert sent.sent_bytes == met.path.pieces * PIECE_BYTES


async def test_a_kept_block_that_has_changed_on_the_disk_is_sent_again(met: Met) -> None:
    met.receive()
    path = met.make(blocks=6)
    partial = await broken_off(met, path)
    with (partial / "0").open("r+b") as file:
        file.seek(BLOCK_BYTES + 5)
        file.write(b"flipped")
    met.restart()
    await met.send(path)
    assert (met.folder / "a.bin").read_bytes() == path.read_bytes()
    assert met.path.pieces == 5 * PIECES_EACH


async def test_kept_blocks_of_another_file_of_the_same_size_and_time_are_not_used(
    met: Met,
) -> None:
    met.receive()
    path = met.make(blocks=6)
    await broken_off(met, path)
    found = path.stat()
    path.write_bytes(os.urandom(found.st_size))
    os.utime(path, ns=(found.st_mtime_ns, found.st_mtime_ns))
    await met.send(path)
    assert (met.folder / "a.bin").read_bytes() == path.read_bytes()
    assert met.path.pieces == 6 * PIECES_EACH


async def test_nothing_is_seen_under_the_name_before_the_end(met: Met) -> None:
    seen: list[set[str]] = []
    met.receive(on_progress=lambda _: seen.append(met.names()))
    await met.send(met.make())
    assert seen
    assert set().union(*seen) == set()


async def test_what_does_not_arrive_as_it_was_read_is_refused(met: Met) -> None:
    def flip(word: FilesWord) -> FilesWord:
        if word.WhichOneof("word") == "piece":
            data = bytes([word.piece.data[0] ^ 1]) + word.piece.data[1:]
            return FilesWord(piece=FilesPiece(data=data, digest=word.piece.digest))
        return word

    met.receive()
    met.path.change = flip
    await refused(met.send(met.make()), Code.DATA_LOSS, "block 0")
    assert met.names() == set()


async def test_a_whole_with_another_digest_is_refused(met: Met) -> None:
    def lie(word: FilesWord) -> FilesWord:
        if word.WhichOneof("word") == "end":
            word.end.digest = bytes(32)
        return word

    met.receive()
    met.path.change = lie
    await refused(met.send(met.make()), Code.DATA_LOSS, "whole")
    assert met.names() == set()


async def test_an_end_before_the_last_block_is_refused(met: Met) -> None:
    def hurry(word: FilesWord) -> FilesWord:
        if word.WhichOneof("word") == "piece":
            return FilesWord(end={"digest": bytes(32)})
        return word

    met.receive()
    met.path.change = hurry
    await refused(met.send(met.make()), Code.DATA_LOSS)


async def test_words_out_of_order_are_refused(met: Met) -> None:
    met.receive()
    met.path.change = lambda word: FilesWord(piece=FilesPiece(data=b"x"))
    await refused(met.send(met.make()), Code.INVALID_ARGUMENT, "piece while new")
    assert met.receiving.refused == 1


@pytest.mark.parametrize("name", ["../a", "/etc/cron.d/a", "a\\b", ".bashrc", "nul", ".."])
async def test_a_name_out_of_the_folder_is_refused(met: Met, name: str) -> None:
    met.receive()
    await refused(met.send(met.make(), name=name), Code.INVALID_ARGUMENT)
    assert met.names() == set()


async def test_a_path_out_of_a_directory_is_refused(met: Met, tmp_path: FilePath) -> None:
    def climb(word: FilesWord) -> FilesWord:
        match word.WhichOneof("word"):
            case "offer":
                offer = FilesOffer(
                    name="d", is_directory=True, entries=1, size_bytes=5, block_bytes=BLOCK_BYTES
                )
                return FilesWord(offer=offer)
            case "entries":
                row = FilesEntry(path="../../evil", size_bytes=5)
                return FilesWord(entries=FilesEntries(entries=[row]))
        return word

    met.receive()
    met.path.change = climb
    await refused(met.send(met.make()), Code.INVALID_ARGUMENT)
    assert not (tmp_path / "evil").exists()


async def test_a_link_in_the_folder_is_not_followed(met: Met, tmp_path: FilePath) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    met.receive(existing=ExistingFile.REPLACE)
    (met.folder / "a.bin").symlink_to(outside)
    path = met.make()
    await met.send(path)
    assert outside.read_text() == "mine"
    assert not (met.folder / "a.bin").is_symlink()
    assert (met.folder / "a.bin").read_bytes() == path.read_bytes()


async def test_a_link_in_place_of_a_partial_file_is_not_followed(
    met: Met, tmp_path: FilePath
) -> None:
    met.receive()
    path = met.make()
    partial = await broken_off(met, path, 0)
    outside = tmp_path / "outside"
    outside.write_text("mine")
    (partial / "0").symlink_to(outside)
    await met.send(path)  # the link is taken away with what does not count
    assert outside.read_text() == "mine"


async def test_the_rule_for_a_name_that_is_there(met: Met) -> None:
    path = met.make()
    met.receive(existing=ExistingFile.REFUSE)
    (met.folder / "A.bin").write_text("other")
    await refused(met.send(path), Code.ALREADY_EXISTS)
    met.restart(existing=ExistingFile.NUMBER)
    assert (await met.send(path)).name == "a (2).bin"
    assert (met.folder / "A.bin").read_text() == "other"


async def test_a_directory_takes_the_place_of_another_by_rule(met: Met) -> None:
    tree = met.out / "tree"
    tree.mkdir()
    (tree / "new").write_text("new")
    met.receive(existing=ExistingFile.REPLACE)
    (met.folder / "tree").mkdir()
    (met.folder / "tree" / "old").write_text("old")
    await met.send(tree)
    assert os.listdir(met.folder / "tree") == ["new"]


async def test_two_senders_of_one_name_get_two_names(met: Met) -> None:
    met.receive()
    other = Path(met.here, ActrId.parse("acme:other@1:default"))
    one, two = met.make("a.bin", 2), met.out / "b.bin"
    two.write_bytes(os.urandom(2 * BLOCK_BYTES))
    sent = await asyncio.gather(met.send(one), met.send(two, other, name="a.bin"))
    assert {each.name for each in sent} == {"a.bin", "a (2).bin"}
    assert (met.folder / sent[0].name).read_bytes() == one.read_bytes()
    assert (met.folder / sent[1].name).read_bytes() == two.read_bytes()


async def test_what_is_there_whole_and_equal_is_not_sent_again(met: Met) -> None:
    met.receive()
    path = met.make()
    await met.send(path)
    met.path.pieces = 0
    met.restart()
    sent = await met.send(path)
    assert (sent.was_there, sent.name, met.path.pieces) == (True, "a.bin", 0)


async def test_who_may_send_is_asked(met: Met) -> None:
    met.receive(allow=lambda sender, offer: offer.name != "a.bin")
    await refused(met.send(met.make()), Code.PERMISSION_DENIED, "acme:caller")


@pytest.mark.parametrize("quota", [FileQuota(BLOCK_BYTES), FileQuota(files=0)])
async def test_more_than_the_quota_is_refused(met: Met, quota: FileQuota) -> None:
    met.receive(quota=quota)
    await refused(met.send(met.make()), Code.RESOURCE_EXHAUSTED, "quota")


async def test_a_quota_counts_what_is_there_and_not_the_own_partial(met: Met) -> None:
    met.receive()
    path = met.make(blocks=6)
    await broken_off(met, path)
    met.restart(quota=FileQuota(7 * BLOCK_BYTES))
    await met.send(path)
    await refused(met.send(met.make("b", 2)), Code.RESOURCE_EXHAUSTED, "quota")


async def test_a_full_disk_is_said_and_what_is_there_stays(
    met: Met, monkeypatch: pytest.MonkeyPatch
) -> None:
    pwrite: Callable[..., int] = os.pwrite
    room = [4 * BLOCK_BYTES]

    def full(file: int, data: Any, offset: int) -> int:
        room[0] -= len(data)
        if room[0] < 0:
            raise OSError(28, "No space left on device")
        return pwrite(file, data, offset)

    met.receive()
    path = met.make(blocks=6)
    monkeypatch.setattr(os, "pwrite", full)
    await refused(met.send(path), Code.RESOURCE_EXHAUSTED, "disk is full")
    assert met.names() == set()
    monkeypatch.setattr(os, "pwrite", pwrite)
    met.path.pieces = 0
    await met.send(path)
    assert met.path.pieces <= 3 * PIECES_EACH
    assert (met.folder / "a.bin").read_bytes() == path.read_bytes()


async def test_a_file_that_changes_while_it_is_sent_is_refused(met: Met) -> None:
    path = met.make(blocks=6)

    def grow(progress: FileProgress) -> None:
        if progress.done_bytes == BLOCK_BYTES:
            with path.open("ab") as file:
                file.write(b"more")

    met.receive()
    await refused(met.send(path, progress=grow), Code.FAILED_PRECONDITION, "changed")
    assert met.names() == set()


async def test_places_are_bounded(met: Met, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_TRANSFERS", 0)
    met.receive()
    with pytest.raises(CallError, match="at most 0") as caught:
        await met.send(met.make(), patience=0.5)
    assert caught.value.retryable


def slow_disk(monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, threading.Event]:
    """What tells that a transfer lets go of its files, and what has it come to the end of that."""
    closes, may_close = asyncio.Event(), threading.Event()
    loop, close = asyncio.get_running_loop(), Partial.close

    def slowly(partial: Partial) -> None:
        loop.call_soon_threadsafe(closes.set)
        may_close.wait()
        close(partial)

    monkeypatch.setattr(Partial, "close", slowly)
    return closes, may_close


async def test_who_comes_waits_while_those_before_are_not_off_a_slow_disk(
    met: Met, monkeypatch: pytest.MonkeyPatch
) -> None:
    closes, may_close = slow_disk(monkeypatch)
    monkeypatch.setattr(bounds, "MAX_CLOSING", 1)
    met.receive()
    path, begun = met.make(blocks=3), asyncio.Event()
    first = asyncio.create_task(met.send(path, progress=lambda _: begun.set()))
    await begun.wait()
    first.cancel()
    await closes.wait()
    try:
        with pytest.raises(CallError, match="1 transfers that have ended"):
            await met.send(path, patience=0.1)
    finally:
        may_close.set()
    await met.send(path)
    await asyncio.wait([first])


async def test_a_silent_transfer_gives_its_place_and_one_that_moves_does_not(
    met: Met, monkeypatch: pytest.MonkeyPatch
) -> None:
    hung, other = asyncio.Event(), Path(met.here)
    progress: list[FileProgress] = []

    async def hang() -> None:
        await met.send(path, other, progress=lambda _: hung.set())

    met.receive()
    path = met.make(blocks=6)
    checked = asyncio.Event()
    words = other.bidi_stream

    def stuck(method: object, requests: Any, options: object) -> Any:
        if checked.is_set():  # it does not come again: two that both may would never end
            raise ClosedError("closed")

        async def some() -> Any:
            count = 0
            async for word in requests:
                count += word.WhichOneof("word") == "piece"
                if count > 2 * PIECES_EACH:
                    checked.set()
                    await asyncio.Event().wait()
                yield word

        return words(method, some(), options)

    monkeypatch.setattr(other, "bidi_stream", stuck)
    task = asyncio.create_task(hang())
    await checked.wait()
    with pytest.raises(CallError, match="being received already"):
        await met.send(path, patience=0.5)
    monkeypatch.setattr(bounds, "SILENT_SECONDS", 0.0)
    await met.send(path, progress=progress.append)
    assert (met.folder / "a.bin").read_bytes() == path.read_bytes()
    assert progress[0].resumed_bytes > 0
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_who_takes_a_place_waits_for_all_that_had_it(
    met: Met, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second is gone before it has had the place, while the first still lets go of it."""
    closes, may_close = slow_disk(monkeypatch)
    followed: asyncio.Queue[asyncio.Future[bool]] = asyncio.Queue()
    follow = Transfer.follow

    def seen(transfer: Transfer, other: Transfer) -> asyncio.Future[bool]:
        followed.put_nowait(future := follow(transfer, other))
        return future

    async def cancelled(task: asyncio.Task[object]) -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    met.receive()
    path = met.make(blocks=3)
    monkeypatch.setattr(Transfer, "follow", seen)
    begun = asyncio.Event()
    first = asyncio.create_task(met.send(path, progress=lambda _: begun.set()))
    await begun.wait()
    await cancelled(first)
    await closes.wait()
    try:
        async with asyncio.timeout(10):
            second = asyncio.create_task(met.send(path))
            await followed.get()
            await cancelled(second)
            third = asyncio.create_task(met.send(path))
            has_place = await followed.get()
            await asyncio.wait({has_place}, timeout=0.2)
            had_it_early = has_place.done()
    finally:
        may_close.set()
    await third
    assert not had_it_early
    assert (met.folder / "a.bin").read_bytes() == path.read_bytes()


async def test_stale_partials_go_and_others_stay(met: Met) -> None:
    met.receive()
    partial = await broken_off(met, met.make(blocks=6))
    met.restart()
    await met.send(met.make("b", 1))
    assert partial.exists()
    met.restart(keep_seconds=-1.0)
    await met.send(met.make("c", 1))
    assert not partial.exists()


async def test_only_one_folder_receives_and_closing_ends_it(met: Met) -> None:
    met.receive()
    with pytest.raises(BusyError, match="already"):
        met.receive()
    async with met.receiving:
        pass
    await refused(met.send(met.make()), Code.UNIMPLEMENTED)


async def test_a_folder_that_cannot_be_made_is_a_matter_of_configuration(met: Met) -> None:
    met.folder.write_text("a file")
    with pytest.raises(ConfigError, match="cannot receive"):
        met.receive()


async def test_a_link_in_place_of_the_hidden_folder_is_refused(
    met: Met, tmp_path: FilePath
) -> None:
    met.folder.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (met.folder / HOLD).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="no folder of ours"):
        met.receive()


async def test_an_end_that_was_interrupted_is_taken_up_again(
    met: Met, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = met.out / "tree"
    tree.mkdir()
    (tree / "big").write_bytes(os.urandom(3 * BLOCK_BYTES))
    (tree / "small").write_text("x")
    met.receive()

    def fail(*_: object, **__: object) -> str:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(met.receiving.folder, "place", fail)
        await refused(met.send(tree), Code.INTERNAL, "cannot write")
    met.restart()
    met.path.pieces = 0
    await met.send(tree)
    assert met.path.pieces == 0
    assert (met.folder / "tree" / "big").read_bytes() == (tree / "big").read_bytes()


async def test_a_cancelled_transfer_leaves_no_open_file(
    met: Met, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = asyncio.Event()
    loop = asyncio.get_running_loop()
    close = Partial.close

    def told(partial: Partial) -> None:
        close(partial)
        loop.call_soon_threadsafe(closed.set)

    monkeypatch.setattr(Partial, "close", told)
    met.receive()
    moved = asyncio.Event()
    task = asyncio.create_task(met.send(met.make(blocks=30), progress=lambda _: moved.set()))
    await moved.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with asyncio.timeout(60):
        await closed.wait()
        await met.receiving.idle()


@pytest.mark.parametrize("name", ["on_received", "on_progress"])
async def test_a_callback_that_fails_ends_no_transfer(met: Met, name: str) -> None:
    def fail(_: object) -> None:
        raise ValueError("a bug of the user")

    met.receive(**{name: fail})
    path = met.make()
    sent = await met.send(path)
    assert (sent.tries, met.receiving.received, met.receiving.refused) == (1, 1, 0)
    assert (met.folder / "a.bin").read_bytes() == path.read_bytes()


async def test_closing_ends_what_waits_for_its_sender_and_frees_the_folder(met: Met) -> None:
    met.receive()
    reached, as_it_is = asyncio.Event(), met.path.wait

    async def stop(word: FilesWord) -> FilesWord:
        if word.WhichOneof("word") == "piece":
            reached.set()
            await asyncio.Event().wait()
        return word

    met.path.wait = stop
    task = asyncio.create_task(met.send(met.make()))
    await reached.wait()
    met.path.wait = as_it_is
    async with asyncio.timeout(60):
        async with met.receiving:
            pass
        met.receive()
        sent = await task
    assert sent.tries > 1


async def test_the_name_of_what_is_half_there_is_refused(met: Met) -> None:
    met.receive(hidden=True, existing=ExistingFile.REPLACE)
    path = met.make()
    await refused(met.send(path, name=HOLD), Code.INVALID_ARGUMENT, "half there")


async def test_what_a_folder_held_is_free_when_its_actor_has_ended(met: Met) -> None:
    met.here.close()
    met.receive()
    met.here.close()
    met.receive()


async def stuck(met: Met, name: str) -> AsyncIterator[FilesReply]:
    """A transfer whose sender has said all that it can, and takes no more replies."""

    async def words() -> AsyncIterator[FilesWord]:
        offer = FilesOffer(name=name, entries=1, size_bytes=1, block_bytes=BLOCK_BYTES)
        yield FilesWord(offer=offer)
        yield FilesWord(entries=FilesEntries(entries=[FilesEntry(size_bytes=1)]))
        await asyncio.Event().wait()

    context: Any = SimpleNamespace(caller=SENDER, self_id=SENDER)
    replies = met.here.send(words(), context)
    assert (await anext(replies)).kept.blocks == 0
    return replies


async def test_a_sender_that_takes_no_replies_does_not_hold_up_the_end(
    met: Met, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "FAREWELL_SECONDS", 0.0)
    met.receive()
    replies = await stuck(met, "a")
    async with asyncio.timeout(60):
        async with met.receiving:
            pass
    met.receive()
    with pytest.raises(StopAsyncIteration):
        await anext(replies)


async def test_senders_that_take_no_replies_do_not_hold_the_places(
    met: Met, monkeypatch: pytest.MonkeyPatch
) -> None:
    met.receive()
    held = [await stuck(met, name) for name in ("a", "b")]
    await refused(stuck(met, "c"), Code.RESOURCE_EXHAUSTED, "2 of yours")
    monkeypatch.setattr(bounds, "IDLE_SECONDS", 0.0)
    held.append(await stuck(met, "c"))
    assert len(held) == 3
