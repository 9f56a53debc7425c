"""What the WebRTC wire does beyond every wire: real connections, signaling in memory."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from actr_peer.errors import (
    BrokenError,
    BusyError,
    ConfigError,
    LimitError,
    PeerError,
    UnreachableError,
)
from actr_peer.protocol.webrtc.negotiation import (
    Answer,
    Bye,
    Candidate,
    IceServer,
    NegotiateMessage,
    Offer,
    RequestOffer,
)
from actr_peer.wire.base import CHANNELS
from actr_peer.wire.webrtc.aiortc import bounds
from actr_peer.wire.webrtc.aiortc.ice import LOOPBACK, host_addresses, usable_servers
from actr_peer.wire.webrtc.aiortc.sctp import association
from actr_peer.wire.webrtc.aiortc.sctp.lane_queue import OutboundChunk
from actr_peer.wire.webrtc.engine import EngineOptions
from actr_peer.wire.webrtc.wire import WebRtcWire
from peer_kit.fakes import ALICE, BOB, Recorder, turns
from peer_kit.webrtc.pair import Pair, webrtc_pair

pytestmark = pytest.mark.service

# Nobody listens here: RFC 5737, for documentation.
DEAD_TURN = IceServer(urls=("turn:127.0.0.1:9?transport=udp",), username="u", credential="p")


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    async with asyncio.timeout(60), webrtc_pair() as made:
        yield made


def transport_of(wire: WebRtcWire) -> Any:
    return wire._engine._sctp  # type: ignore[attr-defined]


async def exchange(near: WebRtcWire, far: WebRtcWire) -> None:
    """Show that both ends work, on all channels."""
    sinks = Recorder(), Recorder()
    near.attach(sinks[0])
    far.attach(sinks[1])
    for channel in range(CHANNELS):
        near.send(channel, b"%d" % channel)
        far.send(channel, b"%d" % channel)
    for sink in sinks:
        await sink.received(CHANNELS)
        assert sorted(sink.messages) == [(c, b"%d" % c) for c in range(CHANNELS)]


# Connecting


async def test_the_smaller_id_offers_when_it_dials(pair: Pair) -> None:
    near, far = await pair.connect()
    bodies = [(source, type(message.body)) for source, message in pair.relay.said]
    assert bodies == [(ALICE, Offer), (BOB, Answer)]
    assert near.connection_id == far.connection_id
    await exchange(near, far)


async def test_the_larger_id_asks_for_an_offer_and_is_the_dialler(pair: Pair) -> None:
    near = await pair.bob.dial(ALICE)
    far = await pair.arrived.get()
    bodies = [(source, type(message.body)) for source, message in pair.relay.said]
    assert bodies == [(BOB, RequestOffer), (ALICE, Offer), (BOB, Answer)]
    assert (near.was_dialled, far.was_dialled) == (True, False)
    await exchange(near, far)


async def test_both_sides_dialling_at_once_share_one_connection(pair: Pair) -> None:
    near, far = await asyncio.gather(pair.alice.dial(BOB), pair.bob.dial(ALICE))
    assert near.connection_id == far.connection_id
    await turns()
    assert pair.arrived.empty()
    assert len(pair.alice.wires()) == len(pair.bob.wires()) == 1
    await exchange(near, far)


async def test_dialling_again_makes_a_new_wire_beside_the_old_one(pair: Pair) -> None:
    old_near, old_far = await pair.connect()
    new_near, new_far = await pair.connect()
    assert old_near.connection_id != new_near.connection_id
    await exchange(old_near, old_far)
    await exchange(new_near, new_far)
    await old_near.close()
    sink = Recorder()
    new_far.attach(sink)
    new_near.send(0, b"the new one goes on")
    assert await sink.received(1)


async def test_a_second_dial_while_one_is_under_way_is_refused(pair: Pair) -> None:
    first = asyncio.gather(pair.alice.dial(BOB))
    await turns(1)
    with pytest.raises(BusyError):
        await pair.alice.dial(BOB)
    await first


async def test_a_remote_that_is_offline_is_unreachable_at_once(pair: Pair) -> None:
    pair.relay.is_down = True
    for dial in (pair.alice.dial(BOB), pair.bob.dial(ALICE)):
        with pytest.raises(UnreachableError, match=r"^cannot reach \S+: offline$"):
            await dial
    assert pair.alice.wires() == pair.bob.wires() == []


async def test_a_dial_that_gets_no_answer_fails_after_the_connect_timeout() -> None:
    async with webrtc_pair(connect_timeout=0.2) as pair:
        pair.relay.lose = lambda message: isinstance(message.body, Answer)
        with pytest.raises(UnreachableError, match=r"no WebRTC connection within 0\.2 s"):
            await pair.alice.dial(BOB)
        assert pair.alice.wires() == []


async def test_an_asker_that_gets_no_offer_fails_after_the_connect_timeout() -> None:
    async with webrtc_pair(connect_timeout=0.2) as pair:
        pair.relay.lose = lambda message: isinstance(message.body, RequestOffer)
        with pytest.raises(UnreachableError):
            await pair.bob.dial(ALICE)


async def test_a_cancelled_dial_is_given_up_on_both_sides(pair: Pair) -> None:
    pair.relay.lose = lambda message: isinstance(message.body, Answer)
    dialling = asyncio.gather(pair.alice.dial(BOB))
    while len(pair.relay.said) < 2:
        await turns(1)
    dialling.cancel()
    await asyncio.wait([dialling])
    while pair.bob.wires():
        await turns(1)
    assert pair.alice.wires() == []
    assert isinstance(pair.relay.said[-1][1].body, Bye)


async def test_an_offer_that_crosses_the_request_is_said_again_to_the_new_process(
    pair: Pair,
) -> None:
    """BOB was killed with ALICE's offer in hand; his successor asks for one."""
    pair.relay.lose = lambda message: isinstance(message.body, Offer)
    first = asyncio.gather(pair.alice.dial(BOB))
    while not pair.relay.said:
        await turns(1)
    pair.relay.lose = lambda message: False
    far = await pair.bob.dial(ALICE)
    (near,) = await first
    assert near.connection_id == far.connection_id
    await exchange(near, far)


