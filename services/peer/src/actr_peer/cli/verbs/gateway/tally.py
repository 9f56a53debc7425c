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
        self.running = 0
        self.ended: Counter[str] = Counter()
        """By Connect's word of the code, and ``ok``."""

    @contextmanager
    def one(self) -> Iterator[None]:
        """A block that is one call.

        Raises:
            CallError: RESOURCE_EXHAUSTED, if so many run already.
        """
        if self.running >= self.most:
            text = f"the gateway has {self.most} calls at a time; try again"
            raise CallError(Code.RESOURCE_EXHAUSTED, text, retryable=True, retry_after=1.0)
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1

    def note(self, code: Code | None) -> None:
        """One has ended; None: well."""
        self.ended[OK if code is None else WORDS[code]] += 1

    @property
    def document(self) -> dict[str, Any]:
        return {"running": self.running, "ended": dict(self.ended)}
