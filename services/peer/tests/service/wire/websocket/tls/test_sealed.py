"""Wires in TLS over real sockets: what strangers try, who is between, and what a capture holds."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import cast

import pytest
import uvloop
from cryptography.hazmat.primitives import serialization

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatClient
from actr.envelope_pb2 import WireHandshake
from actr_peer import Context, NodeConfig, System, WireKind
from actr_peer.errors import (
    CertificateError,
    Code,
    PeerError,
    RemoteProtocolError,
    UnreachableError,
)
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.identity import Certified
from actr_peer.protocol.identity.keys import decode, encode, write_keys
from actr_peer.protocol.webrtc.candidates import AddressRule
from actr_peer.protocol.websocket import door
from actr_peer.protocol.websocket.door import Door
from actr_peer.protocol.websocket.handshake import DiallerHandshake
from actr_peer.protocol.websocket.lane_frames import decode as read_frame
from actr_peer.protocol.websocket.upgrade import PATH, step_headers
from actr_peer.wire.base import Wire
from actr_peer.wire.issuer.credentials import IdentityConfig
from actr_peer.wire.websocket.tls.contexts import (
    binding,
    dialler_context,
    listener_context,
    raw_public_key,
)
from actr_peer.wire.websocket.wire import WebSocketWire
from actr_peer.wire.websocket.wires import WebSocketWires
from lab.quiet import Quiet
from peer_kit.fakes import ALICE, BOB, CAROL, Recorder, turns
from peer_kit.signaling import signaling_service
from peer_kit.signaling.servers import serving
from peer_kit.vectors.identities import Holder, Issuer, key_of

pytestmark = [pytest.mark.service, pytest.mark.timeout(60)]

ISSUER = Issuer()
SECRET = b"realm secret"


def dialling(
    certified: Certified | None, *, who: ActrId = ALICE, secret: bytes | None = None
) -> WebSocketWires:
    return WebSocketWires(
        self_id=who,
        listen=None,
        on_wire=lambda wire: None,
        secret=secret,
        certified=certified,
        rule=AddressRule(allow_loopback=True),
    )


class Bob:
    """A listener that gives each wire a sink."""

    def __init__(self, certified: Certified | None, secret: bytes | None = None) -> None:
        self.sinks: asyncio.Queue[Recorder] = asyncio.Queue()
        self.arrived: list[Wire] = []
        self.wires = WebSocketWires(
            self_id=BOB,
            listen="127.0.0.1:0",
            on_wire=self._take,
            secret=secret,
            certified=certified,
        )

    @property
    def port(self) -> int:
        return int(self.wires.address.rsplit(":", 1)[1].removesuffix(PATH))

    def _take(self, wire: Wire) -> None:
        self.arrived.append(wire)
        sink = Recorder()
        wire.attach(sink)
        self.sinks.put_nowait(sink)


def accepting() -> list[asyncio.Task[object]]:
    """The tasks of wires: one for each listener, whoever has come."""
    return [task for task in asyncio.all_tasks() if task.get_name().startswith("websocket")]


@asynccontextmanager
async def listening(
    certified: Certified | None = None, secret: bytes | None = None
) -> AsyncIterator[Bob]:
    """Bob; and whatever a stranger did, the next honest dialler gets its wire."""
    bob, before = Bob(certified, secret), accepting()
    async with bob.wires:
        yield bob
        honest = ISSUER.certified(CAROL) if certified else None
        async with dialling(honest, who=CAROL, secret=secret) as carol:
            await (await carol.dial(BOB, bob.wires.address)).close()
    await turns()
    assert accepting() == before


@pytest.fixture
async def bob() -> AsyncIterator[Bob]:
    async with listening(ISSUER.certified(BOB)) as bob:
        yield bob


# Who comes


async def test_a_wire_in_tls_knows_who_is_at_its_other_end(bob: Bob) -> None:
    assert bob.wires.address.startswith("wss://")
    async with dialling(ISSUER.certified(ALICE)) as alice:
        wire = await alice.dial(BOB, bob.wires.address)
        sink = await bob.sinks.get()
        assert wire.certificate is not None
        assert wire.certificate.subject == "acme:chat@bob"
        at_bob = bob.arrived[0].certificate  # type: ignore[attr-defined]  # of this kind of wire
        assert at_bob.subject == "acme:chat@alice"
        wire.send(1, b"hello")
        assert await sink.received(1) == [(1, b"hello")]


@pytest.mark.parametrize(
    "certified",
    [
        pytest.param(ISSUER.certified(ALICE, begins=-5000), id="expired"),
        pytest.param(ISSUER.certified(ALICE, begins=5000), id="of the future"),
        pytest.param(Issuer("foreign").certified(ALICE), id="of a foreign issuer"),
        pytest.param(ISSUER.certified(ALICE, subject="acme:room@*"), id="of another pattern"),
        pytest.param(ISSUER.certified(CAROL), id="of somebody else"),
        pytest.param(ISSUER.certified(ALICE, key=key_of("mallory")), id="stolen, without its key"),
    ],
)
async def test_a_dialler_whose_certificate_is_no_proof_is_refused(
    bob: Bob, certified: Certified
) -> None:
    async with dialling(certified) as alice:
        with pytest.raises(UnreachableError):
            await alice.dial(BOB, bob.wires.address)
    assert bob.sinks.empty()


async def test_who_is_not_believed_is_counted_on_both_sides_and_told_sparingly() -> None:
    told: list[tuple[ActrId, str]] = []
    bob = Bob(ISSUER.certified(BOB))
    bob.wires._tell_refused = lambda actor, why: told.append((actor, why))
    async with bob.wires:
        for certified in (ISSUER.certified(CAROL), ISSUER.certified(ALICE, key=key_of("mallory"))):
            async with dialling(certified) as alice:
                with pytest.raises(UnreachableError):
                    await alice.dial(BOB, bob.wires.address)
        assert bob.wires.refused == {"id not covered": 1, "key not proven": 1}
        assert [actor for actor, _ in told] == [ALICE], "one in ten seconds"
    bob = Bob(ISSUER.certified(BOB, key=key_of("mallory")))
    async with bob.wires, dialling(ISSUER.certified(ALICE)) as alice:
        with pytest.raises(RemoteProtocolError):
            await alice.dial(BOB, bob.wires.address)
        assert alice.refused == {"another key in TLS": 1}


@pytest.mark.parametrize(
    ("certified", "error"),
    [
        pytest.param(ISSUER.certified(BOB, begins=-5000), CertificateError, id="expired"),
        pytest.param(ISSUER.certified(BOB, begins=5000), CertificateError, id="of the future"),
        pytest.param(Issuer("foreign").certified(BOB), PeerError, id="of a foreign issuer"),
        pytest.param(
            ISSUER.certified(BOB, subject="acme:room@*"), RemoteProtocolError, id="pattern"
        ),
        pytest.param(ISSUER.certified(CAROL), RemoteProtocolError, id="of somebody else"),
        pytest.param(
            ISSUER.certified(BOB, key=key_of("mallory")), RemoteProtocolError, id="stolen"
        ),
    ],
)
async def test_a_listener_whose_certificate_is_no_proof_keeps_no_wire(
    certified: Certified, error: type[Exception]
) -> None:
    bob = Bob(certified)
    async with bob.wires, dialling(ISSUER.certified(ALICE)) as alice:
        with pytest.raises(error):
            await alice.dial(BOB, bob.wires.address)
        # It knows who dialled, and has a wire for as long as the dialler needs to read its answer.
        while not bob.sinks.empty():
            sink = bob.sinks.get_nowait()
            await sink.gone.wait()
            assert sink.messages == []


async def test_a_secret_opens_no_wire_where_certificates_are_required() -> None:
    async with listening(ISSUER.certified(BOB), SECRET) as bob:
        async with dialling(None, secret=SECRET) as alice:
            for scheme in ("ws", "wss"):
                with pytest.raises(UnreachableError):
                    await alice.dial(BOB, f"{scheme}://127.0.0.1:{bob.port}{PATH}")
        assert bob.sinks.empty()


async def test_a_realm_goes_over_to_certificates_actor_by_actor() -> None:
    """Who has one and does not require it speaks to both, and takes no less than it is offered."""
    half = ISSUER.certified(BOB, is_required=False)
    async with listening(secret=SECRET) as old, listening(ISSUER.certified(BOB)) as new:
        halfway = dialling(ISSUER.certified(ALICE, is_required=False), secret=SECRET)
        async with halfway as alice:
            assert old.wires.address.startswith("ws://")
            for bob in (old, new):
                await (await alice.dial(BOB, bob.wires.address)).close()
    bob = Bob(half, SECRET)
    async with bob.wires, dialling(None, secret=SECRET) as alice:
        assert bob.wires.address.startswith("ws://")
        await (await alice.dial(BOB, bob.wires.address)).close()


# Certificates that end while a wire is open


async def test_a_wire_outlives_certificates_that_are_renewed_and_no_other() -> None:
    """The clock is the issuer's, and the test's."""
    issuer = Issuer(now=1_800_000_000)
    at_bob, at_alice, at_carol = (issuer.certified(who) for who in (BOB, ALICE, CAROL))
    bob = Bob(at_bob)
    async with bob.wires, dialling(at_alice) as alice, dialling(at_carol, who=CAROL) as carol:
        renewed = await alice.dial(BOB, bob.wires.address)
        from_alice = await bob.sinks.get()
        renewed.attach(Recorder())
        lapsed = await carol.dial(BOB, bob.wires.address)
        from_carol, here = await bob.sinks.get(), Recorder()
        lapsed.attach(here)
        assert issuer.now is not None
        for _ in range(5):
            issuer.now += 300
            for certified, who in ((at_bob, BOB), (at_alice, ALICE)):
                cast("Holder", certified.identity).certificate = issuer.issue(
                    who, key_of(who.instance)
                )
            for wire in (*bob.arrived, renewed, lapsed):
                cast("WebSocketWire", wire)._renewing._look()
            renewed.send(1, b"still here")
            await from_alice.received(1)
            from_alice.messages.clear()
        await from_carol.gone.wait()
        assert isinstance(from_carol.ends[0], CertificateError)
        await here.gone.wait()
        assert renewed.is_open
        assert renewed.certificate is not None
        assert renewed.certificate.issued_at == issuer.now


async def test_who_would_not_believe_itself_says_so_at_the_start(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with dialling(ISSUER.certified(ALICE)):
        assert caplog.text == ""
    async with dialling(ISSUER.certified(ALICE, begins=-5000)):
        assert "it would not itself: cause=a certificate that ended" in caplog.text
    caplog.clear()


# No downgrade


async def test_an_address_without_tls_is_not_dialled_where_certificates_are_required() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        async with dialling(ISSUER.certified(ALICE), secret=SECRET) as alice:
            with pytest.raises(UnreachableError, match="wss://"):
                await alice.dial(BOB, f"ws://127.0.0.1:{listener.getsockname()[1]}{PATH}")
        with pytest.raises(BlockingIOError):
            listener.accept()


async def test_who_speaks_no_tls_costs_its_connection_and_one_clear_line(
    bob: Bob, caplog: pytest.LogCaptureFixture
) -> None:
    async with dialling(None) as alice:
        with pytest.raises(UnreachableError, match="400"):
            await alice.dial(BOB, f"ws://127.0.0.1:{bob.port}{PATH}")
    assert "it speaks no TLS, which is due here" in caplog.text
    caplog.clear()


async def test_tls_at_a_listener_without_costs_the_connection_and_one_clear_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with listening() as plain, dialling(ISSUER.certified(ALICE)) as alice:
        with pytest.raises(UnreachableError, match="speaks no TLS"):
            await alice.dial(BOB, f"wss://127.0.0.1:{plain.port}{PATH}")
        assert "TLS, which is not spoken here" in caplog.text
        caplog.clear()


async def test_an_older_tls_is_refused(bob: Bob, caplog: pytest.LogCaptureFixture) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        await asyncio.open_connection("127.0.0.1", bob.port, ssl=context)
    async with asyncio.timeout(10):
        while "TLS failed" not in caplog.text:  # noqa: ASYNC110  a log line is not waited for
            await asyncio.sleep(0)
    caplog.clear()


# The listener's places


async def test_who_says_nothing_in_tls_loses_its_place_and_leaves_room_for_others(
    bob: Bob, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bob.wires._arrivals is not None
    narrow = bob.wires._arrivals.door = Door(places=8, share=3, reserve=2)
    monkeypatch.setattr(door, "PATIENCE", 0.2)
    opened = [
        await asyncio.open_connection("127.0.0.1", bob.port, local_addr=("127.0.0.2", 0))
        for _ in range(4)
    ]
    opened[1][1].write(b"\x16\x03\x01\x02\x00\x01")  # it begins, and does not go on
    assert b" 503 " in await opened[3][0].readline()
    async with dialling(ISSUER.certified(ALICE)) as alice:
        wire = await alice.dial(BOB, bob.wires.address)
        for reader, _ in opened[:3]:
            with suppress(ConnectionError):
                assert await reader.read() == b"", "nothing is said in plain text"
        assert len(narrow) == 0
        assert wire.is_open
    for _, writer in opened:
        writer.transport.abort()
    monkeypatch.undo()


async def test_after_tls_a_head_has_its_bounds_and_its_time(
    bob: Bob, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(
            "127.0.0.1", bob.port, ssl=dialler_context(), server_hostname=""
        )

    reader, writer = await connect()
    assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
    assert writer.get_extra_info("ssl_object").version() == "TLSv1.3"
    writer.write(b"GET / HTTP/1.1\r\nX: " + b"y" * 9000)
    assert b" 431 " in await reader.readline()
    writer.transport.abort()
    monkeypatch.setattr(door, "PATIENCE", 0.2)
    reader, writer = await connect()
    assert b" 408 " in await reader.readline()
    writer.transport.abort()
    monkeypatch.undo()


# Who is between


class Between:
    """Passes bytes between a dialler and a listener, and keeps them.

    Args:
        alter: Given what goes by, with whether it comes from the dialler; returns what goes on.
        ends: Both ends of TLS, to end it with an own key; nothing: passes on what comes.
    """

    def __init__(
        self,
        port: int,
        alter: Callable[[bool, bytes], bytes] = lambda _, data: data,
        ends: tuple[ssl.SSLContext, ssl.SSLContext] | None = None,
    ) -> None:
        self.seen = b""
        self.turns: list[bool] = []
        """Who spoke, the dialler or not, each time that it was the other before."""
        self.port = 0
        self._far = port
        self._alter = alter
        self._ends = ends
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Between:
        context = self._ends and self._ends[0]
        self._serving = serving(self._serve, context=context)
        self.port = await self._serving.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._serving.__aexit__(None, None, None)
        for writer in self._writers:
            writer.transport.abort()
        await turns(20)

    @property
    def url(self) -> str:
        return f"wss://127.0.0.1:{self.port}{PATH}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        context = self._ends and self._ends[1]
        far_reader, far_writer = await asyncio.open_connection(
            "127.0.0.1", self._far, ssl=context, server_hostname="" if context else None
        )
        self._writers.append(far_writer)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._pass(True, reader, far_writer))
            group.create_task(self._pass(False, far_reader, writer))

    async def _pass(
        self, is_dialler: bool, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with suppress(ConnectionError, ssl.SSLError):
            while data := await reader.read(65536):
                self.seen += data
                if self.turns[-1:] != [is_dialler]:
                    self.turns.append(is_dialler)
                writer.write(self._alter(is_dialler, data))
                await writer.drain()
        writer.close()


async def test_who_ends_tls_with_a_key_of_its_own_and_passes_all_on_is_refused(bob: Bob) -> None:
    mallory = listener_context(ISSUER.certified(ActrId("acme", "chat", "mallory")).identity)
    async with (
        Between(bob.port, ends=(mallory, dialler_context())) as between,
        dialling(ISSUER.certified(ALICE)) as alice,
    ):
        with pytest.raises(RemoteProtocolError, match="somebody is between"):
            await alice.dial(BOB, between.url)
    assert bob.sinks.empty()


async def test_a_capture_of_all_bytes_holds_nothing_of_what_was_said(bob: Bob) -> None:
    spoken = [b"a sentence that nobody else hears", b"long " * 20_000]
    async with Between(bob.port) as between, dialling(ISSUER.certified(ALICE)) as alice:
        wire = await alice.dial(BOB, between.url)
        here, there = Recorder(), await bob.sinks.get()
        wire.attach(here)
        for text in spoken:
            wire.send(2, text)
            bob.arrived[0].send(2, text)
        assert await there.received(2) == await here.received(2) == [(2, text) for text in spoken]
        await wire.close()
        assert len(between.seen) > 200_000
        for text in (*spoken, b"long long", b"acme", b"alice", b"tester", b"HTTP", b"eyJ"):
            assert text not in between.seen


@pytest.mark.parametrize(("is_sealed", "exchanges"), [(True, 2), (False, 2)])
async def test_a_wire_is_up_after_so_many_exchanges(is_sealed: bool, exchanges: int) -> None:
    """TLS, and the upgrade with the steps; or the upgrade with the first step, and the proof."""
    certified = (ISSUER.certified(BOB), ISSUER.certified(ALICE)) if is_sealed else (None, None)
    async with (
        listening(certified[0]) as bob,
        Between(bob.port) as between,
        dialling(certified[1]) as alice,
    ):
        await alice.dial(BOB, between.url if is_sealed else between.url.replace("wss", "ws"))
        assert between.turns == [True, False] * exchanges


async def frame(reader: asyncio.StreamReader) -> bytes:
    """What is in a listener's next frame."""
    size = (await reader.readexactly(2))[1]
    if size == 126:
        size = int.from_bytes(await reader.readexactly(2), "big")
    return await reader.readexactly(size)


