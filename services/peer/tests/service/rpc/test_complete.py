"""Calls of the own workload by its mailbox: stored, run once, with a transaction, over a kill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatClient, ChatService
from actr_peer import CallError, Code, Context, System
from actr_peer.errors import LocalProtocolError
from lab.quiet import Quiet
from peer_kit.place import Place
from peer_kit.signaling import config

pytestmark = pytest.mark.service

KILLED = """
import asyncio, json, os, signal, sys
from actr_peer import System
from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatClient, ChatService
from lab.quiet import Quiet
from peer_kit.signaling import config

url, path, way, step = sys.argv[1:]

class Desk(Quiet):
    async def on_start(self, ref):
        self.ran = asyncio.Event()

    async def say(self, request, ctx):
        async with ctx.transaction() as tx:
            await tx.execute("CREATE TABLE IF NOT EXISTS effect(text TEXT)")
            await tx.execute("INSERT INTO effect VALUES(?)", (request.text,))
        if step == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        self.ran.set()
        return pb.SayReply(number=7)

    async def history(self, request, ctx):
        async with ctx.transaction() as tx:
            rows = await tx.fetch_all("SELECT text FROM effect")
        return pb.HistoryReply(messages=[pb.ChatMessage(text=row[0]) for row in rows])

async def main():
    desk = Desk()
    async with System(config("desk", url, mailbox_path=path)).attach(desk) as node:
        client, request = ChatClient(node.ref.to_self()), pb.SayRequest(text="one")
        reply = None
        if way == "key":
            reply = (await ChatClient(node.ref).say(request, durable="order")).number
        elif step == "killed":
            await client.tell(ChatService.SAY, request)
            await asyncio.Event().wait()
        else:
            await desk.ran.wait()
        lines = (await client.history(pb.HistoryRequest())).messages
        keys = node.ref.durable_keys()
    print(json.dumps({"reply": reply, "effects": [line.text for line in lines], "keys": keys}))

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with Place(tmp_path_factory.mktemp("realm")).signaling() as url:
        yield url


class Desk(Quiet):
    """Counts what it is told, in its mailbox's file."""

    async def say(self, request: pb.SayRequest, ctx: Context) -> pb.SayReply:
        async with ctx.transaction() as tx:
            await tx.execute("CREATE TABLE IF NOT EXISTS said(text TEXT)")
            row = await tx.fetch_one("SELECT count(*) FROM said")
            await tx.execute("INSERT INTO said VALUES(?)", (request.text,))
        return pb.SayReply(number=1 + (row[0] if row else 0))

    async def kick(self, request: pb.KickRequest, ctx: Context) -> pb.KickReply:
        await ChatClient(ctx.to_self()).tell(ChatService.SAY, pb.SayRequest(text="later"))
        reply = ctx.defer()
        reply.send(pb.KickReply(was_present=True))
        return reply.later  # type: ignore[no-any-return]


async def test_a_call_by_the_mailbox_has_a_transaction_and_may_be_deferred(url: str) -> None:
    async with System(config("desk", url)).attach(Desk()) as node:
        kept = ChatClient(node.ref.to_self())
        assert [(await kept.say(pb.SayRequest())).number for _ in range(3)] == [1, 2, 3]
        assert (await kept.kick(pb.KickRequest())).was_present
        assert (await kept.say(pb.SayRequest())).number == 5
        assert node.assembly.mailbox.counts.stored == 6
        with pytest.raises(CallError, match="LocalProtocolError") as caught:
            await ChatClient(node.ref).say(pb.SayRequest())
        assert caught.value.code is Code.INTERNAL


async def test_a_tell_by_the_mailbox_is_stored_when_it_returns(url: str) -> None:
    async with System(config("desk", url)).attach(Desk()) as node:
        await ChatClient(node.ref.to_self()).tell(ChatService.SAY, pb.SayRequest())
        assert node.assembly.mailbox.counts.stored == 1


@pytest.mark.parametrize("way", ["one call", "all calls", "a handler"])
async def test_a_durable_call_inside_the_process_goes_by_outbox_and_mailbox(
    url: str, way: str, tmp_path: Path
) -> None:
    kept_in = config("desk", url, mailbox_path=tmp_path / "desk.db")
    async with System(kept_in).attach(Desk()) as node:
        ref = node.ref
        if way == "one call":
            for _ in range(3):
                assert (await ChatClient(ref).say(pb.SayRequest(), durable="order")).number == 1
            assert ref.durable_keys() == ["order"]
            ref.forget_call("order")
            assert (await ChatClient(ref).say(pb.SayRequest(), durable="order")).number == 2
        elif way == "all calls":
            kept = ChatClient(ref.to_self(durable=True))
            assert [(await kept.say(pb.SayRequest())).number for _ in range(2)] == [1, 2]
            await kept.tell(ChatService.SAY, pb.SayRequest())
        else:
            await ChatClient(ref).tell(ChatService.SAY, pb.SayRequest(), durable=True)
            assert (await ChatClient(ref.to(ref.id)).say(pb.SayRequest(), durable=True)).number == 2
        assert node.assembly.outbox.store_id
        assert node.assembly.calls.unmatched == 0


async def test_a_durable_call_of_the_shell_is_refused_with_what_to_do(url: str) -> None:
    said: list[Exception] = []

    class Asker(Quiet):
        async def kick(self, request: pb.KickRequest, ctx: Context) -> pb.KickReply:
            client = ChatClient(ctx.shell)
            for call in (
                lambda: client.say(pb.SayRequest(), durable=True),
                lambda: client.tell(ChatService.SAY, pb.SayRequest(), durable="key"),
            ):
                try:
                    await call()
                except LocalProtocolError as exc:
                    said.append(exc)
            return pb.KickReply()

    async with System(config("desk", url)).attach(Asker()) as node:
        node.ref.serve(Quiet())
        await ChatClient(node.ref).kick(pb.KickRequest())
    assert ["the shell keeps no calls" in str(error) for error in said] == [True, True]


def run(url: str, path: Path, way: str, step: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", KILLED, url, str(path), way, step]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env=environment
    )


@pytest.mark.parametrize("way", ["tell", "key"])
def test_what_was_accepted_runs_once_though_the_process_is_killed(
    url: str, tmp_path: Path, way: str
) -> None:
    path = tmp_path / "mailbox.db"
    assert run(url, path, way, "killed").returncode == -9
    again = run(url, path, way, "restarted")
    assert again.returncode == 0, again.stderr
    found: dict[str, Any] = json.loads(again.stdout)
    assert found["effects"] == ["one"]
    if way == "key":
        assert (found["reply"], found["keys"]) == (7, ["order"])
