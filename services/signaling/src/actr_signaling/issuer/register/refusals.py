"""Shell: what the audit log takes of refusals: those that name somebody, and not too many."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from actr_signaling.issuer.protocol.causes import Cause, RefusalError
from actr_signaling.issuer.protocol.rates import Rate, Rates
from actr_signaling.issuer.register import audit
from actr_signaling.issuer.register.database import Database
from actr_signaling.protocol.identity.keys import encode

log = structlog.get_logger()

NOTED = Rate(1.0, 100)
"""A flood of them must not push out what was granted."""
_UNNOTED = {
    Cause.MALFORMED,
    Cause.NONCE,
    Cause.PROOF,
    Cause.UNKNOWN_KEY,
    Cause.TOO_FAST,
    Cause.FULL,
    Cause.UNREADY,
}
"""Said by the metrics alone: they name nobody, or are how every actor begins."""


class Refusals:
    """Notes them.

    Args:
        clock: Unix seconds.
        steady: Seconds that only go on.
    """

    def __init__(
        self, database: Database, clock: Callable[[], float], steady: Callable[[], float]
    ) -> None:
        self._database = database
        self._clock, self._steady = clock, steady
        self._rates = Rates(NOTED, NOTED)

    async def note(self, why: RefusalError, what: str, key: bytes, address: str) -> None:
        """Have the audit log tell of one, if it names somebody and there are not too many."""
        log.info("refused", cause=why.cause, address=address, what=what)
        if why.cause in _UNNOTED:
            return
        try:
            self._rates.take("all", self._steady())
            async with self._database.transaction() as tx:
                entry = audit.Entry(
                    at=self._clock(),
                    event="refused",
                    key=encode(key),
                    address=address,
                    detail=f"{what}: {why.cause}",
                )
                await audit.append(tx, entry)
        except RefusalError:
            return  # counted by the metrics all the same
