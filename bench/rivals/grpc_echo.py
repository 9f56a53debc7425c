"""The peer to compare with: ``grpc.aio`` unary, the same messages, not durable."""

from __future__ import annotations

import asyncio
import json
import signal
import sys

import grpc
import uvloop

from actr.demo import chat_pb2 as pb

METHOD = "/demo.Chat/Say"


class Say:
    """Answers at once and keeps nothing."""

    count = 0

    async def say(self, request: pb.SayRequest, context: grpc.aio.ServicerContext) -> pb.SayReply:
        self.count += 1
        return pb.SayReply(number=self.count)


async def main() -> None:
    """Run until SIGTERM."""
    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(
        Say().say,
        request_deserializer=pb.SayRequest.FromString,
        response_serializer=pb.SayReply.SerializeToString,
    )
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("demo.Chat", {"Say": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    sys.stdout.write(json.dumps({"event": "ready", "port": port}) + "\n")
    sys.stdout.flush()
    await stop.wait()
    await server.stop(0)


if __name__ == "__main__":
    uvloop.run(main())
