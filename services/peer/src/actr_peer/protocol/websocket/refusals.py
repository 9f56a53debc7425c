"""Sans-I/O: how a listener says no in a handshake, and what it says to itself of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from actr.envelope_pb2 import RpcError, WireHandshake, WireWelcome
from actr_peer.errors import Code, PeerError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.websocket.proofs import cause_of
from actr_peer.protocol.wire.close_codes import CloseCode


@dataclass(frozen=True, slots=True)
class Refused:
    """Send ``step``, which says why, and close with ``code``; the listener goes on."""

    step: bytes
    code: CloseCode
    why: str
    claimed: ActrId | None = None
    """Who the dialler says it is, where it does not prove it."""
    cause: str = ""
    """Why it is not believed, for counting; empty: that is not what was wrong."""


_CODES = {
    CloseCode.BAD_MESSAGE: Code.INVALID_ARGUMENT,
    CloseCode.UNAUTHENTICATED: Code.UNAUTHENTICATED,
    CloseCode.FORBIDDEN: Code.PERMISSION_DENIED,
    CloseCode.NOT_HERE: Code.NOT_FOUND,
}


def refuse(code: CloseCode, why: str) -> Refused:
    """Say no, in a welcome that holds only an error and in a close code."""
    error = RpcError(code=_CODES[code], message=why)
    step = WireHandshake(welcome=WireWelcome(error=error)).SerializeToString()
    return Refused(step, code, why)


def disbelieve(claimed: ActrId, error: PeerError) -> Refused:
    """Say no to who does not prove that it is ``claimed``."""
    refused = refuse(CloseCode.UNAUTHENTICATED, str(error))
    return replace(refused, claimed=claimed, cause=cause_of(error))
