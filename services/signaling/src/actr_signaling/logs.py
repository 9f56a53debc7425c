"""Shell: log lines of one kind at a bounded rate, however often what they tell of happens.

A kind is an event's constant text. The next line that passes says how many were left out.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

import structlog

from actr_signaling.protocol.client.limits import Bucket

LINES_PER_SECOND = 2.0
LINES_BURST = 40.0
"""Of one kind."""
_MAX_KINDS = 256


class Gate:
    """Lets lines of each kind pass at a rate.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._kinds: OrderedDict[str, Bucket] = OrderedDict()
        self._left_out: dict[str, int] = {}

    def passes(self, kind: str) -> int | None:
        """How many were left out before this one; None: leave this one out."""
        now = self._clock()
        bucket = self._kinds.pop(kind, None)
        if bucket is None:
            bucket = Bucket(LINES_PER_SECOND, LINES_BURST, now)
            if len(self._kinds) >= _MAX_KINDS:
                oldest, _ = self._kinds.popitem(last=False)
                self._left_out.pop(oldest, None)
        self._kinds[kind] = bucket
        if bucket.take(1, now):
            return self._left_out.pop(kind, 0)
        self._left_out[kind] = self._left_out.get(kind, 0) + 1
        return None

    def processor(
        self, logger: object, method: str, event: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        """For structlog: before anything that costs."""
        del logger, method
        left_out = self.passes(str(event.get("event")))
        if left_out is None:
            raise structlog.DropEvent
        if left_out:
            event["left_out"] = left_out
        return event

    def filter(self, record: logging.LogRecord) -> bool:
        """For the handlers of the standard library."""
        left_out = self.passes(f"{record.name}: {record.msg}")
        if left_out:
            record.msg = f"{record.msg} (left out before: {left_out})"
        return left_out is not None
