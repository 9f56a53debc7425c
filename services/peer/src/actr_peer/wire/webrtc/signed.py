"""Between signaling and the connections: what goes out is signed, what comes in is held to it."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from time import monotonic

from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.certificates import Certificate
from actr_peer.protocol.identity.descriptions import DescriptionError, Statements
from actr_peer.protocol.webrtc.negotiation import NegotiateMessage
from actr_peer.protocol.wire.lines import Lines
from actr_peer.wire.webrtc.exchanges import Relay

log = logging.getLogger(__name__)


class SignedRelay:
    """Signs and checks the descriptions of all connections of this process.

    Args:
        now: Unix seconds at the issuer.
        incarnation_of: Of a remote's process; 0: it is not known. May raise ``PeerError``.
        relay: Brings a message to a remote.
        receive: Given what may be believed, with the certificate of who signed it.
        is_live: Whether there is a connection with this remote and id.
        refused: Told of each description that is dropped.

    Attributes:
        dropped: Descriptions that were not believed, by their fault.
    """

    def __init__(
        self,
        statements: Statements,
        *,
        now: Callable[[], float],
        incarnation_of: Callable[[ActrId], Awaitable[int]],
        relay: Relay,
        receive: Callable[[ActrId, NegotiateMessage, Certificate | None], None],
        is_live: Callable[[ActrId, str], bool],
        refused: Callable[[ActrId, DescriptionError], None],
    ) -> None:
        self.dropped: Counter[str] = Counter()
        self._statements, self._now, self._incarnation_of = statements, now, incarnation_of
        self._relay, self._receive, self._is_live = relay, receive, is_live
        self._refused = refused
        self._lines = Lines()

    async def relay(self, remote: ActrId, message: NegotiateMessage) -> None:
        """Sign what is a description, and bring it to ``remote``.

        Raises:
            PeerError: When it was not handed over.
        """
        incarnation = 0
        if self._statements.needs_incarnation(message):
            incarnation = await self._incarnation_of(remote)
        signed = self._statements.sign(remote, message, now=self._now(), incarnation=incarnation)
        await self._relay(remote, signed)

    def receive(self, source: ActrId, message: NegotiateMessage) -> None:
        """Hand on a message that ``source`` signed, or that need not be signed; else drop it."""
        is_live = self._is_live(source, message.connection_id)
        try:
            certificate = self._statements.check(source, message, now=self._now(), is_live=is_live)
        except DescriptionError as exc:
            self.dropped[exc.fault.value] += 1
            left_out = self._lines.take(monotonic())
            if left_out is not None:
                text = "description dropped: remote=%s cause=%s left_out=%d"
                log.warning(text, source, exc, left_out)
            self._refused(source, exc)
            return
        self._receive(source, message, certificate)