async def test_a_remote_that_restarted_gets_a_connection_beside_the_old_one(pair: Pair) -> None:
    near, _ = await pair.connect()
    async with webrtc_pair() as again:
        again.relay.join(pair.alice)  # the same ALICE, another BOB
        pair.relay.join(again.bob)
        asking = asyncio.gather(again.bob.dial(ALICE))
        while not any(message.connection_id == "" for _, message in again.relay.said):
            await turns(1)
        (far,) = await asking
        fresh = await pair.arrived.get()
        assert isinstance(fresh, WebRtcWire)
        assert fresh.connection_id == far.connection_id != near.connection_id
        await exchange(fresh, far)
        await fresh.close()


async def test_messages_for_no_connection_of_ours_are_dropped_and_counted(pair: Pair) -> None:
    for message in (
        NegotiateMessage("nobody", 1, Answer("v=0")),
        NegotiateMessage("nobody", 1, Bye("x")),
        NegotiateMessage("x" * 100, 1, Offer("v=0")),
        NegotiateMessage("mine", 1, Offer("v=0")),  # BOB may not offer to ALICE
    ):
        pair.alice.receive(BOB, message)
    assert pair.alice.dropped == 4
    assert pair.alice.wires() == []


async def test_an_offer_that_cannot_be_read_ends_the_connection_and_nothing_else(
    pair: Pair,
) -> None:
    near, far = await pair.connect()
    pair.bob.receive(ALICE, NegotiateMessage("broken", 1, Offer("nonsense")))
    while any(wire.connection_id == "broken" for wire in pair.bob.wires()):
        await turns(1)
    await exchange(near, far)


async def test_a_remote_cannot_make_connections_without_end(pair: Pair) -> None:
    for number in range(20):
        pair.bob.receive(ALICE, NegotiateMessage(f"c{number}", 1, Offer("v=0")))
    assert len(pair.bob.wires()) <= 4


