"""Generated modules that follow their contracts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from actr_peer.cli.codegen.compiler import generate_modules
from actr_peer.cli.verbs.dev.contracts import regenerate, root_of, stale
from actr_peer.errors import ConfigError

CONTRACT = 'syntax = "proto3"; package p; message A {} service S { rpc M(A) returns (A); }'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "room.proto").write_text(CONTRACT, "utf-8")
    return tmp_path


def test_a_contract_below_that_has_no_modules_is_somebody_elses(folder: Path) -> None:
    (folder / "below").mkdir()
    (folder / "below" / "desk.proto").write_text(CONTRACT, "utf-8")
    path = os.path.join("below", "desk.proto")
    assert root_of(folder, "room.proto") == folder
    assert root_of(folder, path) is None
    assert stale(folder, [path]) == []
    assert regenerate(folder, [path]) == []


@pytest.mark.parametrize("root", ["", "below"])
def test_modules_are_made_again_from_where_they_were_made(folder: Path, root: str) -> None:
    """A project below, or a package whose contract is imported by its path from here."""
    below = folder / "below"
    below.mkdir()
    proto = (folder / "room.proto").rename(below / "room.proto")
    regenerated = generate_modules([proto], [folder / root])
    for name, text in regenerated.items():
        (folder / root / name).write_text(text, "utf-8")
    path = os.path.join("below", "room.proto")
    assert root_of(folder, path) == (folder / root)
    before = {module: module.read_text("utf-8") for module in below.glob("room_*")}
    assert regenerate(folder, [path]) == []
    proto.write_text(CONTRACT.replace("message A {}", "message A {} message B {}"), "utf-8")
    assert os.path.join("below", "room_pb2.pyi") in regenerate(folder, [path])
    after = {module: module.read_text("utf-8") for module in below.glob("room_*")}
    assert set(after) == set(before)
    assert "import room_pb2" in after[below / "room_actr.py"]


def test_modules_that_are_of_another_file_are_left_alone(folder: Path) -> None:
    (folder / "room_pb2.py").write_text("# source: other/place.proto\n", "utf-8")
    assert root_of(folder, "room.proto") is None
    assert regenerate(folder, ["room.proto"]) == []


def test_modules_are_made_where_there_are_none(folder: Path) -> None:
    assert stale(folder, ["room.proto", "room.py"]) == ["room.proto"]
    assert regenerate(folder, ["room.proto"]) == ["room_actr.py", "room_pb2.py", "room_pb2.pyi"]
    assert stale(folder, ["room.proto"]) == []


def test_a_contract_that_is_newer_is_generated_again_and_what_stays_is_not_written(
    folder: Path,
) -> None:
    regenerate(folder, ["room.proto"])
    later = (folder / "room_pb2.py").stat().st_mtime + 10
    os.utime(folder / "room.proto", (later, later))
    assert stale(folder, ["room.proto"]) == ["room.proto"]
    assert regenerate(folder, ["room.proto"]) == []


def test_a_contract_that_is_refused_changes_nothing(folder: Path) -> None:
    regenerate(folder, ["room.proto"])
    before = (folder / "room_actr.py").read_text("utf-8")
    (folder / "room.proto").write_text("nonsense", "utf-8")
    with pytest.raises(ConfigError, match=r"room\.proto"):
        regenerate(folder, ["room.proto"])
    assert (folder / "room_actr.py").read_text("utf-8") == before


def test_a_contract_that_went_is_not_generated_for(tmp_path: Path) -> None:
    assert stale(tmp_path, ["gone.proto"]) == []
