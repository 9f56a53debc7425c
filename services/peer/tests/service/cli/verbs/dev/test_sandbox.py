"""``actr_peer.sandbox``: a real actor and a caller of it, for tests."""

from __future__ import annotations

import importlib.util
from contextlib import suppress

import psutil
import pytest

import actr_peer
from actr.demo.chat_actr import ChatClient
from actr.demo.chat_pb2 import SayRequest
from actr_peer.cli.demo.room import Room

pytestmark = pytest.mark.service


async def test_a_call_goes_over_a_wire_and_nothing_is_left() -> None:
    async with actr_peer.sandbox(Room()) as actor:
        reply = await ChatClient(actor).say(SayRequest(author="ann", text="hello"))
        assert reply.number == 1
        assert "actr_signaling" in children()
    assert "actr_signaling" not in children()


def children() -> str:
    """The command lines of what this process started and has not ended."""
    listed = []
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            listed += child.cmdline()
    return " ".join(listed)


async def test_what_the_block_raises_comes_as_it_is() -> None:
    with pytest.raises(actr_peer.CallError, match="a line has an author"):
        async with actr_peer.sandbox(Room()) as actor:
            await ChatClient(actor).say(SayRequest())


async def test_a_handler_that_is_wrong_is_one_sentence_and_no_group() -> None:
    room = Room()
    room.say = lambda request, ctx, /: None  # type: ignore[assignment, return-value]
    with pytest.raises(actr_peer.ConfigError, match="is not async"):
        async with actr_peer.sandbox(room):
            pass
    with pytest.raises(actr_peer.ConfigError):
        async with actr_peer.sandbox():
            pass
    assert "actr_signaling" not in children()


async def test_the_environment_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTR_ACTOR__ID", "nonsense")
    monkeypatch.setenv("ACTR_SIGNALING__URL", "nonsense")
    async with actr_peer.sandbox(Room()) as actor:
        await ChatClient(actor).say(SayRequest(author="ann"))


async def test_without_a_signaling_service_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("actr_peer.cli.verbs.dev.running.signaling.find_spec", lambda _: None)
    with pytest.raises(actr_peer.ConfigError, match="pip install actr-signaling"):
        async with actr_peer.sandbox(Room()):
            pass
    assert importlib.util.find_spec("actr_signaling")
