"""Access rules between real actors: every way of asking, and what waits while rules change."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatClient, ChatService
from actr_peer import (
    AccessRule,
    ActrId,
    ActrRef,
    BrokenError,
    CallError,
    Code,
    Context,
    NodeConfig,
    System,
    Tone,
    WireKind,
)
from actr_peer.service import Caller, Method
from lab.quiet import Quiet
from peer_kit.links import eventually
from peer_kit.signaling import config, signaling_service
from peer_kit.signaling.holders import Authority

pytestmark = pytest.mark.service

ALLOWED = AccessRule("allow", ["acme:friend@*"])
TIMEOUT = 60.0


@dataclass
class Room(Quiet):
    """Notes who came in."""

    seen: list[str] = field(default_factory=list)
    called: asyncio.Event = field(default_factory=asyncio.Event)

    async def say(self, request: pb.SayRequest, ctx: Context) -> pb.SayReply:
        self.seen.append(f"{ctx.caller.name} {request.text}")
        self.called.set()
        return pb.SayReply(number=1)

    async def presence(
        self, request: pb.PresenceRequest, ctx: Context
    ) -> AsyncIterator[pb.PresenceChange]:
        self.seen.append(f"{ctx.caller.name} presence")
        yield pb.PresenceChange()

    async def upload(self, requests: AsyncIterator[pb.FilePiece], ctx: Context) -> pb.UploadReply:
        self.seen.append(f"{ctx.caller.name} upload")
        return pb.UploadReply()

    async def cursors(
        self, requests: AsyncIterator[pb.CursorMove], ctx: Context
    ) -> AsyncIterator[pb.CursorMove]:
        self.seen.append(f"{ctx.caller.name} cursors")
        yield pb.CursorMove()


@dataclass
class Met:
    room: Room
    ref: ActrRef
    """The room's own."""
    friend: ActrRef
    stranger: ActrRef


@asynccontextmanager
async def met(
    *rules: AccessRule, prefer: tuple[WireKind, ...] = (WireKind.WEBSOCKET,)
) -> AsyncIterator[Met]:
    room = Room()
    async with signaling_service() as url:

        def of(name: str) -> NodeConfig:
            return dataclasses.replace(config(name, url), prefer=prefer)

        async with (
            System(dataclasses.replace(of("room"), access=rules)).attach(room) as here,
            System(of("friend")).attach(Room()) as friend,
            System(of("stranger")).attach(Room()) as stranger,
        ):
            yield Met(room, here.ref, friend.ref, stranger.ref)


async def pieces() -> AsyncIterator[pb.FilePiece]:
    yield pb.FilePiece()


async def moves() -> AsyncIterator[pb.CursorMove]:
    yield pb.CursorMove()


async def ask(caller: Caller, kind: str) -> None:
    chat = ChatClient(caller)
    match kind:
        case "unary":
            await chat.say(pb.SayRequest(text="unary"), timeout=TIMEOUT)
        case "upload":
            await chat.upload(pieces(), timeout=TIMEOUT)
        case "presence":
            [each async for each in chat.presence(pb.PresenceRequest(), timeout=TIMEOUT)]
        case _:
            [each async for each in chat.cursors(moves(), timeout=TIMEOUT)]


@pytest.mark.parametrize("kind", ["unary", "upload", "presence", "cursors"])
async def test_every_kind_of_method_is_for_those_whom_a_rule_allows(kind: str) -> None:
    async with met(ALLOWED) as all_of_them:
        with pytest.raises(CallError, match="stranger@1:default may not ask acme:room") as caught:
            await ask(all_of_them.stranger.to(all_of_them.ref.id), kind)
        assert caught.value.code is Code.PERMISSION_DENIED
        await ask(all_of_them.friend.to(all_of_them.ref.id), kind)
        await ask(all_of_them.ref, kind)  # its own code
        assert [line.split()[0] for line in all_of_them.room.seen] == ["friend", "room"]
        assert all_of_them.ref.node.assembly.dispatcher.counts.denied == 1
        assert all_of_them.ref.node.assembly.mailbox.depth == 0


async def test_who_is_refused_does_not_learn_which_methods_there_are() -> None:
    async with met(ALLOWED) as all_of_them:
        there = all_of_them.ref.id
        with pytest.raises(CallError, match="may not ask") as caught:
            await all_of_them.stranger.call(there, pb.SayRequest(), method=UNKNOWN, timeout=TIMEOUT)
        assert caught.value.code is Code.PERMISSION_DENIED


UNKNOWN = dataclasses.replace(ChatService.SAY, route_key="demo.Chat.Nothing")


async def test_a_tell_that_is_refused_does_not_run() -> None:
    async with met(ALLOWED) as all_of_them:
        there = all_of_them.ref.id
        await all_of_them.stranger.tell(there, pb.SayRequest(text="no"), method=ChatService.SAY)
        with pytest.raises(CallError):  # comes after it, on the same lane
            await ask(all_of_them.stranger.to(there), "unary")
        await all_of_them.friend.tell(there, pb.SayRequest(text="yes"), method=ChatService.SAY)
        async with asyncio.timeout(TIMEOUT):
            await all_of_them.room.called.wait()
        assert all_of_them.room.seen == ["friend yes"]


