"""Actors of this machine that no configuration names: found while they run, and not after."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from actr_peer.node.process.announcing import announced, announced_sockets, folder


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "actr"


def socket(tmp_path: Path, name: str) -> Path:
    path = tmp_path / name
    path.touch()
    return path


def test_who_runs_is_found_and_who_has_ended_is_not(tmp_path: Path) -> None:
    one, other = socket(tmp_path, "one"), socket(tmp_path, "other")
    assert announced_sockets() == []
    with announced(one):
        with announced(other):
            assert set(announced_sockets()) == {one, other}
        assert announced_sockets() == [one]
    assert announced_sockets() == []


def test_what_a_killed_process_has_left_is_removed_or_replaced(tmp_path: Path, place: Path) -> None:
    one = socket(tmp_path, "one")
    announced(one).__enter__()  # and nobody leaves it
    with announced(one):
        assert announced_sockets() == [one]
    announced(one).__enter__()
    one.unlink()
    assert announced_sockets() == []
    assert list(place.iterdir()) == []


def test_a_folder_that_is_not_the_own_alone_is_not_believed(tmp_path: Path, place: Path) -> None:
    one = socket(tmp_path, "one")
    with announced(one):
        place.chmod(0o777)
        assert announced_sockets() == []
    place.chmod(0o700)
    assert announced_sockets() == []
    place.rmdir()
    place.symlink_to(tmp_path)
    with announced(one):
        assert announced_sockets() == []
    assert {path.name for path in tmp_path.iterdir()} == {"actr", "one"}


def test_where_it_cannot_be_announced_nothing_fails(tmp_path: Path, place: Path) -> None:
    place.write_text("a file")
    with announced(socket(tmp_path, "one")):
        assert announced_sockets() == []


def test_without_a_folder_of_the_session_it_is_one_of_the_user(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "none"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert folder().parent == tmp_path
    assert folder().name.startswith("actr-")
