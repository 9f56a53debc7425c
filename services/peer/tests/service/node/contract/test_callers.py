"""Who asks is shown with what its certificate says: to handlers of every kind, and to callbacks."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import actr_peer
from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatClient, ChatService
from actr_peer import (
    ActrId,
    ActrRef,
    CallError,
    Code,
    Context,
    NodeConfig,
    Principal,
    System,
    Tone,
    Trust,
    WireKind,
)
from lab.quiet import Quiet
from peer_kit import block
from peer_kit.links import eventually
from peer_kit.signaling import config, signaling_service
from peer_kit.signaling.holders import Authority

pytestmark = pytest.mark.service

TIMEOUT = 60.0
ROOM, ANN, BEN = (ActrId("acme", name, "1") for name in ("room", "ann", "ben"))


@dataclass
class Room(Quiet):
    """Notes who asked for what."""

    seen: dict[str, Principal] = field(default_factory=dict)
    told: asyncio.Event = field(default_factory=asyncio.Event)

    async def say(self, request: pb.SayRequest, ctx: Context) -> pb.SayReply:
        self.seen[request.text] = ctx.caller
        self.told.set()
        return pb.SayReply(number=1)

    async def presence(
        self, request: pb.PresenceRequest, ctx: Context
    ) -> AsyncIterator[pb.PresenceChange]:
        self.seen["presence"] = ctx.caller
        yield pb.PresenceChange()

    async def upload(self, requests: AsyncIterator[pb.FilePiece], ctx: Context) -> pb.UploadReply:
        self.seen["upload"] = ctx.caller
        return pb.UploadReply()

    async def cursors(
        self, requests: AsyncIterator[pb.CursorMove], ctx: Context
    ) -> AsyncIterator[pb.CursorMove]:
        self.seen["cursors"] = ctx.caller
        yield pb.CursorMove()


class Deaf(Quiet):
    """Never answers."""

    async def say(self, request: pb.SayRequest, ctx: Context) -> pb.SayReply:
        await asyncio.Event().wait()
        raise AssertionError


@dataclass
class Realm:
    """Actors whose ids and claims an issuer vouches for."""

    folder: Path
    url: str
    authority: Authority

    def config(
        self, who: ActrId, kind: WireKind = WireKind.WEBSOCKET, **claims: object
    ) -> NodeConfig:
        folder = self.folder / f"{who.name}-{len(list(self.folder.iterdir()))}"
        identity = self.authority.place(folder, who, claims=claims)
        given = config(who.name, self.url, identity=identity)
        return dataclasses.replace(given, prefer=(kind,))


@asynccontextmanager
async def realm(folder: Path, secret: bytes | None = None) -> AsyncIterator[Realm]:
    async with signaling_service(secret) as url:
        yield Realm(folder, url, Authority())


async def ask_all(ref: ActrRef, whom: ActrId) -> None:
    chat = ChatClient(ref.to(whom))

    async def pieces() -> AsyncIterator[pb.FilePiece]:
        yield pb.FilePiece()

    async def moves() -> AsyncIterator[pb.CursorMove]:
        yield pb.CursorMove()

    await chat.say(pb.SayRequest(text="unary"), timeout=TIMEOUT)
    await chat.upload(pieces(), timeout=TIMEOUT)
    [each async for each in chat.presence(pb.PresenceRequest(), timeout=TIMEOUT)]
    [each async for each in chat.cursors(moves(), timeout=TIMEOUT)]
    await ref.tell(whom, pb.SayRequest(text="tell"), method=ChatService.SAY)


KINDS = {"unary", "upload", "presence", "cursors", "tell"}


@pytest.mark.parametrize("kind", [WireKind.WEBSOCKET, WireKind.WEBRTC])
async def test_every_kind_of_method_sees_the_claims_of_its_caller(
    tmp_path: Path, kind: WireKind
) -> None:
    room = Room()
    async with (
        realm(tmp_path) as here,
        System(here.config(ROOM, kind)).attach(room),
        System(here.config(ANN, kind, role="operator", teams=["a", "b"])).attach(Room()) as ann,
    ):
        await ask_all(ann.ref, ROOM)
        await eventually(lambda: "tell" in room.seen)
    assert set(room.seen) == KINDS
    (caller,) = set(room.seen.values())
    assert len({id(each) for each in room.seen.values()}) == 1, "a reference, not a copy"
    assert caller == ANN
    assert caller.trust is Trust.CERTIFICATE
    assert caller.claims == {"role": "operator", "teams": ("a", "b")}
    assert len(caller.fingerprint) == 64


async def test_without_certificates_nobody_has_claims() -> None:
    room, secret = Room(), b"the realm's secret of these two"
    for trust, extra in ((Trust.DEVELOPMENT, None), (Trust.SECRET, secret)):
        async with signaling_service(extra) as url, AsyncExitStack() as stack:
            given = (config(name, url, realm_secret=extra) for name in ("room", "ann"))
            _, ann = [
                await stack.enter_async_context(System(each).attach(one))
                for each, one in zip(given, (room, Room()), strict=True)
            ]
            await ChatClient(ann.ref.to(ROOM)).say(pb.SayRequest(text="a"), timeout=TIMEOUT)
        assert room.seen["a"] == ANN
        assert room.seen["a"].trust is trust
        assert room.seen["a"].claims == {}


@pytest.mark.parametrize("kind", [WireKind.WEBSOCKET, WireKind.WEBRTC])
async def test_who_needs_no_certificate_here_has_not_the_claims_of_who_showed_one(
    tmp_path: Path, kind: WireKind
) -> None:
    """While a realm goes over, whoever has its secret may be any actor of it."""
    room, secret = Room(), b"the realm's secret of all of them"

    def halfway(given: NodeConfig) -> NodeConfig:
        assert given.identity is not None
        identity = dataclasses.replace(given.identity, is_required=False)
        return dataclasses.replace(given, identity=identity, realm_secret=secret)

    async with realm(tmp_path, secret) as here:
        plain = config("ann", here.url, realm_secret=secret)
        async with System(halfway(here.config(ROOM, kind))).attach(room):
            for text, given in (
                ("ann", halfway(here.config(ANN, kind, role="operator"))),
                ("impostor", dataclasses.replace(plain, prefer=(kind,))),
            ):
                async with System(given).attach(Room()) as node:
                    chat = ChatClient(node.ref.to(ROOM))
                    await chat.say(pb.SayRequest(text=text), timeout=TIMEOUT)
    assert room.seen["impostor"] == ANN
    assert room.seen["impostor"].claims == {}
    assert room.seen["impostor"].trust is not Trust.CERTIFICATE


async def test_claims_of_before_are_nobody_s_where_certificates_are_required_no_more(
    tmp_path: Path,
) -> None:
    room = Room()
    async with realm(tmp_path) as here:
        kept = dataclasses.replace(here.config(ROOM), mailbox_path=tmp_path / "mailbox.db")
        async with (
            System(kept).attach(Room()),
            System(here.config(ANN, role="operator")).attach(Room()) as ann,
        ):
            await ChatClient(ann.ref.to(ROOM)).say(pb.SayRequest(text="a"), timeout=TIMEOUT)
        open_to_all = dataclasses.replace(kept, identity=None)
        async with (
            System(open_to_all).attach(room),
            System(config("ann", here.url)).attach(Room()) as impostor,
        ):
            chat = ChatClient(impostor.ref.to(ROOM))
            await chat.say(pb.SayRequest(text="impostor"), timeout=TIMEOUT)
    assert room.seen["impostor"].claims == {}


async def test_a_call_from_inside_the_process_is_of_the_actor_itself(tmp_path: Path) -> None:
    room = Room()
    async with (
        realm(tmp_path) as here,
        System(here.config(ROOM, role="room")).attach(room) as node,
    ):
        await ask_all(node.ref, ROOM)
        await ChatClient(node.ref.to_self()).say(pb.SayRequest(text="kept"), timeout=TIMEOUT)
        await eventually(lambda: "tell" in room.seen)
    assert set(room.seen) == KINDS | {"kept"}
    assert set(room.seen.values()) == {ROOM}
    assert all(each.claims == {"role": "room"} for each in room.seen.values())


async def test_callbacks_of_streams_and_tracks_are_shown_who_sends(tmp_path: Path) -> None:
    async with realm(tmp_path) as here:
        kind = WireKind.WEBRTC
        async with (
            System(here.config(ROOM, kind)).attach(Room()) as room,
            System(here.config(ANN, kind, role="operator")).attach(Room()) as ann,
        ):
            seen: asyncio.Queue[Principal] = asyncio.Queue()
            room.ref.register_stream("log", lambda chunk, sender: seen.put_nowait(sender))
            room.ref.register_media(None, lambda frame, sender: seen.put_nowait(sender))
            async with asyncio.timeout(TIMEOUT), room.ref.incoming("other") as incoming:
                for channel in ("log", "other"):
                    async with ann.ref.stream(ROOM, channel) as stream:
                        await stream.send(b"x")
                        if channel == "other":
                            sender = (await anext(incoming)).sender
                            assert sender.claims == {"role": "operator"}
                assert (await seen.get()).claims == {"role": "operator"}
                await ann.ref.publish(ROOM, Tone(track_id="tone"), timeout=TIMEOUT)
                assert (await seen.get()).claims == {"role": "operator"}


async def test_a_request_that_waits_through_a_restart_has_the_claims_of_who_sent_it(
    tmp_path: Path,
) -> None:
    room = Room()
    async with realm(tmp_path) as here:
        plain = dataclasses.replace(here.config(ROOM), mailbox_path=tmp_path / "mailbox.db")
        async with AsyncExitStack() as stack:
            deaf = await stack.enter_async_context(System(plain).attach(Deaf()))
            ann = await System(here.config(ANN, role="operator")).attach(Room()).__aenter__()
            await ann.ref.tell(ROOM, pb.SayRequest(text="kept"), method=ChatService.SAY)
            await eventually(lambda: deaf.assembly.mailbox.depth > 0)
            await ann.close()
        async with System(plain).attach(room):
            async with asyncio.timeout(TIMEOUT):
                await room.told.wait()
    assert room.seen["kept"] == ANN
    assert room.seen["kept"].claims == {"role": "operator"}


async def test_the_handler_of_docs_access_md_looks_at_the_claims_of_its_caller(
    tmp_path: Path,
) -> None:
    names = {name: getattr(actr_peer, name) for name in actr_peer.__all__}
    names |= {"KickRequest": pb.KickRequest, "KickReply": pb.KickReply}
    exec(block("docs/access.md", "async def kick"), names)
    door = type("Door", (Quiet,), {"kick": names["kick"]})()
    async with (
        realm(tmp_path) as here,
        System(here.config(ROOM)).attach(door),
        System(here.config(ANN, role="operator")).attach(Room()) as ann,
        System(here.config(BEN, role="guest")).attach(Room()) as ben,
    ):
        await ChatClient(ann.ref.to(ROOM)).kick(pb.KickRequest(), timeout=TIMEOUT)
        with pytest.raises(CallError, match="ben@1:default is no operator") as caught:
            await ChatClient(ben.ref.to(ROOM)).kick(pb.KickRequest(), timeout=TIMEOUT)
        assert caught.value.code is Code.PERMISSION_DENIED
