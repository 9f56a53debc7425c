"""One request on its way through its handler: how long it may take, counted from its arrival."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatService
from actr_peer import Code, Context
from actr_peer.actor.handlers import Handlers
from actr_peer.protocol.mailbox.requests import Request
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.rpc.envelopes import decode_envelope, encode_request
from actr_peer.service import Method
from lab.quiet import Quiet


class Clocked:
    """A turn, as far as a handler's runner asks for it."""

    deferred = None

    def __init__(self) -> None:
        self.limits: list[float] = []

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def limit(self, at: float) -> None:
        self.limits.append(at)


class Hindered(Clocked):
    """Its transaction could not read."""

    def __init__(self, hindrance: Exception) -> None:
        super().__init__()
        self._hindrance = hindrance

    def is_hindrance(self, exc: BaseException) -> bool:
        return exc is self._hindrance


class Hurt(Quiet):
    """Raises what it is given."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def say(self, request: pb.SayRequest, ctx: Context) -> pb.SayReply:
        raise self._error


class Room(Quiet):
    def __init__(self) -> None:
        self.left: list[float | None] = []

    async def say(self, request: pb.SayRequest, ctx: Context) -> pb.SayReply:
        self.left.append(ctx.remaining())
        return pb.SayReply(number=1)


def say(*, timeout: float | None, arrived_at: float | None) -> Request:
    message = encode_request("r1", "demo.Chat.Say", b"", timeout=timeout)
    return Request(
        sender="acme:caller@1:default",
        request_id="r1",
        payload_type=PayloadType.RPC_RELIABLE,
        is_tell=False,
        route_key="demo.Chat.Say",
        envelope=message,
        arrived_at=arrived_at,
    )


async def run(room: Room, request: Request) -> tuple[Clocked, bytes | None]:
    turn = Clocked()
    outcome = await Handlers([room]).run(None, request, turn)  # type: ignore[arg-type]
    return turn, outcome.reply  # type: ignore[union-attr]


async def test_what_a_call_waited_is_not_given_again() -> None:
    room, now = Room(), asyncio.get_running_loop().time()
    turn, _ = await run(room, say(timeout=1000.0, arrived_at=now - 400))
    assert turn.limits == [now + 600]
    (left,) = room.left
    assert left is not None
    assert 0 < left <= 600


async def test_a_call_whose_time_is_over_does_not_run() -> None:
    room, now = Room(), asyncio.get_running_loop().time()
    _, reply = await run(room, say(timeout=1.0, arrived_at=now - 1.5))
    assert room.left == []
    assert reply is not None
    error = decode_envelope(reply).error
    assert error is not None
    assert error.code is Code.DEADLINE_EXCEEDED


async def test_a_call_that_waited_through_a_restart_has_its_time_anew() -> None:
    room = Room()
    await run(room, say(timeout=1000.0, arrived_at=None))
    (left,) = room.left
    assert left is not None
    assert 600 < left <= 1000


async def test_a_call_without_a_deadline_has_none() -> None:
    room = Room()
    turn, _ = await run(room, say(timeout=None, arrived_at=1.0))
    assert (turn.limits, room.left) == ([], [None])


@pytest.mark.parametrize(("waited", "limit"), [(0.0, 30.0), (980.0, 20.0)])
async def test_a_handlers_own_limit_counts_from_its_start_within_the_deadline(
    monkeypatch: pytest.MonkeyPatch, waited: float, limit: float
) -> None:
    room, now = Room(), asyncio.get_running_loop().time()
    handlers = Handlers([room])
    method, handler = handlers._table["demo.Chat.Say"]
    limited: Method[pb.SayRequest, pb.SayReply] = Method(
        route_key=method.route_key,
        handler=method.handler,
        kind=method.kind,
        payload_type=method.payload_type,
        request=pb.SayRequest,
        reply=pb.SayReply,
        handler_timeout=30.0,
    )
    monkeypatch.setitem(handlers._table, "demo.Chat.Say", (limited, handler))
    turn = Clocked()
    await handlers.run(None, say(timeout=1000.0, arrived_at=now - waited), turn)  # type: ignore[arg-type]
    assert turn.limits[0] - now == pytest.approx(limit, abs=5)
    assert ChatService.SAY.handler_timeout is None


async def test_what_kept_a_transaction_from_reading_is_no_failure_of_the_handler() -> None:
    hindrance = sqlite3.OperationalError("database is locked")
    heard: list[BaseException] = []
    handlers = Handlers([Hurt(hindrance)], failed=heard.append)
    request = say(timeout=None, arrived_at=None)
    with pytest.raises(sqlite3.OperationalError) as raised:
        await handlers.run(None, request, Hindered(hindrance))  # type: ignore[arg-type]
    assert raised.value is hindrance
    assert heard == []


async def test_the_same_error_of_another_database_is_a_failure_of_the_handler() -> None:
    error = sqlite3.OperationalError("database is locked")
    heard: list[BaseException] = []
    handlers = Handlers([Hurt(error)], failed=heard.append)
    request, turn = say(timeout=None, arrived_at=None), Hindered(ValueError())
    outcome = await handlers.run(None, request, turn)  # type: ignore[arg-type]
    assert (outcome.failed, heard) == (True, [error])  # type: ignore[union-attr]
