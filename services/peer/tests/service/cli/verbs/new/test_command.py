"""A project that ``actr new`` writes passes its own tests and types as it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from actr_peer.cli.exits import Exit

pytestmark = pytest.mark.service


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if "ACTR_" not in name}
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env=clean,
        timeout=100,
        check=False,
    )


def new(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(folder, "actr_peer", "new", *arguments)


@pytest.mark.slow
def test_a_new_project_passes_its_own_tests_and_types(tmp_path: Path) -> None:
    made = new(tmp_path, "my-room", "--json")
    assert made.returncode == Exit.OK, made.stderr
    assert json.loads(made.stdout)["actor"] == "dev:my-room@1:default"
    project = tmp_path / "my-room"
    tested = run(project, "pytest", "-q", "-p", "no:cacheprovider")
    assert tested.returncode == 0, tested.stdout
    assert "2 passed" in tested.stdout
    typed = run(project, "mypy", "--strict", ".")
    assert typed.returncode == 0, typed.stdout


KEEPS = """
import asyncio
from typing import Any
from my_room import MyRoom
from my_room_pb2 import Keep, Line, Query


def test_the_newest_lines_are_kept() -> None:
    ctx: Any = None
    for lines, left in ((0, 0), (1, 1), (2, 2), (3, 2), (9, 2)):
        room = MyRoom()
        room.lines = [Line(text="a"), Line(text="b")]
        assert asyncio.run(room.clear(Keep(lines=lines), ctx)).number == left


def test_so_many_lines_at_most_are_heard_and_all_without_a_limit() -> None:
    async def heard(limit: int) -> str:
        room, ctx = MyRoom(), None
        room.lines = [Line(text="a"), Line(text="b")]
        return "".join([line.text async for line in room.listen(Query(limit=limit), ctx)])

    assert [asyncio.run(heard(limit)) for limit in (0, 1, 2, 3)] == ["ab", "b", "ab", "ab"]
"""


def test_its_clear_keeps_as_many_lines_as_are_asked_for(tmp_path: Path) -> None:
    assert new(tmp_path, "my-room").returncode == Exit.OK
    project = tmp_path / "my-room"
    (project / "test_clear.py").write_text(KEEPS, "utf-8")
    tested = run(project, "pytest", "-q", "-p", "no:cacheprovider", "test_clear.py")
    assert tested.returncode == 0, tested.stdout


def test_what_is_there_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "mine.txt").write_text("mine", "utf-8")
    (tmp_path / "desk").write_text("mine", "utf-8")
    for name, said in (("room", "not empty"), ("desk", "is no folder")):
        refused = new(tmp_path, name)
        assert refused.returncode == Exit.USAGE
        assert said in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
    assert [path.name for path in (tmp_path / "room").iterdir()] == ["mine.txt"]


def test_an_empty_folder_is_filled_and_the_next_steps_are_said(tmp_path: Path) -> None:
    (tmp_path / "room").mkdir()
    made = new(tmp_path, "room")
    assert made.returncode == Exit.OK, made.stderr
    assert "cd room" in made.stdout
    assert (tmp_path / "room" / "room_actr.py").is_file()


def test_a_name_that_cannot_be_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    refused = new(tmp_path, "json")
    assert (refused.returncode, refused.stdout) == (Exit.USAGE, "")
    assert "choose another name" in refused.stderr
    assert list(tmp_path.iterdir()) == []