# Candidates


async def test_candidates_that_come_before_the_offer_wait_for_it(pair: Pair) -> None:
    held: list[NegotiateMessage] = []
    relayed = pair.bob.receive

    def late(source: Any, message: NegotiateMessage, _: object) -> None:
        """Candidates of the offer's own description overtake it."""
        if isinstance(message.body, Offer):
            lines = message.body.sdp.splitlines(keepends=True)
            body = replace(message.body, sdp="".join(x for x in lines if "candidate" not in x))
            for line in lines:
                if line.startswith("a=candidate:"):
                    text = line.removeprefix("a=candidate:").strip()
                    relayed(source, replace(message, body=Candidate(text, "0", 0)))
            held.append(message)
            relayed(source, replace(message, body=body))
        else:
            relayed(source, message)

    pair.bob.receive = late  # type: ignore[method-assign]
    near, far = await pair.connect()
    assert held
    await exchange(near, far)


async def test_more_candidates_than_the_bound_end_the_connection(pair: Pair) -> None:
    near, _ = await pair.connect()
    sink = Recorder()
    near.attach(sink)
    for port in range(5000, 5050):
        text = f"f 1 udp 1 192.0.2.9 {port} typ host"
        near.receive(NegotiateMessage(near.connection_id, 1, Candidate(text, "0", 0)))
    await sink.gone.wait()
    assert isinstance(sink.ends[0], LimitError)


def test_the_loopback_is_used_only_where_there_is_nothing_else() -> None:
    machine = ["192.0.2.1", "169.254.3.3"]
    assert host_addresses(machine, loopback=None) == ["192.0.2.1"]
    assert host_addresses(machine, loopback=True) == [LOOPBACK, "192.0.2.1"]
    assert host_addresses(machine, loopback=None, link_local=True) == machine
    assert host_addresses([], loopback=None) == [LOOPBACK]
    assert host_addresses([], loopback=False) == []


async def test_two_peers_meet_on_a_machine_with_nothing_but_the_loopback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: [])
    async with webrtc_pair() as pair:
        near, far = await pair.connect()
        await exchange(near, far)


async def test_relay_only_without_a_turn_server_says_so() -> None:
    async with webrtc_pair(ice_policy="relay") as pair:
        with pytest.raises(UnreachableError, match="no relayed ICE candidate: no TURN server"):
            await pair.alice.dial(BOB)


async def test_relay_only_with_a_dead_turn_server_names_it() -> None:
    options = EngineOptions(gather_timeout=0.2)
    async with webrtc_pair(
        ice_policy="relay", ice_servers=lambda: (DEAD_TURN,), options=options
    ) as pair:
        with pytest.raises(UnreachableError, match=r"turn:127\.0\.0\.1:9"):
            await pair.alice.dial(BOB)


async def test_a_server_that_does_not_answer_delays_no_connection() -> None:
    async with webrtc_pair(ice_servers=lambda: (DEAD_TURN,)) as pair:
        near, far = await pair.connect()
        assert near.view()["failures"] == ()  # not yet: it is still asked
        await exchange(near, far)


async def test_a_malformed_server_url_is_a_configuration_error() -> None:
    servers = (IceServer(urls=("http://example.com",)),)
    async with webrtc_pair(ice_servers=lambda: servers) as pair:
        with pytest.raises(ConfigError, match="write stun:host:port"):
            await pair.alice.dial(BOB)
        pair.bob.receive(ALICE, NegotiateMessage("x", 1, Offer("v=0")))
        assert pair.bob.wires() == []


@pytest.mark.parametrize(
    "url",
    [
        "stun:a..b:3478",
        f"stun:{'x' * 64}.org:3478",
        "turn:a..b:3478?transport=tcp",
        "stun:host:65536",
    ],
)
async def test_a_server_name_that_is_none_costs_its_candidates_and_nothing_else(url: str) -> None:
    servers = (IceServer(urls=(url,), username="u", credential="p"),)
    async with webrtc_pair(ice_servers=lambda: servers) as pair:
        near, far = await pair.connect()
        await exchange(near, far)
        while not near.view()["failures"]:
            await turns(1)
        assert near.view()["failures"][0].startswith(url.split("?", maxsplit=1)[0])


