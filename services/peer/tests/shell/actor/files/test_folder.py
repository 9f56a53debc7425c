"""What a folder holds and lets appear, and who has it."""

from __future__ import annotations

import json
import os
from pathlib import Path as FilePath

import pytest

from actr_peer.actor.files.folder import Folder
from actr_peer.errors import BusyError, Code, ConfigError
from actr_peer.protocol.files import order
from actr_peer.protocol.files.bounds import ExistingFile, FileQuota
from actr_peer.protocol.files.manifest import BLOCK_BYTES
from actr_peer.protocol.files.names import HOLD
from peer_kit.state.files import Met, refused

pytestmark = pytest.mark.service  # it reads and writes files


@pytest.fixture
def met(tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch) -> Met:
    monkeypatch.setattr(order, "FIRST_DELAY", 0.0)
    return Met(tmp_path)


async def test_a_quota_of_bytes_can_be_filled_to_the_last_one(met: Met) -> None:
    met.receive(quota=FileQuota(3 * BLOCK_BYTES))
    await met.send(met.make("a", 1))
    await met.send(met.make("b", 2))
    await refused(met.send(met.make("c", 1 / BLOCK_BYTES)), Code.RESOURCE_EXHAUSTED, "0 are left")


async def test_a_quota_of_files_counts_no_file_of_our_own(met: Met) -> None:
    met.receive(quota=FileQuota(files=2))
    await met.send(met.make("a", 1))
    await met.send(met.make("b", 1))
    await refused(met.send(met.make("c", 1)), Code.RESOURCE_EXHAUSTED, "quota")


async def test_a_quota_of_files_counts_directories_before_and_after_they_came(met: Met) -> None:
    tree = met.out / "tree"
    (tree / "a").mkdir(parents=True)
    (tree / "a" / "x").write_text("x")
    met.receive(quota=FileQuota(files=2))
    await refused(met.send(tree), Code.RESOURCE_EXHAUSTED, "3 files")
    met.restart(quota=FileQuota(files=3))
    await met.send(tree)
    await refused(met.send(met.make("b", 1)), Code.RESOURCE_EXHAUSTED, "0 are left")


async def test_a_folder_that_goes_on_counts_what_is_half_there(met: Met) -> None:
    met.receive()
    hold = met.folder / HOLD / "other"
    hold.mkdir()
    (hold / "0").write_bytes(bytes(BLOCK_BYTES))
    (hold / "digests").write_bytes(bytes(32))
    assert met.receiving.folder.usage(set()).size_bytes == BLOCK_BYTES
    assert met.receiving.folder.usage({"other"}).size_bytes == 0


def test_two_receivers_do_not_share_a_folder(tmp_path: FilePath) -> None:
    one = Folder(tmp_path)
    with pytest.raises(BusyError, match="another receiver"):
        Folder(tmp_path)
    one.close()
    one.close()
    Folder(tmp_path).close()


def test_a_folder_that_may_not_be_written_is_told_of_at_once(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    Folder(tmp_path).close()
    monkeypatch.setattr(os, "access", lambda path, _: path != tmp_path)
    with pytest.raises(ConfigError, match="may not be written"):
        Folder(tmp_path)


async def test_no_directory_is_seen_before_all_of_it_is_there(
    met: Met, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = met.out / "tree"
    tree.mkdir()
    (tree / "x").write_text("x")
    met.receive()
    rename = FilePath.rename

    def fail(path: FilePath, target: FilePath) -> FilePath:
        if target.parent == met.folder:
            raise OSError(5, "Input/output error")
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(FilePath, "rename", fail)
        await refused(met.send(tree), Code.INTERNAL)
    assert met.names() == set()
    met.restart()
    assert (await met.send(tree)).name == "tree"


async def test_a_directory_takes_no_name_that_came_meanwhile(
    met: Met, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = met.out / "tree"
    tree.mkdir()
    (tree / "x").write_text("x")
    met.receive()
    record = met.receiving.folder.record

    def late(key: str, name: str, root: bytes) -> None:
        record(key, name, root)
        if name == "tree":
            (met.folder / "tree").mkdir()
            (met.folder / "tree" / "theirs").write_text("theirs")

    monkeypatch.setattr(met.receiving.folder, "record", late)
    assert (await met.send(tree)).name == "tree (2)"
    assert os.listdir(met.folder / "tree") == ["theirs"]


async def test_a_directory_whose_place_was_being_taken_comes_back(met: Met) -> None:
    met.receive()
    hold = met.folder / HOLD
    (hold / "k.old").mkdir()
    (hold / "k.old" / "x").write_text("mine")
    (hold / "k.done").write_text(json.dumps({"name": "tree", "digest": ""}))
    (hold / "m.old").mkdir()
    met.restart()
    assert (met.folder / "tree" / "x").read_text() == "mine"
    assert met.names() == {"tree"}


async def test_a_directory_that_cannot_take_a_place_leaves_it_as_it_was(
    met: Met, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = met.out / "tree"
    tree.mkdir()
    (tree / "x").write_text("new")
    met.receive(existing=ExistingFile.REPLACE)
    (met.folder / "tree").mkdir()
    (met.folder / "tree" / "x").write_text("old")
    rename = FilePath.rename

    def fail(path: FilePath, target: FilePath) -> FilePath:
        if target == met.folder / "tree" and path.suffix != ".old":
            raise OSError(5, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(FilePath, "rename", fail)
    await refused(met.send(tree), Code.INTERNAL)
    assert (met.folder / "tree" / "x").read_text() == "old"
