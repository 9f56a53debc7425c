"""What a signaling service says first, to anybody: for who looks for a fault on the way to it."""

from __future__ import annotations

from websockets.exceptions import WebSocketException

from actr_peer.errors import RemoteProtocolError, UnreachableError
from actr_peer.protocol.signaling import messages
from actr_peer.wire.signaling.answered import another_service
from actr_peer.wire.signaling.connection import open_socket


async def greeting(url: str) -> messages.Hello:
    """Connect, upgrade, hear the greeting, and hang up. The caller bounds the time.

    Raises:
        UnreachableError: If what answers is no signaling service, or nobody does.
    """
    try:
        socket = await open_socket(url)
    except (OSError, EOFError, WebSocketException, ValueError) as exc:
        why = another_service(exc) or f"the upgrade came to nothing: {exc}"
        raise UnreachableError(url, why) from exc
    try:
        data = await socket.recv(decode=False)
        _, hello = messages.decode(data) if isinstance(data, bytes) else (0, None)
    except (RemoteProtocolError, WebSocketException) as exc:
        why = f"it takes a WebSocket, and does not greet: {exc}"
        raise UnreachableError(url, why) from exc
    finally:
        socket.transport.abort()
    if not isinstance(hello, messages.Hello):
        raise UnreachableError(url, "it takes a WebSocket, and does not greet as signaling does")
    return hello
