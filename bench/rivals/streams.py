"""Streams of others to compare with: those of ``grpc.aio``, a bare ``websockets`` connection.

``python -m bench.rivals.streams NAME`` is the far side, which takes items and says at the end how
many came; :data:`UPLOADS` are the near sides. A stream begins with one item, and goes on when
``go`` is set.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

import grpc
import uvloop
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from actr.demo import chat_pb2 as pb

METHOD = "/demo.Chat/Upload"
MAX_BYTES = 1 << 24

Upload: TypeAlias = Callable[[AsyncIterator[bytes]], Coroutine[Any, Any, int]]


async def grpc_far() -> None:
    """Be the far side of ``grpc.aio`` until standard input ends."""

    async def upload(
        requests: AsyncIterator[pb.FilePiece], context: grpc.aio.ServicerContext
    ) -> pb.UploadReply:
        size = 0
        async for piece in requests:
            size += len(piece.data)
        return pb.UploadReply(size_bytes=size)

    server = grpc.aio.server(options=[("grpc.max_concurrent_streams", 100_000)])
    handler = grpc.stream_unary_rpc_method_handler(
        upload,
        request_deserializer=pb.FilePiece.FromString,
        response_serializer=pb.UploadReply.SerializeToString,
    )
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("demo.Chat", {"Upload": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    await _until_told(port)
    await server.stop(0)


async def websockets_far() -> None:
    """Be the far side of ``websockets`` until standard input ends."""

    async def take(connection: ServerConnection) -> None:
        size = 0
        async for message in connection:
            if message:
                size += len(message)
            else:
                await connection.send(str(size))
                size = 0

    async with serve(take, "127.0.0.1", 0, compression=None, max_size=MAX_BYTES) as server:
        await _until_told(next(iter(server.sockets)).getsockname()[1])


async def _until_told(port: int) -> None:
    sys.stdout.write(json.dumps({"port": port}) + "\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)


@asynccontextmanager
async def grpc_near(port: int) -> AsyncIterator[Upload]:
    """Streams of one channel."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        method = channel.stream_unary(
            METHOD,
            request_serializer=pb.FilePiece.SerializeToString,
            response_deserializer=pb.UploadReply.FromString,
        )

        async def upload(items: AsyncIterator[bytes]) -> int:
            reply = await method(pb.FilePiece(data=item) async for item in items)
            return int(reply.size_bytes)

        yield upload


@asynccontextmanager
async def websockets_near(port: int) -> AsyncIterator[Upload]:
    """One connection, and so one stream."""
    url = f"ws://127.0.0.1:{port}"
    async with connect(url, compression=None, max_size=MAX_BYTES) as connection:

        async def upload(items: AsyncIterator[bytes]) -> int:
            async for item in items:
                await connection.send(item)
            await connection.send(b"")
            return int(await connection.recv())

        yield upload


FAR = {"grpc.aio": grpc_far, "websockets": websockets_far}
UPLOADS: dict[str, Callable[[int], AbstractAsyncContextManager[Upload]]] = {
    "grpc.aio": grpc_near,
    "websockets": websockets_near,
}

if __name__ == "__main__":
    uvloop.run(FAR[sys.argv[1]]())
