"""Every error this service raises on purpose, with the WebSocket close code of each.

::

    SignalingError                   code   the connection
    ├── BadMessageError              4400   closes
    ├── UnauthenticatedError         4401   closes
    │   └── CertificateError         4401   closes; says why, with a fault
    ├── ForbiddenError               4403   closes
    ├── TooBigError                  4413   closes
    ├── TooFastError                 4429   closes
    └── RefusedError                 any    stays: only the one message is answered with an error
    ConfigError                      exit 2: a setting that cannot be used
    ClosedError                      the object was closed on this side
"""

from __future__ import annotations

from enum import Enum, IntEnum


class Close(IntEnum):
    """WebSocket close codes of this service (docs/signaling.md)."""

    NORMAL = 1000
    RESTART = 1012
    """This replica goes away; another one, or the same after its restart, takes the peer."""
    BAD_MESSAGE = 4400
    UNAUTHENTICATED = 4401
    FORBIDDEN = 4403
    TIMED_OUT = 4408
    REPLACED = 4409
    TOO_BIG = 4413
    TOO_FAST = 4429


class SignalingError(Exception):
    """What a client did wrong; the text is sent to it, so it holds nothing secret.

    Attributes:
        code: The close code, also where the connection stays.
        message: One sentence for the person who reads the client's log.
        cause: Of a proof that was refused, in a word or three, as it is counted; else empty.
    """

    code = Close.BAD_MESSAGE

    def __init__(self, message: str, cause: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.cause = cause


class BadMessageError(SignalingError):
    """Bytes that are no message, or a message that may not come now."""


class UnauthenticatedError(SignalingError):
    """No proof, a wrong one, or none in time."""

    code = Close.UNAUTHENTICATED


class CertificateFault(Enum):
    """What is wrong with a certificate."""

    MALFORMED = "malformed"
    UNKNOWN_KEY = "unknown issuer key"
    BAD_SIGNATURE = "bad signature"
    TOO_LONG_A_LIFE = "too long a life"
    NOT_YET_VALID = "not yet valid"
    EXPIRED = "expired"


class CertificateError(UnauthenticatedError):
    """A certificate that is not to be believed.

    Attributes:
        fault: What is wrong with it; the text says more.
    """

    def __init__(self, fault: CertificateFault, message: str) -> None:
        super().__init__(message, fault.value)
        self.fault = fault


class ForbiddenError(SignalingError):
    """Proven, but not allowed: another identity, another origin, revoked."""

    code = Close.FORBIDDEN


class TooBigError(SignalingError):
    """A message over the limit in bytes."""

    code = Close.TOO_BIG


class TooFastError(SignalingError):
    """More messages or bytes per second than one connection may send."""

    code = Close.TOO_FAST


class RefusedError(SignalingError):
    """One message is refused, and the connection stays."""

    def __init__(self, code: Close, message: str, cause: str = "") -> None:
        super().__init__(message, cause)
        self.code = code


class ConfigError(Exception):
    """A setting that cannot be used; the text names the variable, the value and what is allowed."""


class ClosedError(Exception):
    """The object was closed on this side."""
