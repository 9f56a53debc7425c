"""The requests of one call: how many, from where, and what is sent along."""

from __future__ import annotations

import io
import sys

import pytest

from actr_peer.cli.contracts.requests import Requests, read_metadata
from actr_peer.errors import ConfigError
from demo.chat_actr import ChatService
from demo.chat_pb2 import CursorMove, SayRequest


def test_metadata_are_pairs() -> None:
    assert read_metadata(["a=b", "c=d=e", "f="]) == {"a": "b", "c": "d=e", "f": ""}


@pytest.mark.parametrize("pair", ["a", "=b", ""])
def test_what_is_no_pair_is_refused(pair: str) -> None:
    with pytest.raises(ConfigError, match="write key=value"):
        read_metadata([pair])


def test_a_key_that_is_given_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="given twice"):
        read_metadata(["a=b", "a=c"])


def test_no_argument_is_an_empty_request() -> None:
    assert Requests(()).one(ChatService.SAY, None) == SayRequest()


def test_one_request_can_come_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO('{\n"author": "ann"}\n'))
    assert Requests(["-"]).one(ChatService.SAY, None) == SayRequest(author="ann")


def test_more_requests_than_the_method_takes_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"demo\.Chat\.Say takes one request, not 2"):
        Requests(["{}", "{}"]).one(ChatService.SAY, None)


async def test_a_stream_takes_each_argument_and_none_without() -> None:
    requests = Requests(['{"who": "ann"}', '{"who": "bob"}'])
    taken = [request async for request in requests.all(ChatService.CURSORS, None)]
    assert taken == [CursorMove(who="ann"), CursorMove(who="bob")]
    assert [request async for request in Requests(()).all(ChatService.CURSORS, None)] == []


def test_all_arguments_of_a_stream_are_looked_at_before_it_is_opened() -> None:
    with pytest.raises(ConfigError, match="CursorMove has who, x, y"):
        Requests(['{"who": "ann"}', "-", '{"whom": "bob"}']).check(ChatService.CURSORS, None)
