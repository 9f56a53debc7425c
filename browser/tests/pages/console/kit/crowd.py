"""Actors that are only registered: so many of one type, by sockets of this process.

Arguments: the URL of signaling, a type, how many, metadata as JSON. Then it does what a line of
JSON on its standard input asks for, and answers with another::

    {"do": "load", "backlog": 7}     all tell this load, at once
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress

from websockets.asyncio.client import ClientConnection, connect

from actr import signaling_pb2 as pb
from actr.envelope_pb2 import ActrId
from actr_peer.tasks import Tasks

URL, TYPE, COUNT, METADATA = sys.argv[1], sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4])
HEARTBEAT = 8.0


class Member:
    """One registration; it answers nobody."""

    def __init__(self, number: int) -> None:
        manufacturer, name = TYPE.split(":")
        self._id = ActrId(
            manufacturer=manufacturer, name=name, instance=str(number), realm="default"
        )
        self._number = number
        self._sent = 0
        self._backlog = 0
        self._socket: ClientConnection | None = None

    async def join(self) -> None:
        self._socket = await connect(URL, subprotocols=["actr.v1"], compression=None)
        await self._socket.recv()  # hello
        await self._send(authenticate=pb.Authenticate(id=self._id))
        await self._socket.recv()
        register = pb.Register(id=self._id, incarnation=1 + self._number, metadata=METADATA)
        await self._send(register=register)
        await self._socket.recv()

    async def live(self) -> None:
        """Take what comes, and say that it lives."""
        assert self._socket is not None
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT):
                    while True:
                        await self._socket.recv()
            await self.tell(self._backlog)

    async def tell(self, backlog: int) -> None:
        self._backlog = backlog
        load = pb.Load(mailbox_backlog=backlog, power_reserve=1 / (1 + backlog))
        await self._send(heartbeat=pb.Heartbeat(load=load))

    async def leave(self) -> None:
        await self._send(unregister=pb.Unregister())

    async def _send(self, **body: object) -> None:
        assert self._socket is not None
        self._sent += 1
        message = pb.ClientMessage(id=self._sent, **body)  # type: ignore[arg-type]
        await self._socket.send(message.SerializeToString())


async def main() -> None:
    members = [Member(number) for number in range(COUNT)]
    for at in range(0, COUNT, 50):
        await asyncio.gather(*(member.join() for member in members[at : at + 50]))
    async with Tasks("crowd") as tasks:
        for member in members:
            tasks.start("member", member.live())
        print(json.dumps({"id": TYPE}), flush=True)  # noqa: T201
        while line := await asyncio.to_thread(sys.stdin.readline):
            backlog = json.loads(line)["backlog"]
            await asyncio.gather(*(member.tell(backlog) for member in members))
            print(json.dumps({"result": {}}), flush=True)  # noqa: T201
    await asyncio.gather(*(member.leave() for member in members), return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main())
