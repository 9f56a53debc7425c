"""Whether the far side of a path still wants our packets (RFC 7675).

It is asked every five seconds, as the RFC says, and at once when something that was sent was not
acknowledged in time; then, until it answers, every second.
"""

from __future__ import annotations

import asyncio
import random
from math import inf

from aioice import Connection, stun

from actr_peer.protocol.wire.grid import on_grid
from actr_peer.wire.webrtc.engine import EngineOptions

LEAST, MOST = 0.85, 1.2
"""Shares of an interval: the RFC's 0.8 to 1.2, less what the grid takes away."""


class ConsentedConnection(Connection):
    """The part of an ``ice.IceConnection`` that asks."""

    _options: EngineOptions

    def adopt(self, options: EngineOptions) -> None:
        self._options = options
        self._asked_at = -inf
        """When the far side was last asked for its consent."""
        self._pause: asyncio.Future[None] | None = None
        """Done when it is to be asked again."""

    async def query_consent(self) -> None:
        """Ask the far side, again and again, whether it still wants our packets (RFC 7675)."""
        if self._closing:
            # Closed while connecting: the library starts this task after close() has looked for it.
            return
        assert self.remote_password is not None
        loop = asyncio.get_running_loop()
        failures = 0
        while failures < self._options.consent_failures:
            options = self._options
            pace = options.doubt_interval if failures else options.consent_interval
            # A random part keeps many processes from asking at once (RFC 7675, section 5.1); one
            # asks about many of its connections, and sends their pings, at the same instants.
            at = loop.time() + pace * random.uniform(LEAST, MOST)  # noqa: S311  no secret
            await self._wait(at if failures else on_grid(at))
            self._asked_at = loop.time()
            for pair in tuple(self._nominated.values()):
                request = self.build_request(pair, nominate=False)
                try:
                    await pair.protocol.request(
                        request,
                        pair.remote_addr,
                        integrity_key=self.remote_password.encode(),
                        retransmissions=0,
                    )
                    failures = 0
                except stun.TransactionError:
                    failures += 1
        self._query_consent_task = None
        await self.close()

    async def _wait(self, at: float) -> None:
        loop = asyncio.get_running_loop()
        pause = self._pause = loop.create_future()
        timer = loop.call_at(at, _end, pause)
        try:
            await pause
        finally:
            timer.cancel()
            self._pause = None

    def doubt(self) -> None:
        """Something was not acknowledged in time: ask now whether the far side is still there,
        if that was not asked a moment ago."""
        now = asyncio.get_running_loop().time()
        if self._pause is not None and now - self._asked_at >= self._options.doubt_interval:
            _end(self._pause)


def _end(pause: asyncio.Future[None]) -> None:
    if not pause.done():
        pause.set_result(None)
