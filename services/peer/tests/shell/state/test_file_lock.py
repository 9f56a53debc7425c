"""The lock beside a state file, and what it says of its holder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from actr_peer.errors import BusyError, ConfigError
from actr_peer.state.file_lock import MAX_NOTE_BYTES, FileLock, holder_of_lock


def test_one_lock_holds_at_a_time(tmp_path: Path) -> None:
    first, second = FileLock(str(tmp_path / "x")), FileLock(str(tmp_path / "x"))
    first.take()
    with pytest.raises(BusyError):
        second.take()
    first.release()
    first.release()
    second.take()
    second.release()


def test_who_comes_too_late_is_told_who_has_the_file(tmp_path: Path) -> None:
    holder = FileLock(str(tmp_path / "x.db"), "acme:room@1:default")
    holder.take()
    expected = rf"x\.db is in use by acme:room@1:default \(pid {os.getpid()}\).*--id"
    with pytest.raises(BusyError, match=expected):
        FileLock(str(tmp_path / "x.db"), "acme:room@2:default").take()
    holder.release()


def test_the_last_holder_is_the_one_that_is_told(tmp_path: Path) -> None:
    path = str(tmp_path / "x")
    for owner in ("acme:room@a-long-instance:default", "acme:room@1:default"):
        lock = FileLock(path, owner)
        lock.take()
        lock.release()
    assert holder_of_lock(path + "-lock") == f"acme:room@1:default (pid {os.getpid()})"


@pytest.mark.parametrize(
    ("note", "told"),
    [
        (b"", ""),
        (b"no number acme:room@1:default", ""),
        (b"71\n", "a process (pid 71)"),
        (b"71 " + bytes(MAX_NOTE_BYTES), f"{chr(0) * (MAX_NOTE_BYTES - 3)} (pid 71)"),
    ],
    ids=["empty", "another's", "no name", "too long"],
)
def test_a_note_that_another_program_wrote_does_no_harm(
    tmp_path: Path, note: bytes, told: str
) -> None:
    (tmp_path / "lock").write_bytes(note)
    assert holder_of_lock(str(tmp_path / "lock")) == told


def test_a_lock_file_that_is_not_there_has_no_holder(tmp_path: Path) -> None:
    assert holder_of_lock(str(tmp_path / "lock")) == ""


def test_a_folder_that_is_missing_is_told_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"mailbox\.path.*nowhere does not exist.*ACTR_MAILBOX__PATH"
    ):
        FileLock(str(tmp_path / "nowhere" / "x")).take()
    assert not (tmp_path / "nowhere").exists()


def test_the_state_folder_is_made_for_its_user_alone_and_is_nothing_to_commit(
    tmp_path: Path,
) -> None:
    path = tmp_path / ".actr" / "acme:room@1:default" / "mailbox.db"
    lock = FileLock(str(path))
    lock.take()
    lock.release()
    assert [each.stat().st_mode & 0o777 for each in (path.parent.parent, path.parent)] == [
        0o700
    ] * 2
    assert (tmp_path / ".actr" / ".gitignore").read_text("utf-8") == "*\n"


def test_actors_that_start_at_once_make_the_state_folder_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.mkdir

    def mkdir(path: Path, mode: int = 0o777, **named: bool) -> None:
        if path.name == ".actr" and not path.exists():
            os.mkdir(path, mode)
        real(path, mode, **named)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    lock = FileLock(str(tmp_path / ".actr" / "acme:room@1:default" / "mailbox.db"))
    lock.take()
    lock.release()


def test_a_state_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / ".actr").write_text("no folder", "utf-8")
    with pytest.raises(ConfigError, match=r"mailbox\.db-lock.*ACTR_MAILBOX__PATH"):
        FileLock(str(tmp_path / ".actr" / "acme:room@1:default" / "mailbox.db")).take()


def test_a_forked_child_does_not_keep_the_lock(tmp_path: Path) -> None:
    # 1. A process takes the lock, forks a child, and is killed.
    # 2. The child lives, and the next process has the lock.
    source = """
import os, sys, time
from actr_peer.state.file_lock import FileLock
lock = FileLock(sys.argv[1])
lock.take()
if not os.fork():
    os.write(1, b"x")
os.read(0, 1)
"""
    command = [sys.executable, "-c", source, str(tmp_path / "x")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.read(1) == b"x"
        second = FileLock(str(tmp_path / "x"))
        with pytest.raises(BusyError):
            second.take()
        process.kill()
        process.wait()
        second.take()
        second.release()
