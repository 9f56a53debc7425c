"""The least that relays: ``python -m bench.network.signaling.rivals WHICH``; says its port.

A message is a target's name and bytes; the target gets the sender's name and the bytes. Nobody is
asked who he is, nothing is counted, no bound is kept and no receipt is given.
"""

from __future__ import annotations

import contextlib
import json
import socket
import sys

import uvicorn
import uvloop
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    ws_create_server,
)

from bench.network.signaling.dialects import NAME_BYTES, padded

here: dict[bytes, WSTransport] = {}
sockets: dict[bytes, WebSocket] = {}


class Relay(WSListener):
    """One connection."""

    def __init__(self, name: bytes) -> None:
        self._name = name

    def on_ws_connected(self, transport: WSTransport) -> None:
        here[self._name] = transport

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        del here[self._name]

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.BINARY:
            data = frame.get_payload_as_bytes()
            to, body = data[:NAME_BYTES], self._name + data[NAME_BYTES:]
            target = here.get(to)
            if target is not None:
                target.send(WSMsgType.BINARY, body)
            else:
                self.send_on(to, body)

    def send_on(self, to: bytes, body: bytes) -> None:
        """Whoever is not here gets nothing."""


def _admit(request: WSUpgradeRequest) -> Relay:
    return Relay(request.path.rpartition(b"/")[2].ljust(NAME_BYTES))


async def picows(listener: socket.socket) -> None:
    server = await ws_create_server(_admit, sock=listener)
    await server.serve_forever()


async def fastapi(listener: socket.socket) -> None:
    app = FastAPI()

    @app.websocket("/ws/{name}")
    async def relay(websocket: WebSocket, name: str) -> None:
        await websocket.accept()
        own = padded(name)
        sockets[own] = websocket
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                data = await websocket.receive_bytes()
                target = sockets.get(data[:NAME_BYTES])
                if target is not None:
                    await target.send_bytes(own + data[NAME_BYTES:])

    config = uvicorn.Config(app, ws="websockets-sansio", log_config=None)
    await uvicorn.Server(config).serve(sockets=[listener])


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    listener.setblocking(False)  # noqa: FBT003 - the library's
    sys.stdout.write(json.dumps({"port": listener.getsockname()[1]}) + "\n")
    sys.stdout.flush()
    uvloop.run({"picows": picows, "fastapi": fastapi}[sys.argv[1]](listener))


if __name__ == "__main__":
    main()
