"""The examples of docs/interceptors.md, run as they stand there."""

from __future__ import annotations

import ast
import inspect
import logging
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Any

import pytest

import actr_peer
from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatClient
from actr_peer import (
    ActrId,
    BrokenError,
    CallError,
    ClientInterceptor,
    Code,
    Context,
    HandlerInterceptor,
    NodeConfig,
    Service,
    System,
    connect,
)
from actr_peer.cli.demo.room import Room
from peer_kit import block
from peer_kit.signaling import signaling_service

pytestmark = pytest.mark.service


async def run(example: str, names: dict[str, Any]) -> None:
    """Run a block that awaits where it likes; its names join those that are given."""
    code = compile(example, "example", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(code, names)
    if inspect.isawaitable(result):
        await result


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with signaling_service() as found:
        yield found


def config(name: str, url: str) -> NodeConfig:
    return NodeConfig(id=ActrId("acme", name, "1"), signaling_url=url)


async def test_the_interceptors_of_docs_interceptors_md_admit_log_sign_and_call_again(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    classes = (
        block("docs/interceptors.md", "class Allow"),
        block("docs/interceptors.md", "class Log"),
        block("docs/interceptors.md", "class Token"),
        block("docs/interceptors.md", "class Again"),
    )
    names = {name: getattr(actr_peer, name) for name in actr_peer.__all__}
    names |= {"time": time, "aclosing": aclosing, "log": logging.getLogger("example")}
    for each in classes:
        await run(each, names)
    names |= {"config": config("other", url), "Room": Room, "connect": partial(connect, url)}
    await run(block("docs/interceptors.md", "System(config)"), names)

    class Loses(ClientInterceptor):
        """As a wire that is lost, once."""

        is_over = False

        async def call_unary(self, proceed: Any, details: Any, request: Any) -> Any:
            if not self.is_over:
                self.is_over = True
                raise BrokenError("lost")
            return await proceed(details, request)

    class Notes(HandlerInterceptor):
        def __init__(self) -> None:
            self.tokens: list[str] = []

        async def admit(self, ctx: Context) -> None:
            self.tokens.append(ctx.metadata["token"])

    caplog.set_level(logging.INFO, "example")
    notes = Notes()
    inner = [names["Log"](), names["Allow"]("ann"), notes]
    outer = [names["Again"](), names["Token"]("secret")]
    async with System(config("room", url)).attach(Room(), interceptors=inner) as there:
        lossy = [*outer, Loses()]
        async with System(config("ann", url)).attach(Service(), interceptors=lossy) as here:
            chat = ChatClient(here.ref.to(there.id))
            await chat.history(pb.HistoryRequest())
            lines = chat.messages(pb.MessagesRequest(test_lines=2))
            assert [line.number async for line in lines] == [1, 2]
        async with System(config("bob", url)).attach(Service(), interceptors=outer) as here:
            refused = pytest.raises(CallError, match=r"may not call demo\.Chat\.History")
            with refused as told:
                await ChatClient(here.ref.to(there.id)).history(pb.HistoryRequest())
            assert told.value.code is Code.PERMISSION_DENIED
    assert notes.tokens == ["secret", "secret"]
    for words in ("demo.Chat.History took", "Messages gave 2 items", "bob@1:default may not call"):
        assert words in caplog.text
