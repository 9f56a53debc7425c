from __future__ import annotations

import os
from pathlib import Path as FilePath

import pytest

from actr_peer.protocol.files import order
from actr_peer.protocol.files.names import HOLD
from peer_kit.state.files import Met

pytestmark = pytest.mark.service  # it reads and writes files


@pytest.fixture
def met(tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch) -> Met:
    monkeypatch.setattr(order, "FIRST_DELAY", 0.0)
    return Met(tmp_path)


async def test_what_only_looks_equal_is_sent_again(met: Met) -> None:
    met.receive()
    path = met.make()
    await met.send(path)
    there = met.folder / "a.bin"
    found = there.stat()
    there.write_bytes(os.urandom(found.st_size))
    os.utime(there, ns=(found.st_mtime_ns, found.st_mtime_ns))
    sent = await met.send(path)
    assert (sent.was_there, sent.name) == (False, "a (2).bin")
    assert (met.folder / sent.name).read_bytes() == path.read_bytes()


async def test_what_cannot_be_read_over_is_sent_again(
    met: Met, monkeypatch: pytest.MonkeyPatch
) -> None:
    met.receive()
    path = met.make()
    await met.send(path)
    there, pread = met.folder / "a.bin", os.pread

    def fail(file: int, size: int, offset: int) -> bytes:
        if os.path.samestat(os.fstat(file), there.stat()):
            raise OSError(5, "Input/output error")
        return pread(file, size, offset)

    monkeypatch.setattr(os, "pread", fail)
    assert not (await met.send(path)).was_there


async def test_a_partial_transfer_of_what_is_there_whole_goes(met: Met) -> None:
    met.receive()
    path = met.make()
    await met.send(path)
    (record,) = (met.folder / HOLD).glob("*.done")
    left = record.with_suffix("")
    left.mkdir()
    (left / "0").write_bytes(path.read_bytes())
    assert (await met.send(path)).was_there
    assert not left.exists()


async def test_a_directory_that_is_there_is_read_over(met: Met) -> None:
    met.receive()
    tree = met.out / "tree"
    (tree / "a").mkdir(parents=True)
    (tree / "a" / "x").write_text("x")
    (tree / "y").write_text("y")
    await met.send(tree)
    assert (await met.send(tree)).was_there
