"""A discovery of more actors than one answer has: asked page by page."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace

from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.signaling.messages import Body, Discovered
from actr_peer.protocol.signaling.presence import MAX_HELD, Presence
from actr_peer.protocol.signaling.requests import Discover, Request

MAX_RECENT = 1024
Ask = Callable[[Request, float], Awaitable[Body]]


async def discovered(ask: Ask, query: Discover, timeout: float) -> list[Presence]:
    """Return as many as the query wants, or all that there are.

    Args:
        timeout: Seconds for all pages.

    Raises:
        UnreachableError: If the service does not answer in time.
    """
    wanted = min(query.limit, MAX_HELD)
    loop = asyncio.get_running_loop()
    end = loop.time() + timeout
    found: dict[ActrId, Presence] = {}
    while True:
        answer = await ask(query, max(0.0, end - loop.time()))
        assert isinstance(answer, Discovered)
        known = len(found)
        found |= {presence.id: presence for presence in answer.found}
        if not (known < len(found) < wanted and answer.next):  # no news: it would go on for ever
            return list(found.values())
        query = replace(query, limit=wanted - len(found), after=answer.next)


class Recent:
    """The last actors that were found, for an outage."""

    def __init__(self) -> None:
        self._found: OrderedDict[ActrId, Presence] = OrderedDict()

    def remember(self, found: Iterable[Presence]) -> None:
        for presence in found:
            self._found[presence.id] = presence
            self._found.move_to_end(presence.id)
        while len(self._found) > MAX_RECENT:
            self._found.popitem(last=False)

    def find(self, actr_id: ActrId) -> Presence | None:
        return self._found.get(actr_id)

    def forget(self, actr_id: ActrId) -> None:
        self._found.pop(actr_id, None)
