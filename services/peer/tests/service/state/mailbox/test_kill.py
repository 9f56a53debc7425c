"""``kill -9`` of a process that puts, runs and completes requests."""

from __future__ import annotations

import asyncio
import random
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from peer_kit import TESTS
from peer_kit.state import victim as mailbox_victim

pytestmark = pytest.mark.service

CALLS = 3000


async def run(path: Path, names: list[str], *, lines: int | None = None) -> list[list[str]]:
    """Run the victim, to its end or until it has said ``lines`` lines; what it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", mailbox_victim.__name__, str(path)),
        *names,
        cwd=TESTS,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    said: list[list[str]] = []
    try:
        async with asyncio.timeout(60):
            async for line in process.stdout:
                said.append(line.decode().split())
                if lines is not None and len(said) == lines:
                    process.send_signal(signal.SIGKILL)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    return said


def effects(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT id FROM effect ORDER BY n").fetchall()
    return [row[0] for row in rows]


async def test_killed_again_and_again_it_loses_and_doubles_nothing(tmp_path: Path) -> None:
    # 1. The victim is killed at random moments while it works off a list.
    # 2. It is started again with what was not acknowledged; the rest is the mailbox's to keep.
    # 3. At the end each call has its effect once, in the order of the calls.
    path = tmp_path / "box.db"
    names = [f"r{n:05}" for n in range(CALLS)]
    dice = random.Random(3)
    left, kills, ended = list(names), 0, False
    while not ended:
        said = await run(path, left, lines=dice.randint(1, 800) if kills < 20 else None)
        known = {words[1] for words in said if words[0] in ("ack", "reply")}
        left = [name for name in left if name not in known]
        ended = bool(said) and said[-1] == ["end"]
        kills += not ended
    assert kills >= 5
    assert effects(path) == names


@pytest.mark.parametrize("poison", ["kills", "exits", "segfaults", "aborts", "kills-in-commit"])
async def test_a_request_that_kills_the_process_is_a_dead_letter_after_three_times(
    tmp_path: Path, poison: str
) -> None:
    path = tmp_path / "box.db"
    names = ["before", poison, "behind", "last"]
    for crash in range(3):
        said = await run(path, names)
        starts = [words for words in said if words[0] == "start" and words[1] == poison]
        assert starts == [["start", poison, str(crash)]]
        assert said[-1] != ["end"]
    said = await run(path, names)
    assert ["start", "behind", "0"] in said, "what merely waited behind it is not blamed"
    assert said[-2:] == [["dead", poison, "3"], ["end"]]
    assert effects(path) == ["before", "behind", "last"]


async def test_a_deferred_reply_whose_task_kills_the_process_is_a_dead_letter_after_three_times(
    tmp_path: Path,
) -> None:
    path = tmp_path / "box.db"
    poison = "kills-deferred"
    names = ["before", poison, "behind", "last"]
    for crash in range(3):
        said = await run(path, names)
        starts = [words for words in said if words[0] == "start" and words[1] == poison]
        assert starts == [["start", poison, str(crash)]]
        assert said[-1] != ["end"]
    said = await run(path, names)
    assert said[-2:] == [["dead", poison, "3"], ["end"]]
    assert effects(path) == ["before", "behind", "last"]
