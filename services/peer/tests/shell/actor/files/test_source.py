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
