"""Calls that wait for their reply: request id to waiter.

Replies are matched here, before the mailbox and by the authenticated remote: nobody but the
callee can answer a call. A late or unknown reply is counted and dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import uuid_utils

from actr_peer.errors import PeerError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.rpc.envelopes import Envelope
from actr_peer.transport.link import Link


def new_request_id() -> str:
    """A UUIDv7 (RFC 9562) in text form."""
    return str(uuid_utils.uuid7())


def expire(future: asyncio.Future[Any]) -> None:
    """Time is up: whoever waits for ``future`` gets a ``TimeoutError``."""
    if not future.done():
        future.set_exception(TimeoutError())


class PendingCall:
    """One request that was sent and whose reply is awaited."""

    __slots__ = ("future", "is_sent", "link", "message", "payload_type", "remote", "request_id")

    def __init__(
        self,
        remote: ActrId,
        request_id: str,
        payload_type: PayloadType,
        future: asyncio.Future[Envelope],
    ) -> None:
        self.remote = remote
        self.request_id = request_id
        self.payload_type = payload_type
        self.future = future
        self.message = b""
        """The serialized request, kept for a callee that restarts before it answers."""
        self.is_sent = False
        self.link: Link | None = None
        """What the request was sent by; set when it has been."""

    def sent(self, link: Link) -> None:
        """The request has left; the end of ``link`` is the end of this call."""
        self.is_sent = True
        self.link = link

    def expire(self) -> None:
        """Time is up: whoever waits gets a ``TimeoutError``."""
        expire(self.future)

    def renew(self) -> None:
        """The callee asks to be asked again: wait for another reply."""
        self.is_sent = False
        self.link = None
        self.future = self.future.get_loop().create_future()


class PendingCalls:
    """All calls of a node that wait; owned by the node."""

    def __init__(self) -> None:
        self.unmatched = 0
        """Replies that nobody waited for."""
        self._calls: dict[str, PendingCall] = {}
        """By request id, oldest first."""

    def open(
        self,
        remote: ActrId,
        request_id: str,
        payload_type: PayloadType,
        loop: asyncio.AbstractEventLoop,
    ) -> PendingCall:
        """Register a call before its request is sent; end it with :meth:`close`."""
        call = PendingCall(remote, request_id, payload_type, loop.create_future())
        self._calls[request_id] = call
        return call

    def close(self, call: PendingCall) -> None:
        """Forget a call, answered or not."""
        self._calls.pop(call.request_id, None)
        if call.future.done() and not call.future.cancelled():
            call.future.exception()  # retrieved: its caller may have left for another reason

    def resolve(self, remote: ActrId, reply: Envelope) -> bool:
        """Give a reply to who waits for it; False if nobody waits for one from ``remote``."""
        call = self._calls.get(reply.request_id)
        if call is None or call.future.done():
            return False
        if call.remote is not remote and call.remote != remote:
            return False
        call.future.set_result(reply)
        return True

    def waits_for(self, remote: ActrId) -> bool:
        """Whether a call to ``remote`` waits for its reply."""
        return any(call.remote == remote for call in self._calls.values())

    def fail_link(self, link: Link, error: PeerError) -> None:
        """A link is gone: exactly the calls that were sent by it fail, at once.

        Those that have not been sent, or by its successor, are not touched.
        """
        for call in self._calls.values():
            if call.link is link and not call.future.done():
                call.future.set_exception(error)

    def fail_all(self, error: PeerError) -> None:
        """This side closes: every call fails."""
        for call in self._calls.values():
            if not call.future.done():
                call.future.set_exception(error)

    def sent_to(self, remote: ActrId) -> Iterator[PendingCall]:
        """Calls whose request has left and whose reply has not come, oldest first."""
        for call in list(self._calls.values()):
            if call.remote == remote and call.is_sent and not call.future.done():
                yield call

    def __len__(self) -> int:
        return len(self._calls)
