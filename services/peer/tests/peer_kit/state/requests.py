"""What mailbox and scheduler tests share: requests, puts that can be awaited, deliveries."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from itertools import count
from types import SimpleNamespace
from typing import Any

from actr_peer.actor.scheduler import Deferred, Outcome, Scheduler, Turn
from actr_peer.protocol.mailbox.requests import Put, Request
from actr_peer.protocol.payload import PayloadType
from actr_peer.state.mailbox.mailbox import Mailbox

ROOM = "acme:room@2:default"


def request(
    name: str = "a",
    *,
    sender: str = ROOM,
    signal: bool = False,
    tell: bool = False,
    route: str = "demo.Chat.Say",
    size: int = 10,
    **durable: int,
) -> Request:
    """A request whose envelope is its name, padded to ``size`` bytes."""
    return Request(
        sender=sender,
        request_id=name,
        payload_type=PayloadType.RPC_SIGNAL if signal else PayloadType.RPC_RELIABLE,
        is_tell=tell,
        route_key=route,
        envelope=name.encode().ljust(size, b"."),
        **durable,
    )


def put(mailbox: Mailbox, item: Request) -> asyncio.Future[Put]:
    """Put ``item``; the future gets what the sender is told."""
    future: asyncio.Future[Put] = asyncio.get_running_loop().create_future()
    mailbox.put(item, future.set_result)
    return future


class Deliveries:
    """Takes what a mailbox delivers, in order."""

    def __init__(self, mailbox: Mailbox) -> None:
        self.requests: list[Request] = []
        self._arrived = asyncio.Event()
        mailbox.attach(self._take)

    def _take(self, requests: list[Request]) -> None:
        self.requests.extend(requests)
        self._arrived.set()

    @property
    def names(self) -> list[str]:
        return [item.request_id for item in self.requests]

    async def wait_for(self, count: int) -> list[Request]:
        """The first ``count`` deliveries, when they have come."""
        async with asyncio.timeout(60):
            while len(self.requests) < count:
                self._arrived.clear()
                await self._arrived.wait()
        return self.requests[:count]


Handler = Callable[[Request, Turn], Awaitable[Outcome | Deferred | bytes | None]]


class Actor:
    """A scheduler over a mailbox, with handlers by request id; keeps the replies."""

    def __init__(self, mailbox: Mailbox, handler: Handler, **options: Any) -> None:
        self.mailbox = mailbox
        self.started: list[str] = []
        self.ended: list[str] = []
        self.replies: dict[str, bytes] = {}
        self._handler = handler
        self._changed = asyncio.Event()
        self.scheduler = Scheduler(
            mailbox,
            run=self._run,
            reply=self._reply,
            key_of=options.pop("key_of", lambda item: None),
            error_reply=lambda item, error: f"{error.code.name}: {error.message}".encode(),
            **options,
        )

    async def _run(self, item: Request, turn: Turn) -> Outcome | Deferred:
        self.started.append(item.request_id)
        self._changed.set()
        result = await self._handler(item, turn)
        self.ended.append(item.request_id)
        self._changed.set()
        return Outcome(result) if isinstance(result, bytes | None) else result

    def _reply(self, item: Request, reply: bytes) -> None:
        self.replies[item.request_id] = reply
        self._changed.set()

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until ``is_so``, looked at whenever something happens here."""
        async with asyncio.timeout(60):
            while not is_so():
                self._changed.clear()
                await self._changed.wait()

    async def reply_to(self, name: str) -> bytes:
        await self.until(lambda: name in self.replies)
        return self.replies[name]


async def settled(mailbox: Mailbox) -> None:
    """Return when all that was handed to the writer is committed."""
    mailbox.state_file.flush()
    await mailbox.state_file.ask(lambda connection: None)


def leaping_clock() -> SimpleNamespace:
    """A ``time`` whose wall clock leaps by a minute at each look, as after a stop."""
    minutes = count()
    return SimpleNamespace(
        monotonic=lambda: 60.0 * next(minutes),
        perf_counter=time.perf_counter,
        thread_time=time.thread_time,
    )
