"""Which of several servers to write to: the one that Sentinels name, or the one with our slot.

It is asked for before each connect, and again while connected: a server that hangs, or that was
replaced and does not know it yet, says nothing of that itself.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

from redis.crc import key_slot

from actr_signaling.ledger.redis import answers
from actr_signaling.ledger.redis.address import Address, Form
from actr_signaling.ledger.redis.answers import StoreError
from actr_signaling.ledger.redis.line import Command, Line, RefusedError
from actr_signaling.tasks import Tasks

ASK = 0.6
"""Seconds for a connection to who is asked, and for the answer; who is later is not heard."""

Told = TypeVar("Told")


async def primary(address: Address, key: str) -> Address:
    """The server to write ``key`` to; ``address`` itself where there is only one.

    Raises:
        StoreError: If nobody who is asked answers, or knows.
    """
    match address.form:
        case Form.SINGLE:
            return address
        case Form.SENTINEL:
            named = await _ask_all(
                address.asked,
                ("SENTINEL", "MASTER", address.name),
                lambda answer, _: answers.named_primary(answer),
            )
            # A Sentinel that was cut off names the primary of before: its epoch is lower.
            return address.at(*max(named)[1:])
        case Form.CLUSTER:
            slot = key_slot(key.encode())
            owners = await _ask_all(
                address.asked,
                ("CLUSTER", "SLOTS"),
                lambda answer, asked: answers.slot_primary(answer, slot, asked),
            )
            # Likewise a node; if it is the one that is believed, it answers MOVED.
            return address.at(*Counter(owners).most_common(1)[0][0])


async def answering_primary(address: Address, key: str) -> Address:
    """Likewise, once that server answers: one that hangs is named until it is replaced.

    Raises:
        StoreError: As :func:`primary`, and if it does not answer.
    """
    server = await primary(address, key)
    if server is not address:
        async with Line(server, timeout=ASK) as line:
            await line.run([("PING",)])
    return server


async def _ask_all(
    servers: tuple[Address, ...], command: Command, read: Callable[[object, str], Told]
) -> list[Told]:
    told: list[Told] = []
    failed: list[StoreError] = []

    async def ask(server: Address) -> None:
        assert server.server is not None
        try:
            async with Line(server, timeout=ASK) as line:
                (answer,) = await line.run([command])
            told.append(read(answer, server.server[0]))
        except StoreError as exc:
            failed.append(exc)

    async with Tasks("ledger/places") as tasks:
        await asyncio.wait([tasks.start("ask", ask(server)) for server in servers])
    if not told:
        raise _most_telling(failed)
    return told


def _most_telling(failed: list[StoreError]) -> StoreError:
    for one in failed:
        if isinstance(one, RefusedError):
            return one
        if "No such master" in str(one):
            return RefusedError("the Sentinels know no primary of the name in REDIS_URL")
    return StoreError(f"none of those in REDIS_URL tells who is the primary: {failed[0]}")
