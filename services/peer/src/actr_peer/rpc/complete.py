"""The gate to the own workload by the mailbox: the complete path, inside one process."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from actr_peer.protocol.identity import ActrId
from actr_peer.rpc.destinations.outbound import Outbound
from actr_peer.rpc.destinations.scope import Scope
from actr_peer.rpc.local import LocalGate
from actr_peer.service import CallOptions, Method, Req, Res
from actr_peer.transport.local.calls import LocalEnd


class CompleteGate(LocalGate):
    """A :class:`~actr_peer.service.Caller` for the own workload by the complete path.

    Calls and tells go through the mailbox, as those of a remote: they survive ``kill -9`` once
    they are stored, run under their conflict keys, are known by their id, and have a transaction.
    A tell returns when it is stored. Streams are not kept anywhere: they go the direct way.

    Args:
        is_durable: Whether all calls are kept in the outbox too until they are answered.
    """

    def __init__(
        self,
        end: LocalEnd,
        out: Outbound,
        self_id: ActrId,
        *,
        scope: Scope,
        is_durable: bool = False,
    ) -> None:
        super().__init__(end, out, scope=scope, mailbox_of=self_id)
        self._is_durable = is_durable

    async def unary(self, method: Method[Req, Res], request: Req, options: CallOptions) -> Res:
        """Call and wait; see :meth:`RemoteGate.unary <actr_peer.rpc.remote.RemoteGate.unary>`."""
        return await self._kept().unary(method, request, self._with_durable(options))

    async def tell(self, method: Method[Req, Any], request: Req, options: CallOptions) -> None:
        """Send a request that has no reply; returns when it is on disk."""
        await self._kept().tell(method, request, self._with_durable(options))

    def _with_durable(self, options: CallOptions) -> CallOptions:
        if self._is_durable and not options.durable:
            return replace(options, durable=True)
        return options
