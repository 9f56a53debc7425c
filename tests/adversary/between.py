"""A signaling service that lies: it stands before the real one, and alters what goes by."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Self

from websockets.asyncio.client import connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from actr import signaling_pb2 as pb
from actr_peer import ActrId

ToPeer = Callable[[ActrId | None, pb.ServerMessage], Iterable[pb.ServerMessage]]
ToService = Callable[[ActrId, pb.ClientMessage], Iterable[pb.ClientMessage]]
_LOST = 1011


class Between:
    """A WebSocket proxy that knows what it carries; a block.

    Args:
        far: Address of the real service.

    Attributes:
        to_peer: What becomes of a message to a peer; the peer is None before it has named itself.
        to_service: What becomes of a message of a peer.
    """

    def __init__(self, far: str) -> None:
        self.url = ""
        self.to_peer: ToPeer = lambda _, message: (message,)
        self.to_service: ToService = lambda _, message: (message,)
        self._far = far
        self._peers: dict[ActrId, ServerConnection] = {}
        self._watched: list[tuple[Callable[[ActrId, pb.ClientMessage], bool], _Found]] = []
        self._server: Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await serve(
            self._serve, "127.0.0.1", 0, compression=None, max_size=None, close_timeout=1
        )
        port = next(iter(self._server.sockets)).getsockname()[1]
        self.url = f"ws://127.0.0.1:{port}/v1/ws"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def say(self, peer: ActrId, message: pb.ServerMessage) -> None:
        """Tell a peer something, as if the service had."""
        await self._peers[peer].send(message.SerializeToString())

    async def relay(self, peer: ActrId, relayed: pb.Relayed) -> None:
        """Bring a peer a step, as if somebody had sent it."""
        await self.say(peer, pb.ServerMessage(relayed=relayed))

    async def hears(
        self, wanted: Callable[[ActrId, pb.ClientMessage], bool]
    ) -> tuple[ActrId, pb.ClientMessage]:
        """The next message of a peer that is wanted."""
        found: _Found = asyncio.get_running_loop().create_future()
        entry = wanted, found
        self._watched.append(entry)
        try:
            return await found
        finally:
            self._watched.remove(entry)

    async def _serve(self, peer: ServerConnection) -> None:
        async with connect(self._far, compression=None, max_size=None) as service:

            async def up() -> None:
                who: ActrId | None = None
                async for data in peer:
                    assert isinstance(data, bytes)
                    message = pb.ClientMessage.FromString(data)
                    if message.HasField("authenticate"):
                        who = ActrId.from_message(message.authenticate.id)
                        self._peers[who] = peer
                    assert who is not None
                    for wanted, found in self._watched:
                        if not found.done() and wanted(who, message):
                            found.set_result((who, message))
                    for altered in self.to_service(who, message):
                        await service.send(altered.SerializeToString())
                await service.close()

            async def down() -> None:
                async for data in service:
                    assert isinstance(data, bytes)
                    who = next((one for one, held in self._peers.items() if held is peer), None)
                    for altered in self.to_peer(who, pb.ServerMessage.FromString(data)):
                        await peer.send(altered.SerializeToString())
                code = service.close_code
                await peer.close(_LOST if code in (None, 1005, 1006) else code)

            with suppress(ConnectionClosed):
                await asyncio.gather(up(), down())


_Found = asyncio.Future[tuple[ActrId, pb.ClientMessage]]
