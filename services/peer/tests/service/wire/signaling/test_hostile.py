"""Nothing that a signaling service says ends an actor, but word of a newer registration."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from actr import signaling_pb2 as pb
from actr_peer.errors import BusyError, ConfigError, LimitError, UnreachableError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.signaling import session
from actr_peer.protocol.signaling.presence import SignalingState
from actr_peer.protocol.webrtc.negotiation import Bye, NegotiateMessage
from actr_peer.wire.signaling import connection, upkeep
from actr_peer.wire.signaling.client import SignalingClient
from actr_peer.wire.signaling.connection import SUBPROTOCOL
from peer_kit.fakes import BOB, CAROL, SignalingRecorder, turns
from peer_kit.signaling.played import Played, Service, make_client, presence, started
from peer_kit.signaling.servers import serving

pytestmark = [pytest.mark.service, pytest.mark.timeout(60)]

STEP = NegotiateMessage("c", 1, Bye("enough"))
LONG_TEXT = "身元が許可されていません" * 6
"""More than the 123 bytes of a close reason, in fewer characters."""


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    played = Service()
    async with serve(
        played, "127.0.0.1", 0, compression=None, subprotocols=[SUBPROTOCOL]
    ) as server:
        played.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/ws"
        yield played
    await turns()
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "LEAVE_SECONDS", 0.01)
    monkeypatch.setattr(upkeep, "REFUSED_SECONDS", 0.01, raising=False)
    monkeypatch.setattr(session, "MIN_HEARTBEAT", 0.01, raising=False)


async def works_on(client: SignalingClient, played: Played) -> None:
    """The client still asks, and takes the answer."""
    relaying = asyncio.create_task(client.relay(BOB, STEP))
    message = await played.heard()
    while message.WhichOneof("body") != "relay":
        message = await played.heard()
    await played.say(reply_to=message.id, receipt=pb.Receipt())
    await relaying


async def test_a_heartbeat_goes_out_while_every_request_waits(service: Service) -> None:
    async with started(service, heartbeat=0.01) as (client, played):
        asks = [
            asyncio.create_task(client.discover(f"acme:t{number}"))
            for number in range(session.MAX_OPEN)
        ]
        for _ in asks:
            await played.heard()  # and none is answered but the heartbeats
        for _ in range(3):
            while (message := await played.beat()).WhichOneof("body") != "heartbeat":
                pass
            await played.say(reply_to=message.id, heartbeat_ack=pb.HeartbeatAck())
        with pytest.raises(LimitError):
            await client.discover("acme:one-more")
        for ask in asks:
            ask.cancel()
        await asyncio.gather(*asks, return_exceptions=True)
        await works_on(client, played)


async def test_a_long_refusal_at_the_start_is_a_typed_error(service: Service) -> None:
    entering = asyncio.create_task(make_client(service).__aenter__())
    played = await service.next()
    proof = await played.greet()
    await played.say(reply_to=proof.id, error=pb.SignalingError(code=4403, message=LONG_TEXT))
    with pytest.raises(ConfigError):
        await entering


@pytest.mark.parametrize("code", [4400, 4401, 4403, 4429])
async def test_a_refusal_on_a_reconnect_is_tried_again(service: Service, code: int) -> None:
    sink = SignalingRecorder()
    async with started(service, sink) as (client, played):
        played.drop()
        again = await service.next()
        proof = await again.greet()
        await again.say(reply_to=proof.id, error=pb.SignalingError(code=code, message=LONG_TEXT))
        third = await service.next()
        await third.register()
        await sink.until(lambda: sink.states.count(SignalingState.REGISTERED) == 2)
        await works_on(client, third)
        assert sink.replacements == 0


async def test_only_a_newer_registration_replaces(service: Service) -> None:
    sink = SignalingRecorder()
    async with started(service, sink) as (client, played):  # registered with epoch 1
        await played.say(replaced=pb.Replaced(epoch=1))
        await played.close(4409, "replaced")
        again = await service.next()
        await again.register()
        await works_on(client, again)
        assert sink.replacements == 0


@pytest.mark.parametrize(
    "message",
    [
        {"hello": pb.ServerHello(nonce=b"n" * 32, server_id="s", max_message_bytes=1)},
        {"hello": pb.ServerHello(nonce=bytes(4096), server_id="s" * 100_000)},
    ],
    ids=["a bound that nothing fits", "a name without end"],
)
async def test_a_greeting_that_cannot_be_used_is_left_for_another(
    service: Service, message: dict[str, Any]
) -> None:
    async with started(service) as (client, played):
        played.drop()
        await (await service.next()).say(**message)
        again = await service.next()
        await again.register()
        await works_on(client, again)


@pytest.mark.parametrize("interval", [0, 2**32 - 1])
async def test_the_heartbeat_is_bounded_whatever_the_service_asks_for(
    service: Service, interval: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "MAX_HEARTBEAT", 0.02, raising=False)
    entering = asyncio.create_task((client := make_client(service)).__aenter__())
    played = await service.next()
    proof = await played.greet()
    await played.say(reply_to=proof.id, authenticated=pb.Authenticated())
    register = await played.heard()
    registered = pb.Registered(epoch=1, heartbeat_interval_ms=interval)
    await played.say(reply_to=register.id, registered=registered)
    await entering
    assert (await played.beat()).WhichOneof("body") == "heartbeat"
    await client.__aexit__(None, None, None)


async def test_a_sink_that_fails_loses_one_message(service: Service) -> None:
    class Failing(SignalingRecorder):
        def relayed(self, source: ActrId, negotiate: NegotiateMessage) -> None:
            super().relayed(source, negotiate)
            raise RuntimeError("a bug in the sink")

    sink = Failing()
    async with started(service, sink) as (client, played):
        relayed = pb.Relayed(
            **{"from": BOB.to_message()}, negotiate=pb.Negotiate(bye=pb.Bye(reason="r"))
        )
        await played.say(relayed=relayed)
        await works_on(client, played)
        assert service.count == 1
        assert client.contained["told"] == 1


async def test_a_load_that_fails_ends_no_more_than_the_connection(service: Service) -> None:
    async with started(service, heartbeat=0.01) as (client, _):
        client._load = lambda: 1 // 0  # type: ignore[assignment, return-value]  # a bug
        again = await service.next()
        await again.register()
        await works_on(client, again)


async def test_presence_that_nobody_asked_for_is_not_kept(service: Service) -> None:
    sink = SignalingRecorder()
    async with started(service, sink) as (client, played):
        for number in range(10):
            event = pb.PresenceEvent(
                version=number, presence=presence(ActrId("evil", "flood", str(number)))
            )
            await played.say(presence=event)
        await works_on(client, played)
        assert sink.events == []
        assert client.find(ActrId("evil", "flood", "1")) is None


async def test_of_two_subscriptions_at_once_one_that_gives_up_leaves_the_other(
    service: Service,
) -> None:
    sink = SignalingRecorder()
    async with started(service, sink) as (client, played):
        hasty = asyncio.create_task(client.subscribe("acme:chat", timeout=0.02))
        patient = asyncio.create_task(client.subscribe("acme:chat"))
        await played.heard()
        second = await played.heard()
        with pytest.raises(UnreachableError):
            await hasty
        snapshot = pb.PresenceSnapshot(actr_type="acme:chat", version=1, present=[presence(BOB)])
        await played.say(reply_to=second.id, snapshot=snapshot)
        assert [found.id for found in await patient] == [BOB]
        event = pb.PresenceEvent(version=2, presence=presence(CAROL))
        await played.say(presence=event)
        await sink.until(lambda: len(sink.events) == 1)


async def test_one_actor_is_looked_up_by_its_id(service: Service) -> None:
    async with started(service) as (client, played):
        asking = asyncio.create_task(client.lookup(BOB))
        message = await played.heard()
        assert message.discover.id == BOB.to_message()
        found = [presence(BOB, ws_address="ws://b:1/v1/wire")]
        await played.say(reply_to=message.id, discovered=pb.Discovered(found=found))
        looked_up = await asking
        assert looked_up is not None
        assert looked_up.id == BOB


async def test_a_service_that_is_not_there_yet_is_tried_again() -> None:
    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
        writer.close()
        await writer.wait_closed()
        if count == 2:
            twice.set()

    count, twice = 0, asyncio.Event()
    async with serving(proxy) as port:
        service = Service()
        service.url = f"ws://127.0.0.1:{port}/v1/ws"
        entering = asyncio.create_task(make_client(service).__aenter__())
        async with asyncio.timeout(60):
            await asyncio.wait(
                [entering, waiting := asyncio.create_task(twice.wait())],
                return_when=asyncio.FIRST_COMPLETED,
            )
        assert not entering.done(), entering.exception()
        entering.cancel()
        await asyncio.wait([entering, waiting])


async def test_a_name_that_is_none_is_unreachable() -> None:
    service = Service()
    service.url = "ws://a..b:80/v1/ws"
    with pytest.raises(UnreachableError):
        await make_client(service, start_timeout=0.05).__aenter__()


def mutated(dice: random.Random, message: pb.ServerMessage) -> bytes:
    """The message with some of its bytes changed, cut, doubled or lengthened."""
    data = bytearray(message.SerializeToString())
    for _ in range(dice.randint(1, 4)):
        where = dice.randrange(len(data) + 1)
        match dice.randrange(4):
            case 0:
                data[where : where + 1] = dice.randbytes(1)
            case 1:
                del data[where : where + dice.randint(1, 8)]
            case 2:
                data[where:where] = data[: dice.randint(0, 64)]
            case _:
                data[where:where] = dice.randbytes(dice.randint(1, 8))
    with suppress(DecodeError):
        if pb.ServerMessage.FromString(bytes(data)).WhichOneof("body") == "replaced":
            return b""  # the one word that ends a client, rightly
    return bytes(data)


def words() -> list[pb.ServerMessage]:
    """One of each thing that a service may say, full of members."""
    ice = pb.IceServer(urls=["turn:t?transport=udp", "stun:a..b"], username="u", credential="c")
    other = presence(BOB, ws_address="ws://b:1/", metadata={"a": "b"}, epoch=2, incarnation=3)
    offer = pb.SessionDescription(sdp="v=0\r\n", track_ids={"0": "t"})
    return [
        pb.ServerMessage(hello=pb.ServerHello(nonce=b"n" * 32, server_id="s")),
        pb.ServerMessage(
            hello=pb.ServerHello(nonce=b"n" * 32, server_id="s", max_message_bytes=30)
        ),
        pb.ServerMessage(reply_to=1, authenticated=pb.Authenticated()),
        pb.ServerMessage(reply_to=2, registered=pb.Registered(epoch=4, ice_servers=[ice])),
        pb.ServerMessage(reply_to=3, snapshot=pb.PresenceSnapshot(present=[other], version=3)),
        pb.ServerMessage(presence=pb.PresenceEvent(presence=other, version=4, reason=2)),
        pb.ServerMessage(reply_to=3, discovered=pb.Discovered(found=[other])),
        pb.ServerMessage(reply_to=4, heartbeat_ack=pb.HeartbeatAck(ice_servers=[ice])),
        pb.ServerMessage(reply_to=4, undelivered=pb.Undelivered(reason=2, to=BOB.to_message())),
        pb.ServerMessage(
            relayed=pb.Relayed(
                **{"from": BOB.to_message()},
                negotiate=pb.Negotiate(connection_id="ab", exchange=1, offer=offer),
            )
        ),
        pb.ServerMessage(goaway=pb.GoAway(reconnect_after_ms=2**31, reason="r")),
        pb.ServerMessage(error=pb.SignalingError(code=4400, message=LONG_TEXT)),
        pb.ServerMessage(reply_to=5, done=pb.Done()),
    ]


@pytest.mark.parametrize("seed", range(6))
async def test_a_client_lives_on_whatever_one_service_says(
    service: Service, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forty connections of mutated messages, then an honest one: it registers and works."""
    monkeypatch.setattr(connection, "CLOSE_SECONDS", 0.05)
    monkeypatch.setattr(upkeep, "Backoff", lambda: _Hasty())
    dice = random.Random(seed)
    sink = SignalingRecorder()
    async with started(service, sink, heartbeat=0.05) as (client, played):
        subscribing = asyncio.create_task(client.subscribe(""))
        for _ in range(40):
            try:
                for _ in range(dice.randint(1, 12)):
                    word = dice.choice(words())
                    is_whole = dice.random() < 0.3
                    await played.say_raw(
                        word.SerializeToString() if is_whole else mutated(dice, word)
                    )
            except ConnectionClosed:
                pass  # it has heard enough
            played.drop()
            played = await service.next()
            try:
                match dice.randrange(3):
                    case 0:
                        await played.register(heartbeat=0.05)
                    case 1:
                        await played.greet()
            except ConnectionClosed:
                continue
        played.drop()
        last = await service.next()
        await last.register()
        await sink.until(lambda: client.state is SignalingState.REGISTERED)
        await works_on(client, last)
        subscribing.cancel()
        await asyncio.wait([subscribing])


class _Hasty:
    """A back-off that does not wait."""

    def failed(self, dice: float) -> float:
        return 0.0

    def succeeded(self) -> None: ...


async def test_word_of_a_newer_registration_is_told_and_final(service: Service) -> None:
    sink = SignalingRecorder()
    async with started(service, sink) as (client, played):
        await played.say(replaced=pb.Replaced(epoch=2))
        await played.close(4409, "replaced")
        await sink.until(lambda: sink.replacements == 1)
        with pytest.raises(BusyError):
            await client.relay(BOB, STEP)


async def test_each_registration_says_where_this_actor_is_now(service: Service) -> None:
    asked: list[str] = []

    def address(local_host: str) -> str:
        asked.append(local_host)
        return f"ws://{local_host}:{len(asked)}/v1/wire"

    client = make_client(service, address=address)
    entering = asyncio.create_task(client.__aenter__())
    played = await service.next()
    assert (await played.register()).register.ws_address == "ws://127.0.0.1:1/v1/wire"
    await entering
    played.drop()
    again = await service.next()
    assert (await again.register()).register.ws_address == "ws://127.0.0.1:2/v1/wire"
    await client.__aexit__(None, None, None)
