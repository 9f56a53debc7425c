"""Sans-I/O: how many new connections each remote gets, at once and over time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Who = TypeVar("Who", bound=Hashable)

MAX_REMEMBERED = 1024
"""Remotes; the one that came longest ago is forgotten, and starts anew."""


class Newcomers(Generic[Who]):
    """A bucket for each remote.

    Args:
        at_once: What a remote may have that did not come for long.
        per_second: What it may have from then on.
    """

    def __init__(self, *, at_once: int, per_second: float) -> None:
        self._at_once = at_once
        self._per_second = per_second
        self._left: OrderedDict[Who, tuple[float, float]] = OrderedDict()

    def admit(self, who: Who, *, now: float) -> bool:
        """Whether ``who`` gets one more at ``now``, in seconds of a clock that never goes back."""
        left, then = self._left.pop(who, (float(self._at_once), now))
        left = min(self._at_once, left + (now - then) * self._per_second)
        is_admitted = left >= 1
        self._left[who] = (left - is_admitted, now)
        if len(self._left) > MAX_REMEMBERED:
            self._left.popitem(last=False)
        return is_admitted