def test_servers_that_somebody_else_names_are_taken_where_they_can_be_read(
    caplog: pytest.LogCaptureFixture,
) -> None:
    good = ("stun:stun.example.org:3478", "turn:192.0.2.1?transport=udp")
    bad = (
        "http://example.org",
        "stun:a..b",
        "stun:host:99999",
        "stun:host:0",
        "",
        "turn:" + "y" * 64 + ".org",
    )
    given = (
        IceServer(urls=(bad[0], good[0], *bad[1:]), username="u", credential="p"),
        IceServer(urls=bad),
        IceServer(urls=()),
        IceServer(urls=good[1:]),
    )
    assert usable_servers(given) == (
        IceServer(urls=good[:1], username="u", credential="p"),
        IceServer(urls=good[1:]),
    )
    assert len(caplog.records) == 2 * len(bad)


# Data


async def test_an_urgent_message_overtakes_what_waits(pair: Pair) -> None:
    near, far = await pair.connect()
    sink = Recorder()
    far.attach(sink)
    near.attach(Recorder())
    while not near.is_full:
        near.send(2, bytes(16 * 1024))
    count = near.buffered_bytes // (16 * 1024)
    for channel in (3, 0, 1):
        near.send(channel, b"%d" % channel)
    await sink.until(lambda: len(sink.on(2)) > count)
    order = [channel for channel, _ in sink.messages]
    urgent = [order.index(channel) for channel in (1, 0, 3)]
    assert urgent == sorted(urgent)
    assert urgent[-1] < len(order) - 1, "all of the stream went first"


async def test_what_waits_is_counted_until_the_network_has_it(pair: Pair) -> None:
    near, far = await pair.connect()
    sink = Recorder()
    far.attach(sink)
    near.attach(Recorder())
    for _ in range(4):
        near.send(2, bytes(100_000))
    assert 4 * 100_000 - 20_000 < near.buffered_bytes <= 4 * 100_000
    await sink.received(4)
    assert near.buffered_bytes == 0


async def test_the_congestion_window_has_its_bound(pair: Pair) -> None:
    near, far = await pair.connect()
    sink = Recorder()
    far.attach(sink)
    near.attach(Recorder())
    for _ in range(40):
        near.send(2, bytes(50_000))
    await sink.received(40)
    assert 11_600 <= near.view()["window_bytes"] <= EngineOptions().max_window_bytes


