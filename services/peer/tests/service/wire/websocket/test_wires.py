"""The listener and the dialler against strangers, each of whom breaks one rule.

What every wire does is in ``wire/test_conformance.py``.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin

from actr.envelope_pb2 import WireHandshake
from actr_peer.errors import (
    BrokenError,
    BusyError,
    Code,
    ConfigError,
    LimitError,
    RemoteProtocolError,
    UnreachableError,
)
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.webrtc.candidates import AddressRule
from actr_peer.protocol.websocket.handshake import Accepted, DiallerHandshake
from actr_peer.protocol.websocket.lane_frames import HANDSHAKE, MAX_DATA_BYTES, decode, encode
from actr_peer.wire import tcp
from actr_peer.wire.base import Wire
from actr_peer.wire.websocket.wires import WebSocketWires
from peer_kit.fakes import ALICE, BOB, CAROL, Recorder, turns
from peer_kit.signaling.servers import serving

pytestmark = [pytest.mark.service, pytest.mark.timeout(30)]

SECRET = b"realm secret"
STRANGER = ActrId("acme", "chat", "eve", "elsewhere")


class Listener:
    """A listener of Bob's that attaches a sink to each wire."""

    def __init__(
        self,
        *,
        is_attaching: bool = True,
        secret: bytes | None = None,
        allowed_origins: tuple[str, ...] = (),
    ) -> None:
        self.sinks: list[Recorder] = []
        self.wired: asyncio.Queue[Wire] = asyncio.Queue()
        self.is_attaching = is_attaching
        self.wires = WebSocketWires(
            self_id=BOB,
            listen="127.0.0.1:0",
            on_wire=self._take,
            secret=secret,
            allowed_origins=allowed_origins,
        )

    def _take(self, wire: Wire) -> None:
        if self.is_attaching:
            self.sinks.append(Recorder())
            wire.attach(self.sinks[-1])
        self.wired.put_nowait(wire)


@asynccontextmanager
async def listening(
    *,
    is_attaching: bool = True,
    secret: bytes | None = None,
    allowed_origins: tuple[str, ...] = (),
) -> AsyncIterator[Listener]:
    listener = Listener(is_attaching=is_attaching, secret=secret, allowed_origins=allowed_origins)
    async with listener.wires:
        yield listener
        # Whatever a stranger did: the next honest dialler gets its wire.
        listener.is_attaching = True
        async with dialling(secret=secret) as alice:
            wire = await alice.dial(BOB, listener.wires.address)
            await wire.close()
    await turns()
    assert asyncio.all_tasks() == {asyncio.current_task()}


def dialling(self_id: ActrId = ALICE, secret: bytes | None = None) -> WebSocketWires:
    return WebSocketWires(
        self_id=self_id,
        listen=None,
        on_wire=lambda wire: None,
        secret=secret,
        rule=AddressRule(allow_loopback=True),
    )


async def shake(client: ClientConnection) -> None:
    """Do the dialler's part of the handshake, as Alice without a secret."""
    handshake = DiallerHandshake(local=ALICE, remote=BOB, nonce=b"n" * 32, secret=None)
    step = handshake.start()
    while True:
        await client.send(encode(HANDSHAKE, step))
        kind, data = decode(bytes(await client.recv(decode=False)))
        assert kind == HANDSHAKE
        outcome = handshake.receive(data)
        if isinstance(outcome, Accepted):
            return
        step = outcome.step


async def ended(client: ClientConnection) -> int | None:
    """Read until the end and return the close code."""
    with suppress(ConnectionClosed):
        while True:
            await client.recv()
    return client.close_code


# Strangers before the handshake


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ("a text", 4400),
        (b"", 4400),
        (b"\xff\x00", 4400),
        (encode(0, b"data"), 4400),
        (b"\xff\x00\x00\x00\x09four", 4400),
        (encode(HANDSHAKE, b"\xff\xff\xff"), 4400),
        (encode(HANDSHAKE, bytes(100_000)), 4400),
        (bytes(5 + MAX_DATA_BYTES + 1), 1009),
    ],
    ids=["text", "empty", "short", "data first", "length", "noise", "long step", "oversized"],
)
async def test_a_stranger_that_speaks_nonsense_is_told_and_the_listener_goes_on(
    first: str | bytes, code: int
) -> None:
    async with listening() as bob, connect(bob.wires.address) as client:
        with suppress(ConnectionClosed):
            await client.send(first)
        assert await ended(client) == code
        assert bob.wired.empty()


