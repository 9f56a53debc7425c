"""The actor that the demo's page talks to; what is grey is seen in a browser."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import aclosing
from types import SimpleNamespace
from typing import Any

import pytest

from actr.demo.chat_pb2 import FileHeader, FilePiece
from actr.demo.stage_pb2 import Line, People, Word
from actr_peer.cli.demo.page.actor import KEPT_LINES, MAX_NAME, Guest, Stage
from actr_peer.errors import BrokenError, CallError, ClosedError, Code, RemoteProtocolError
from actr_peer.tasks import Tasks

CONTEXT: Any = SimpleNamespace(caller="demo:page@1:default")


class Page:
    """One page: what it says, and what it is told."""

    def __init__(self, stage: Stage, name: str) -> None:
        self._said: asyncio.Queue[Word | BaseException | None] = asyncio.Queue()
        self.say(Word(people=People(names=[name])))
        self.told = stage.talk(self._words(), CONTEXT)

    def say(self, word: Word | BaseException | None) -> None:
        self._said.put_nowait(word)

    async def _words(self) -> AsyncIterator[Word]:
        while (word := await self._said.get()) is not None:
            if isinstance(word, BaseException):
                raise word
            yield word

    async def hears(self, kind: str) -> Any:
        """The next word of this kind."""
        while (word := await anext(self.told)).WhichOneof("word") != kind:
            pass
        return getattr(word, kind)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with asyncio.timeout(60), Tasks("stage") as tasks:
        yield Stage(tasks.start)


async def test_lines_go_to_everybody_and_a_beat_to_its_sender_alone(stage: Stage) -> None:
    one, two = Page(stage, "one"), Page(stage, "two")
    async with aclosing(one.told), aclosing(two.told):
        assert list((await one.hears("people")).names) == ["one"]
        while list((await two.hears("people")).names) != ["one", "two"]:
            pass
        one.say(Word(beat=7))
        assert await one.hears("beat") == 7
        one.say(Word(line=Line(text="  ")))
        one.say(Word(line=Line(text="hello", author="somebody else", number=99)))
        for page in (one, two):
            word = await anext(page.told)
            while word.WhichOneof("word") == "people":
                word = await anext(page.told)
            assert word.line == Line(number=1, author="one", text="hello"), "a beat, or two lines"


async def test_who_comes_later_hears_the_last_lines_and_who_is_there(stage: Stage) -> None:
    one = Page(stage, "one")
    async with aclosing(one.told):
        await one.hears("people")
        for number in range(KEPT_LINES + 5):
            one.say(Word(line=Line(text=str(number))))
            assert (await one.hears("line")).number == number + 1
        two = Page(stage, "x" * 1000)
        async with aclosing(two.told):
            lines = [(await two.hears("line")).text for _ in range(KEPT_LINES)]
            assert lines == [str(number) for number in range(5, KEPT_LINES + 5)]
            assert list((await two.hears("people")).names) == ["one", "x" * MAX_NAME]
        while list((await one.hears("people")).names) != ["one"]:
            pass


@pytest.mark.parametrize(
    "end",
    [
        None,
        BrokenError("gone"),
        ClosedError("idle"),
        CallError(Code.ABORTED, "the caller's request stream failed"),
        RemoteProtocolError("an item is no Word"),
        ValueError("a bug of ours"),
        asyncio.CancelledError(),
    ],
    ids=repr,
)
async def test_whatever_a_page_does_ends_its_own_talk_alone(
    stage: Stage, end: BaseException | None
) -> None:
    one, two = Page(stage, "one"), Page(stage, "two")
    async with aclosing(two.told):
        await two.hears("people")
        await one.hears("people")
        one.say(end)
        assert [word async for word in one.told if not word.HasField("people")] == []
        while list((await two.hears("people")).names) != ["two"]:
            pass
        two.say(Word(beat=1))
        assert await two.hears("beat") == 1


def test_a_page_that_takes_nothing_any_more_holds_up_nobody() -> None:
    guest = Guest()
    for beat in range(10_000):
        guest.offer(Word(beat=beat))
    assert guest.words.get_nowait() == Word(beat=10_000 - guest.words.maxsize)


async def _pieces(*pieces: FilePiece) -> AsyncIterator[FilePiece]:
    for piece in pieces:
        yield piece


async def test_a_file_is_counted_and_hashed(stage: Stage) -> None:
    header = FilePiece(header=FileHeader(name="f", size_bytes=6))
    whole = _pieces(header, FilePiece(data=b"abc"), FilePiece(data=b"def"))
    reply = await stage.upload(whole, CONTEXT)
    assert (reply.size_bytes, reply.sha256) == (6, hashlib.sha256(b"abcdef").hexdigest())
    with pytest.raises(CallError, match="3 bytes came of 6") as refused:
        await stage.upload(_pieces(header, FilePiece(data=b"abc")), CONTEXT)
    assert refused.value.code is Code.DATA_LOSS
    with pytest.raises(CallError, match="starts with a header"):
        await stage.upload(_pieces(FilePiece(data=b"abc")), CONTEXT)
