"""Which files ``actr dev`` looks at, and what it calls a change."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from actr_peer.cli.verbs.dev import changes


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def test_sources_contracts_and_the_configuration_are_looked_at(tmp_path: Path) -> None:
    for name in ("room.py", "room.proto", "actr.toml", "below/deep/desk.py", "README.md", "x.toml"):
        write(tmp_path / name)
    found = {"room.py", "room.proto", "actr.toml", os.path.join("below", "deep", "desk.py")}
    assert set(changes.look(tmp_path)) == found


@pytest.mark.parametrize("folder", [".git", ".venv", "__pycache__", "node_modules", "own"])
def test_what_is_not_the_users_code_is_passed_over(tmp_path: Path, folder: str) -> None:
    write(tmp_path / "own" / "pyvenv.cfg")  # an environment, whatever its name
    write(tmp_path / folder / "lib" / "module.py")
    assert changes.look(tmp_path) == {}


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "round").symlink_to(tmp_path)
    write(tmp_path / "room.py")
    assert set(changes.look(tmp_path)) == {"room.py"}


def test_a_link_that_leads_nowhere_hinders_nothing(tmp_path: Path) -> None:
    (tmp_path / "lost.py").symlink_to(tmp_path / "nothing.py")
    write(tmp_path / "room.py")
    assert set(changes.look(tmp_path)) == {"room.py"}


def test_no_more_is_looked_at_than_the_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "MAX_FILES", 3)
    for number in range(5):
        write(tmp_path / f"m{number}.py")
    assert len(changes.look(tmp_path)) == 3


def test_a_change_is_a_file_that_is_new_other_or_gone(tmp_path: Path) -> None:
    for name in ("a.py", "b.py", "c.py"):
        write(tmp_path / name)
    before = changes.look(tmp_path)
    assert changes.changed(before, changes.look(tmp_path)) == ()
    write(tmp_path / "b.py", "x = 1")
    (tmp_path / "c.py").unlink()
    write(tmp_path / "d.py")
    assert changes.changed(before, changes.look(tmp_path)) == ("b.py", "c.py", "d.py")


def test_a_file_of_the_same_size_that_is_put_in_the_place_of_another_is_a_change(
    tmp_path: Path,
) -> None:
    write(tmp_path / "a.py", "x = 1")
    before = changes.look(tmp_path)
    stamp = (tmp_path / "a.py").stat()
    new = write(tmp_path / "new", "x = 2")
    os.utime(new, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    new.replace(tmp_path / "a.py")
    assert changes.changed(before, changes.look(tmp_path)) == ("a.py",)