async def test_a_refusal_is_a_welcome_that_holds_only_an_error() -> None:
    async with listening() as bob, connect(bob.wires.address) as client:
        await client.send(encode(HANDSHAKE, b"\xff\xff\xff"))
        _, data = decode(bytes(await client.recv(decode=False)))
        assert WireHandshake.FromString(data).welcome.error.code == Code.INVALID_ARGUMENT


async def test_a_stranger_that_says_nothing_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actr_peer.wire.websocket.wire.HANDSHAKE_SECONDS", 0.05)
    async with listening() as bob, connect(bob.wires.address) as client:
        assert await ended(client) == 4408
        monkeypatch.undo()


@pytest.mark.parametrize(
    ("change", "origin", "status"),
    [(lambda url: url, "http://page.example", 403), (lambda url: url + "/x", None, 404)],
    ids=["a browser's page", "another path"],
)
async def test_other_uses_of_the_port_are_turned_away(
    change: Callable[[str], str], origin: str | None, status: int
) -> None:
    async with listening() as bob:
        with pytest.raises(InvalidStatus) as caught:
            await connect(
                change(bob.wires.address), origin=None if origin is None else Origin(origin)
            )
        assert caught.value.response.status_code == status


async def test_a_page_of_an_allowed_origin_gets_a_wire_and_any_other_is_counted_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with listening(allowed_origins=("https://page.example",)) as bob:
        async with connect(bob.wires.address, origin=Origin("https://page.example")) as client:
            await shake(client)
            await (await bob.wired.get()).close()
        assert bob.wires.refused == {}
        with pytest.raises(InvalidStatus) as caught:
            await connect(bob.wires.address, origin=Origin("https://evil.example"))
        assert caught.value.response.status_code == 403
        assert b"wires.allowed_origins" in (caught.value.response.body or b"")
        assert bob.wires.refused == {"origin": 1}
        assert "403 not for pages of 'https://evil.example'" in caplog.text


async def test_a_stranger_that_is_no_websocket_is_let_go() -> None:
    async with listening() as bob:
        port = int(bob.wires.address.split(":")[2].split("/")[0])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\x16\x03\x01 hello\r\n\r\n")
        assert b"400" in await reader.readline()
        writer.close()
        await writer.wait_closed()


# Strangers after the handshake


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("a text", 4400),
        (encode(4, b"media"), 4400),
        (encode(HANDSHAKE, b"again"), 4400),
        (b"\x00\x00\x00\x00\x09four", 4400),
        ([bytes(200_000), bytes(200_000)], 4413),
        (bytes(5 + MAX_DATA_BYTES + 1), 1009),
    ],
    ids=["text", "channel 4", "handshake", "length", "long in pieces", "oversized"],
)
async def test_a_remote_that_breaks_the_framing_loses_its_wire(
    frame: str | bytes | list[bytes], code: int
) -> None:
    async with listening() as bob, connect(bob.wires.address) as client:
        await shake(client)
        await client.send(encode(0, b"before"))
        with suppress(ConnectionClosed):
            await client.send(frame)
        assert await ended(client) == code
        (sink,) = bob.sinks
        await sink.gone.wait()
        assert sink.messages == [(0, b"before")]
        assert isinstance(sink.ends[0], (RemoteProtocolError, LimitError))


async def test_a_message_in_several_websocket_frames_arrives_whole() -> None:
    frame = encode(2, b"in pieces")
    async with listening() as bob, connect(bob.wires.address) as client:
        await shake(client)
        await client.send([frame[:3], frame[3:7], frame[7:]])
        await client.send(encode(2, b"in one"))
        assert await bob.sinks[0].received(2) == [(2, b"in pieces"), (2, b"in one")]


async def test_a_remote_that_says_good_bye_is_no_failure() -> None:
    async with listening() as bob, connect(bob.wires.address) as client:
        await shake(client)
        await client.close(1001)
        await bob.sinks[0].gone.wait()
        assert bob.sinks[0].ends == [None]


async def test_the_far_side_s_reason_is_in_the_error() -> None:
    async with listening() as bob, connect(bob.wires.address) as client:
        await shake(client)
        await client.close(4413, "too much")
        await bob.sinks[0].gone.wait()
        assert isinstance(bob.sinks[0].ends[0], BrokenError)
        assert "4413 too much" in str(bob.sinks[0].ends[0])


async def test_messages_before_a_sink_are_bounded() -> None:
    async with listening(is_attaching=False) as bob, connect(bob.wires.address) as client:
        await shake(client)
        wire = await bob.wired.get()
        for number in range(200):  # the far side waits in the kernel, nothing is lost
            await client.send(encode(0, b"%d" % number))
        await turns(20)
        sink = Recorder()
        wire.attach(sink)
        await sink.received(200)
        assert sink.on(0) == [b"%d" % number for number in range(200)]