async def test_a_channel_is_for_those_whom_a_rule_allows() -> None:
    async with met(ALLOWED) as all_of_them:
        there = all_of_them.ref
        async with there.incoming("log") as incoming:
            with pytest.raises(BrokenError, match="takes no more"):
                await flood(all_of_them.stranger, there.id)
            async with all_of_them.friend.stream(there.id, "log") as s:
                await s.send(b"yes")
                stream = await anext(incoming)
                assert (await anext(stream)).data == b"yes"
                assert stream.sender == all_of_them.friend.id


async def flood(sender: ActrRef, remote: ActrId) -> None:
    async with asyncio.timeout(TIMEOUT), sender.stream(remote, "log") as s:
        while True:
            await s.send(b"no")


async def test_tracks_are_shown_of_those_whom_a_rule_allows() -> None:
    async with met(ALLOWED, prefer=(WireKind.WEBRTC,)) as all_of_them:
        there = all_of_them.ref
        senders: asyncio.Queue[str] = asyncio.Queue()
        there.register_media(None, lambda frame, sender: senders.put_nowait(sender.name))
        await all_of_them.stranger.publish(there.id, Tone(track_id="no"), timeout=TIMEOUT)
        await eventually(lambda: there.node.assembly.access.unheard > 0)  # they have come, and gone
        assert senders.empty()
        await all_of_them.friend.publish(there.id, Tone(track_id="yes"), timeout=TIMEOUT)
        async with asyncio.timeout(TIMEOUT):
            assert await senders.get() == "friend"


async def test_what_waits_in_the_mailbox_keeps_to_the_rules_of_the_day_on_which_it_runs(
    tmp_path: Path,
) -> None:
    room = Room()
    async with signaling_service() as url:
        plain = dataclasses.replace(config("room", url), mailbox_path=tmp_path / "mailbox.db")
        kept = dataclasses.replace(config("stranger", url), mailbox_path=tmp_path / "stranger.db")
        async with System(kept).attach(Room()) as stranger:
            async with System(plain).attach(Deaf()) as here:
                begun = asyncio.create_task(
                    stranger.ref.call(
                        here.id,
                        pb.SayRequest(text="old"),
                        method=ChatService.SAY,
                        timeout=TIMEOUT,
                        durable=True,
                    )
                )
                await eventually(lambda: here.assembly.mailbox.depth > 0)
            guarded = dataclasses.replace(plain, access=(ALLOWED,))
            async with System(guarded).attach(room):
                with pytest.raises(CallError, match="stranger@1:default may not ask") as caught:
                    await begun
            assert caught.value.code is Code.PERMISSION_DENIED
    assert room.seen == []


class Deaf(Quiet):
    """Never answers."""

    async def say(self, request: pb.SayRequest, ctx: Context) -> pb.SayReply:
        await asyncio.Event().wait()
        raise AssertionError


@asynccontextmanager
async def guarded(folder: Path, *rules: AccessRule) -> AsyncIterator[Met]:
    """A room whose methods need claims; the friend has them."""
    authority, room = Authority(), Keyed()
    async with signaling_service() as url:

        def of(name: str, **claims: str) -> NodeConfig:
            given = config(name, url)
            identity = authority.place(folder / name, given.id, claims=claims)
            return dataclasses.replace(given, identity=identity)

        async with (
            System(dataclasses.replace(of("room"), access=rules)).attach(room) as here,
            System(of("friend", role="operator")).attach(Room()) as friend,
            System(of("stranger", role="guest")).attach(Room()) as stranger,
        ):
            yield Met(room, here.ref, friend.ref, stranger.ref)


class Keyed(Room):
    """Each of its methods needs a claim."""

    @classmethod
    def method_table(cls) -> Mapping[str, Method[Any, Any]]:
        rows = super().method_table().items()
        return {key: dataclasses.replace(row, requires=("role=operator",)) for key, row in rows}


@pytest.mark.parametrize("kind", ["unary", "upload", "presence", "cursors"])
async def test_every_kind_of_method_is_for_those_who_have_the_claims_that_it_needs(
    kind: str, tmp_path: Path
) -> None:
    async with guarded(tmp_path) as all_of_them:
        with pytest.raises(CallError, match="it needs the claim role=operator") as caught:
            await ask(all_of_them.stranger.to(all_of_them.ref.id), kind)
        assert caught.value.code is Code.PERMISSION_DENIED
        await ask(all_of_them.friend.to(all_of_them.ref.id), kind)
        await ask(all_of_them.ref, kind)  # an actor may always ask itself
        assert [line.split()[0] for line in all_of_them.room.seen] == ["friend", "room"]
        assert all_of_them.ref.node.assembly.dispatcher.counts.denied == 1
        assert all_of_them.ref.node.assembly.mailbox.depth == 0


