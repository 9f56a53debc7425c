"""Sans-I/O: why the issuer refuses a request, each cause with its status over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Cause(StrEnum):
    """What a client reads, and a label of the metric of refusals: a short list, for good."""

    MALFORMED = "malformed"
    NONCE = "nonce"
    """Not made here, too old, or used before: ask for another one."""
    PROOF = "proof"
    """The signature is not by the key that is to be certified."""
    SECRET = "secret"  # noqa: S105
    TOKEN_UNKNOWN = "token-unknown"  # noqa: S105
    TOKEN_USED = "token-used"  # noqa: S105
    TOKEN_EXPIRED = "token-expired"  # noqa: S105
    TOKEN_REVOKED = "token-revoked"  # noqa: S105
    PATTERN = "pattern"
    """The token is for other ids, or for another realm."""
    RULE = "rule"
    """No rule lets the realm's secret enrol this id."""
    TAKEN = "taken"
    """Another key has the id."""
    REVOKED = "revoked"
    SUPERSEDED = "superseded"
    """Another key was enrolled for the id since."""
    UNKNOWN_KEY = "unknown-key"
    TOO_FAST = "too-fast"
    FULL = "full"
    UNREADY = "unready"


STATUS: Mapping[Cause, int] = MappingProxyType(
    {
        Cause.MALFORMED: 400,
        Cause.NONCE: 401,
        Cause.PROOF: 401,
        Cause.SECRET: 403,
        Cause.TOKEN_UNKNOWN: 403,
        Cause.TOKEN_USED: 409,
        Cause.TOKEN_EXPIRED: 403,
        Cause.TOKEN_REVOKED: 403,
        Cause.PATTERN: 403,
        Cause.RULE: 403,
        Cause.TAKEN: 409,
        Cause.REVOKED: 403,
        Cause.SUPERSEDED: 403,
        Cause.UNKNOWN_KEY: 404,
        Cause.TOO_FAST: 429,
        Cause.FULL: 503,
        Cause.UNREADY: 503,
    }
)


class RefusalError(Exception):
    """One request is refused; the text goes to the client, so it holds nothing secret.

    Attributes:
        cause: Why, as one word.
        message: One sentence for the person who reads the client's log: what to do.
        retry_after: Seconds after which the same may be tried again; None: it is of no use.
    """

    def __init__(self, cause: Cause, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.cause = cause
        self.message = message
        self.retry_after = retry_after