async def test_a_far_side_that_does_not_read_holds_little() -> None:
    """What waits in both kernels and here is what an urgent message waits behind."""
    async with listening(is_attaching=False) as bob, dialling() as alice:
        wire = await alice.dial(BOB, bob.wires.address)
        wire.attach(Recorder())
        taken = 0
        while not wire.is_full:
            wire.send(2, bytes(16_384))
            taken += 16_384
            await asyncio.sleep(0)
        assert taken < 4 * 1024 * 1024
        assert wire.buffered_bytes <= 64 * 1024
        wire.abort()
        (await bob.wired.get()).abort()


# Diallers and listeners that do not fit


@pytest.mark.parametrize(
    ("dialler", "secret", "listener_secret", "to", "why"),
    [
        (ALICE, None, SECRET, BOB, "none is configured"),
        (ALICE, b"other", SECRET, BOB, "does not prove"),
        (ALICE, None, None, CAROL, "is not here"),
        (STRANGER, None, None, BOB, "may not dial"),
    ],
    ids=["no secret", "wrong secret", "another actor", "wrong realm"],
)
async def test_a_pair_that_does_not_fit_gets_a_typed_error(
    dialler: ActrId,
    secret: bytes | None,
    listener_secret: bytes | None,
    to: ActrId,
    why: str,
) -> None:
    async with listening(secret=listener_secret) as bob, dialling(dialler, secret) as wires:
        with pytest.raises(UnreachableError, match=why):
            await wires.dial(to, bob.wires.address)
        assert bob.wired.empty()


async def test_a_listener_that_does_not_know_the_secret_is_not_trusted() -> None:
    async with listening() as bob, dialling(secret=SECRET) as wires:
        with pytest.raises(RemoteProtocolError, match="does not prove"):
            await wires.dial(BOB, bob.wires.address)
        await bob.sinks[0].gone.wait()
        assert isinstance(bob.sinks[0].ends[0], BrokenError)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/", "nonsense", "ws://", "ws://127.0.0.1:99999/", "ws://[::"]
)
async def test_an_address_that_is_none_is_unreachable(url: str) -> None:
    async with dialling() as wires:
        with pytest.raises(UnreachableError):
            await wires.dial(BOB, url)


async def test_a_port_where_nobody_listens_is_unreachable() -> None:
    sock = socket.create_server(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    sock.close()
    async with dialling() as wires:
        with pytest.raises(UnreachableError, match=str(port)):
            await wires.dial(BOB, f"ws://127.0.0.1:{port}/v1/wire")


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 404 Not Found\r\n\r\n", b"\x00\x01\x02\r\n\r\n"]
)
async def test_a_server_of_another_kind_is_unreachable(answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)

    async with serving(serve) as port, dialling() as wires:
        with pytest.raises(UnreachableError):
            await wires.dial(BOB, f"ws://127.0.0.1:{port}/v1/wire")


async def test_a_server_that_stays_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actr_peer.wire.websocket.wires.DIAL_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with dialling() as wires:
            with pytest.raises(UnreachableError, match="no answer"):
                await wires.dial(BOB, f"ws://127.0.0.1:{silent.getsockname()[1]}/v1/wire")
    await turns()
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("after", range(1, 24))
async def test_a_dial_that_is_cancelled_anywhere_leaves_nothing(after: int) -> None:
    async with listening(secret=SECRET) as bob, dialling(secret=SECRET) as wires:
        dial = asyncio.create_task(wires.dial(BOB, bob.wires.address))
        await turns(after)
        dial.cancel()
        await asyncio.wait([dial])
        if not dial.cancelled():  # it was faster
            await dial.result().close()
        while not bob.wired.empty():
            await bob.wired.get()
        for sink in bob.sinks:
            await sink.gone.wait()


async def test_leaving_the_block_closes_every_wire() -> None:
    sink = Recorder()
    async with listening() as bob:
        async with dialling() as wires:
            (await wires.dial(BOB, bob.wires.address)).attach(sink)
        assert sink.ends == [None]
        await bob.sinks[0].gone.wait()
        assert bob.sinks[0].ends == [None]


# Addresses


async def test_a_port_in_use_is_said_with_what_to_do() -> None:
    async with listening() as bob:
        host_port = bob.wires.address.removeprefix("ws://").split("/")[0]
        second = WebSocketWires(
            self_id=ALICE, listen=host_port, on_wire=lambda wire: None, secret=None
        )
        with pytest.raises(BusyError, match="listen on another port"):
            await second.__aenter__()


