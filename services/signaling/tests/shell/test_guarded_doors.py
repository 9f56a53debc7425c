from __future__ import annotations

import asyncio

import pytest
from signaling_kit import PATIENCE, Client, serve
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from actr_signaling import guard
from actr_signaling.guard import Doors


def test_doors_count_in_and_out() -> None:
    doors = Doors(max_connections=3, max_per_address=2)
    assert doors.enter("x", 0.0)
    assert doors.enter("x", 0.0)
    assert not doors.enter("x", 0.0)
    assert doors.enter("y", 0.0)
    assert not doors.enter("z", 0.0)
    doors.leave("x")
    assert doors.enter("z", 0.0)


def test_doors_let_an_address_in_at_its_rate() -> None:
    doors = Doors(rate_per_address=1, burst_per_address=2)
    assert [doors.enter("x", 0.0) for _ in range(3)] == [True, True, False]
    assert doors.enter("y", 0.0)
    assert doors.enter("x", 1.0)


def test_doors_remember_a_bounded_number_of_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "_MAX_ADDRESSES", 2)
    doors = Doors(rate_per_address=1, burst_per_address=1)
    for address in ("x", "y", "z"):
        assert doors.enter(address, 0.0)
    assert not doors.enter("z", 0.0)
    assert doors.enter("x", 0.0)


@pytest.mark.service
@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nhost:"], ids=["nothing", "half a head"])
async def test_who_sends_no_whole_request_head_is_cut(
    monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(guard, "HEAD_SECONDS", 0.2)
    async with serve() as replica:
        kept = await Client.registered_as(replica.url, "a")
        host, _, port = replica.url.removeprefix("ws://").partition("/")[0].partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(sent)
        async with asyncio.timeout(PATIENCE):
            with pytest.raises((ConnectionResetError, EOFError)):
                await _end_of(reader)
        writer.close()
        assert (await kept.subscribe()).version  # a WebSocket is not under that time-out


async def _end_of(reader: asyncio.StreamReader) -> None:
    if not await reader.read(1):
        raise EOFError


@pytest.mark.service
async def test_connections_over_the_limit_are_turned_away_and_the_place_comes_free() -> None:
    async with serve(max_connections=2) as replica:
        first = await Client.open(replica.url)
        second = await Client.open(replica.url)
        with pytest.raises(InvalidStatus) as refused:
            await connect(replica.url)
        assert refused.value.response.status_code == 503
        await first.close()
        third = await Client.open(replica.url)
        assert third.hello.nonce
        for client in (second, third):
            await client.close()
