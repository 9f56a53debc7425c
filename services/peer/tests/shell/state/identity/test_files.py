"""Small files: whole or not at all, and read again where others change them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from actr_peer.errors import ConfigError
from actr_peer.state.identity.files import MAX_FILE_BYTES, Watched, read_text, write_whole


def test_a_write_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "certificate.jwt"
    assert write_whole(path, b"one", replace=True)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, b"two", replace=True)
    assert path.read_bytes() == b"one"
    assert os.listdir(tmp_path) == ["certificate.jwt"]


def full(_: int) -> None:
    raise OSError(28, "No space left on device")


def test_a_text_is_read_if_it_is_one(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    assert read_text(path, "key") is None
    path.write_text("{}")
    assert read_text(path, "key") == "{}"
    for data, why in ((b"\xff", "UTF-8"), (b"x" * (MAX_FILE_BYTES + 1), "over 65536 bytes")):
        path.write_bytes(data)
        with pytest.raises(ConfigError, match=f"key = .*{why}"):
            read_text(path, "key")
    with pytest.raises(ConfigError, match="Is a directory"):
        read_text(tmp_path, "key")


def no_empty(text: str) -> str:
    if not text:
        raise ConfigError("empty")
    return text


def test_a_change_is_seen_and_one_that_cannot_be_read_is_told_once(tmp_path: Path) -> None:
    path, told = tmp_path / "keys.json", list[ConfigError]()
    with pytest.raises(ConfigError, match="no such file"):
        Watched(path, "key", no_empty, told.append)
    path.write_text("one")
    watched = Watched(path, "key", no_empty, told.append)
    assert watched.value == "one"
    write_whole(path, b"two", replace=True)
    assert watched.value == "two"
    write_whole(path, b"", replace=True)
    assert (watched.value, watched.value) == ("two", "two")
    assert [str(error) for error in told] == [f"key = {str(path)!r}: empty"]
    path.unlink()
    assert watched.value == "two"
    assert len(told) == 2
