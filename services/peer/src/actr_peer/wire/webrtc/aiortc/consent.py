"""Whether the far side of a path still wants our packets (RFC 7675).

What it is asked is the same each time but for its transaction, and so are the far side's own
questions: neither is taken apart or put together anew (``protocol/webrtc/checks.py``).

It is asked every five seconds, as the RFC says, and at once when something that was sent was not
acknowledged in time; then, until it answers, every second.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from math import inf
from typing import Any, cast

from aioice import Connection, ice, stun

from actr_peer.protocol.webrtc import checks
from actr_peer.protocol.wire.grid import on_grid
from actr_peer.wire.webrtc.engine import EngineOptions

LEAST, MOST = 0.85, 1.2
"""Shares of an interval: the RFC's 0.8 to 1.2, less what the grid takes away."""


class Question:
    """One request for consent under way: a transaction, as the library's protocol knows them.

    Args:
        key: The far side's password.
    """

    __slots__ = ("_answered", "_key")

    def __init__(self, key: bytes, answered: asyncio.Future[bool]) -> None:
        self._key = key
        self._answered = answered

    def take(self, data: bytes) -> bool:
        """Take an answer as it came; return whether it is proved."""
        is_proved = checks.is_sealed(data, self._key)
        if is_proved:
            self._settle(has_consented=True)
        return is_proved

    def response_received(self, message: stun.Message, addr: tuple[str, int]) -> None:
        """Take an answer in another form than ours, or a refusal."""
        if message.check_message_integrity(self._key):
            self._settle(has_consented=message.message_class == stun.Class.RESPONSE)

    def overdue(self) -> None:
        self._settle(has_consented=False)

    def _settle(self, *, has_consented: bool) -> None:
        if not self._answered.done():
            self._answered.set_result(has_consented)


class ConsentedStun(ice.StunProtocol):
    """A port from which such questions are asked, and at which they are answered."""

    receiver: ConsentedConnection

    def __init__(self, receiver: Connection) -> None:
        super().__init__(receiver)
        self._known: checks.Known | None = None
        """Of the path that is in use."""
        self._known_role = False
        """Whether this side was the controlling one then."""
        self.was_checked = False
        """Whether a check was taken that says nothing but that the far side is there."""

    async def ask(self, attributes: bytes, addr: tuple[str, int], key: bytes) -> bool:
        """Ask whether our packets are wanted; False if that is refused, or not answered."""
        transaction = secrets.token_bytes(12)
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[bool] = loop.create_future()
        question = Question(key, answered)
        self.transactions[transaction] = cast("stun.Transaction", question)
        timer = loop.call_later(stun.RETRY_RTO, question.overdue)
        try:
            self.transport.sendto(checks.sealed(checks.REQUEST, transaction, attributes, key), addr)
            return await answered
        finally:
            timer.cancel()
            del self.transactions[transaction]

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        data = cast("bytes", data)
        if data and data[0] > 3:  # no STUN (RFC 7983): nearly always
            self.receiver.data_received(data, self.local_candidate.component)
        elif not self._take_known(data, addr):
            self.was_checked = False
            super().datagram_received(data, addr)
            if self.was_checked:
                self._remember(data, (addr[0], addr[1]))

    def _take_known(self, data: bytes, addr: tuple[Any, ...]) -> bool:
        """Take what is as before; return whether it was that."""
        kind = data[:2]
        if kind == checks.ANSWER:
            question: object = self.transactions.get(data[checks.TRANSACTION])
            return isinstance(question, Question) and question.take(data)
        if kind != checks.REQUEST or self._known is None or not self._is_in_use(addr):
            return False
        if self._known_role is not self.receiver.ice_controlling:
            return False
        answer = self._known.answer(data)
        if answer is None:
            return False
        self.transport.sendto(answer, (addr[0], addr[1]))
        return True

    def _is_in_use(self, addr: tuple[Any, ...]) -> bool:
        """Whether this port and ``addr`` are the path in use."""
        pair = self.receiver._nominated.get(self.local_candidate.component)
        return (
            pair is not None
            and pair.protocol is self
            and pair.remote_addr == (addr[0], addr[1])
            and not self.receiver._closing
        )

    def _remember(self, data: bytes, addr: tuple[str, int]) -> None:
        key = self.receiver.local_password.encode()
        # Of IPv6 the answer is another one for each transaction (RFC 8489, section 14.2).
        if ":" not in addr[0] and self._is_in_use(addr) and checks.is_sealed(data, key):
            self._known = checks.Known(data, addr, key)
            self._known_role = self.receiver.ice_controlling


class ConsentedConnection(Connection):
    """The part of an ``ice.IceConnection`` that asks."""

    _options: EngineOptions

    def adopt(self, options: EngineOptions) -> None:
        self._options = options
        self._asked_at = -inf
        """When the far side was last asked for its consent."""
        self._pause: asyncio.Future[None] | None = None
        """Done when it is to be asked again."""
        self._question: tuple[bool, bytes] | None = None
        """What is asked, and whether this side is the controlling one in it."""

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
                port = cast("ConsentedStun", pair.protocol)
                key = self.remote_password.encode()
                if await port.ask(self._attributes(pair), pair.remote_addr, key):
                    failures = 0
                else:
                    failures += 1
        self._query_consent_task = None
        await self.close()

    def _attributes(self, pair: ice.CandidatePair) -> bytes:
        """What is asked about every path: of a data connection there is one component."""
        if self._question is None or self._question[0] is not self.ice_controlling:
            request = bytes(self.build_request(pair, nominate=False))
            self._question = self.ice_controlling, request[checks.HEAD_BYTES :]
        return self._question[1]

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
