"""What a client says to each of the services: its upgrade, how it joins, and its one message.

Everything that is sent under load is written once, as a whole masked frame, so that the load costs
little beside the service.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from hmac import digest

from actr import envelope_pb2
from actr import signaling_pb2 as pb

PAYLOAD_BYTES = 1_500
NAME_BYTES = 8
_TEXT, _BINARY = 1, 2
_MASK = b"\x5a\xc3\x1f\x88"
BEAT = 10.0
"""Seconds between two heartbeats: what the service asks for by default."""
SECRET = b"a secret of the benchmark's realm"
Say = Callable[[bytes], None]


def frame(opcode: int, payload: bytes) -> bytes:
    """One whole masked frame."""
    length = len(payload)
    if length > 125:
        head = bytes((0x80 | opcode, 0x80 | 126)) + length.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, 0x80 | length))
    masks = (_MASK * (length // 4 + 1))[:length]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(masks, "big")
    return head + _MASK + masked.to_bytes(length, "big")


def padded(name: str) -> bytes:
    """A name as bare relays have it before each message."""
    return name.encode().ljust(NAME_BYTES)


class Bare:
    """Bytes to a name, from a name; who is connected has joined."""

    def path(self, name: str) -> str:
        return f"/ws/{name}"

    def greet(self, say: Say) -> bool:
        """After the upgrade; True: it has joined."""
        del say
        return True

    def joins(self, name: str, payload: bytes, say: Say) -> bool:
        """Take a message of the service before it has joined; True: it has."""
        raise NotImplementedError

    def message(self, to: str) -> bytes:
        return frame(_BINARY, padded(to) + b"x" * PAYLOAD_BYTES)

    def beat(self) -> bytes:
        """What an idle one says every :data:`BEAT`; nothing, where that is not asked for."""
        return b""


class Peer(Bare):
    """npm's ``peer``: JSON."""

    def path(self, name: str) -> str:
        return f"/peerjs?key=peerjs&id={name}&token=t"

    def greet(self, say: Say) -> bool:
        del say
        return False

    def joins(self, name: str, payload: bytes, say: Say) -> bool:
        del name, say
        return b'"OPEN"' in payload

    def message(self, to: str) -> bytes:
        body = {"type": "OFFER", "dst": to, "payload": {"sdp": "x" * PAYLOAD_BYTES}}
        return frame(_TEXT, json.dumps(body, separators=(",", ":")).encode())


class SocketIo(Peer):
    """socket.io 4: an event with two arguments, in text."""

    def path(self, name: str) -> str:
        return f"/socket.io/?EIO=4&transport=websocket&name={name}"

    def joins(self, name: str, payload: bytes, say: Say) -> bool:
        del name
        if payload.startswith(b"0"):
            say(frame(_TEXT, b"40"))
        return payload.startswith(b"40")

    def message(self, to: str) -> bytes:
        event = json.dumps(["relay", to, "x" * PAYLOAD_BYTES], separators=(",", ":"))
        return frame(_TEXT, b"42" + event.encode())


class Actr(Bare):
    """This project's service, with or without a realm secret."""

    def __init__(self, *, has_secret: bool = False) -> None:
        self._has_secret = has_secret

    def path(self, name: str) -> str:
        del name
        return "/v1/ws"

    def greet(self, say: Say) -> bool:
        del say
        return False

    def joins(self, name: str, payload: bytes, say: Say) -> bool:
        message = pb.ServerMessage.FromString(payload)
        match message.WhichOneof("body"):
            case "hello":
                mac = self._proof(message.hello, name) if self._has_secret else b""
                step = pb.Authenticate(id=_id(name), mac=mac)
                say(_wire(pb.ClientMessage(id=1, authenticate=step)))
            case "authenticated":
                say(_wire(pb.ClientMessage(id=2, register=pb.Register(id=_id(name)))))
            case "registered":
                return True
            case other:
                raise RuntimeError(f"{other} in place of joining: {message}")
        return False

    def _proof(self, hello: pb.ServerHello, name: str) -> bytes:
        text = b"actr/signaling/v1" + hello.server_id.encode() + hello.nonce
        return digest(SECRET, text + f"b:{name}@1:default".encode(), sha256)

    def message(self, to: str) -> bytes:
        offer = pb.SessionDescription(sdp="x" * PAYLOAD_BYTES)
        step = pb.Negotiate(connection_id="c", offer=offer)
        return _wire(pb.ClientMessage(id=3, relay=pb.Relay(to=_id(to), negotiate=step)))

    def beat(self) -> bytes:
        return _wire(pb.ClientMessage(id=4, heartbeat=pb.Heartbeat()))


def _wire(message: pb.ClientMessage) -> bytes:
    return frame(_BINARY, message.SerializeToString())


def _id(name: str) -> envelope_pb2.ActrId:
    return envelope_pb2.ActrId(manufacturer="b", name=name, instance="1", realm="default")


DIALECTS: dict[str, Bare] = {
    "actr": Actr(),
    "actr, secret": Actr(has_secret=True),
    "picows": Bare(),
    "fastapi": Bare(),
    "ws": Bare(),
    "peer": Peer(),
    "socket.io": SocketIo(),
}
