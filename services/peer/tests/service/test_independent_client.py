"""A client made from the documents speaks with a real peer; docs/protocol.md says enough."""

from __future__ import annotations

import ast
import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from service import independent_client as independent

from actr.demo import chat_pb2 as pb
from actr_peer import Context, System
from actr_peer.errors import CallError, Code
from lab.quiet import Quiet
from peer_kit.signaling import config, signaling_service

pytestmark = pytest.mark.service

SECRET = b"a secret of the realm"
ROOM = "acme:room@1:default"
STRANGER = "acme:stranger@1:default"


class Room(Quiet):
    """Counts, adds up and refuses."""

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()
        self.started = asyncio.Event()

    async def say(self, request: pb.SayRequest, ctx: Context) -> pb.SayReply:
        assert str(ctx.caller) == STRANGER
        if request.text == "no":
            raise CallError(Code.PERMISSION_DENIED, "not you")
        return pb.SayReply(number=len(request.text))

    async def presence(
        self, request: pb.PresenceRequest, ctx: Context
    ) -> AsyncIterator[pb.PresenceChange]:
        for number in range(200):
            yield pb.PresenceChange(who=str(number) * 3000)

    async def upload(self, requests: AsyncIterator[pb.FilePiece], ctx: Context) -> pb.UploadReply:
        self.started.set()
        digest, size = hashlib.sha256(), 0
        try:
            async for piece in requests:
                digest.update(piece.data)
                size += len(piece.data)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return pb.UploadReply(size_bytes=size, sha256=digest.hexdigest())


@asynccontextmanager
async def met(secret: bytes = SECRET) -> AsyncIterator[tuple[independent.Client, Room]]:
    room = Room()
    async with (
        signaling_service(SECRET) as url,
        System(config("room", url, realm_secret=SECRET)).attach(room) as node,
        asyncio.timeout(60),
        independent.client(
            node.assembly.network.websocket.address, own=STRANGER, wanted=ROOM, secret=secret
        ) as client,
    ):
        yield client, room


def test_it_imports_nothing_of_the_runtime():
    tree = ast.parse(Path(independent.__file__).read_text("utf-8"))
    modules = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    modules += [
        name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names
    ]
    assert not [module for module in modules if module and module.startswith("actr_")]


async def test_it_calls_and_streams_both_ways():
    async with met() as (client, _):
        reply = await client.call("demo.Chat.Say", pb.SayRequest(text="hello").SerializeToString())
        assert pb.SayReply.FromString(reply).number == 5
        with pytest.raises(independent.RefusedError, match="not you") as refused:
            await client.call("demo.Chat.Say", pb.SayRequest(text="no").SerializeToString())
        assert refused.value.code == Code.PERMISSION_DENIED

        replies = [
            pb.PresenceChange.FromString(data).who
            async for data in client.server_stream("demo.Chat.Presence", b"")
        ]
        assert replies == [str(number) * 3000 for number in range(200)]

        pieces = [bytes([number]) * 9000 for number in range(250)]
        reply = await client.client_stream(
            "demo.Chat.Upload",
            [pb.FilePiece(data=piece).SerializeToString() for piece in pieces],
        )
        done = pb.UploadReply.FromString(reply)
        assert done.size_bytes == 250 * 9000
        assert done.sha256 == hashlib.sha256(b"".join(pieces)).hexdigest()


async def test_an_upload_of_nothing_is_an_upload():
    async with met() as (client, _):
        reply = await client.client_stream("demo.Chat.Upload", [])
        assert pb.UploadReply.FromString(reply).size_bytes == 0


async def test_it_gives_up_a_stream():
    async with met() as (client, room):
        name = await client._open("demo.Chat.Upload", b"", 0, 0)
        await room.started.wait()
        await client.cancel(name)
        await room.cancelled.wait()


async def test_it_is_told_why_it_is_refused():
    with pytest.raises(independent.RefusedError) as refused:
        async with met(b"another secret"):
            pass
    assert refused.value.code == Code.UNAUTHENTICATED
