"""The signaling client against a service played by the test, one step at a time.

Against the real service: ``test_service.py``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
from websockets.asyncio.server import serve

from actr import signaling_pb2 as pb
from actr_peer.errors import (
    BusyError,
    ClosedError,
    ConfigError,
    LocalProtocolError,
    UnreachableError,
)
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.signaling.presence import (
    Change,
    Load,
    Registration,
    SignalingState,
)
from actr_peer.protocol.webrtc.negotiation import Bye, IceServer, NegotiateMessage
from actr_peer.wire.signaling import connection, upkeep
from actr_peer.wire.signaling.client import SignalingClient
from actr_peer.wire.signaling.connection import SUBPROTOCOL
from peer_kit.fakes import ALICE, BOB, CAROL, SignalingRecorder, turns
from peer_kit.signaling.played import Service, make_client, presence, started

pytestmark = [pytest.mark.service, pytest.mark.timeout(30)]

STEP = NegotiateMessage("c", 1, Bye("enough"))


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
def short_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "LEAVE_SECONDS", 0.01)


# Starting


async def test_starting_returns_when_registered(service: Service) -> None:
    sink = SignalingRecorder()
    ice = pb.IceServer(urls=["stun:s"])
    async with started(service, sink, ice_servers=[ice]) as (client, _):
        assert client.state is SignalingState.REGISTERED
        assert client.ice_servers == (IceServer(urls=("stun:s",)),)
    assert sink.states == [SignalingState.REGISTERED, SignalingState.CLOSED]


@pytest.mark.parametrize("url", ["http://s/v1/ws", "signaling:8080", "ws://", "", "ws://s:99999/"])
def test_an_address_that_is_no_websocket_s_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"signaling\.url"):
        SignalingClient(
            url=url,
            registration=lambda _: Registration(id=ALICE, incarnation=1),
            secret=None,
            relayed=SignalingRecorder().relayed,
            sink=SignalingRecorder(),
            load=Load,
        )


async def test_a_service_that_is_not_there_is_unreachable_with_the_cause() -> None:
    nowhere = Service()
    nowhere.url = "ws://127.0.0.1:9/v1/ws"
    with pytest.raises(UnreachableError, match=r"not registered within .*ConnectionRefused"):
        # Long enough for one attempt on a machine that has much else to do.
        await make_client(nowhere, start_timeout=2).__aenter__()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_start_that_takes_long_says_what_it_waits_for_and_goes_on(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(upkeep, "SAY_AFTER", 0.0)
    entering = asyncio.create_task(make_client(service, start_timeout=60).__aenter__())
    (await service.next()).drop()
    played = await service.next()
    (said,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert said.message.startswith(f"waiting for signaling at {service.url}, another 60 s (")
    assert "start 'actr dev' or 'actr-signaling' there, or name another with --si" in said.message
    await played.register()
    await (await entering).__aexit__(None, None, None)


@pytest.mark.parametrize("timeouts", [{"start_timeout": 5}, {"absent_timeout": 2}])
async def test_a_start_that_is_over_soon_says_it_all_then(
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    timeouts: dict[str, float],
) -> None:
    monkeypatch.setattr(upkeep, "SAY_AFTER", 0.0)
    entering = asyncio.create_task(make_client(service, **timeouts).__aenter__())
    (await service.next()).drop()
    await (await service.next()).register()
    await (await entering).__aexit__(None, None, None)
    assert "waiting for" not in caplog.text


@pytest.mark.parametrize(
    ("code", "error"), [(4401, ConfigError), (4403, ConfigError), (4409, BusyError)]
)
async def test_a_service_that_refuses_this_actor_is_asked_once(
    service: Service, code: int, error: type[Exception]
) -> None:
    entering = asyncio.create_task(make_client(service).__aenter__())
    played = await service.next()
    await played.greet()
    await played.close(code, "no")
    with pytest.raises(error):
        await entering
    assert service.count == 1


async def test_a_registration_that_cannot_be_used_is_said(service: Service) -> None:
    entering = asyncio.create_task(make_client(service).__aenter__())
    played = await service.next()
    proof = await played.greet()
    await played.say(reply_to=proof.id, authenticated=pb.Authenticated())
    register = await played.heard()
    error = pb.SignalingError(code=4400, message="17 metadata entries")
    await played.say(reply_to=register.id, error=error)
    with pytest.raises(ConfigError, match="17 metadata entries"):
        await entering


async def test_a_first_attempt_that_fails_is_made_again(service: Service) -> None:
    entering = asyncio.create_task(make_client(service).__aenter__())
    (await service.next()).drop()
    played = await service.next()
    await played.register()
    client = await entering
    await client.__aexit__(None, None, None)


async def test_a_service_that_says_nothing_is_given_up(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "REGISTER_SECONDS", 0.05)
    entering = asyncio.create_task(make_client(service).__aenter__())
    assert await (await service.next()).closed() is not None
    monkeypatch.undo()
    await (await service.next()).register()
    client = await entering
    await client.__aexit__(None, None, None)


@pytest.mark.parametrize("after", range(1, 30, 3))
async def test_a_start_that_is_cancelled_leaves_nothing(service: Service, after: int) -> None:
    entering = asyncio.create_task(make_client(service).__aenter__())
    await turns(after)
    entering.cancel()
    await asyncio.wait([entering])
    assert entering.cancelled()


# Relaying


async def test_a_relay_returns_with_its_receipt(service: Service) -> None:
    async with started(service) as (client, played):
        relaying = asyncio.create_task(client.relay(BOB, STEP))
        message = await played.heard()
        assert ActrId.from_message(message.relay.to) == BOB
        assert message.relay.negotiate.bye.reason == "enough"
        await turns()
        assert not relaying.done()
        await played.say(reply_to=message.id, receipt=pb.Receipt())
        await relaying


@pytest.mark.parametrize(
    ("reason", "why"),
    [
        (pb.Undelivered.UNKNOWN, "knows no such actor"),
        (pb.Undelivered.OFFLINE, "offline"),
        (pb.Undelivered.NOT_ALLOWED, "does not let"),
        (pb.Undelivered.EXPIRED, "in time"),
        (pb.Undelivered.OVERLOADED, "no more messages"),
    ],
)
async def test_a_relay_that_does_not_arrive_says_why(
    service: Service, reason: pb.Undelivered.Reason.ValueType, why: str
) -> None:
    async with started(service) as (client, played):
        relaying = asyncio.create_task(client.relay(BOB, STEP))
        message = await played.heard()
        await played.say(reply_to=message.id, undelivered=pb.Undelivered(reason=reason))
        with pytest.raises(UnreachableError, match=why) as caught:
            await relaying
        assert caught.value.remote == str(BOB)


async def test_a_refused_relay_is_an_error_and_the_connection_stays(service: Service) -> None:
    async with started(service) as (client, played):
        relaying = asyncio.create_task(client.relay(BOB, STEP))
        message = await played.heard()
        error = pb.SignalingError(code=4413, message="an SDP over 49152 bytes")
        await played.say(reply_to=message.id, error=error)
        with pytest.raises(UnreachableError, match="an SDP over"):
            await relaying
        assert client.state is SignalingState.REGISTERED


async def test_many_relays_keep_their_order_and_are_answered_in_any(service: Service) -> None:
    async with started(service) as (client, played):
        steps = [NegotiateMessage("c", number, Bye("")) for number in range(50)]
        relaying = [asyncio.create_task(client.relay(BOB, step)) for step in steps]
        messages = [await played.heard() for _ in steps]
        assert [message.relay.negotiate.exchange for message in messages] == list(range(50))
        for message in reversed(messages):
            await played.say(reply_to=message.id, receipt=pb.Receipt())
        await asyncio.gather(*relaying)


async def test_a_relay_without_an_answer_ends_at_its_deadline(service: Service) -> None:
    async with started(service) as (client, played):
        with pytest.raises(UnreachableError, match="no answer"):
            await client.relay(BOB, STEP, timeout=0.02)
        late = await played.heard()
        await played.say(reply_to=late.id, receipt=pb.Receipt())
        await turns()
        assert client.state is SignalingState.REGISTERED


async def test_a_relay_during_an_outage_goes_out_on_the_next_connection(
    service: Service,
) -> None:
    async with started(service) as (client, played):
        played.drop()
        relaying = asyncio.create_task(client.relay(BOB, STEP))
        again = await service.next()
        await again.register()
        message = await again.heard()
        await again.say(reply_to=message.id, receipt=pb.Receipt())
        await relaying


async def test_a_relay_whose_connection_breaks_before_the_receipt_is_sent_again(
    service: Service,
) -> None:
    async with started(service) as (client, played):
        relaying = asyncio.create_task(client.relay(BOB, STEP))
        await played.heard()
        played.drop()
        again = await service.next()
        await again.register()
        message = await again.heard()
        assert message.WhichOneof("body") == "relay"
        await again.say(reply_to=message.id, receipt=pb.Receipt())
        await relaying


@pytest.mark.parametrize("after", range(6))
async def test_a_relay_that_is_cancelled_is_forgotten(service: Service, after: int) -> None:
    async with started(service) as (client, played):
        relaying = asyncio.create_task(client.relay(BOB, STEP))
        await turns(after)
        relaying.cancel()
        await asyncio.wait([relaying])
        live = client._upkeep.live
        assert live is not None
        assert live._waiting == {}
        assert live._session._open == {}
        assert client.state is SignalingState.REGISTERED
        del played


async def test_what_another_peer_relays_reaches_the_sink(service: Service) -> None:
    sink = SignalingRecorder()
    async with started(service, sink) as (_, played):
        negotiate = pb.Negotiate(connection_id="c", exchange=1, bye=pb.Bye(reason="enough"))
        await played.say(
            relayed=pb.Relayed(**{"from": BOB.to_message()}, incarnation=9, negotiate=negotiate)
        )
        await sink.until(lambda: bool(sink.relays))
        assert sink.relays == [(BOB, STEP)]


# Presence


async def test_a_subscription_shows_who_is_there_and_tells_of_changes(service: Service) -> None:
    sink = SignalingRecorder()
    async with started(service, sink) as (client, played):
        subscribing = asyncio.create_task(client.subscribe("acme:chat"))
        message = await played.heard()
        assert message.subscribe.actr_type == "acme:chat"
        snapshot = pb.PresenceSnapshot(
            actr_type="acme:chat", version=5, present=[presence(BOB, epoch=1)]
        )
        await played.say(reply_to=message.id, snapshot=snapshot)
        assert [item.id for item in await subscribing] == [BOB]
        join = pb.PresenceEvent(version=6, presence=presence(CAROL, epoch=1))
        leave = pb.PresenceEvent(
            kind=pb.PresenceEvent.LEAVE, version=7, presence=presence(BOB, epoch=1)
        )
        await played.say(presence=join)
        await played.say(presence=leave)
        await sink.until(lambda: len(sink.events) == 2)
        assert [event.kind for event in sink.events] == [Change.JOIN, Change.LEAVE]
        assert client.find(CAROL) is not None
        assert client.find(BOB) is None
        assert [item.id for item in await client.subscribe("acme:chat")] == [CAROL]


async def test_subscriptions_are_restored_and_what_was_missed_is_told(service: Service) -> None:
    sink = SignalingRecorder()
    async with started(service, sink) as (client, played):
        subscribing = asyncio.create_task(client.subscribe())
        message = await played.heard()
        snapshot = pb.PresenceSnapshot(version=5, present=[presence(BOB, epoch=1)])
        await played.say(reply_to=message.id, snapshot=snapshot)
        await subscribing
        played.drop()
        again = await service.next()
        await again.register()
        message = await again.heard()
        assert message.WhichOneof("body") == "subscribe"
        snapshot = pb.PresenceSnapshot(version=2, present=[presence(CAROL, epoch=1)])
        await again.say(reply_to=message.id, snapshot=snapshot)
        await sink.until(lambda: len(sink.events) == 2)
        assert {(event.kind, event.presence.id) for event in sink.events} == {
            (Change.JOIN, CAROL),
            (Change.LEAVE, BOB),
        }


async def test_a_subscription_that_is_refused_when_it_is_restored_is_said(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    async with started(service) as (client, played):
        subscribing = asyncio.create_task(client.subscribe())
        message = await played.heard()
        await played.say(reply_to=message.id, snapshot=pb.PresenceSnapshot(version=5))
        await subscribing
        played.drop()
        again = await service.next()
        await again.register()
        message = await again.heard()
        error = pb.SignalingError(code=4413, message="a snapshot over 8388608 bytes")
        await again.say(reply_to=message.id, error=error)
        relaying = asyncio.create_task(client.relay(BOB, STEP))
        message = await again.heard()
        await again.say(reply_to=message.id, receipt=pb.Receipt())
        await relaying
    assert "a snapshot over 8388608 bytes" in caplog.text


async def test_a_subscription_that_ends_is_not_restored(service: Service) -> None:
    async with started(service) as (client, played):
        subscribing = asyncio.create_task(client.subscribe("acme:chat"))
        message = await played.heard()
        snapshot = pb.PresenceSnapshot(actr_type="acme:chat", present=[presence(BOB)])
        await played.say(reply_to=message.id, snapshot=snapshot)
        await subscribing
        ending = asyncio.create_task(client.unsubscribe("acme:chat"))
        message = await played.heard()
        await played.say(reply_to=message.id, done=pb.Done())
        await ending
        assert client.find(BOB) is None
        played.drop()
        again = await service.next()
        await again.register()
        relaying = asyncio.create_task(client.relay(BOB, STEP))
        message = await again.heard()
        assert message.WhichOneof("body") == "relay"
        await again.say(reply_to=message.id, receipt=pb.Receipt())
        await relaying


async def test_discovery_returns_the_best_first(service: Service) -> None:
    async with started(service) as (client, played):
        asking = asyncio.create_task(client.discover("acme:chat", service="a.B", limit=2))
        message = await played.heard()
        assert (message.discover.actr_type, message.discover.service) == ("acme:chat", "a.B")
        found = pb.Discovered(found=[presence(CAROL), presence(BOB)])
        await played.say(reply_to=message.id, discovered=found)
        assert [item.id for item in await asking] == [CAROL, BOB]


async def test_discovery_asks_again_until_there_are_enough_or_no_more(service: Service) -> None:
    async with started(service) as (client, played):
        for limit, last in ((300, ""), (300, "more of the same"), (2, "more")):
            asking = asyncio.create_task(client.discover("acme:chat", limit=limit))
            first = await played.heard()
            assert (first.discover.limit, first.discover.after) == (limit, "")
            page = pb.Discovered(found=[presence(CAROL)], next="place 1")
            await played.say(reply_to=first.id, discovered=page)
            second = await played.heard()
            assert (second.discover.limit, second.discover.after) == (limit - 1, "place 1")
            page = pb.Discovered(found=[presence(BOB)], next=last)
            await played.say(reply_to=second.id, discovered=page)
            if limit > 2 and last:
                third = await played.heard()
                await played.say(reply_to=third.id, discovered=page)  # nobody new
            assert [item.id for item in await asking] == [CAROL, BOB]


async def test_discovery_of_nothing_in_particular_is_a_bug_here(service: Service) -> None:
    async with started(service) as (client, _):
        with pytest.raises(LocalProtocolError):
            await client.discover()


async def test_looking_up_asks_the_service_and_remembers_for_an_outage(
    service: Service,
) -> None:
    async with started(service) as (client, played):
        asking = asyncio.create_task(client.lookup(BOB))
        message = await played.heard()
        assert message.discover.actr_type == BOB.actr_type
        found = pb.Discovered(found=[presence(BOB, ws_address="ws://b:1/")])
        await played.say(reply_to=message.id, discovered=found)
        looked_up = await asking
        assert looked_up is not None
        assert looked_up.ws_address == "ws://b:1/"
        played.drop()
        await service.next()
        assert await client.lookup(BOB) == looked_up
        with pytest.raises(UnreachableError):
            await client.lookup(CAROL, timeout=0.02)


async def test_an_actor_that_has_left_is_not_found_again(service: Service) -> None:
    async with started(service) as (client, played):
        for found, expected in (([presence(BOB)], True), ([], False)):
            asking = asyncio.create_task(client.lookup(BOB))
            message = await played.heard()
            await played.say(reply_to=message.id, discovered=pb.Discovered(found=found))
            assert (await asking is not None) is expected


# Keeping it up


async def test_heartbeats_carry_the_load_and_bring_fresh_ice_servers(service: Service) -> None:
    async with started(service, heartbeat=0.01) as (client, played):
        message = await played.beat()
        assert message.heartbeat.load == pb.Load(mailbox_backlog=3, power_reserve=0.5)
        ack = pb.HeartbeatAck(ice_servers=[pb.IceServer(urls=["turn:t"])])
        await played.say(reply_to=message.id, heartbeat_ack=ack)
        await played.beat()
        assert client.ice_servers == (IceServer(urls=("turn:t",)),)


async def test_a_service_that_falls_silent_is_left_for_another(service: Service) -> None:
    sink = SignalingRecorder()
    async with started(service, sink, heartbeat=0.01):
        again = await service.next()  # no heartbeat was answered
        await again.register()
        await sink.until(lambda: sink.states.count(SignalingState.REGISTERED) == 2)


async def test_a_replica_that_goes_away_is_left_when_it_says(service: Service) -> None:
    sink = SignalingRecorder()
    async with started(service, sink) as (client, played):
        await played.say(goaway=pb.GoAway(reconnect_after_ms=10, reason="update"))
        again = await service.next()
        assert await played.closed() == 1001
        await again.register()
        relaying = asyncio.create_task(client.relay(BOB, STEP))
        message = await again.heard()
        await again.say(reply_to=message.id, receipt=pb.Receipt())
        await relaying


@pytest.mark.parametrize("code", [1012, 1013, 4400, 4408, 4429])
async def test_a_close_that_is_not_final_is_mended(service: Service, code: int) -> None:
    sink = SignalingRecorder()
    async with started(service, sink) as (_, played):
        await played.close(code, "because")
        await (await service.next()).register()
        await sink.until(lambda: sink.states.count(SignalingState.REGISTERED) == 2)


async def test_a_newer_process_with_this_identity_ends_it_for_good(service: Service) -> None:
    sink = SignalingRecorder()
    async with started(service, sink) as (client, played):
        relaying = asyncio.create_task(client.relay(BOB, STEP))
        await played.heard()
        await played.say(replaced=pb.Replaced(epoch=2))
        await played.close(4409, "replaced")
        await sink.until(lambda: sink.replacements == 1)
        with pytest.raises(BusyError):
            await relaying
        with pytest.raises(BusyError):
            await client.relay(BOB, STEP)
        assert client.state is SignalingState.REPLACED
    assert service.count == 1


@pytest.mark.parametrize("nonsense", ["a text", b"\xff\xff\xff", b"\x08\x09\x12\x00"])
async def test_a_service_that_speaks_nonsense_is_left_for_another(
    service: Service, nonsense: str | bytes
) -> None:
    sink = SignalingRecorder()
    async with started(service, sink) as (_, played):
        await played.say_raw(nonsense)
        assert await played.closed() == 4400
        await (await service.next()).register()
        await sink.until(lambda: sink.states.count(SignalingState.REGISTERED) == 2)


# Leaving


async def test_leaving_says_so_and_waits_for_the_receipt(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "LEAVE_SECONDS", 5.0)
    async with started(service) as (client, played):
        leaving = asyncio.create_task(client.unregister())
        message = await played.heard()
        assert message.WhichOneof("body") == "unregister"
        await played.say(reply_to=message.id, receipt=pb.Receipt())
        await played.close()
        await leaving
        await client.unregister()
        with pytest.raises(ClosedError):
            await client.relay(BOB, STEP)
        assert client.state is SignalingState.CLOSED
    assert service.count == 1


async def test_leaving_during_an_outage_does_not_wait(service: Service) -> None:
    async with started(service) as (client, played):
        played.drop()
        again = await service.next()
        await client.unregister()
        assert client.state is SignalingState.CLOSED
        del again
