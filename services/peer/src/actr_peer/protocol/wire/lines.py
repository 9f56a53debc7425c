"""Sans-I/O: how many lines of a log others can cause: each refusal is told, a flood is counted."""

from __future__ import annotations

AT_ONCE = 64
PER_SECOND = 1.0


class Lines:
    """A budget for lines of one kind, which what comes from outside causes.

    Args:
        at_once: Lines that may come together, where none came for long.
        per_second: What is allowed from then on.
    """

    def __init__(self, *, at_once: int = AT_ONCE, per_second: float = PER_SECOND) -> None:
        self._at_once, self._per_second = at_once, per_second
        self._left = float(at_once)
        self._then = 0.0
        self._left_out = 0

    def take(self, now: float) -> int | None:
        """Return how many were left out since the last one; None: leave this one out, too.

        Args:
            now: Seconds of a clock that never goes back.
        """
        passed = max(0.0, now - self._then)
        self._left = min(self._at_once, self._left + passed * self._per_second)
        self._then = now
        if self._left < 1:
            self._left_out += 1
            return None
        self._left -= 1
        left_out, self._left_out = self._left_out, 0
        return left_out
