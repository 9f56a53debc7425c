"""Actors that reach each other by a relayed wire and by nothing else, through a real service."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatClient, ChatService
from actr_peer import ActrId, Context, Node, NodeConfig, System, WireKind
from actr_peer.errors import PeerError, UnreachableError
from actr_peer.protocol.session.wires.policy import WireState
from actr_peer.protocol.webrtc.negotiation import Join, NegotiateMessage
from actr_peer.wire.relayed.wires import RelayedWires, wire_url
from peer_kit.signaling import SignalingService
from peer_kit.signaling.holders import Authority

pytestmark = [pytest.mark.service, pytest.mark.timeout(120)]

ROOM = ActrId("acme", "room", "1")
GUEST = ActrId("acme", "guest", "1")
SECRET = b"a secret of the realm"


class Room(ChatService):
    def __init__(self) -> None:
        self.lines: list[str] = []

    async def say(self, request: pb.SayRequest, ctx: Context) -> pb.SayReply:
        self.lines.append(request.text)
        return pb.SayReply(number=len(self.lines))

    async def history(self, request: pb.HistoryRequest, ctx: Context) -> pb.HistoryReply:
        return pb.HistoryReply()

    async def kick(self, request: pb.KickRequest, ctx: Context) -> pb.KickReply:
        return pb.KickReply()

    async def messages(
        self, request: pb.MessagesRequest, ctx: Context
    ) -> AsyncIterator[pb.ChatMessage]:
        for number in range(request.test_lines):
            yield pb.ChatMessage(number=number)

    async def upload(self, requests: AsyncIterator[pb.FilePiece], ctx: Context) -> pb.UploadReply:
        digest, size = hashlib.sha256(), 0
        async for piece in requests:
            digest.update(piece.data)
            size += len(piece.data)
        return pb.UploadReply(size_bytes=size, sha256=digest.hexdigest())

    async def presence(
        self, request: pb.PresenceRequest, ctx: Context
    ) -> AsyncIterator[pb.PresenceChange]:
        yield pb.PresenceChange(who="ann", present=True)

    async def cursors(
        self, requests: AsyncIterator[pb.CursorMove], ctx: Context
    ) -> AsyncIterator[pb.CursorMove]:
        async for move in requests:
            yield move


def config(who: ActrId, url: str, **more: Any) -> NodeConfig:
    """An actor without WebRTC, to which no WebSocket can be opened."""
    given = {"prefer": (WireKind.WEBSOCKET,), "listen": None, "call_timeout": 30, **more}
    return NodeConfig(id=who, signaling_url=url, **given)


@asynccontextmanager
async def meeting(
    url: str, more: Sequence[dict[str, Any]] = ({}, {})
) -> AsyncIterator[tuple[Room, ChatClient, Node, Node]]:
    room = Room()
    async with (
        System(config(ROOM, url, **more[0])).attach(room) as there,
        System(config(GUEST, url, **more[1])).attach(Room()) as here,
    ):
        yield room, ChatClient(here.ref.to(ROOM)), here, there


@asynccontextmanager
async def relaying(**settings: str) -> AsyncIterator[str]:
    """The URL of a service that relays wires."""
    given = {"RELAYED_WIRES": "16", "RELAYED_BYTES_PER_SECOND": "100000000", **settings}
    async with SignalingService(None, **given) as service:
        yield service.url


def active(node: Node, remote: ActrId) -> WireKind | None:
    link = node.view().link(remote)
    return None if link is None else link.active


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not is_so():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.05)


async def test_all_four_kinds_of_method_go_by_it_and_both_sides_see_its_kind() -> None:
    async with relaying() as url, meeting(url) as (room, client, here, there):
        assert (await client.say(pb.SayRequest(text="hi"))).number == 1
        pieces = [bytes([n]) * 40_000 for n in range(50)]

        async def upload() -> AsyncIterator[pb.FilePiece]:
            for piece in pieces:
                yield pb.FilePiece(data=piece)

        reply = await client.upload(upload())
        assert reply.sha256 == hashlib.sha256(b"".join(pieces)).hexdigest()
        assert [c.who async for c in client.presence(pb.PresenceRequest())] == ["ann"]
        await client.say(pb.SayRequest(text="x" * 3_000_000))
        assert len(room.lines[1]) == 3_000_000
        back = ChatClient(there.ref.to(GUEST))
        assert (await back.say(pb.SayRequest(text="and back"))).number == 1
        for node, remote in ((here, ROOM), (there, GUEST)):
            link = node.view().link(remote)
            assert link is not None
            assert link.active is WireKind.RELAYED
            kinds = {wire.kind: wire for wire in link.wires}
            assert kinds[WireKind.RELAYED].state is WireState.READY
            assert kinds[WireKind.RELAYED].is_relayed


async def test_calls_under_way_when_it_is_cut_lose_nothing_and_double_nothing() -> None:
    async with relaying() as url, meeting(url) as (room, client, here, there):
        await client.say(pb.SayRequest(text="first"))

        async def say(number: int) -> int:
            reply = await client.say(pb.SayRequest(text=str(number)))
            return reply.number

        for cut in range(3):
            calls = [asyncio.create_task(say(100 * cut + n)) for n in range(100)]
            await calls[10]
            wires = (here if cut % 2 else there).assembly.network.relayed.wires()
            assert wires
            for wire in wires:
                wire._transport.disconnect(graceful=False)  # type: ignore[union-attr]
            numbers = await asyncio.gather(*calls)
            assert len(set(numbers)) == 100
        assert sorted(room.lines[1:], key=int) == [str(n) for n in range(300)]


@pytest.mark.parametrize("trust", ["secret", "certificate"])
async def test_both_ends_prove_who_they_are(trust: str, tmp_path: Path) -> None:
    keys = tmp_path / "issuers.json"
    if trust == "secret":
        (tmp_path / "secret").write_bytes(SECRET)
        settings = {"REALM_SECRET_FILE": str(tmp_path / "secret")}
        more: list[dict[str, Any]] = [{"realm_secret": SECRET}] * 2
    else:
        authority = Authority()
        keys.write_text(authority.file)
        settings = {"ISSUER_KEYS": str(keys)}
        more = [{"identity": authority.place(tmp_path / w.name, w)} for w in (ROOM, GUEST)]
    async with relaying(**settings) as url, meeting(url, more) as (_, client, here, there):
        assert (await client.say(pb.SayRequest(text="hi"))).number == 1
        assert active(here, ROOM) is WireKind.RELAYED
        for node, remote in ((here, ROOM), (there, GUEST)):
            shown = node.assembly.network.relayed.wires()[0].certificate
            assert (shown is not None) is (trust == "certificate")
            assert shown is None or shown.covers(remote)


async def test_who_is_not_believed_gets_no_wire_and_both_sides_say_why(tmp_path: Path) -> None:
    """Two authorities: signaling believes both, an actor only its own."""
    mine, other = Authority(), Authority()
    keys = tmp_path / "issuers.json"
    both = json.loads(mine.file)
    both["keys"] += json.loads(other.file)["keys"]
    keys.write_text(json.dumps(both))
    more = [
        {"identity": mine.place(tmp_path / "room", ROOM)},
        {"identity": other.place(tmp_path / "guest", GUEST)},
    ]
    async with relaying(ISSUER_KEYS=str(keys)) as url, meeting(url, more) as (room, _, here, there):
        with pytest.raises(PeerError):
            await here.assembly.network.relayed.dial(ROOM)
        assert sum(there.assembly.network.relayed.refused.values()) == 1
        assert not room.lines


async def test_the_session_moves_away_when_a_better_wire_comes_up() -> None:
    async with relaying() as url:
        room = Room()
        async with (
            System(config(ROOM, url, listen="127.0.0.1:0")).attach(room) as there,
            System(config(GUEST, url)).attach(Room()) as here,
        ):
            # Its address is on the loopback, which is not tried until the rule allows it.
            websocket, relayed = here.assembly.network.websocket, here.assembly.network.relayed
            rule = websocket._address_rule
            websocket._address_rule = lambda: replace(rule(), allow_loopback=False)  # type: ignore[method-assign]
            client = ChatClient(here.ref.to(ROOM))
            await client.say(pb.SayRequest(text="relayed"))
            assert active(here, ROOM) is WireKind.RELAYED
            websocket._address_rule = rule  # type: ignore[method-assign]
            here.assembly.transport.network_changed()
            await until(lambda: active(here, ROOM) is WireKind.WEBSOCKET)
            await until(lambda: active(there, GUEST) is WireKind.WEBSOCKET)
            await until(lambda: not relayed.wires())
            await client.say(pb.SayRequest(text="direct"))
            assert room.lines == ["relayed", "direct"]


async def test_it_is_not_dialled_where_another_wire_is_there() -> None:
    async with relaying() as url:
        room = Room()
        async with (
            System(config(ROOM, url, listen="127.0.0.1:0")).attach(room) as there,
            System(config(GUEST, url)).attach(Room()) as here,
        ):
            await ChatClient(here.ref.to(ROOM)).say(pb.SayRequest(text="direct"))
            await asyncio.sleep(3)  # longer than the patience of a link without wires
            assert not here.assembly.network.relayed.wires()
            assert not there.assembly.network.relayed.wires()


@pytest.mark.parametrize("who", ["signaling", "dialler", "remote"])
async def test_where_it_is_turned_off_the_link_fails_in_words(who: str) -> None:
    settings = {"RELAYED_WIRES": "0"} if who == "signaling" else {}
    more = [{"relayed": who != "remote"}, {"relayed": who != "dialler"}]
    async with relaying(**settings) as url, meeting(url, more) as (room, client, *_):
        why = r"no WebSocket listener|no relayed wire|has not come"
        with pytest.raises(UnreachableError, match=why):
            await client.say(pb.SayRequest(text="hi"))
        assert not room.lines


async def test_what_signaling_changes_ends_the_wire_and_nothing_gets_through() -> None:
    """A service between that turns one bit: of the sealed proof, and of what comes later."""
    async with relaying() as url, meeting(url) as (room, client, here, _):
        await client.say(pb.SayRequest(text="sound"))
        wire = here.assembly.network.relayed.wires()[0]
        seal = wire._sealing.seal

        def bent(frame: bytes) -> bytes:
            message = bytearray(seal(frame))
            message[-1] ^= 1
            return bytes(message)

        wire._sealing.seal = bent
        reply = await client.say(pb.SayRequest(text="bent"))
        assert reply.number == 2
        assert room.lines == ["sound", "bent"]  # by another wire
        assert here.assembly.network.relayed.wires()[0] is not wire


async def test_an_actor_of_another_realm_comes_where_that_is_allowed() -> None:
    guest = replace(GUEST, realm="other")
    more = {"allowed_realms": ("other",)}
    async with (
        relaying() as url,
        System(config(ROOM, url, **more)).attach(Room()),
        System(config(guest, url)).attach(Room()) as here,
    ):
        client = ChatClient(here.ref.to(ROOM))
        assert (await client.say(pb.SayRequest(text="hi"))).number == 1
        assert active(here, ROOM) is WireKind.RELAYED


@pytest.mark.parametrize(
    ("signaling", "url"),
    [
        ("ws://host:1/v1/ws", "ws://host:1/v1/wire"),
        ("wss://host/actr/v1/ws?a=b", "wss://host/actr/v1/wire"),
        ("wss://host", "wss://host/wire"),
    ],
)
async def test_it_is_dialled_beside_signaling_also_behind_a_prefix(
    signaling: str, url: str
) -> None:
    assert wire_url(signaling) == url


async def test_a_proxy_in_front_hears_the_path_that_it_knows() -> None:
    asked: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set_result(await reader.readline())
        writer.close()

    async def nothing(*_: object) -> None: ...

    async with await asyncio.start_server(answer, "127.0.0.1") as server:
        host, port = server.sockets[0].getsockname()
        async with RelayedWires(
            self_id=GUEST,
            url=f"ws://{host}:{port}/actr/v1/ws",
            ask=nothing,
            on_wire=lambda wire: None,
            secret=None,
        ) as relayed:
            with pytest.raises(UnreachableError):
                await relayed.dial(ROOM)
        assert await asked == b"GET /actr/v1/wire HTTP/1.1\r\n"


def asks(node: Node, source: ActrId, count: int) -> int:
    """How many of these asks were refused at once."""
    relayed = node.assembly.network.relayed
    before = relayed.refused["too many relayed wires"]
    for _ in range(count):
        relayed.invited(source, NegotiateMessage(secrets.token_hex(16), 0, Join()))
    return relayed.refused["too many relayed wires"] - before


async def test_one_that_asks_without_end_gets_little_and_takes_nothing_of_others() -> None:
    async with relaying() as url, System(config(ROOM, url)).attach(Room()) as there:
        relayed = there.assembly.network.relayed
        stranger = ActrId("acme", "stranger", "1")
        assert asks(there, stranger, 100) == 98  # two at a time
        async with System(config(GUEST, url)).attach(Room()) as here:
            client = ChatClient(here.ref.to(ROOM))
            assert (await client.say(pb.SayRequest(text="hi"))).number == 1
        async with asyncio.timeout(60):
            # Each of them ends at once: signaling knows no such ticket. Too many are too many.
            while not asks(there, stranger, 1):
                await until(lambda: not relayed._coming)
        others = [ActrId("acme", f"a{n}", "1") for n in range(20)]
        assert sum(asks(there, other, 1) for other in others) == 4  # 16 of all, at a time
