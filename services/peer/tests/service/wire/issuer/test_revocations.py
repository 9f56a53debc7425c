"""A revoked actor is out: a real issuer, a real signaling service, and both kinds of wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatClient
from actr_peer import ActrId, Context, Hooks, IdentityConfig, Node, NodeConfig, System, WireKind
from actr_peer.errors import CertificateError, CertificateFault, PeerError
from actr_peer.node.sinks import RefusalEvent
from actr_peer.protocol.session.wires.policy import WireState
from lab.quiet import Quiet
from peer_kit.signaling import SignalingService
from peer_kit.signaling.running import RealIssuer

pytestmark = [pytest.mark.service, pytest.mark.timeout(180)]

ROOM, GUEST, FRIEND = (ActrId("acme", name, "1") for name in ("room", "guest", "friend"))
BOTH = WireKind.WEBRTC, WireKind.WEBSOCKET


class Chat(Quiet, Hooks):
    """Answers a say when it is let, and remembers whom it was told not to believe."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[str] = asyncio.Queue()
        self.let = asyncio.Event()
        self.refused: asyncio.Queue[RefusalEvent] = asyncio.Queue()
        self.failed: asyncio.Queue[BaseException] = asyncio.Queue()

    async def say(self, request: pb.SayRequest, ctx: Context) -> pb.SayReply:
        self.asked.put_nowait(request.text)
        await self.let.wait()
        return pb.SayReply(number=1)

    async def on_refusal(self, event: RefusalEvent) -> None:
        self.refused.put_nowait(event)

    async def on_error(self, error: BaseException) -> None:
        self.failed.put_nowait(error)


class World:
    """Everything that is real, and the settings of who joins it."""

    def __init__(self, issuer: RealIssuer, signaling: SignalingService, folder: Path) -> None:
        self.issuer, self.signaling, self._folder = issuer, signaling, folder

    @asynccontextmanager
    async def actor(
        self, who: ActrId, prefer: tuple[WireKind, ...], *, by_file: bool = False
    ) -> AsyncIterator[tuple[Node, Chat]]:
        made = await self.issuer.do("token", "new", f"{who.actr_type}@{who.instance}")
        token = self._folder / f"{who.name}.token"
        token.write_text(made["token"])
        config = NodeConfig(
            id=who,
            signaling_url=self.signaling.url,
            prefer=prefer,
            listen="127.0.0.1:0",
            start_timeout=60,
            identity=IdentityConfig(
                issuer_url=self.issuer.url,
                join_token=token,
                revoked=self.issuer.public / "revoked.json" if by_file else None,
                revoked_every=0.2,
            ),
        )
        chat = Chat()
        async with System(config).attach(chat) as node:
            yield node, chat


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with RealIssuer(tmp_path / "issuer", PUBLISH_AHEAD="0") as issuer:
        public = issuer.public
        keys, revoked = str(public / "keys.json"), str(public / "revoked.json")
        service = SignalingService(None, ISSUER_KEYS=keys, REVOKED=revoked, PRODUCTION="true")
        async with service as signaling:
            yield World(issuer, signaling, tmp_path)


def saying(node: Node, whom: ActrId) -> asyncio.Task[pb.SayReply]:
    client = ChatClient(node.ref.to(whom))
    return asyncio.create_task(client.say(pb.SayRequest(text=str(node.id)), timeout=120))


async def has_wire(node: Node, whom: ActrId, kind: WireKind) -> None:
    """Wait until a kind of wire is ready."""
    while True:
        link = node.view().link(whom)
        if link is not None and any(
            wire.kind is kind and wire.state is WireState.READY for wire in link.wires
        ):
            return
        await asyncio.sleep(0.02)


async def told_of_link(chat: Chat) -> RefusalEvent:
    while True:
        event = await chat.refused.get()
        if event.what == "link":
            return event


@pytest.mark.parametrize(
    ("prefer", "by_file"),
    [((WireKind.WEBRTC,), False), ((WireKind.WEBSOCKET,), True), (BOTH, False)],
    ids=["webrtc", "websocket", "both"],
)
async def test_a_revoked_actor_is_out_where_signaling_is_up(
    world: World, prefer: tuple[WireKind, ...], *, by_file: bool
) -> None:
    async with (
        asyncio.timeout(150),
        world.actor(ROOM, prefer, by_file=by_file) as (room, chat),
        world.actor(GUEST, prefer) as (guest, own),
        world.actor(FRIEND, prefer) as (friend, _),
    ):
        asked, beside = saying(room, GUEST), saying(friend, ROOM)
        await own.asked.get()
        await chat.asked.get()
        asking = saying(guest, ROOM)
        for kind in prefer:
            await has_wire(room, GUEST, kind)
        await world.issuer.do("revoke", "acme:guest@1")
        with pytest.raises(CertificateError) as ended:
            await asked
        assert ended.value.fault is CertificateFault.REVOKED
        event = await told_of_link(chat)
        assert (event.remote, event.why) == (GUEST, str(ended.value))
        assert room.view().link(GUEST) is None
        for again in (saying(room, GUEST), saying(guest, ROOM)):
            with pytest.raises((PeerError, TimeoutError)):
                await asyncio.wait_for(again, 5)
        assert not beside.done(), "who is honest notices nothing"
        chat.let.set()
        assert (await beside).number == 1
        asking.cancel()


async def test_a_revoked_actor_is_out_where_signaling_is_down(world: World) -> None:
    async with (
        asyncio.timeout(150),
        world.actor(ROOM, BOTH) as (room, chat),
        world.actor(GUEST, BOTH) as (guest, own),
    ):
        asked = saying(room, GUEST)
        await own.asked.get()
        for kind in BOTH:
            await has_wire(room, GUEST, kind)
        address = room.assembly.network.websocket.address
        await world.signaling.stop(is_killed=True)
        await world.issuer.do("revoke", "acme:guest@1")
        with pytest.raises(CertificateError) as ended:
            await asked
        assert ended.value.fault is CertificateFault.REVOKED
        assert (await told_of_link(chat)).remote == GUEST
        with pytest.raises(PeerError, match="has revoked"):
            await guest.assembly.network.websocket.dial(ROOM, address)
        with pytest.raises(CertificateError, match="has revoked"):
            await room.assembly.network.websocket.dial(
                GUEST, guest.assembly.network.websocket.address
            )


async def test_an_issuer_that_is_away_ends_nobody(world: World) -> None:
    async with (
        asyncio.timeout(150),
        world.actor(ROOM, BOTH) as (_, chat),
        world.actor(GUEST, BOTH) as (guest, _),
    ):
        before = saying(guest, ROOM)
        await chat.asked.get()
        await world.issuer.stop()
        assert "the issuer" in str(await chat.failed.get())
        chat.let.set()
        assert (await before).number == 1
        assert (await saying(guest, ROOM)).number == 1
