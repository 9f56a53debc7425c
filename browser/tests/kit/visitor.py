"""An actor that visits who says something to it: it calls all that the demo has there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator

from actr.demo.chat_actr import ChatClient, ChatService
from actr.demo.chat_pb2 import (
    CursorMove,
    FileHeader,
    FilePiece,
    HistoryRequest,
    KickRequest,
    MessagesRequest,
    PresenceRequest,
    SayReply,
    SayRequest,
)
from actr_peer import CallError, Context, Service

PIECE = bytes(range(256)) * 64
SUM = hashlib.sha256(PIECE).hexdigest()
THREE = MessagesRequest(test_lines=3)


class Visitor(Service):
    """Serves its own method by hand: what is tested is what it calls."""

    METHODS = ChatService.METHODS[:1]

    async def say(self, request: SayRequest, ctx: Context, /) -> SayReply:
        chat = ChatClient(ctx.to(str(ctx.caller)))
        try:
            seen = {
                "said": (await chat.say(SayRequest(author="v", text=request.text))).number,
                "kicked": (await chat.kick(KickRequest(who="v"))).was_present,
                "listed": [line.text async for line in chat.messages(THREE)],
                "uploaded": (await chat.upload(_pieces())).sha256 == SUM,
                "moved": [move.x async for move in chat.cursors(_moves())],
                "present": [change.who async for change in chat.presence(PresenceRequest())],
                "refused": await _refusal(chat),
            }
        except CallError as exc:
            seen = {"error": exc.message}
        await chat.tell(ChatService.SAY, SayRequest(author="report", text=json.dumps(seen)))
        return SayReply(number=1)


async def _refusal(chat: ChatClient) -> str:
    try:
        await chat.history(HistoryRequest(limit=1))
    except CallError as exc:
        return f"{exc.code.name} {exc.message}"
    return ""


async def _pieces() -> AsyncIterator[FilePiece]:
    yield FilePiece(header=FileHeader(name="f", size_bytes=len(PIECE)))
    for at in range(0, len(PIECE), 4096):
        yield FilePiece(data=PIECE[at : at + 4096])


async def _moves() -> AsyncIterator[CursorMove]:
    for x in range(3):
        yield CursorMove(who="v", x=x)
