"""Tells of a moment ago, kept in case a callee refuses their contract.

A tell has no reply, and whoever sent it has gone on. So a refusal, which nearly always means only
that one side's contract has something more, is settled here: the tell goes out again with the
callee's number, or its sender's actor hears that it was not taken (``on_error``).
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from actr_peer.errors import PeerError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.rpc.envelopes import Envelope, with_contract
from actr_peer.rpc.destinations.contracts import Agreement, Contracts
from actr_peer.service import Method
from actr_peer.transport.remote import RemoteTransport

log = logging.getLogger(__name__)

MAX_TELLS: Final = 1024
"""That are kept; a refusal comes within a round trip."""
MAX_BYTES: Final = 1024 * 1024
"""Of all of them together; the newest is kept however long it is."""


@dataclass(slots=True)
class Tell:
    """One that has left."""

    remote: ActrId
    method: Method[Any, Any]
    message: bytes
    contract: Agreement | None = None
    """Once it was refused."""


class Tells:
    """Owned by the node.

    Args:
        failed: Told why one was not taken.
    """

    def __init__(
        self,
        transport: RemoteTransport,
        contracts: Contracts,
        failed: Callable[[PeerError], None],
    ) -> None:
        self.lost = 0
        """Refused, and not taken again, since the start."""
        self._transport = transport
        self._contracts = contracts
        self._failed = failed
        self._recent: OrderedDict[str, Tell] = OrderedDict()
        """By request id, oldest first."""
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._recent)

    def sent(self, request_id: str, tell: Tell) -> None:
        """Keep one; the oldest make room."""
        recent = self._recent
        recent[request_id] = tell
        self._bytes += len(tell.message)
        while len(recent) > 1 and (len(recent) > MAX_TELLS or self._bytes > MAX_BYTES):
            _, oldest = recent.popitem(last=False)
            self._bytes -= len(oldest.message)

    def resolve(self, remote: ActrId, reply: Envelope) -> bool:
        """Take an answer; False if it is to no tell to ``remote`` that is kept."""
        tell = self._recent.get(reply.request_id)
        if tell is None or tell.remote != remote:
            return False
        del self._recent[reply.request_id]
        self._bytes -= len(tell.message)
        if reply.error is None:
            return True
        try:
            contract = tell.contract = tell.contract or self._contracts.agree(remote, tell.method)
            if not contract.renew(reply.error):
                raise reply.error
            tell.message = with_contract(tell.message, contract.number)
            self._transport.link(remote).lane(tell.method.payload_type).post(tell.message)
        except PeerError as exc:
            self.lost += 1
            log.warning("a tell was not taken: %s", exc)
            self._failed(exc)
        else:
            self.sent(reply.request_id, tell)
        return True
