"""The least that relays between two processes through Redis: ``shared PORT OWN OTHER``.

As :mod:`bench.network.signaling.rivals`' picows, and what one turn of the loop has for the other
process goes in one publish. Who is where is not known: what is for nobody here goes there.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import Iterator

import hiredis
import uvloop
from picows import WSMsgType, WSUpgradeRequest, ws_create_server

from bench.network.signaling import rivals
from bench.network.signaling.dialects import NAME_BYTES
from bench.network.signaling.rivals import here

_LENGTH = 4


class Redis(asyncio.Protocol):
    """Two ways of one connection each: publishes to the other, and what it has published."""

    def __init__(self, subscribe: bytes = b"", publish: bytes = b"") -> None:
        self._subscribe = subscribe
        self._publish = publish
        self._reader = hiredis.Reader()
        self._waiting: list[bytes] = []
        self._is_asked = False
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        if self._subscribe:
            transport.write(_packed(b"SUBSCRIBE", self._subscribe))

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (answer := self._reader.gets()) is not False:
            if isinstance(answer, list) and answer[0] == b"message":
                for to, body in _messages(answer[2]):
                    if to in here:
                        here[to].send(WSMsgType.BINARY, body)
            elif isinstance(answer, int):
                self._is_asked = False
                self._flush()

    def pass_on(self, message: bytes) -> None:
        self._waiting.append(len(message).to_bytes(_LENGTH, "big") + message)
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        if self._waiting and not self._is_asked:
            batch, self._waiting = b"".join(self._waiting), []
            self._is_asked = True
            self.transport.write(_packed(b"PUBLISH", self._publish, batch))


def _packed(*command: bytes) -> bytes:
    heads = (b"$%d\r\n%b\r\n" % (len(part), part) for part in command)
    return b"*%d\r\n" % len(command) + b"".join(heads)


def _messages(batch: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(batch):
        start = at + _LENGTH
        at = start + int.from_bytes(batch[at:start], "big")
        yield batch[start : start + NAME_BYTES], batch[start + NAME_BYTES : at]


class Relay(rivals.Relay):
    """One connection; whoever is not here may be at the other service."""

    def __init__(self, name: bytes, other: Redis) -> None:
        super().__init__(name)
        self._other = other

    def send_on(self, to: bytes, body: bytes) -> None:
        self._other.pass_on(to + body)


async def serve(port: int, own: str, other: str) -> None:
    """One of the two; says its port."""
    loop = asyncio.get_running_loop()
    publisher, subscriber = Redis(publish=other.encode()), Redis(subscribe=own.encode())
    await loop.create_connection(lambda: publisher, "127.0.0.1", port)
    await loop.create_connection(lambda: subscriber, "127.0.0.1", port)

    def admit(request: WSUpgradeRequest) -> Relay:
        return Relay(request.path.rpartition(b"/")[2].ljust(NAME_BYTES), publisher)

    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    listener.setblocking(False)  # noqa: FBT003 - the library's
    sys.stdout.write(json.dumps({"port": listener.getsockname()[1]}) + "\n")
    sys.stdout.flush()
    server = await ws_create_server(admit, sock=listener)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