@pytest.mark.parametrize("text", ["", "9100", "host", "host:x", "::1:9100", "host:70000", "h:-1"])
def test_a_listen_address_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="listen address"):
        tcp.parse_listen(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [(":0", ("", 0)), ("[::1]:9100", ("::1", 9100)), ("0.0.0.0:1", ("0.0.0.0", 1))],
)
def test_a_listen_address_is_host_and_port(text: str, address: tuple[str, int]) -> None:
    assert tcp.parse_listen(text) == address


async def test_a_host_of_another_machine_cannot_be_listened_on() -> None:
    wires = WebSocketWires(
        self_id=ALICE, listen="192.0.2.1:0", on_wire=lambda wire: None, secret=None
    )
    with pytest.raises(ConfigError, match="cannot be bound"):
        await wires.__aenter__()


@pytest.mark.parametrize(
    ("listen", "more", "host"),
    [
        ("127.0.0.1:0", {}, "127.0.0.1"),
        ("0.0.0.0:0", {}, "127.0.0.1"),
        ("0.0.0.0:0", {"towards": "ws://127.0.0.2:1/"}, "127.0.0.1"),
        ("0.0.0.0:0", {"towards": "ws://no.such.host.invalid/"}, "127.0.0.1"),
        (":0", {"advertise": "ws://outside.example:1/p"}, "outside.example"),
    ],
)
async def test_the_address_is_one_that_others_can_dial(
    listen: str, more: dict[str, str], host: str
) -> None:
    async with WebSocketWires(
        self_id=ALICE, listen=listen, on_wire=lambda wire: None, secret=None, **more
    ) as wires:
        assert wires.address.startswith(f"ws://{host}:")


async def test_the_address_of_a_proxy_that_speaks_tls_is_told_as_it_is() -> None:
    proxy = "wss://outside.example/v1/wire"
    async with WebSocketWires(
        self_id=ALICE, listen=":0", on_wire=lambda wire: None, secret=None, advertise=proxy
    ) as wires:
        assert wires.address == wires.address_from("10.1.2.3") == proxy


@pytest.mark.parametrize(
    ("listen", "more", "local_host", "host"),
    [
        ("0.0.0.0:0", {}, "10.1.2.3", "10.1.2.3"),
        ("0.0.0.0:0", {}, "fd00::1", "127.0.0.1"),
        ("[::]:0", {}, "fd00::1", "[fd00::1]"),
        ("[::]:0", {}, "fe80::1%eth0", "127.0.0.1"),
        ("127.0.0.1:0", {}, "10.1.2.3", "127.0.0.1"),
        (":0", {"advertise": "ws://outside.example:1/p"}, "10.1.2.3", "outside.example"),
    ],
)
async def test_the_address_is_found_anew_from_the_interface_that_reaches_signaling(
    listen: str, more: dict[str, str], local_host: str, host: str
) -> None:
    """The name of the service did not resolve when the listener began."""
    async with WebSocketWires(
        self_id=ALICE,
        listen=listen,
        on_wire=lambda wire: None,
        secret=None,
        towards="ws://no.such.host.invalid/",
        **more,
    ) as wires:
        assert wires.address_from(local_host).startswith(f"ws://{host}:")
        assert wires.address == wires.address_from(local_host)


async def test_of_several_addresses_the_one_that_answers_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with listening() as bob, dialling() as alice:
        port = int(bob.wires.address.split(":")[2].split("/")[0])
        stream = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        with socket.create_server(("127.0.0.1", 0)) as sock:
            closed = sock.getsockname()[1]
        found = [(*stream, ("127.0.0.1", closed))] * 5 + [(*stream, ("127.0.0.1", port))]

        async def resolve(*args: object, **kwargs: object) -> list[object]:
            return list(found)

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
        wire = await alice.dial(BOB, "ws://several.example/v1/wire")
        await wire.close()


async def test_without_a_listener_there_is_no_address() -> None:
    async with dialling() as wires:
        assert wires.address == ""


async def test_sockets_of_both_sides_are_tuned() -> None:
    async with listening() as bob, dialling() as alice:
        near = await alice.dial(BOB, bob.wires.address)
        far = await bob.wired.get()
        for wire in (near, far):
            transport = wire._transport.underlying_transport  # type: ignore[attr-defined]  # no other way
            sock = transport.get_extra_info("socket")
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 10_000
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == 32 * 1024
