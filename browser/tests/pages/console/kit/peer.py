"""A room that also calls: it does what a line of JSON on its standard input asks for, and answers.

{"do": "say", "actor": "demo:room@1:default", "text": "hello"}    one call; the number of the line
{"do": "say", "actor": …, "count": 50}                            so many, one after the other
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from actr.demo.chat_actr import ChatClient
from actr.demo.chat_pb2 import SayRequest
from actr_peer import ActrRef, PeerError, System
from actr_peer.cli.demo.room import Room
from actr_peer.node.config import NodeConfig

TIMEOUT = 30.0


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


async def _do(ref: ActrRef, actor: str, text: str = "", count: int = 1) -> dict[str, Any]:
    chat = ChatClient(ref.to(actor))
    number = 0
    for _ in range(count):
        number = (await chat.say(SayRequest(author="peer", text=text), timeout=TIMEOUT)).number
    return {"number": number}


async def main() -> None:
    async with System(NodeConfig.load()).attach(Room()) as node:
        _say({"id": str(node.ref.id)})
        while line := await asyncio.to_thread(sys.stdin.readline):
            given = json.loads(line)
            given.pop("do")
            try:
                _say({"result": await _do(node.ref, **given)})
            except PeerError as exc:
                _say({"error": f"{type(exc).__name__}: {exc}"})


if __name__ == "__main__":
    asyncio.run(main())
