"""The issuer's clock, as this process knows it: times in certificates are times of that clock."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

WRONG_BY = 5.0
"""Seconds from which a clock is called wrong. Certificates bear a minute, and who is asked then is
the one who has the wrong clock."""


def _steady() -> float:
    """Seconds since the machine was started, those counted in which it slept."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


class IssuerClock:
    """This machine's clock as it was at the start, then the issuer's, once one of its certificates
    has said what time it is there. Setting the machine's clock changes nothing in between.

    Args:
        wall: Unix seconds here.
        steady: Seconds that only go on.
    """

    def __init__(
        self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = _steady
    ) -> None:
        self._wall, self._steady = wall, steady
        self._base = wall() - steady()

    def now(self) -> float:
        """Unix seconds at the issuer, as far as it is known."""
        return self._steady() + self._base

    @property
    def offset(self) -> float:
        """Seconds by which the issuer's clock is ahead of this machine's."""
        return self.now() - self._wall()

    def learn(self, issued_at: float, asked_at: float, answered_at: float) -> None:
        """Take the time of a certificate that was just given.

        Args:
            issued_at: Its ``iat``, which has no fraction.
            asked_at: :meth:`now` when it was asked for.
            answered_at: The same when it came.
        """
        # It was made between question and answer, some time in the second that it names.
        least, most = issued_at - answered_at, issued_at + 1 - asked_at
        if not least <= 0 <= most:
            self._base += (least + most) / 2
        offset = self.offset
        if abs(offset) > WRONG_BY:
            side = "behind" if offset > 0 else "ahead of"
            log.warning(
                "the clock of this machine is %.0f s %s the issuer's: set it; certificates are "
                "judged by the issuer's meanwhile",
                abs(offset),
                side,
            )