async def test_a_proof_that_goes_with_the_hello_is_good_for_its_own_tls_alone(bob: Bob) -> None:
    """Who has another one's proof, and what it was made for, has nothing."""
    proof = b""
    for error in (0, Code.UNAUTHENTICATED):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", bob.port, ssl=dialler_context(), server_hostname=""
        )
        alice = DiallerHandshake(
            local=ALICE, remote=BOB, nonce=b"n" * 32, secret=None, certified=ISSUER.certified(ALICE)
        )
        hello = alice.start()
        own = alice.sealed(
            raw_public_key(ISSUER.certified(BOB).identity), binding(writer.transport)
        )
        proof = proof or own
        steps = "".join(f"{name}: {text}\r\n" for name, text in step_headers(hello, proof))
        writer.write(
            f"GET {PATH} HTTP/1.1\r\nHost: bob\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            f"{steps}\r\n".encode()
        )
        await reader.readuntil(b"\r\n\r\n")
        challenge, welcome = [read_frame(await frame(reader))[1] for _ in range(2)]
        assert WireHandshake.FromString(challenge).HasField("challenge")
        assert WireHandshake.FromString(welcome).welcome.error.code == error
        writer.transport.abort()
    assert len(bob.arrived) == 1


async def test_a_certificate_that_is_too_long_for_a_head_goes_in_a_frame(bob: Bob) -> None:
    head, payload, _ = ISSUER.certified(ALICE).identity.certificate.split(".")
    claims = {f"claim-{number}": "x" * 256 for number in range(16)}
    text = f"{head}.{encode(json.dumps(json.loads(decode(payload)) | {'claims': claims}).encode())}"
    text += f".{encode(ISSUER.key.sign(text.encode()))}"
    holder = Holder(text, key_of(ALICE.instance))
    alice = Certified(identity=holder, verify=ISSUER.verify, now=time.time)
    async with Between(bob.port) as between, dialling(alice) as wires:
        await wires.dial(BOB, between.url)
        assert between.turns == [True, False] * 4


