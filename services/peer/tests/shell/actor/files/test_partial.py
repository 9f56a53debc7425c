from __future__ import annotations

import errno
import os
from pathlib import Path as FilePath

import pytest

from actr_peer.actor.files.partial import SYNCED_EACH, Partial
from actr_peer.errors import Code
from actr_peer.protocol.files import order
from actr_peer.protocol.files.manifest import BLOCK_BYTES
from peer_kit.state.files import PIECES_EACH, Met, broken_off, refused

pytestmark = pytest.mark.service  # it reads and writes files


@pytest.fixture
def met(tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch) -> Met:
    monkeypatch.setattr(order, "FIRST_DELAY", 0.0)
    return Met(tmp_path)


async def test_what_was_added_to_a_part_file_does_not_arrive(met: Met) -> None:
    met.receive()
    tree = met.out / "tree"
    tree.mkdir()
    (tree / "a").write_bytes(os.urandom(BLOCK_BYTES))
    (tree / "b").write_bytes(b"")
    (tree / "c").write_bytes(os.urandom(2 * BLOCK_BYTES))
    partial = await broken_off(met, tree, 2 * PIECES_EACH)
    for number in ("0", "1"):
        with (partial / number).open("ab") as file:
            file.write(b"more")
    met.restart()
    await met.send(tree)
    for name in ("a", "b", "c"):
        assert (met.folder / "tree" / name).read_bytes() == (tree / name).read_bytes()
        assert (met.folder / "tree" / name).stat().st_mtime_ns == (tree / name).stat().st_mtime_ns


async def test_a_part_file_that_shrinks_before_the_end_is_told_of(
    met: Met, monkeypatch: pytest.MonkeyPatch
) -> None:
    met.receive()
    finish = Partial.finish

    def shrink(partial: Partial, *arguments: object) -> str:
        (path,) = met.folder.glob(".*/*/0")
        os.truncate(path, 5)
        return finish(partial, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Partial, "finish", shrink)
    await refused(met.send(met.make()), Code.DATA_LOSS, "as it arrived")
    assert met.names() == set()


@pytest.mark.parametrize(
    ("number", "code"), [(errno.ENOSPC, Code.RESOURCE_EXHAUSTED), (errno.EIO, Code.INTERNAL)]
)
@pytest.mark.parametrize("step", ["open", "begin"])
async def test_a_disk_that_fails_at_the_beginning_is_told_of(
    met: Met, monkeypatch: pytest.MonkeyPatch, step: str, number: int, code: Code
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    met.receive()
    monkeypatch.setattr(Partial, step, fail)
    await refused(met.send(met.make()), code, "disk is full|cannot write")
    assert met.receiving.refused == 1


async def test_each_file_is_synchronized_once(met: Met, monkeypatch: pytest.MonkeyPatch) -> None:
    files: list[int] = []
    fsync = os.fsync

    def count(file: int) -> None:
        files.append(os.path.isfile(f"/proc/self/fd/{file}"))
        fsync(file)

    met.receive()
    tree = met.out / "tree"
    tree.mkdir()
    for number in range(10):
        (tree / str(number)).write_bytes(b"x")
    monkeypatch.setattr(os, "fsync", count)
    await met.send(tree)
    assert sum(files) == 10 + 1  # and the record of its name


async def test_the_disk_is_asked_for_little_at_a_time(
    met: Met, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who else waits for the same disk waits behind as much."""
    asked: list[int] = []
    there = 0
    fsync = os.fsync

    def note(file: int) -> None:
        nonlocal there
        if os.path.isfile(f"/proc/self/fd/{file}"):
            size = os.fstat(file).st_size
            asked.append(size - there)
            there = max(there, size)
        fsync(file)

    met.receive()
    path = met.make(blocks=10)
    monkeypatch.setattr(os, "fsync", note)
    await met.send(path)
    assert sum(size for size in asked if size > 0) == 10 * BLOCK_BYTES
    assert max(asked) <= SYNCED_EACH * BLOCK_BYTES == 4 * 1024 * 1024
