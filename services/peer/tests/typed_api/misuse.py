"""Never run: every line that ends in ``# wrong`` must be an error to a type checker."""

from __future__ import annotations

from actr.demo.chat_actr import ChatClient, ChatService
from actr.demo.chat_pb2 import HistoryRequest, MessagesRequest, SayRequest, UploadReply
from actr_peer import ActrRef, Context
from actr_peer.service import Caller


class Half(ChatService):
    """Lacks handlers, and has one with the wrong types."""

    async def say(self, request: HistoryRequest, ctx: object) -> UploadReply:  # wrong
        return UploadReply()


async def call(caller: Caller) -> None:
    """Mistakes that people make."""
    room = ChatClient(caller)
    await room.say(HistoryRequest())  # wrong
    await room.say(SayRequest(), 2)  # wrong
    _ = (await room.say(SayRequest())).numbr  # wrong
    await room.messages(MessagesRequest())  # wrong
    room.messages(MessagesRequest(), durable=True)  # wrong
    await room.tell(ChatService.SAY, HistoryRequest())  # wrong
    Half()  # wrong


async def by_message(ref: ActrRef, ctx: Context) -> None:
    """Mistakes with destinations, messages and channels."""
    await ref.call("self", SayRequest(), method=ChatService.KICK)  # wrong
    _ = (await ctx.call("self", SayRequest(), method=ChatService.SAY)).numbr  # wrong
    await ctx.call("self", b"bytes")  # wrong
    await ctx.tell("self", SayRequest(), timeout=2)  # wrong
    ref.stream("self", "telemetry", timeout=2)  # wrong
    ref.stream("self", MessagesRequest(), latency_first=True)  # wrong
    async with ref.stream("self", "telemetry") as stream:
        await stream.send("text")  # wrong
    ref.register_stream("telemetry", lambda chunk: None)  # wrong