async def test_a_claim_opens_nothing_that_a_rule_denies(tmp_path: Path) -> None:
    rules = AccessRule("allow", ["*:*@*"]), AccessRule("deny", ["acme:friend@*"])
    async with guarded(tmp_path, *rules) as all_of_them:
        with pytest.raises(CallError, match="may not ask acme:room@1:default") as caught:
            await ask(all_of_them.friend.to(all_of_them.ref.id), "unary")
        assert "claim" not in str(caught.value), "which methods there are is told to nobody else"


async def test_without_certificates_what_needs_a_claim_is_refused_and_the_way_out_named() -> None:
    room = Keyed()
    async with (
        signaling_service() as url,
        System(config("room", url)).attach(room) as here,
        System(config("friend", url)).attach(Room()) as friend,
    ):
        with pytest.raises(CallError, match=r"realm.trust is development\): give both") as caught:
            await ask(friend.ref.to(here.id), "unary")
        assert caught.value.code is Code.PERMISSION_DENIED
        await ask(here.ref, "unary")
    assert room.seen == ["room unary"]


async def test_what_waits_through_a_restart_is_looked_at_with_the_claims_of_who_sent_it(
    tmp_path: Path,
) -> None:
    authority, room = Authority(), Keyed()
    async with signaling_service() as url:

        def of(name: str, **claims: str) -> NodeConfig:
            given = config(name, url)
            identity = authority.place(tmp_path / name, given.id, claims=claims)
            return dataclasses.replace(given, identity=identity)

        plain = dataclasses.replace(of("room"), mailbox_path=tmp_path / "mailbox.db")
        async with System(plain).attach(Deaf()) as here:
            roles = ("stranger", "guest"), ("friend", "operator")
            for count, (name, role) in enumerate(roles, start=1):
                async with System(of(name, role=role)).attach(Room()) as sender:
                    words = pb.SayRequest(text="old")
                    await sender.ref.tell(here.id, words, method=ChatService.SAY)
                    await eventually(lambda most=count: here.assembly.mailbox.depth == most)
        async with System(plain).attach(room) as here:
            async with asyncio.timeout(TIMEOUT):
                await room.called.wait()
            await eventually(lambda: here.assembly.mailbox.depth == 0)
            assert here.assembly.access.refused == 1
    assert room.seen == ["friend old"]


async def test_the_rules_of_the_issuer_hold_beside_the_own_ones_and_change_while_it_runs(
    tmp_path: Path,
) -> None:
    authority, room, file = Authority(), Room(), tmp_path / "access.json"
    authority.rule(file, 1, {"effect": "allow", "callers": ["*:*@*"], "claims": ["role=operator"]})
    async with signaling_service() as url:

        def of(name: str, **claims: str) -> NodeConfig:
            given = config(name, url)
            identity = authority.place(tmp_path / name, given.id, claims=claims)
            return dataclasses.replace(given, identity=identity)

        plain = of("room")
        assert plain.identity is not None
        identity = dataclasses.replace(plain.identity, access_file=file, access_every=0.05)
        denied = AccessRule("deny", ["acme:*@*"], ["demo.Chat.Kick"])
        bounded = dataclasses.replace(plain, identity=identity, access=(denied,))
        async with (
            System(bounded).attach(room) as here,
            System(of("friend", role="operator")).attach(Room()) as friend,
            System(of("stranger", role="guest")).attach(Room()) as stranger,
        ):
            await ask(friend.ref.to(here.id), "unary")
            with pytest.raises(CallError, match="may not ask"):
                await ask(stranger.ref.to(here.id), "unary")
            with pytest.raises(CallError, match="may not ask"):
                await ChatClient(friend.ref.to(here.id)).kick(pb.KickRequest(), timeout=TIMEOUT)
            authority.rule(file, 2)
            access = here.assembly.access
            await eventually(lambda: access.refusal(friend.id, "demo.Chat.Say") is not None)
            authority.rule(file, 3, {"effect": "allow", "callers": ["acme:stranger@*"]})
            await eventually(lambda: access.refusal(stranger.id, "demo.Chat.Say") is None)
            await ask(stranger.ref.to(here.id), "unary")
    assert room.seen == ["friend unary", "stranger unary"]


async def test_before_the_rules_of_the_issuer_are_known_nobody_may_ask(tmp_path: Path) -> None:
    authority = Authority()
    async with signaling_service() as url:
        given = config("room", url)
        identity = authority.place(tmp_path / "room", given.id)
        identity = dataclasses.replace(identity, access_file=tmp_path / "nowhere.json")
        bounded = dataclasses.replace(given, identity=identity)
        async with System(bounded).attach(Room()) as here:
            access = here.assembly.access
            refused = access.refusal(ActrId("acme", "friend", "1"), "demo.Chat.Say")
            assert refused is not None
            assert access.refusal(here.id, "demo.Chat.Say") is None, "it may ask itself"