async def test_altered_bytes_end_their_wire_and_no_other(bob: Bob) -> None:
    is_altering = False

    def alter(is_dialler: bool, data: bytes) -> bytes:
        return bytes([*data[:-1], data[-1] ^ 1]) if is_altering and is_dialler else data

    async with Between(bob.port, alter) as between, dialling(ISSUER.certified(ALICE)) as alice:
        other = await alice.dial(BOB, bob.wires.address)
        unharmed = await bob.sinks.get()
        wire = await alice.dial(BOB, between.url)
        here, there = Recorder(), await bob.sinks.get()
        wire.attach(here)
        is_altering = True
        wire.send(2, b"this does not come as it was sent")
        await there.gone.wait()
        await here.gone.wait()
        assert there.messages == []
        assert isinstance(there.ends[0], PeerError)
        other.send(2, b"and this does")
        assert await unharmed.received(1) == [(2, b"and this does")]


async def test_a_lost_end_of_tls_is_a_lost_wire(bob: Bob) -> None:
    async with Between(bob.port) as between, dialling(ISSUER.certified(ALICE)) as alice:
        wire = await alice.dial(BOB, between.url)
        here = Recorder()
        wire.attach(here)
        for writer in between._writers:
            writer.write_eof()
        await here.gone.wait()
        assert isinstance(here.ends[0], PeerError)


