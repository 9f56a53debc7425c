"""What a capture of all bytes holds: of signaling, of both kinds of wire, of a TURN server."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatClient
from actr_peer import Context, WireKind
from actr_peer.protocol.webrtc.candidates import AddressRule
from actr_peer.protocol.webrtc.negotiation import IceServer
from lab.processes import signaling
from tests.adversary.attack import Attacks, Refusal, SucceededError, demand
from tests.adversary.attacks.certificates import port_of
from tests.adversary.people import ALICE, VICTOR, Victim, actor
from tests.adversary.recorder import TcpRecorder, UdpRecorder
from tests.adversary.world import World, free_port

ASKED = "what nobody else shall read, of a call"
ANSWERED = "what nobody else shall read, of its answer"
STREAMED = "what nobody else shall read, of a stream"
SENT = b"what nobody else shall read, of an upload " * 200
MARKERS = (ASKED.encode(), ANSWERED.encode(), STREAMED.encode(), SENT[:42])
LONG = 16
"""Bytes of a marker that is nowhere by chance, whatever mask it is behind."""
LOOPBACK = AddressRule(allow_loopback=True)


class Teller(Victim):
    """Says what is looked for in the capture."""

    def __init__(self, world: World) -> None:
        super().__init__(VICTOR, world)
        self.heard: list[bytes] = []

    async def say(self, request: pb.SayRequest, ctx: Context) -> pb.SayReply:
        self.heard.append(request.text.encode())
        return pb.SayReply(number=1)

    async def history(self, request: pb.HistoryRequest, ctx: Context) -> pb.HistoryReply:
        return pb.HistoryReply(messages=[pb.ChatMessage(text=ANSWERED)])

    async def messages(
        self, request: pb.MessagesRequest, ctx: Context
    ) -> AsyncIterator[pb.ChatMessage]:
        for _ in range(20):
            yield pb.ChatMessage(text=STREAMED)

    async def upload(self, requests: AsyncIterator[pb.FilePiece], ctx: Context) -> pb.UploadReply:
        async for piece in requests:
            self.heard.append(piece.data)
        return pb.UploadReply()


async def exchange(alice: Victim, victor: Teller) -> None:
    """Something of each kind, both ways."""
    room = ChatClient(alice.node.ref.to(VICTOR))
    await room.say(pb.SayRequest(author="a", text=ASKED))
    (told,) = (await room.history(pb.HistoryRequest())).messages
    streamed = [item.text async for item in room.messages(pb.MessagesRequest())]

    async def pieces() -> AsyncIterator[pb.FilePiece]:
        for _ in range(4):
            yield pb.FilePiece(data=SENT)

    await room.upload(pieces())
    demand(told.text == ANSWERED and streamed == [STREAMED] * 20, "what was said did not come")
    demand(victor.heard == [ASKED.encode(), *[SENT] * 4], "what was said did not come")


def found(captured: bytes, markers: Sequence[bytes] = MARKERS) -> list[str]:
    """Which of them a capture holds, as they are or behind a mask of WebSocket (RFC 6455, 5.3)."""
    bare = unmasked(captured)
    held = (
        marker
        for marker in markers
        if marker in captured or (len(marker) > LONG and unmasked(marker) in bare)
    )
    return [marker.decode() for marker in held]


def unmasked(data: bytes) -> bytes:
    """What is the same under every mask of four bytes: each byte against the fourth behind it."""
    return bytes(a ^ b for a, b in zip(data, data[4:], strict=False))


def judged(captures: dict[str, bytes]) -> Refusal:
    """Nothing of what was said is in any of them."""
    for name, captured in captures.items():
        demand(len(captured) > 0, f"nothing went by {name}")
        if held := found(captured):
            raise SucceededError(f"{name} holds {held}")
    sizes = ", ".join(f"{len(data)} B of {name}" for name, data in captures.items())
    return Refusal(sizes, "holds nothing of what was said")


@asynccontextmanager
async def tapped(
    world: World, url: str, **more: Any
) -> AsyncIterator[tuple[Victim, Teller, TcpRecorder]]:
    """Both actors; the bytes of Victor's WebSocket wires are recorded."""
    async with (
        TcpRecorder() as wire,
        actor(
            world,
            VICTOR,
            url,
            victim=Teller(world),
            prefer=(WireKind.WEBSOCKET,),
            advertise=f"127.0.0.1:{wire.port}",
            listen=f"127.0.0.1:{(port := free_port())}",
            **more,
        ) as victor,
        actor(world, ALICE, url, prefer=(WireKind.WEBSOCKET,), **more) as alice,
    ):
        wire.far = port
        assert isinstance(victor, Teller)
        yield alice, victor, wire


