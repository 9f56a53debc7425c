"""Each close code and each bound of a connection, from outside (docs/signaling.md)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from websockets.asyncio.client import connect
from websockets.frames import Frame, Opcode

from actr import signaling_pb2 as pb
from actr_signaling.protocol.shares import Flow
from actr_signaling.protocol.websocket import frames, pulse
from actr_signaling.web import websocket
from actr_signaling.web.server import Replica
from actr_signaling.web.turns import Turns
from actr_signaling.web.websocket import SLOW_BYTES, Socket
from signaling_kit.client import PATIENCE, Client, actor, relay_to, serve

pytestmark = pytest.mark.service
UPGRADE = (
    b"GET /v1/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
SECRET = b"0123456789abcdef"


@pytest.mark.parametrize(
    "data",
    [b"\xff\xff\xff", b"", pb.ClientMessage(id=1).SerializeToString(), "text on a binary socket"],
    ids=["noise", "empty", "no body", "text"],
)
async def test_what_is_no_message_closes_with_4400(data: bytes | str) -> None:
    async with serve() as replica:
        client = await Client.open(replica.url)
        await client.authenticate("a")
        await client.socket.send(data)
        assert (await client.next("error")).code == 4400
        assert await client.closed() == 4400


async def test_text_that_is_not_utf8_closes_with_1007() -> None:
    async with serve() as replica:
        socket = await connect(replica.url, compression=None, subprotocols=["actr.v1.json"])  # type: ignore[list-item]
        await socket.send(b"\xff\xfe", text=True)
        await socket.wait_closed()
        assert socket.close_code == 1007


async def test_a_message_before_the_proof_closes_with_4401() -> None:
    async with serve() as replica:
        client = await Client.open(replica.url)
        answer = await client.ask(heartbeat=pb.Heartbeat())
        assert answer.error.code == 4401
        assert await client.closed() == 4401


async def test_no_proof_in_time_closes_with_4401() -> None:
    async with serve(authenticate=0.1) as replica:
        client = await Client.open(replica.url)
        assert await client.closed() == 4401


async def test_a_wrong_proof_closes_with_4401_and_a_right_one_does_not(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(SECRET + b"\n")
    async with serve(realm_secret_file=tmp_path / "secret") as replica:
        wrong = await Client.open(replica.url)
        assert wrong.hello.proof_required
        assert len(wrong.hello.nonce) == 32
        assert (await wrong.authenticate("a", b"another secret of it")).error.code == 4401
        assert await wrong.closed() == 4401
        right = await Client.open(replica.url)
        assert right.hello.nonce != wrong.hello.nonce
        assert (await right.authenticate("a", SECRET)).HasField("authenticated")
        await right.close()


async def test_each_realm_may_have_its_own_secret(tmp_path: Path) -> None:
    (tmp_path / "default").write_bytes(SECRET)
    (tmp_path / "mall").write_bytes(b"the secret of the mall")
    async with serve(realm_secrets_dir=tmp_path) as replica:
        for text, secret, taken in (
            ("acme:a@1:mall", b"the secret of the mall", True),
            ("acme:a@1:mall", SECRET, False),
            ("acme:a@1:nowhere", SECRET, False),
        ):
            client = await Client.open(replica.url)
            answer = await client.authenticate(text, secret)
            assert answer.HasField("authenticated") is taken
            client.abort()


async def test_another_identity_than_the_proven_one_closes_with_4403() -> None:
    async with serve() as replica:
        client = await Client.open(replica.url)
        await client.authenticate("a")
        client.id = actor("b")
        assert (await client.register()).error.code == 4403
        assert await client.closed() == 4403


@pytest.mark.parametrize(
    ("origin", "code"),
    [
        ("https://evil.example", 4403),
        ("null", 4403),
        ("https://[", 4403),
        ("https://good.example", None),
        ("http://{host}", None),
        (None, None),
    ],
    ids=["foreign", "null", "malformed", "listed", "own", "none"],
)
async def test_a_web_page_of_another_origin_closes_with_4403(
    origin: str | None, code: int | None
) -> None:
    async with serve(allowed_origins="https://good.example") as replica:
        host = replica.url.removeprefix("ws://").removesuffix("/v1/ws")
        headers = {} if origin is None else {"Origin": origin.format(host=host)}
        client = await Client.open_raw(replica.url, additional_headers=headers)
        if code is None:
            assert await client.next("hello")
            await client.close()
        else:
            assert (await client.next("error")).code == code
            assert await client.closed() == code


@pytest.mark.parametrize(("name", "is_taken"), [("localhost", True), ("evil.example", False)])
async def test_in_development_a_site_whose_name_leads_here_is_not_this_service(
    name: str, *, is_taken: bool
) -> None:
    async with serve() as replica:
        port = urlsplit(replica.url).port
        client = await Client.open_raw(
            f"ws://{name}:{port}/v1/ws",
            host="127.0.0.1",
            port=port,
            additional_headers={"Origin": f"http://{name}:{port}"},
        )
        if is_taken:
            assert await client.next("hello")
            await client.close()
        else:
            assert (await client.next("error")).code == 4403
            assert await client.closed() == 4403


async def test_a_missed_heartbeat_closes_with_4408() -> None:
    async with serve(lease=1, heartbeat=0.3) as replica:
        client = await Client.registered_as(replica.url, "a")
        for _ in range(3):
            await asyncio.sleep(0.4)  # beats keep it open past one lease
            await client.ask(heartbeat=pb.Heartbeat())
        assert await client.closed() == 4408


async def test_a_message_over_the_limit_closes_with_4413_at_once() -> None:
    async with serve() as replica:
        client = await Client.registered_as(replica.url, "a")
        assert client.hello.max_message_bytes == 65_536
        await client.socket.send(b"x" * 65_537)
        assert await client.closed() == 4413


async def test_a_giant_message_is_not_read_to_its_end() -> None:
    async with serve() as replica:
        client = await Client.registered_as(replica.url, "a")

        async def flood() -> None:
            await client.socket.send(b"x" * 2**24)

        sending = asyncio.ensure_future(flood())
        assert await client.closed() == 4413
        await asyncio.gather(sending, return_exceptions=True)


async def test_a_message_of_too_many_fragments_closes_with_4413() -> None:
    async with serve() as replica:
        client = await Client.registered_as(replica.url, "a")
        await client.socket.send([b""] * 1_000)
        assert await client.closed() == 4413


async def test_a_message_in_a_few_fragments_is_taken() -> None:
    async with serve() as replica:
        client = await Client.registered_as(replica.url, "a")
        data = pb.ClientMessage(id=99, heartbeat=pb.Heartbeat()).SerializeToString()
        await client.socket.send([data[:1], data[1:2], data[2:]])
        assert (await client.until(lambda m: m.reply_to == 99)).HasField("heartbeat_ack")


@pytest.mark.parametrize("kind", ["messages", "pings", "heartbeats"])
async def test_too_many_frames_close_with_4429_and_others_do_not_notice(kind: str) -> None:
    bounds = {} if kind == "heartbeats" else {"messages_per_second": 10, "messages_burst": 50}
    async with serve(**bounds) as replica:
        other = await Client.registered_as(replica.url, "b")
        client = await Client.registered_as(replica.url, "a")
        for _ in range(60):
            if kind == "pings":
                await client.socket.ping()
            elif kind == "heartbeats":
                await client.send(heartbeat=pb.Heartbeat())
            else:
                await client.send(unsubscribe=pb.Unsubscribe())
        assert await client.closed() == 4429
        assert (await other.ask(heartbeat=pb.Heartbeat())).HasField("heartbeat_ack")


async def test_one_that_was_too_fast_is_gone_at_once_and_waits_for_its_close(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # 1. It hears the error, and others that it left.  2. Its close does not come yet.
    # 3. Nothing that it says meanwhile is read, and the service stops without waiting for it.
    monkeypatch.setattr(websocket, "PENALTY", 3600.0)
    async with serve(grace=0) as replica:
        other = await Client.registered_as(replica.url, "b")
        await other.subscribe()
        client = await Client.registered_as(replica.url, "a")
        await other.event("a", "JOIN")
        for _ in range(30):
            await client.send(heartbeat=pb.Heartbeat())
        assert (await client.next("error")).code == 4429
        await other.event("a", "LEAVE")
        assert client.socket.close_code is None
        client.socket.transport.write(b"no frame")
        assert (await other.ask(heartbeat=pb.Heartbeat())).HasField("heartbeat_ack")
        assert client.socket.close_code is None
    assert await client.closed() == 1006


async def test_a_refused_request_leaves_the_connection_open() -> None:
    async with serve() as replica:
        client = await Client.registered_as(replica.url, "a")
        asks: list[tuple[dict[str, Any], int]] = [
            ({"discover": pb.Discover()}, 4400),
            ({"subscribe": pb.Subscribe(actr_type="*")}, 4400),
            ({"relay": relay_to("b", "x" * 600)}, 4413),
        ]
        for body, code in asks:
            assert (await client.ask(**body)).error.code == code
        assert (await client.ask(heartbeat=pb.Heartbeat())).HasField("heartbeat_ack")


async def test_subscriptions_over_the_bound_are_refused_with_4429() -> None:
    async with serve() as replica:
        client = await Client.registered_as(replica.url, "a")
        for number in range(128):
            await client.subscribe(f"acme:t{number}")
        answer = await client.ask(subscribe=pb.Subscribe(actr_type="acme:more"))
        assert answer.error.code == 4429


async def test_a_flood_does_not_cut_its_victim_and_others_do_not_notice() -> None:
    # 1. b does not read any more.  2. a floods it until its unsent bytes are over the bound.
    # 3. Further relays to it are undelivered.  4. c, also in that realm, is served.
    # 5. b reads again, has all that was receipted, and is reached.
    limits = dict.fromkeys(("messages_per_second", "messages_burst", "bytes_burst"), 10**9)
    async with serve(**limits) as replica:
        a = await Client.registered_as(replica.url, "a")
        b = await Client.registered_as(replica.url, "b")
        c = await Client.registered_as(replica.url, "c")
        b.socket.transport.pause_reading()
        offer = pb.SessionDescription(sdp="x" * 40_000)
        receipted = 0
        async with asyncio.timeout(PATIENCE):
            while (answer := await a.relay("b", offer=offer)).HasField("receipt"):
                receipted += 1
        assert answer.undelivered.reason == pb.Undelivered.OVERLOADED
        assert (await a.relay("c")).HasField("receipt")
        assert await c.next("relayed")
        b.socket.transport.resume_reading()
        for _ in range(receipted):
            await b.next("relayed")
        assert (await a.relay("b")).HasField("receipt")
        assert await b.next("relayed")


def sockets_of(replica: Replica) -> list[Socket]:
    return [one for one in replica._server.server_state.connections if isinstance(one, Socket)]


async def test_who_asks_and_reads_nothing_is_answered_no_further_until_it_reads() -> None:
    limits = dict.fromkeys(("messages_per_second", "messages_burst", "bytes_burst"), 10**9)
    metadata = {str(number): "x" * 200 for number in range(16)}
    async with serve(**limits) as replica:
        others = [
            await Client.registered_as(replica.url, f"b@{n}", metadata=metadata) for n in range(4)
        ]
        client = await Client.registered_as(replica.url, "a")
        # By itself a kernel may take all answers: some let it keep 32 MiB for one socket.
        kept = client.socket.transport.get_extra_info("socket")
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        client.socket.transport.pause_reading()
        numbers = [await client.send(subscribe=pb.Subscribe()) for _ in range(1_200)]
        async with asyncio.timeout(PATIENCE):
            while not (slow := [one for one in sockets_of(replica) if one.is_slow]):
                assert (await others[0].ask(heartbeat=pb.Heartbeat())).HasField("heartbeat_ack")
        assert len(slow) == 1
        assert slow[0].transport.get_write_buffer_size() < 2 * SLOW_BYTES
        client.socket.transport.resume_reading()
        for number in numbers:
            assert (await client.until(lambda m, n=number: m.reply_to == n)).HasField("snapshot")  # type: ignore[misc]


@pytest.mark.parametrize("opcode", [Opcode.PONG, Opcode.PING, Opcode.BINARY, Opcode.TEXT])
@pytest.mark.parametrize("is_proven", [False, True], ids=["stranger", "member"])
async def test_frames_of_every_kind_are_counted(opcode: Opcode, is_proven: bool) -> None:
    limits = {"messages_per_second": 10, "messages_burst": 50}
    async with serve(**limits) as replica:
        client = await Client.open(replica.url)
        if is_proven:
            await client.authenticate("a")
        client.socket.transport.write(Frame(opcode, b"").serialize(mask=True) * 60)
        is_data = opcode in (Opcode.BINARY, Opcode.TEXT)
        assert await client.closed() == (4400 if is_data else 4429)


async def test_after_a_refusal_nothing_is_parsed_and_the_connection_is_cut_soon() -> None:
    async with serve() as replica:
        host, _, port = replica.url.removeprefix("ws://").partition("/")[0].partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(UPGRADE)
        await reader.readuntil(b"\r\n\r\n")
        noise = Frame(Opcode.BINARY, b"\xff" * 1_000).serialize(mask=True)
        good = pb.ClientMessage(id=9, authenticate=pb.Authenticate(id=actor("a").to_wire()))
        writer.write(noise + Frame(Opcode.BINARY, good.SerializeToString()).serialize(mask=True))
        answer = b""
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionError):
                while part := await reader.read(1 << 16):
                    answer += part
            with contextlib.suppress(ConnectionError):
                while True:  # until it is cut
                    writer.write(noise * 100)
                    await writer.drain()
        assert (4400).to_bytes(2, "big") in answer
        assert (
            pb.ServerMessage(reply_to=9, authenticated=pb.Authenticated()).SerializeToString()
            not in answer
        )
        writer.close()


async def test_a_stopping_replica_closes_with_1012() -> None:
    async with serve(drain=0.1) as replica:
        client = await Client.registered_as(replica.url, "a")
        await replica.drain()
        assert (await client.next("goaway")).reason == "this replica goes away"
        assert await client.closed() == 1012


async def test_the_json_form_says_the_same_in_text() -> None:
    async with serve() as replica:
        socket = await connect(replica.url, compression=None, subprotocols=["actr.v1.json"])  # type: ignore[list-item]
        assert socket.subprotocol == "actr.v1.json"

        async def ask(body: dict[str, Any]) -> dict[str, Any]:
            await socket.send(json.dumps(body))
            answer = json.loads(await socket.recv())
            assert isinstance(answer, dict)
            return answer

        hello = json.loads(await socket.recv())
        assert hello["hello"]["max_message_bytes"] == 65_536
        who = {"manufacturer": "acme", "name": "tool", "instance": "1", "realm": "default"}
        assert await ask({"id": 1, "authenticate": {"id": who}}) == {
            "reply_to": "1",
            "authenticated": {},
        }
        assert "registered" in await ask({"id": 2, "register": {"id": who}})
        snapshot = await ask({"id": 3, "subscribe": {}})
        assert snapshot["snapshot"]["present"][0]["id"] == who
        peer = await Client.registered_as(replica.url, "a")
        assert json.loads(await socket.recv())["presence"]["presence"]["id"]["name"] == "a"
        await peer.relay("tool", "to text")
        relayed = json.loads(await socket.recv())["relayed"]
        assert relayed["from"]["name"] == "a"
        assert relayed["negotiate"]["candidate"]["candidate"] == "to text"
        await socket.send(b"\x08\x01")
        assert json.loads(await socket.recv())["error"]["code"] == 4400
        await socket.wait_closed()
        assert socket.close_code == 4400
        await peer.close()


@pytest.mark.parametrize(
    "wire",
    [
        Frame(Opcode.BINARY, b"x").serialize(mask=False),
        b"\xc2\x81\x00\x00\x00\x00x",
        Frame(Opcode.CONT, b"x").serialize(mask=True),
        Frame(Opcode.BINARY, b"x", fin=False).serialize(mask=True)
        + Frame(Opcode.BINARY, b"y").serialize(mask=True),
        b"\x83\x80\x00\x00\x00\x00",
        b"\x89\xfe\x01\x00\x00\x00\x00\x00" + b"x" * 256,
    ],
    ids=[
        "not masked",
        "reserved bit",
        "a continuation of nothing",
        "a message within a message",
        "unknown opcode",
        "long ping",
    ],
)
async def test_frames_that_break_the_websocket_protocol_close_with_1002(wire: bytes) -> None:
    async with serve() as replica:
        other = await Client.registered_as(replica.url, "b")
        client = await Client.registered_as(replica.url, "a")
        client.socket.transport.write(wire)
        assert await client.closed() == 1002
        assert (await other.ask(heartbeat=pb.Heartbeat())).HasField("heartbeat_ack")


async def test_a_ping_between_fragments_is_answered_and_the_message_taken() -> None:
    async with serve() as replica:
        client = await Client.registered_as(replica.url, "a")
        data = pb.ClientMessage(id=99, heartbeat=pb.Heartbeat()).SerializeToString()
        frames = (
            Frame(Opcode.BINARY, data[:2], fin=False),
            Frame(Opcode.PING, b"now"),
            Frame(Opcode.CONT, data[2:]),
        )
        for byte in b"".join(frame.serialize(mask=True) for frame in frames):
            client.socket.transport.write(bytes([byte]))
        assert (await client.until(lambda m: m.reply_to == 99)).HasField("heartbeat_ack")


async def test_who_says_nothing_is_asked_and_who_does_not_answer_is_let_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # 1. Both say nothing.  2. The library answers the pings of one; the other reads none.
    monkeypatch.setattr(pulse, "PING_SECONDS", 0.1)
    async with serve() as replica:
        client = await Client.registered_as(replica.url, "a")
        host, _, port = replica.url.removeprefix("ws://").partition("/")[0].partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(UPGRADE)
        await reader.readuntil(b"\r\n\r\n")
        async with asyncio.timeout(PATIENCE):
            told = await reader.read()
        assert told.endswith(b"\x89\x00" + frames.close(1011, "no pong in time"))
        assert (await client.ask(heartbeat=pb.Heartbeat())).HasField("heartbeat_ack")
        writer.close()


async def test_frames_that_come_with_the_request_are_taken() -> None:
    async with serve() as replica:
        host, _, port = replica.url.removeprefix("ws://").partition("/")[0].partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        proof = pb.ClientMessage(id=9, authenticate=pb.Authenticate(id=actor("a").to_wire()))
        writer.write(UPGRADE + Frame(Opcode.BINARY, proof.SerializeToString()).serialize(mask=True))
        answer = pb.ServerMessage(reply_to=9, authenticated=pb.Authenticated())
        async with asyncio.timeout(PATIENCE):
            await reader.readuntil(frames.binary(answer.SerializeToString()))
        writer.close()


async def test_what_was_said_before_the_end_is_taken_and_answered() -> None:
    # More than its share of one turn, and then the end of what it says.
    count = 400
    async with serve() as replica:
        target = await Client.registered_as(replica.url, "b")
        host, _, port = replica.url.removeprefix("ws://").partition("/")[0].partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(UPGRADE)
        await reader.readuntil(b"\r\n\r\n")
        said = [
            pb.ClientMessage(id=1, authenticate=pb.Authenticate(id=actor("a").to_wire())),
            pb.ClientMessage(id=2, register=pb.Register(id=actor("a").to_wire())),
            *(pb.ClientMessage(id=3 + n, relay=relay_to("b")) for n in range(count)),
        ]
        pieces = [
            Frame(Opcode.BINARY, one.SerializeToString()).serialize(mask=True) for one in said
        ]
        writer.write(b"".join(pieces))
        writer.write_eof()
        async with asyncio.timeout(PATIENCE):
            answers = await reader.read()
            for _ in range(count):
                await target.next("relayed")
        last = pb.ServerMessage(reply_to=2 + count, receipt=pb.Receipt())
        assert answers.endswith(frames.binary(last.SerializeToString()))
        writer.close()


class Lagging:
    """A transport whose far side reads some between any two looks, until it reads no more."""

    def __init__(self, looks: int) -> None:
        self.looks = looks
        self.written: list[bytes] = []
        self.has_ended = asyncio.Event()

    def get_write_buffer_size(self) -> int:
        self.looks -= 1
        return SLOW_BYTES + max(0, self.looks)

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def write_eof(self) -> None:
        self.has_ended.set()

    def is_closing(self) -> bool:
        return False

    def set_write_buffer_limits(self, high: int) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def abort(self) -> None: ...


async def test_who_reads_what_it_lags_behind_is_there_until_it_reads_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pulse, "PING_SECONDS", 0.01)
    transport = Lagging(20)
    made = Socket(transport, Turns(), Flow("x"), open_sockets=set(), lost=list, lags=list)  # type: ignore[arg-type]
    async with asyncio.timeout(PATIENCE):
        await transport.has_ended.wait()
    assert transport.looks <= 0
    assert transport.written[-2:] == [frames.ping(b""), frames.close(1011, "no pong in time")]
    made.connection_lost(None)