async def test_a_latency_first_message_that_waited_too_long_is_never_sent(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    near, far = await pair.connect()
    sink = Recorder()
    far.attach(sink)
    near.attach(Recorder())
    while not near.is_full:
        near.send(2, bytes(16 * 1024))
    monkeypatch.setattr(association, "LIFETIME", -1.0)
    near.send(3, b"late")
    near.send(0, b"after")
    await sink.until(lambda: bool(sink.on(0)))
    assert sink.on(3) == []
    assert near.view()["stale"] == 1


async def test_a_step_of_the_wall_clock_drops_nothing_that_is_latency_first(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    near, far = await pair.connect()
    sink = Recorder()
    far.attach(sink)
    near.attach(Recorder())
    wall = time.time
    steps = 0.0
    monkeypatch.setattr(time, "time", lambda: wall() + steps)
    monkeypatch.setattr(association, "LIFETIME", 30.0)
    while not near.is_full:
        near.send(2, bytes(16 * 1024))
    near.send(3, b"waits in the queue" * 200)
    steps = 3600.0
    near.send(0, b"after")
    await sink.until(lambda: bool(sink.on(0)) and bool(sink.on(3)))
    assert near.view()["stale"] == 0
    transport = transport_of(near)
    chunk = OutboundChunk(3, 1, (3, 0, 53), b"x", time.monotonic() + 30)
    transport._sent_queue.append(chunk)
    try:
        assert not transport._maybe_abandon(chunk), "nor when it is to be sent again"
        chunk._expiry = time.monotonic() - 1
        assert transport._maybe_abandon(chunk)
    finally:
        transport._sent_queue.remove(chunk)


async def test_a_channel_that_closes_alone_is_opened_again_alone(pair: Pair) -> None:
    near, far = await pair.connect()
    near_sink, far_sink = Recorder(), Recorder()
    near.attach(near_sink)
    far.attach(far_sink)
    before = near._engine._channels[2]
    before.close()
    for number in range(20):
        near.send(0, b"%d" % number)
    await far_sink.received(20)
    while near._engine._channels[2] is before or near._engine._channels[2].readyState != "open":
        await turns(1)  # nothing above is told of it
    near.send(2, b"again")
    far.send(2, b"again")
    await far_sink.until(lambda: far_sink.on(2) == [b"again"])
    await near_sink.until(lambda: near_sink.on(2) == [b"again"])
    assert not near_sink.ends
    assert not far_sink.ends


# A bad path


def spoil(wire: WebRtcWire, is_lost: Callable[[bytes], bool]) -> None:
    """Lose the packets that arrive at ``wire`` and for which ``is_lost``."""
    path = transport_of(wire).transport.transport
    receive = path._recv

    async def receive_some() -> bytes:
        while is_lost(data := await receive()):
            pass
        return data  # type: ignore[no-any-return]

    path._recv = receive_some


async def test_one_packet_of_ten_is_lost_and_nothing_else(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(association, "LIFETIME", math.inf)  # however late: nothing is given up
    near, far = await pair.connect()
    dice = random.Random(3)
    for wire in (near, far):
        spoil(wire, lambda _: dice.random() < 0.1)
    near_sink, far_sink = Recorder(), Recorder()
    near.attach(near_sink)
    far.attach(far_sink)
    sent = [b"%d " % number * 300 for number in range(300)]
    for data in sent:
        near.send(0, data)
        far.send(2, data)
        near.send(3, data)
        await asyncio.sleep(0.001)
    await near_sink.until(lambda: len(near_sink.on(2)) == len(sent))
    await far_sink.until(lambda: len(far_sink.on(0)) == len(sent))
    # What is latency-first leaves after all of lane 0, which may be much later than it was sent.
    await far_sink.until(lambda: len(far_sink.on(3)) >= len(sent))
    assert near_sink.on(2) == sent
    assert far_sink.on(0) == sent
    assert sorted(far_sink.on(3)) == sorted(sent), "each once, in whatever order"


async def test_a_path_that_is_cut_for_a_while_loses_nothing_reliable(pair: Pair) -> None:
    near, far = await pair.connect()
    is_cut = False
    for wire in (near, far):
        spoil(wire, lambda _: is_cut)
    sink = Recorder()
    near.attach(Recorder())
    far.attach(sink)
    near.send(0, b"before")
    await sink.received(1)
    is_cut = True
    for number in range(20):
        near.send(0, b"%d" % number)
        near.send(3, b"%d" % number)
    await asyncio.sleep(0.7)
    is_cut = False
    near.send(0, b"after")
    await sink.until(lambda: b"after" in sink.on(0))
    assert sink.on(0) == [b"before", *(b"%d" % number for number in range(20)), b"after"]
    await turns(20)
    assert len(sink.on(3)) < 20, "what was late is worthless"


# Bad input


async def expect_end(wire: WebRtcWire, error: type[PeerError], text: str) -> None:
    sink = Recorder()
    wire.attach(sink)
    await sink.gone.wait()
    assert isinstance(sink.ends[0], error)
    assert text in str(sink.ends[0])


async def test_a_message_that_grows_beyond_the_limit_ends_the_wire(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    near, far = await pair.connect()
    near.attach(Recorder())
    monkeypatch.setattr(bounds, "MAX_MESSAGE_BYTES", 50_000)
    channel = near._engine._channels[0]
    transport_of(near).send(channel, bytes(60_000))
    await expect_end(far, LimitError, "bytes of a message")


async def test_an_unfinished_message_is_bounded_before_it_ends(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    near, far = await pair.connect()
    near.attach(Recorder())
    monkeypatch.setattr(bounds, "MAX_MESSAGE_BYTES", 20_000)
    channel = near._engine._channels[0]
    transport_of(near).send(channel, bytes(2_000_000))
    sink = Recorder()
    far.attach(sink)
    await sink.gone.wait()
    (error,) = sink.ends
    assert isinstance(error, LimitError)
    assert error.asked < 30_000


async def test_data_on_a_channel_that_there_is_not_ends_the_wire(pair: Pair) -> None:
    near, far = await pair.connect()
    near.attach(Recorder())
    await transport_of(near)._send(7, 53, b"x")
    await expect_end(far, PeerError, "channel 7")


async def test_a_text_message_ends_the_wire(pair: Pair) -> None:
    near, far = await pair.connect()
    near.attach(Recorder())
    await transport_of(near)._send(0, 51, b"\xff\xfe")
    await expect_end(far, PeerError, "payload protocol 51")


async def test_a_malformed_packet_ends_the_wire_and_kills_nothing_silently(pair: Pair) -> None:
    near, far = await pair.connect()
    near.attach(Recorder())
    transport = transport_of(near)
    bad = association.Chunk(body=b"\0")
    bad.type = 192  # FORWARD TSN, whose body has four bytes at least
    packet = association.serialize_packet(5000, 5000, transport._remote_verification_tag, bad)
    await transport.transport._send_data(packet)
    await expect_end(far, PeerError, "malformed SCTP packet")


# The end


@pytest.mark.parametrize("after", [1, 2, 5])
async def test_an_abort_cuts_a_close_short(pair: Pair, after: int) -> None:
    near, far = await pair.connect()
    spoil(near, lambda _: True)  # nothing is acknowledged any longer
    sink = Recorder()
    near.attach(sink)
    far.attach(Recorder())
    near.send(0, b"never acknowledged")
    closing = asyncio.gather(near.close())
    await turns(after)
    assert not sink.ends
    near.abort()
    await closing
    assert sink.ends == [None]


async def test_a_bye_ends_the_wire_with_its_reason(pair: Pair) -> None:
    near, far = await pair.connect()
    near.attach(Recorder())
    far.receive(NegotiateMessage(far.connection_id, 0, Bye("moving house")))
    await expect_end(far, BrokenError, "moving house")


async def test_a_dead_path_is_noticed_by_the_consent_checks() -> None:
    options = EngineOptions(consent_interval=0.5, doubt_interval=0.05, consent_failures=2)
    async with webrtc_pair(options=options) as pair:
        near, far = await pair.connect()
        near.attach(Recorder())
        cut(near)
        await expect_end(far, BrokenError, "gone")


async def test_what_is_not_acknowledged_on_a_dead_path_has_it_looked_at_at_once() -> None:
    options = EngineOptions(consent_interval=3600.0, doubt_interval=0.05, consent_failures=2)
    async with webrtc_pair(options=options) as pair:
        near, far = await pair.connect()
        near.attach(Recorder())
        cut(near)
        far.send(0, b"anybody there?")
        await expect_end(far, BrokenError, "gone")


def cut(wire: WebRtcWire) -> None:
    """As if the cable were pulled."""
    for protocol in wire._engine._ice._protocols:  # type: ignore[attr-defined]
        protocol.datagram_received = lambda data, addr: None
        protocol.send_stun = lambda message, addr: None


async def test_leaving_the_block_closes_all_wires_cleanly() -> None:
    sinks = Recorder(), Recorder()
    async with webrtc_pair() as pair:
        for wire, sink in zip(await pair.connect(), sinks, strict=True):
            wire.attach(sink)
    assert [sink.ends for sink in sinks] == [[None], [None]]