async def of_websocket(world: World) -> Refusal:
    async with TcpRecorder(port_of(world.signaling[0])) as service:
        url = f"ws://127.0.0.1:{service.port}/v1/ws"
        async with tapped(world, url) as (alice, victor, wire):
            await exchange(alice, victor)
            demand(len(wire.seen) > 4 * len(SENT), f"only {len(wire.seen)} B of the wire")
            # Inside of TLS: the upgrade, ids, certificates.
            names = (b"HTTP/1.1", b"acme", b"eyJ", b"demo.Chat")
            if held := found(bytes(wire.seen), names):
                raise SucceededError(f"the wire holds {held}")
            return judged({"the wire": bytes(wire.seen), "signaling": bytes(service.seen)})


async def in_development(world: World) -> Refusal:
    """Where nobody proves anything the same capture holds all of it: so it can be seen at all."""
    async with (
        signaling() as url,
        tapped(world, url, identity=None, realm_secret=None) as (alice, victor, wire),
    ):
        await exchange(alice, victor)
        held = found(bytes(wire.seen))
        demand(len(held) == len(MARKERS), f"of {len(MARKERS)} only {held}")
        return Refusal(f"{len(wire.seen)} B of the wire", "a control: it holds all that was said")


async def of_turn(world: World) -> Refusal:
    """All of WebRTC goes through a TURN server, which keeps every datagram."""
    async with (
        turn(world.folder) as port,
        UdpRecorder(port) as relay,
        TcpRecorder(port_of(world.signaling[0])) as service,
    ):
        url = f"ws://127.0.0.1:{service.port}/v1/ws"
        server = IceServer(
            urls=(f"turn:127.0.0.1:{relay.port}?transport=udp",),
            username="user",
            credential="right",
        )
        more: dict[str, Any] = {"ice_servers": (server,), "ice_policy": "relay", "reach": LOOPBACK}
        async with AsyncExitStack() as stack:
            made = actor(world, VICTOR, url, victim=Teller(world), **more)
            victor = await stack.enter_async_context(made)
            alice = await stack.enter_async_context(actor(world, ALICE, url, **more))
            assert isinstance(victor, Teller)
            await exchange(alice, victor)
            (wire,) = alice.node.assembly.network.webrtc.wires()
            demand(wire.is_relayed, "WebRTC did not go through the server")
        # It is their connection: names of its ICE are in the descriptions and in the capture.
        names = re.findall(rb"a=ice-ufrag:(\w+)", bytes(service.seen))
        demand(any(name in relay.seen for name in names), "another connection was recorded")
        demand(len(relay.seen) > 4 * len(SENT), f"only {len(relay.seen)} B of the relay")
        return judged({"the relay": bytes(relay.seen), "signaling": bytes(service.seen)})


@asynccontextmanager
async def turn(folder: Path) -> AsyncIterator[int]:
    """A coturn with the user ``user`` and the password ``right``."""
    port = free_port()
    options = {
        "listening-ip": "127.0.0.1",
        "listening-port": port,
        "relay-ip": "127.0.0.1",
        "realm": "test",
        "user": "user:right",
        "log-file": "stdout",
        "userdb": folder / "turn.db",
        "pidfile": folder / "turn.pid",
    }
    flags = ["lt-cred-mech", "no-tls", "no-dtls", "no-cli", "allow-loopback-peers"]
    server = await asyncio.create_subprocess_exec(
        "turnserver",
        "-n",
        *(f"--{key}={value}" for key, value in options.items()),
        *(f"--{flag}" for flag in flags),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert server.stdout is not None
    try:
        while b"Total General servers" not in (line := await server.stdout.readline()):
            demand(bool(line), "the TURN server did not start")
        yield port
    finally:
        with contextlib.suppress(ProcessLookupError):
            server.kill()
        await server.communicate()


ATTACKS: Attacks = {
    "in development mode, as a control": in_development,
    "of a WebSocket wire and signaling": of_websocket,
    **({"of a TURN server and signaling": of_turn} if shutil.which("turnserver") else {}),
}
