"""Wires that are cut, reset, lossy or deaf on one side, under traffic both ways."""

from __future__ import annotations

import asyncio
import time

import pytest
from pairs import MAX_AGE, MakePair

from lab.hosts import TCP_CUT, TCP_RESET, UDP_CUT, Fault

CUT_SECONDS = 1.5
MAX_SILENCE = 1.5
WEBSOCKET_FIRST = {"prefer": ["websocket", "webrtc"]}
MEGABYTE = 1 << 20


async def test_dropped_udp_loses_nothing_and_webrtc_is_used_again(
    make_pair: MakePair, times: int
) -> None:
    async with make_pair() as pair:
        await pair.flow()
        began = time.monotonic()
        for _ in range(times):
            async with pair.net.broken(UDP_CUT):
                await asyncio.sleep(CUT_SECONDS)
            await pair.ready()
        assert pair.silence(began) <= MAX_SILENCE
        await pair.assert_clean(max_age=MAX_AGE)


async def test_a_reset_websocket_loses_nothing_and_comes_back(
    make_pair: MakePair, times: int
) -> None:
    async with make_pair(options=WEBSOCKET_FIRST) as pair:
        await pair.flow()
        began = time.monotonic()
        for _ in range(times):
            async with pair.net.broken(TCP_RESET):
                await asyncio.sleep(CUT_SECONDS)
            await pair.ready()
        assert pair.silence(began) <= MAX_SILENCE
        await pair.assert_clean()


@pytest.mark.slow
async def test_a_silent_websocket_loses_nothing(make_pair: MakePair, times: int) -> None:
    async with make_pair(options=WEBSOCKET_FIRST) as pair:
        await pair.flow()
        for _ in range(times):
            async with pair.net.broken(TCP_CUT):
                await asyncio.sleep(CUT_SECONDS)
            await pair.ready()
        await pair.assert_clean()


@pytest.mark.parametrize("source", ["a", pytest.param("b", marks=pytest.mark.slow)])
async def test_loss_in_one_direction_counts_as_a_dead_wire(
    make_pair: MakePair, source: str
) -> None:
    async with make_pair() as pair:
        await pair.flow()
        began = time.monotonic()
        async with pair.net.broken(Fault(protocol="udp", source=source)):
            await asyncio.sleep(CUT_SECONDS)
            for peer, other in ((pair.a, pair.b), (pair.b, pair.a)):
                assert (await peer.ask("status", to=other.id))["active"] == "websocket"
        await pair.ready()
        assert pair.silence(began) <= MAX_SILENCE
        await pair.assert_clean(max_age=MAX_AGE)


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
async def test_a_tenth_of_the_packets_lost_loses_no_message(
    make_pair: MakePair, protocol: str, times: int
) -> None:
    options = WEBSOCKET_FIRST if protocol == "tcp" else {}
    async with make_pair(options=options) as pair:
        await pair.flow()
        fault = Fault(protocol=protocol, share=0.1)  # type: ignore[arg-type]
        async with pair.net.broken(fault):
            await asyncio.sleep(3.0 * times)
        await pair.ready()
        await pair.assert_clean()


async def test_both_wires_cut_at_once_resume_when_they_heal(
    make_pair: MakePair, times: int
) -> None:
    async with make_pair() as pair:
        await pair.flow()
        async with pair.net.broken(UDP_CUT, TCP_CUT):
            await asyncio.sleep(3.0)
        await pair.ready(within=30)
        await pair.assert_clean()


async def test_a_cut_among_fragments_of_long_messages_loses_none(
    make_pair: MakePair, times: int
) -> None:
    async with make_pair() as pair:
        await pair.flow({"signal": 60})
        await pair.flow({"rpc": 2, "stream": 2}, size=2 * MEGABYTE)
        for fault in (UDP_CUT, TCP_CUT) * times:
            async with pair.net.broken(fault):
                await asyncio.sleep(CUT_SECONDS)
            await asyncio.sleep(0.5)
        await pair.assert_clean()


async def test_wires_swap_under_traffic_when_the_network_changes(make_pair: MakePair) -> None:
    async with make_pair() as pair:
        await pair.flow()
        began = time.monotonic()
        await pair.a.ask("network_changed")
        await asyncio.sleep(1.5)
        await pair.ready()
        assert pair.silence(began) <= MAX_SILENCE
        await pair.assert_clean()
