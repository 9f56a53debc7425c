"""Lanes that a tell holds up, because the mailbox has no room for it.

A call that is refused hears of it; a tell has nobody to hear, so it is offered again until it is
stored, and what comes behind it on its lane waits, so that the sender's order holds. None of it
is acknowledged: the lane's window bounds it, and pushes the sender back.
"""

from __future__ import annotations

import asyncio
from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from actr_peer.protocol.mailbox.requests import Put, Refused, Request
from actr_peer.protocol.payload import RPC_LANES, PayloadType
from actr_peer.transport.link import Link

DEFAULT_RETRY_AFTER = 1.0
"""Seconds until a tell is offered again."""

Waiting = tuple[int, Request]
"""Number on the lane, and what came under it."""


@dataclass(slots=True)
class _Line:
    link: Link
    payload_type: PayloadType
    waiting: list[Waiting] = field(default_factory=list)
    """By number; the first is the tell that holds up the others."""


class StalledLanes:
    """Part of the dispatcher.

    Args:
        put: Offers a request to the mailbox.
        stored: Hears what became of it, unless it is refused once more.
    """

    def __init__(
        self,
        put: Callable[[Request, Callable[[Put], None]], None],
        stored: Callable[[Link, PayloadType, int, Request, Put], None],
    ) -> None:
        self._put = put
        self._stored = stored
        self._lines: dict[tuple[Link, PayloadType], _Line] = {}

    def __bool__(self) -> bool:
        """Whether any lane is held up."""
        return bool(self._lines)

    def is_held_up(self, link: Link, payload_type: PayloadType) -> bool:
        return (link, payload_type) in self._lines

    def wait(self, link: Link, payload_type: PayloadType, number: int, request: Request) -> None:
        """Let a request that has just come wait behind the others of its lane."""
        self._lines[link, payload_type].waiting.append((number, request))

    def hold_up(
        self,
        link: Link,
        payload_type: PayloadType,
        number: int,
        request: Request,
        retry_after: float | None,
    ) -> None:
        """The mailbox has refused a tell; after ``retry_after`` seconds it is offered again."""
        line = self._lines.get((link, payload_type))
        if line is None:
            line = self._lines[link, payload_type] = _Line(link, payload_type)
            self._offer_later(line, retry_after)
        # Those offered together are refused one by one, while others come behind them.
        insort(line.waiting, (number, request), key=_number)

    def _offer_later(self, line: _Line, retry_after: float | None) -> None:
        asyncio.get_running_loop().call_later(retry_after or DEFAULT_RETRY_AFTER, self._offer, line)

    def cancel(self, link: Link, request_id: str) -> tuple[PayloadType, int] | None:
        """The caller of a call that waits here has left; returns what to acknowledge."""
        for payload_type in RPC_LANES:
            line = self._lines.get((link, payload_type))
            if line is None:
                continue
            for index, (number, request) in enumerate(line.waiting):
                if request.request_id == request_id and not request.is_tell:
                    del line.waiting[index]
                    return payload_type, number
        return None

    def _offer(self, line: _Line) -> None:
        if line.link.is_over:  # what is not acknowledged is the sender's to send again
            del self._lines[line.link, line.payload_type]
            return
        number, request = line.waiting[0]
        self._put(request, partial(self._answered, line, number, request))

    def _answered(self, line: _Line, number: int, request: Request, result: Put) -> None:
        if isinstance(result, Refused):
            self._offer_later(line, result.retry_after)
            return
        line.waiting.remove((number, request))
        self._stored(line.link, line.payload_type, number, request, result)
        if line.waiting and line.waiting[0][0] < number:
            self._offer(line)  # refused meanwhile, though it had come before
            return
        del self._lines[line.link, line.payload_type]
        for number, request in line.waiting:
            stored = partial(self._stored, line.link, line.payload_type, number, request)
            self._put(request, stored)


def _number(waiting: Waiting) -> int:
    return waiting[0]
