"""What a gateway has done since its start, for ``actr ps --json``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from actr_peer.errors import CallError, Code
from actr_peer.protocol.rpc.connect.codes import WORDS

OK = "ok"


class Tally:
    """Calls that run, and how the others ended.

    Args:
        most: Calls at a time.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.share = max(1, most // 2)
        """Of one caller, so that none keeps out all others."""
        self.running = 0
        self._of_caller: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        """By Connect's word of the code, and ``ok``."""

    @contextmanager
    def one(self, caller: str = "") -> Iterator[None]:
        """A block that is one call.

        Args:
            caller: Whose share it is of; empty: nobody's.

        Raises:
            CallError: RESOURCE_EXHAUSTED, if so many run already.
        """
        is_over = bool(caller) and self._of_caller[caller] >= self.share
        if is_over or self.running >= self.most:
            text = f"the gateway has {self.most} calls at a time, {self.share} of one; try again"
            raise CallError(Code.RESOURCE_EXHAUSTED, text, retryable=True, retry_after=1.0)
        self.running += 1
        self._of_caller[caller] += 1
        try:
            yield
        finally:
            self.running -= 1
            self._of_caller[caller] -= 1
            if not self._of_caller[caller]:
                del self._of_caller[caller]

    def note(self, code: Code | None) -> None:
        """One has ended; None: well."""
        self.ended[OK if code is None else WORDS[code]] += 1

    @property
    def document(self) -> dict[str, Any]:
        return {"running": self.running, "ended": dict(self.ended)}
