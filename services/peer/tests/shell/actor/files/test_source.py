from __future__ import annotations

import os
from pathlib import Path

import pytest

from actr_peer.actor.files import source
from actr_peer.actor.files.source import Source
from actr_peer.errors import CallError, ConfigError

pytestmark = pytest.mark.service


def test_a_tree_is_listed_with_each_thing_below_its_directory(tmp_path: Path) -> None:
    (tmp_path / "b" / "c").mkdir(parents=True)
    (tmp_path / "b" / "c" / "x").write_text("12")
    (tmp_path / "a").write_text("1")
    made = Source(tmp_path, "tree").manifest
    assert [entry.path for entry in made.entries] == ["a", "b", "b/c", "b/c/x"]
    assert (made.offer.name, made.offer.size_bytes, made.files) == ("tree", 3, 2)


def test_an_empty_directory_can_be_sent(tmp_path: Path) -> None:
    assert Source(tmp_path).manifest.offer.is_directory


def test_the_named_file_may_be_a_link_and_keeps_its_name(tmp_path: Path) -> None:
    (tmp_path / "log.1").write_text("x")
    (tmp_path / "latest").symlink_to(tmp_path / "log.1")
    assert Source(tmp_path / "latest").manifest.offer.name == "latest"


def test_a_link_or_a_device_below_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to("/etc")
    with pytest.raises(ConfigError, match="link or a device"):
        Source(tmp_path)
    (tmp_path / "out").unlink()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="link or a device"):
        Source(tmp_path)
    with pytest.raises(ConfigError, match="no file and no directory"):
        Source(tmp_path / "pipe")


def test_a_file_that_is_not_there_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot send"):
        Source(tmp_path / "nothing")


def test_a_tree_of_too_many_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MAX_ENTRIES", 1)
    (tmp_path / "a").write_text("")
    (tmp_path / "b").write_text("")
    with pytest.raises(ConfigError, match="over 1 entries"):
        Source(tmp_path)


def test_a_file_that_went_or_shrank_is_a_change(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("123")
    one, two = Source(path), Source(path)
    path.write_text("1")
    with pytest.raises(CallError, match="changed"):
        one.block(0)
    one.close()
    path.unlink()
    with pytest.raises(CallError, match="changed"):
        two.block(0)


def test_a_block_that_is_not_what_it_was_is_a_change(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("123")
    made = Source(path)
    made.learn(0, 1)
    found = path.stat()
    path.write_text("abc")
    os.utime(path, ns=(found.st_mtime_ns, found.st_mtime_ns))
    with pytest.raises(CallError, match="changed"):
        made.block(0)
    made.close()


def test_a_directory_that_becomes_a_link_leads_nowhere(tmp_path: Path) -> None:
    secret, tree = tmp_path / "secret", tmp_path / "tree"
    for folder in (secret, tree / "sub"):
        folder.mkdir(parents=True)
        (folder / "key").write_text("mine" if folder == secret else "ours")
        os.utime(folder / "key", ns=(1, 1))
    made = Source(tree)
    (tree / "sub").rename(tree / "was")
    (tree / "sub").symlink_to(secret)
    with pytest.raises(CallError, match="changed"):
        made.block(0)
    made.close()


def test_another_file_of_the_same_length_and_time_is_a_change(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
        os.utime(tmp_path / name, ns=(1, 1))
    made = Source(tmp_path / "a")
    (tmp_path / "b").rename(tmp_path / "a")
    with pytest.raises(CallError, match="changed"):
        made.block(0)
    made.close()


def test_a_name_that_is_no_utf_8_is_told_of(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff.bin")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / name).write_text("x")
    (tmp_path / name).write_text("x")
    with pytest.raises(ConfigError, match="not UTF-8; rename"):
        Source(tmp_path / "tree")
    with pytest.raises(ConfigError, match="not UTF-8; give it another"):
        Source(tmp_path / name)
    assert Source(tmp_path / name, "x").manifest.offer.name == "x"


@pytest.mark.parametrize("what", ["a", "tree"])
def test_what_may_not_be_read_is_told_of_before_anything_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    (tmp_path / "a").write_text("x")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "a").write_text("x")
    monkeypatch.setattr(os, "access", lambda *_, **__: False)  # root may read everything
    with pytest.raises(ConfigError, match="may not be read"):
        Source(tmp_path / what)


def test_a_path_that_ends_above_has_the_name_of_what_it_names(tmp_path: Path) -> None:
    (tmp_path / "tree" / "sub").mkdir(parents=True)
    assert Source(tmp_path / "tree" / "sub" / "..").manifest.offer.name == "tree"


def test_paths_of_too_many_bytes_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "MAX_PATHS_BYTES", 3)
    for name in ("ab", "cd"):
        (tmp_path / name).write_text("")
    with pytest.raises(ConfigError, match="3 bytes of paths"):
        Source(tmp_path)


def test_a_tree_is_read_through_all_of_its_depth(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*"abcdefgh")
    deep.mkdir(parents=True)
    (deep / "x").write_text("deep")
    (tmp_path / "x").write_text("flat")
    made = Source(tmp_path)
    assert [made.block(number)[0] for number in (0, 1, 0)] == [b"flat", b"deep", b"flat"]
    made.close()
    made.close()
