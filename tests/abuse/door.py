"""A peer's door as a side of the abuse test: one actor, and fifty honest ones that call it.

The actor listens in development mode, as anybody's first one does: whoever comes may say that it
is any actor. So members are strangers that know the handshake.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from actr.demo import chat_pb2
from actr.demo.chat_actr import ChatClient
from actr_peer import ActrId, NodeConfig, System, WireKind
from actr_peer.protocol.webrtc.candidates import AddressRule
from actr_peer.wire.websocket.wires import WebSocketWires
from lab.processes import child
from tests.abuse.door_abuses import ABUSES
from tests.abuse.door_peer import ROOM, Room
from tests.abuse.side import Act, Service, Side

NEWCOMERS = 5
"""Of the honest actors: they dial, prove who they are, and go, again and again."""


@asynccontextmanager
async def serve() -> AsyncIterator[Service]:
    """The actor in its own process, and a signaling service in another, which nobody abuses."""
    env = {"ACTR_SIGNALING__LISTEN": "127.0.0.1:0", "ACTR_SIGNALING__LOG_LEVEL": "error"}
    async with child(["actr_signaling"], env=env) as signaling:
        url = (await signaling.line())["url"]
        async with child(["tests.abuse.door_peer", url]) as peer:
            ready = await peer.line()
            yield Service(address=f"{ready['address']}#{url}", pid=peer.pid)


def calling(client: ChatClient) -> Act:
    request = chat_pb2.SayRequest(text="x" * 100)

    async def act() -> None:
        await client.say(request, timeout=5)

    return act


def coming_and_going(wires: WebSocketWires, url: str) -> Act:
    async def act() -> None:
        wire = await wires.dial(ROOM, url)
        wire.abort()

    return act


@asynccontextmanager
async def crowd(address: str, count: int) -> AsyncIterator[Sequence[Act]]:
    url, _, signaling = address.partition("#")
    acts: list[Act] = []
    async with AsyncExitStack() as stack:
        for number in range(count - NEWCOMERS):
            config = NodeConfig(
                id=ActrId("honest", "peer", str(number)),
                signaling_url=signaling,
                prefer=(WireKind.WEBSOCKET,),
                listen=None,
                durability="memory",
            )
            node = await stack.enter_async_context(System(config).attach(Room()))
            acts.append(calling(ChatClient(node.ref.to(ROOM))))
            await acts[-1]()
        for number in range(NEWCOMERS):
            wires = WebSocketWires(
                self_id=ActrId("honest", "newcomer", str(number)),
                listen=None,
                on_wire=lambda wire: None,
                secret=None,
                rule=AddressRule(allow_loopback=True),
            )
            acts.append(coming_and_going(await stack.enter_async_context(wires), url))
        yield acts


SIDE = Side(serve=serve, crowd=crowd, abuses=ABUSES)
