"""Sans-I/O: what ends a WebSocket wire, as the sink and the far side are told of it."""

from __future__ import annotations

from actr_peer.errors import (
    BrokenError,
    CertificateError,
    LimitError,
    PeerError,
    RemoteProtocolError,
    UnreachableError,
)
from actr_peer.protocol.websocket.frames import NO_CODE, FramingError
from actr_peer.protocol.wire.close_codes import CloseCode
from actr_peer.protocol.wire.life import Phase, Verdict

_IN_GOOD_ORDER = (CloseCode.NORMAL, CloseCode.GOING_AWAY, NO_CODE)


def rule_broken(error: PeerError) -> Verdict:
    """The far side sent what it may not send."""
    code = CloseCode.TOO_BIG if isinstance(error, LimitError) else CloseCode.BAD_MESSAGE
    code = CloseCode.PROTOCOL if isinstance(error, FramingError) else code
    code = CloseCode.UNAUTHENTICATED if isinstance(error, CertificateError) else code
    return Verdict(error, code, str(error))


def too_slow(seconds: float) -> Verdict:
    """The handshake took longer than ``seconds``."""
    why = f"no handshake within {seconds:g} s"
    return Verdict(RemoteProtocolError(why), CloseCode.TIMED_OUT, why)


def far_close(phase: Phase, remote: object, code: int, reason: bytes) -> Verdict:
    """The far side closes with ``code``, in ``phase`` of this one."""
    why = f"{code} {reason.decode(errors='replace')}".rstrip()
    if phase is Phase.GREETING:
        return Verdict(UnreachableError(str(remote), f"refused with {why}"))
    if code in _IN_GOOD_ORDER:
        return Verdict()
    return Verdict(BrokenError(f"{remote} closed the WebSocket with {why}"))


def lost(phase: Phase, remote: object, said: str) -> Verdict:
    """The socket went away with no close frame of the far side.

    Args:
        said: What the library said to the far side when it found the stream malformed.
    """
    if said:
        return Verdict(RemoteProtocolError(said))
    if phase is not Phase.OPEN:
        return Verdict(UnreachableError(str(remote), "the connection was lost in the handshake"))
    return Verdict(BrokenError(f"the connection to {remote} was lost"))
