"""The process of the honest pair: ``python -m tests.adversary.honest PLACE``.

Two actors call each other and read a stream, without a pause. ``PLACE`` is JSON: addresses of two
signaling replicas and of the issuer, and the realm's secret. It says ``{"ready": true}``; each line
on its standard input is answered with what was done and what failed since the last one.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import AsyncExitStack

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatClient
from actr_peer import ActrId, IdentityConfig, Node, NodeConfig, System, WireKind
from lab.quiet import Quiet

HEIDI, IVAN = ActrId("honest", "heidi", "1"), ActrId("honest", "ivan", "1")
ITEMS = 20
PACE = 0.02
"""Seconds between two acts: the machine is others' too."""


class Tally:
    """What was done since it was last told."""

    def __init__(self) -> None:
        self.calls = self.items = 0
        self.errors: list[str] = []

    def take(self) -> dict[str, object]:
        told = {"calls": self.calls, "items": self.items, "errors": self.errors}
        self.calls = self.items = 0
        self.errors = []
        return told


async def work(node: Node, other: ActrId, tally: Tally) -> None:
    room = ChatClient(node.ref.to(other))
    while True:
        try:
            await room.say(pb.SayRequest(author="h", text="hello"))
            tally.calls += 1
            async for _ in room.messages(pb.MessagesRequest(test_lines=ITEMS)):
                tally.items += 1
        except Exception as exc:  # noqa: BLE001 - whatever it is, an honest actor was failed
            tally.errors.append(f"{type(exc).__name__}: {exc}")
        await asyncio.sleep(PACE)


async def main() -> None:
    place = json.loads(sys.argv[1])
    reader, tally = asyncio.StreamReader(), Tally()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with AsyncExitStack() as stack:
        nodes = []
        for who, url in zip((HEIDI, IVAN), place["signaling"], strict=True):
            config = NodeConfig(
                id=who,
                signaling_url=url,
                prefer=(WireKind.WEBRTC, WireKind.WEBSOCKET),
                realm_secret=place["secret"].encode(),
                identity=IdentityConfig(issuer_url=place["issuer"]),
                durability="memory",
            )
            nodes.append(await stack.enter_async_context(System(config).attach(Quiet())))
        say = ChatClient(nodes[0].ref.to(IVAN)).say
        await say(pb.SayRequest(author="h", text="hello"))
        pairs = zip(nodes, (IVAN, HEIDI), strict=True)
        working = [asyncio.ensure_future(work(node, other, tally)) for node, other in pairs]
        tell({"ready": True})
        while await reader.readline():
            tell(tally.take())
        for task in working:
            task.cancel()


def tell(values: object) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
