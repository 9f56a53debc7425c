"""The requests of one call: how many, from where, and what is sent along."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Thread
from typing import TypeAlias

import pytest

from actr.demo.chat_actr import ChatService
from actr.demo.chat_pb2 import CursorMove, SayRequest
from actr_peer.cli.contracts import methods
from actr_peer.cli.contracts import requests as module
from actr_peer.cli.contracts.requests import Requests, read_metadata
from actr_peer.errors import ConfigError


def test_metadata_are_pairs() -> None:
    assert read_metadata(["a=b", "c=d=e", "f="]) == {"a": "b", "c": "d=e", "f": ""}


@pytest.mark.parametrize("pair", ["a", "=b", ""])
def test_what_is_no_pair_is_refused(pair: str) -> None:
    with pytest.raises(ConfigError, match="write key=value"):
        read_metadata([pair])


def test_a_key_that_is_given_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="given twice"):
        read_metadata(["a=b", "a=c"])


Stdin: TypeAlias = Callable[[bytes], None]


@pytest.fixture(params=["a pipe", "a file"])
def stdin(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stdin]:
    """Has standard input hold what the test says."""
    stack = ExitStack()

    def hold(data: bytes) -> None:
        if request.param == "a file":
            path = tmp_path / "stdin"
            path.write_bytes(data)
            monkeypatch.setattr(sys, "stdin", stack.enter_context(path.open(encoding="utf-8")))
            return
        out, into = os.pipe()

        def write() -> None:
            with suppress(BrokenPipeError), os.fdopen(into, "wb", buffering=0) as pipe:
                pipe.write(data)

        writer = Thread(target=write)
        stack.callback(writer.join)
        monkeypatch.setattr(sys, "stdin", stack.enter_context(os.fdopen(out, encoding="utf-8")))
        writer.start()

    with stack:
        yield hold


async def taken(*arguments: str) -> list[object]:
    return [request async for request in Requests(arguments).all(ChatService.CURSORS, None)]


async def test_no_argument_is_an_empty_request() -> None:
    assert await Requests(()).one(ChatService.SAY, None) == SayRequest()


async def test_one_request_can_come_from_standard_input(stdin: Stdin) -> None:
    stdin(b'{\n"author": "ann"}\n')
    assert await Requests(["-"]).one(ChatService.SAY, None) == SayRequest(author="ann")


async def test_more_requests_than_the_method_takes_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"demo\.Chat\.Say takes one request, not 2"):
        await Requests(["{}", "{}"]).one(ChatService.SAY, None)


async def test_a_line_of_standard_input_may_be_long_and_the_last_one_need_not_end(
    stdin: Stdin,
) -> None:
    long = "x" * 3_000_000
    stdin(f'{{"who": "{long}"}}\n\n{{"who": "bob"}}'.encode())
    assert await taken("-") == [CursorMove(who=long), CursorMove(who="bob")]


async def test_what_is_no_text_is_refused_and_not_sent_as_another_one(stdin: Stdin) -> None:
    stdin(b'{"who": "ann"}\n{"who": "\xff"}\n')
    with pytest.raises(ConfigError, match="line 2 of standard input is not UTF-8"):
        await taken("-")


async def test_standard_input_without_an_end_is_no_request(
    stdin: Stdin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_TEXT_BYTES", 1 << 20)
    stdin(b"x" * (3 << 20))
    with pytest.raises(ConfigError, match="standard input: a request of over 1 MiB"):
        await taken("-")


async def test_one_request_without_an_end_is_none(
    stdin: Stdin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_TEXT_BYTES", 1 << 20)
    stdin(b"y\n" * (3 << 20))
    with pytest.raises(ConfigError, match="standard input: a request of over 1 MiB"):
        await Requests(["-"]).one(ChatService.SAY, None)


async def test_standard_input_that_is_closed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(ConfigError, match="standard input is closed"):
        await Requests(["-"]).one(ChatService.SAY, None)


def test_standard_input_is_read_once() -> None:
    with pytest.raises(ConfigError, match="stands twice"):
        Requests(["-", "{}", "-"])


async def test_a_pipe_by_its_name_is_looked_at_and_sent_though_it_has_its_text_once() -> None:
    out, into = os.pipe()
    os.write(into, b'{"who": "ann"} {"who": "bob"}')
    os.close(into)
    requests = Requests([f"@/dev/fd/{out}"])
    requests.check(ChatService.CURSORS, None)
    found = [request async for request in requests.all(ChatService.CURSORS, None)]
    assert found == [CursorMove(who="ann"), CursorMove(who="bob")]
    os.close(out)


def test_a_file_without_an_end_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(methods, "MAX_TEXT_BYTES", 1 << 20)
    with pytest.raises(ConfigError, match="/dev/zero has over 1 MiB: send it through standard"):
        Requests(["@/dev/zero"]).check(ChatService.CURSORS, None)


async def test_a_stream_takes_each_argument_and_none_without() -> None:
    requests = Requests(['{"who": "ann"}', '{"who": "bob"}'])
    taken = [request async for request in requests.all(ChatService.CURSORS, None)]
    assert taken == [CursorMove(who="ann"), CursorMove(who="bob")]
    assert [request async for request in Requests(()).all(ChatService.CURSORS, None)] == []


def test_all_arguments_of_a_stream_are_looked_at_before_it_is_opened() -> None:
    with pytest.raises(ConfigError, match="CursorMove has who, x, y"):
        Requests(['{"who": "ann"}', "-", '{"whom": "bob"}']).check(ChatService.CURSORS, None)
