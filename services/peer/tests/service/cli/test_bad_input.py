"""What users and strangers get wrong (docs/errors.md), over real processes and wires.

One room in a process of its own takes all of it. After each, another call to it still works.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from actr.demo.chat_actr import ChatClient, ChatService
from actr.demo.chat_pb2 import HistoryRequest, SayRequest
from actr_peer import ActrId, CallError, Code, NodeConfig, Service, System, WireKind
from actr_peer.cli.exits import Exit
from actr_peer.errors import BusyError, ConfigError, LimitError, UnreachableError
from actr_peer.node.node import Node
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.webrtc.candidates import AddressRule
from actr_peer.protocol.websocket.lane_frames import MAX_DATA_BYTES
from actr_peer.service import CallOptions
from actr_peer.wire.websocket.wires import WebSocketWires
from peer_kit.fakes import Recorder
from peer_kit.place import ROOM, Place

pytestmark = [pytest.mark.service, pytest.mark.timeout(120)]

SOON = CallOptions(timeout=20)
MIB = 1 << 20


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = Place(tmp_path_factory.mktemp("place"))
    made.environment["ACTR_MAILBOX__PATH"] = "{instance}.db"
    with made.signaling(), made.room():
        yield made


def config(place: Place, name: str, **more: object) -> NodeConfig:
    values: dict[str, Any] = {
        "id": ActrId("demo", "guest", name),
        "signaling_url": place.environment["ACTR_SIGNALING__URL"],
        "prefer": (WireKind.WEBSOCKET,),
    }
    return NodeConfig(**(values | more))


async def still_answers(node: Node) -> None:
    reply = await ChatClient(node.ref.to(ROOM)).say(SayRequest(author="a", text="b"), timeout=20)
    assert reply.number


@asynccontextmanager
async def visiting(place: Place, name: str) -> AsyncIterator[Node]:
    """A guest whose other calls go on, before and after what the block does."""
    async with System(config(place, name)).attach(Service()) as node:
        await still_answers(node)
        yield node
        await still_answers(node)


async def address(node: Node) -> str:
    (room,) = await node.ref.discover("demo:room")
    return room.ws_address


# Calls


async def test_an_unknown_actor(place: Place) -> None:
    async with visiting(place, "unknown-actor") as node:
        nobody = ChatClient(node.ref.to("demo:nobody@1:default"))
        with pytest.raises(UnreachableError, match="demo:nobody@1:default"):
            await nobody.say(SayRequest(author="a"), timeout=20)


async def test_an_unknown_method(place: Place) -> None:
    shout = replace(ChatService.SAY, route_key="demo.Chat.Shout")
    async with visiting(place, "unknown-method") as node:
        with pytest.raises(CallError, match=r"demo\.Chat\.Shout") as raised:
            await node.ref.to(ROOM).unary(shout, SayRequest(author="a"), SOON)
    assert raised.value.code is Code.UNIMPLEMENTED


async def test_a_request_of_another_form(place: Place) -> None:
    # A field of the wrong type: what a caller with another version of the contract sends.
    confused: Any = replace(ChatService.SAY, request=HistoryRequest)  # type: ignore[arg-type]
    async with visiting(place, "other-form") as node:
        with pytest.raises(CallError) as raised:
            await node.ref.to(ROOM).unary(confused, HistoryRequest(limit=1), SOON)
    assert raised.value.code is Code.FAILED_PRECONDITION
    assert "field 1 of demo.HistoryRequest is uint32 limit" in raised.value.message


async def test_an_actor_of_another_realm(place: Place) -> None:
    async with visiting(place, "other-realm") as node:
        with pytest.raises(UnreachableError, match="demo:room@1:other"):
            await ChatClient(node.ref.to("demo:room@1:other")).say(SayRequest(), timeout=20)


async def test_a_message_that_is_too_long(place: Place) -> None:
    async with visiting(place, "too-long") as node:
        room = ChatClient(node.ref.to(ROOM))
        with pytest.raises(LimitError) as raised:
            await room.say(SayRequest(author="a", text="x" * 17 * MIB), timeout=20)
    assert raised.value.asked > raised.value.limit == 16 * MIB


async def test_an_envelope_that_cannot_be_read(place: Place) -> None:
    async with visiting(place, "no-envelope") as node:
        link = node.assembly.transport.link(ActrId.parse(ROOM))
        await link.lane(PayloadType.RPC_RELIABLE).send(b"\xff no envelope")
        await still_answers(node)  # behind it in the same lane
    listed = await asyncio.to_thread(place.run, "mailbox", "list", "--file", "1.db", "--json")
    assert listed.returncode == Exit.OK
    assert "no-envelope" in listed.stdout


# Wires


def dialling(stranger: ActrId) -> WebSocketWires:
    return WebSocketWires(
        self_id=stranger,
        listen=None,
        on_wire=lambda wire: None,
        secret=None,
        rule=AddressRule(allow_loopback=True),
    )


async def test_frames_that_are_no_session(place: Place) -> None:
    stranger = ActrId("demo", "stranger", "1")
    async with visiting(place, "no-session") as node, dialling(stranger) as wires:
        sink = Recorder()
        async with asyncio.timeout(60):
            wire = await wires.dial(ActrId.parse(ROOM), await address(node))
            wire.attach(sink)
            wire.send(1, b"\xff no frame")
            await sink.gone.wait()


@pytest.mark.parametrize(
    ("first", "code"),
    [(b"no frame", 4400), (bytes(5 + MAX_DATA_BYTES + 1), 1009)],
    ids=["malformed", "too long"],
)
async def test_a_stranger_at_the_peers_port(place: Place, first: bytes, code: int) -> None:
    async with visiting(place, f"stranger-{code}") as node:
        assert await close_code(await address(node), first) == code


async def test_a_wire_from_another_realm(place: Place) -> None:
    stranger = ActrId("demo", "stranger", "1", "other")
    async with visiting(place, "foreign-wire") as node, dialling(stranger) as wires:
        with pytest.raises(UnreachableError, match="realm"):
            await wires.dial(ActrId.parse(ROOM), await address(node))


@pytest.mark.parametrize(
    ("first", "code"), [(b"\xff", 4400), (bytes(65537), 4413)], ids=["malformed", "too long"]
)
async def test_a_stranger_at_the_signaling_service(place: Place, first: bytes, code: int) -> None:
    async with visiting(place, f"signaling-{code}"):
        assert await close_code(place.environment["ACTR_SIGNALING__URL"], first) == code


async def close_code(url: str, first: bytes) -> int | None:
    async with asyncio.timeout(60), connect(url, compression=None) as client:
        with suppress(ConnectionClosed):
            await client.send(first)
            while True:
                await client.recv()
        return client.close_code


# Starts


async def test_an_identity_that_is_taken_goes_to_the_newer_process(place: Place) -> None:
    async with System(config(place, "twin")).attach(Service()) as older:
        await still_answers(older)
        async with visiting(place, "twin"), asyncio.timeout(60):
            await older.ref  # its end, which `actr run` reports as BusyError


async def test_a_port_that_is_in_use(place: Place) -> None:
    async with visiting(place, "port"):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            late = config(place, "late", listen=f"127.0.0.1:{port}")
            with pytest.raises(BusyError, match=f"port {port} on 127.0.0.1 is in use"):
                await System(late).attach(Service()).start()


async def test_a_mailbox_that_is_in_use(place: Place) -> None:
    async with visiting(place, "mailbox"):
        path = place.folder / "1.db"
        with pytest.raises(BusyError, match=r"1\.db"):
            await System(config(place, "second", mailbox_path=path)).attach(Service()).start()


@pytest.mark.parametrize(
    ("environment", "arguments", "words"),
    [
        ({"ACTR_CALLS__TIMEOUT": "3"}, (), r"TIMEOUT; did you mean ACTR_CALLS__TIMEOUT_S\?"),
        ({"ACTR_CALLS__TIMEOUT_S": "soon"}, (), r"calls\.timeout_s.*soon.*number"),
        ({}, ("--config", "nowhere.toml"), r"nowhere\.toml"),
        ({"ACTR_REALM__SECRET_FILE": "nowhere"}, (), r"realm\.secret_file.*absolute path"),
        ({"ACTR_MAILBOX__PATH": "nowhere/x.db"}, (), r"mailbox\.path.*ACTR_MAILBOX__PATH"),
        ({"ACTR_ACTOR__ID": "room"}, (), r"room.*manufacturer:name@instance:realm"),
    ],
    ids=["key", "value", "file", "secret file", "mailbox folder", "id"],
)
async def test_a_configuration_that_cannot_be_used(
    place: Place, environment: dict[str, str], arguments: tuple[str, ...], words: str
) -> None:
    async with visiting(place, "config"):
        ended = await asyncio.to_thread(
            place.run, "run", "workload:Room", *arguments, **environment
        )
    assert (ended.returncode, ended.stdout) == (Exit.USAGE, "")
    assert re.fullmatch(f"actr: .*{words}.*\n", ended.stderr)


async def test_a_secret_that_is_not_the_realms(tmp_path: Path) -> None:
    for name in ("right", "wrong"):
        (tmp_path / name).write_text(f"{name} secret of the realm", "utf-8")
    place = Place(tmp_path)
    place.environment["ACTR_SIGNALING__REALM_SECRET_FILE"] = "right"
    with place.signaling(), place.room(ACTR_REALM__SECRET_FILE="right"):
        wrong = config(place, "wrong", realm_secret=b"wrong secret of the realm")
        with pytest.raises(ConfigError, match="check that both have the same realm secret"):
            await System(wrong).attach(Service()).start()
        right = config(place, "right", realm_secret=b"right secret of the realm")
        async with System(right).attach(Service()) as node:
            await still_answers(node)
