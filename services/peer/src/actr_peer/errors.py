"""Every error a peer raises on purpose, on one page.

Catch the narrowest that you can act on::

    PeerError
    ├── ClosedError              this side closed it
    ├── BrokenError              the far side or the network took it away
    │   ├── LeftError            its process left in good order
    │   ├── MayHaveRunError      a call to a type, whose actor was lost before it answered
    │   └── StreamFailedError    a stream that came in did not end well; says after which item
    ├── UnreachableError         no such actor, or no wire to it could be made
    │   └── NoRelayError         signaling relays none to it, and would say so again
    ├── BusyError                a second user where only one is allowed (a port, an identity)
    ├── LimitError               a bound set here was reached (bytes, fragments, depth)
    ├── DeadlineError            no answer within the seconds the caller gave
    ├── CallError                the far side ran or refused the call and says so, with a Code
    ├── ConfigError              a setting that cannot be used: its text says what is allowed
    └── ProtocolError
        ├── LocalProtocolError   our code asked for an illegal step: a bug here
        └── RemoteProtocolError  the far side took an illegal step: drop the link
            └── CertificateError its certificate is not to be believed; says why, with a fault

A clean end of a stream is not an error: it ends the iteration.
"""

from __future__ import annotations

from enum import Enum, IntEnum


class Code(IntEnum):
    """gRPC's status codes (grpc/grpc doc/statuscodes.md), without OK."""

    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class PeerError(Exception):
    """Base of every error raised on purpose by this package."""


class ClosedError(PeerError):
    """The object was closed on this side."""


class BrokenError(PeerError):
    """The object was taken away by the far side or the network.

    ``__cause__`` holds the error of the library underneath, when there is one.
    """


class LeftError(BrokenError):
    """The far side's actor left in good order, and said so: what it gave has ended, not failed."""


class MayHaveRunError(BrokenError):
    """A call to an actor type was sent, and its actor was lost before it answered. It may have run
    there, and its contract does not say that it may run twice: so no other actor was asked.

    ``__cause__`` is what took the actor away.

    Attributes:
        route_key: Of the method.
        remote: The actor that was asked, in text form.
        why: What took it away.
    """

    def __init__(self, route_key: str, remote: str, why: str) -> None:
        super().__init__(
            f"{route_key} may have run at {remote}, which was lost before it answered ({why}): see "
            "whether it took effect before you call again; a method that does no harm when it runs "
            "twice says so with 'option idempotency_level', and is then asked of another actor"
        )
        self.route_key = route_key
        self.remote = remote
        self.why = why


class StreamFailedError(BrokenError):
    """A stream that came in ended with an error of its sender, or was taken away (a reset: its
    sender's process restarted, or the link is gone). All items before that were handed over.

    Attributes:
        channel_id: Of the stream.
        last_sequence: Number of the last item that was handed over; -1: none was.
        reason: The sender's own :class:`CallError`, or what took the stream away.
    """

    def __init__(self, channel_id: str, last_sequence: int, reason: PeerError) -> None:
        after = f"after item {last_sequence}" if last_sequence >= 0 else "before its first item"
        super().__init__(f"stream {channel_id!r} failed {after}: {reason}")
        self.channel_id = channel_id
        self.last_sequence = last_sequence
        self.reason = reason


class UnreachableError(PeerError):
    """No such actor is online, or no wire to it could be made.

    Attributes:
        remote: The actor that was asked for, in text form.
        why: The reason alone.
    """

    def __init__(self, remote: str, why: str) -> None:
        super().__init__(f"cannot reach {remote}: {why}")
        self.remote = remote
        self.why = why


class NoRelayError(UnreachableError):
    """Signaling relays no wire to it: it relays none at all, or not to where the actor is."""


class BusyError(PeerError):
    """Another user holds what only one may hold at a time."""


class LimitError(PeerError):
    """A bound set by this side was reached.

    Attributes:
        what: The name of the bounded thing, for logs.
        limit: The bound, in the unit that ``what`` names.
        asked: What was asked for, in the same unit.
    """

    def __init__(self, what: str, *, limit: int, asked: int) -> None:
        super().__init__(f"{what}: {asked} is over the limit of {limit}")
        self.what = what
        self.limit = limit
        self.asked = asked


class DeadlineError(PeerError):
    """No answer within the seconds the caller gave; the far side may still act."""


class CallError(PeerError):
    """The far side ran or refused the call and reports that it failed.

    A handler raises it to answer with a code of its choice.

    Attributes:
        code: One of gRPC's codes.
        message: The text alone, as sent.
        retryable: Whether the same call may work later.
        retry_after: Seconds after which a retry makes sense, or None.
        domain: Who defines ``details``; empty for actr itself.
        details: Serialized ``google.protobuf.Any`` messages, in the sender's order.
    """

    def __init__(
        self,
        code: Code,
        message: str,
        *,
        retryable: bool = False,
        retry_after: float | None = None,
        domain: str = "",
        details: tuple[bytes, ...] = (),
    ) -> None:
        super().__init__(f"{message} ({code.name})")
        self.code = code
        self.message = message
        self.retryable = retryable
        self.retry_after = retry_after
        self.domain = domain
        self.details = details


class ConfigError(PeerError):
    """A setting that cannot be used; the text names the key, the value and what is allowed."""


class ProtocolError(PeerError):
    """An illegal step; raise one of the two subclasses, never this."""


class LocalProtocolError(ProtocolError):
    """Our own code asked for an illegal step: a bug on this side."""


class RemoteProtocolError(ProtocolError):
    """The far side took an illegal step: the link is not to be trusted."""


class CertificateFault(Enum):
    """What is wrong with a certificate."""

    MALFORMED = "malformed"
    UNKNOWN_KEY = "unknown issuer key"
    BAD_SIGNATURE = "bad signature"
    TOO_LONG_A_LIFE = "too long a life"
    NOT_YET_VALID = "not yet valid"
    EXPIRED = "expired"
    REVOKED = "revoked"


class CertificateError(RemoteProtocolError):
    """A certificate that is not to be believed.

    Attributes:
        fault: What is wrong with it; the text says more.
    """

    def __init__(self, fault: CertificateFault, text: str) -> None:
        super().__init__(text)
        self.fault = fault
