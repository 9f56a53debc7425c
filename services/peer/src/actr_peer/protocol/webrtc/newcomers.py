"""Sans-I/O: how many new connections each remote gets, at once and over time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from math import inf
from typing import Generic, TypeVar

Who = TypeVar("Who", bound=Hashable)

MAX_REMEMBERED = 1024
"""Remotes that came lately; the one that came longest ago is forgotten, and starts anew."""


class Newcomers(Generic[Who]):
    """A bucket for each remote that came lately: one that is full again says nothing, and goes.

    Args:
        at_once: What a remote may have that did not come for long.
        per_second: What it may have from then on.
    """

    def __init__(self, *, at_once: int, per_second: float) -> None:
        self._at_once = at_once
        self._per_second = per_second
        self._full_after = at_once / per_second if per_second else inf
        self._left: OrderedDict[Who, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        """Remotes that are remembered."""
        return len(self._left)

    def admit(self, who: Who, *, now: float) -> bool:
        """Whether ``who`` gets one more at ``now``, in seconds of a clock that never goes back."""
        left, then = self._left.pop(who, (float(self._at_once), now))
        left = min(self._at_once, left + (now - then) * self._per_second)
        is_admitted = left >= 1
        self._left[who] = (left - is_admitted, now)
        self._forget(now)
        if len(self._left) > MAX_REMEMBERED:
            self._left.popitem(last=False)
        return is_admitted

    def _forget(self, now: float) -> None:
        while self._left:
            oldest = next(iter(self._left))
            if now - self._left[oldest][1] < self._full_after:
                break
            del self._left[oldest]
