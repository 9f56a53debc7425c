"""A local socket: one line in, one document out, and a failure that ends one answer only."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actr_peer.state.local_socket import Bounds, LocalSocket, listen

BOUNDS = Bounds(request_bytes=16, clients=2, seconds=5.0)


class Answers:
    """What the tests ask for, by its first word."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.waiting: asyncio.Queue[bytes] = asyncio.Queue()
        self.go = asyncio.Event()

    async def __call__(self, line: bytes) -> object:
        self.asked.append(line)
        match line:
            case b"fail":
                raise RuntimeError("a bug")
            case b"strange":
                return {1, 2}
            case b"wait":
                self.waiting.put_nowait(line)
                await self.go.wait()
        return {"line": line.decode()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "test.sock"


@pytest.fixture
async def answers(path: Path) -> AsyncIterator[Answers]:
    answers = Answers()
    async with LocalSocket("test", listen(str(path)), str(path), answers, BOUNDS):
        yield answers


async def ask(path: Path, *pieces: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


async def test_a_line_in_pieces_is_one_request(path: Path, answers: Answers) -> None:
    assert json.loads(await ask(path, b"he", b"llo", b"\n")) == {"line": "hello"}
    assert answers.asked == [b"hello"]


async def test_what_follows_the_line_is_not_asked(path: Path, answers: Answers) -> None:
    assert json.loads(await ask(path, b"one\ntwo\nthree\n")) == {"line": "one"}
    assert answers.asked == [b"one"]


async def test_an_answer_that_fails_is_said_and_ends_nothing(path: Path, answers: Answers) -> None:
    assert json.loads(await ask(path, b"fail\n")) == {"error": "failed with RuntimeError"}
    assert json.loads(await ask(path, b"after\n")) == {"line": "after"}


async def test_an_answer_that_is_no_document_is_a_failure(path: Path, answers: Answers) -> None:
    assert json.loads(await ask(path, b"strange\n")) == {"error": "failed with TypeError"}
    assert json.loads(await ask(path, b"after\n")) == {"line": "after"}


async def test_a_line_that_is_too_long_is_not_asked(path: Path, answers: Answers) -> None:
    assert b"one line of 16 bytes at most" in await ask(path, b"x" * 17 + b"\n")
    assert answers.asked == []


async def test_one_client_too_many_is_told_so_and_others_are_served(
    path: Path, answers: Answers
) -> None:
    async with asyncio.TaskGroup() as group:
        served = [group.create_task(ask(path, b"wait\n")) for _ in range(BOUNDS.clients)]
        for _ in served:
            await answers.waiting.get()
        assert b"more than 2 clients at once" in await ask(path, b"")
        answers.go.set()
    assert [json.loads(one.result()) for one in served] == [{"line": "wait"}] * BOUNDS.clients


async def test_leaving_the_block_ends_what_is_asked(path: Path) -> None:
    answers = Answers()
    server = LocalSocket("test", listen(str(path)), str(path), answers, BOUNDS)
    async with asyncio.TaskGroup() as group, server:
        asked = group.create_task(ask(path, b"wait\n"))
        await answers.waiting.get()
    assert asked.result() == b""
    assert path not in [*path.parent.iterdir()]


def test_where_one_listens_no_other_can(path: Path) -> None:
    with listen(str(path)), pytest.raises(OSError, match="in use"):
        listen(str(path))