# Other loops, and much at once


async def _exchange() -> None:
    async with listening(ISSUER.certified(BOB)) as bob, dialling(ISSUER.certified(ALICE)) as alice:
        wire = await alice.dial(BOB, bob.wires.address)
        here, there = Recorder(), await bob.sinks.get()
        wire.attach(here)
        sizes = [1, 100, 9000, 16_384, 70_000, 200_000] * 5
        for number, size in enumerate(sizes):
            wire.send(number % 4, bytes([number]) * size)
            bob.arrived[0].send(number % 4, bytes([number]) * size)
        expected = [(n % 4, bytes([n]) * size) for n, size in enumerate(sizes)]
        assert await there.received(len(sizes)) == expected
        assert await here.received(len(sizes)) == expected
        await wire.close()
        await there.gone.wait()
        assert there.ends == [None]


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_messages_of_all_lengths_come_whole_on_either_loop(
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    with asyncio.Runner(loop_factory=cast("Callable[[], asyncio.AbstractEventLoop]", loop)) as run:
        run.run(_exchange())


# Whole actors


class Room(Quiet):
    """Says how long a text is."""

    async def say(self, request: pb.SayRequest, ctx: Context) -> pb.SayReply:
        assert ctx.caller == ALICE
        return pb.SayReply(number=len(request.text))


def placed(folder: Path, who: ActrId) -> IdentityConfig:
    """Files of a key and its certificate, as an operator puts them there."""
    folder.mkdir()
    key, certificate, keys = (folder / name for name in ("key.pem", "own.jwt", "issuers.json"))
    key.write_bytes(
        key_of(who.instance).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    key.chmod(0o600)
    certificate.write_text(ISSUER.issue(who, key_of(who.instance)))
    keys.write_text(write_keys(ISSUER.keys.values()))
    return IdentityConfig(key=key, certificate=certificate, issuer_keys=keys)


async def test_actors_with_certificates_call_each_other_in_tls(tmp_path: Path) -> None:
    async with signaling_service() as url, AsyncExitStack() as stack:
        nodes = []
        for who in (ALICE, BOB):
            config = NodeConfig(
                id=who,
                signaling_url=url,
                prefer=(WireKind.WEBSOCKET,),
                identity=placed(tmp_path / who.instance, who),
            )
            nodes.append(await stack.enter_async_context(System(config).attach(Room())))
        alice, _ = nodes
        reply = await ChatClient(alice.ref.to(BOB)).say(pb.SayRequest(author="a", text="hello"))
        assert reply.number == 5
