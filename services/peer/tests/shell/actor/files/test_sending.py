"""A sender and receivers that lie, hang, or are not there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from pathlib import Path as FilePath
from typing import Any

import pytest

from actr.services.files_pb2 import FilesReply, FilesWord
from actr_peer.actor.files import sending
from actr_peer.errors import DeadlineError, PeerError, RemoteProtocolError, UnreachableError
from actr_peer.protocol.files import messages, order
from peer_kit.state.files import Met, broken_off

pytestmark = pytest.mark.service  # it reads and writes files


@pytest.fixture
def met(tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch) -> Met:
    monkeypatch.setattr(order, "FIRST_DELAY", 0.0)
    return Met(tmp_path)


class Liar:
    """A receiver that says what it is told to, and takes what is said to it, or nothing."""

    def __init__(self, *replies: FilesReply, repeats: bool = False, takes: bool = True) -> None:
        self._replies = replies
        self._repeats = repeats
        self._takes = takes
        self._taking: asyncio.Task[None] | None = None

    async def bidi_stream(
        self, _method: object, requests: AsyncIterable[FilesWord], _options: object
    ) -> AsyncIterator[FilesReply]:
        async def take() -> None:
            async for _ in requests:
                pass

        if self._takes:
            self._taking = asyncio.create_task(take())
        try:
            for reply in self._replies:
                await asyncio.sleep(0)
                yield reply
            while self._repeats:
                await asyncio.sleep(0)
                yield self._replies[-1]
            await asyncio.Event().wait()
        finally:
            if self._taking is not None:
                self._taking.cancel()


MOVING = (messages.kept(0), messages.begin(0))


@pytest.mark.parametrize(
    "replies",
    [
        pytest.param([messages.kept(1 << 63)], id="keeps more than there is"),
        pytest.param([messages.kept(1), messages.begin(1 << 63)], id="begins beyond the end"),
        pytest.param([*MOVING, messages.verified(1 << 63)], id="has what was never sent"),
        pytest.param([*MOVING, messages.done("x", was_there=False)], id="done before the end"),
        pytest.param([messages.verified(1 << 63)], id="reads over more than there is"),
        pytest.param([FilesReply()], id="nothing known"),
    ],
)
async def test_a_receiver_that_says_what_cannot_be_is_told_from_a_good_one(
    met: Met, replies: list[FilesReply]
) -> None:
    liar: Any = Liar(*replies, takes=False)
    with pytest.raises(RemoteProtocolError, match="transfer of files"):
        await met.send(met.make(), liar)


@pytest.mark.parametrize(
    "liar",
    [
        pytest.param(Liar(messages.verified(0), repeats=True), id="reads over for ever"),
        pytest.param(Liar(*MOVING, messages.verified(0), repeats=True), id="has nothing for ever"),
        pytest.param(Liar(*MOVING, takes=False), id="takes nothing"),
        pytest.param(Liar(), id="says nothing"),
    ],
)
async def test_a_receiver_that_does_not_go_on_is_given_up(met: Met, liar: Any) -> None:
    with pytest.raises(DeadlineError, match="no progress"):
        await met.send(met.make(), liar, patience=0.2)


async def test_blocks_that_are_read_for_the_proof_are_progress(
    met: Met, monkeypatch: pytest.MonkeyPatch
) -> None:
    met.receive()
    path = met.make(blocks=6)
    await broken_off(met, path)
    moved: list[str] = []
    reschedule = asyncio.Timeout.reschedule

    def count(timeout: asyncio.Timeout, when: float | None) -> None:
        moved.append("moved")
        reschedule(timeout, when)

    def note(word: FilesWord) -> FilesWord:
        moved.append(str(word.WhichOneof("word")))
        return word

    met.path.change = note
    monkeypatch.setattr(sending, "LEARNT_EACH", 1)
    monkeypatch.setattr(asyncio.Timeout, "reschedule", count)
    await met.send(path)
    between = moved[moved.index("entries") : moved.index("proof")]
    assert between.count("moved") >= 4


class Nobody:
    """An actor that is not there; the second try waits for it."""

    def __init__(self) -> None:
        self.tries = 0

    async def bidi_stream(self, *_: object) -> AsyncIterator[FilesReply]:
        self.tries += 1
        if self.tries > 1:
            await asyncio.Event().wait()
        raise UnreachableError("acme:nobody@1:default", "no such actor is online")
        yield


async def test_who_was_never_there_is_told_of_as_that(met: Met) -> None:
    nobody: Any = Nobody()
    with pytest.raises(UnreachableError, match="no such actor"):
        await met.send(met.make(), nobody, patience=0.2)
    assert nobody.tries == 2


async def test_who_went_is_told_of_with_what_the_last_try_met(met: Met) -> None:
    met.receive()
    path = met.make(blocks=6)
    met.path.breaks = [20]
    met.path.error = UnreachableError("acme:shelf@1:default", "no such actor is online")
    bidi_stream, tries = met.path.bidi_stream, 0

    async def stuck(*arguments: Any) -> AsyncIterator[FilesReply]:
        nonlocal tries
        tries += 1
        if tries > 1:
            await asyncio.Event().wait()
        async for reply in bidi_stream(*arguments):
            yield reply

    met.path.bidi_stream = stuck  # type: ignore[method-assign]
    with pytest.raises(DeadlineError, match="the last try: cannot reach acme:shelf"):
        await met.send(path, patience=0.3)


async def test_errors_of_a_sender_are_typed(met: Met) -> None:
    with pytest.raises(PeerError):
        await met.send(met.out / "nothing")
