"""Shell: log lines of one kind at a bounded rate, however often what they tell of happens, and
each of them one that this service wrote.

A kind is an event's constant text. The next line that passes says how many were left out.
"""

from __future__ import annotations

import logging
import os
import sys
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import TextIO, cast

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


def plain(
    logger: object, method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """For structlog, before lines for people: much of what is logged was said by clients. Codes of
    a terminal are shown and not obeyed, and no line begins where ours do that is none of them."""
    del logger, method
    for key, value in event.items():
        if not isinstance(value, str):
            continue
        if key == "exception":
            event[key] = "\n".join(f"    {_shown(line)}" for line in value.split("\n"))
        elif not value.isprintable():
            event[key] = _shown(value)
    return event


def _shown(line: str) -> str:
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)


class Outlet:
    """Standard error, which no service is to die of: its reader may have ended, its disk be full.
    Such a line is lost."""

    def write(self, text: str) -> int:
        self._attempt(lambda: sys.stderr.write(text))
        return len(text)

    def flush(self) -> None:
        self._attempt(sys.stderr.flush)

    def _attempt(self, put: Callable[[], object]) -> None:
        try:
            put()
        except BrokenPipeError:  # its reader never comes back; what is buffered must go somewhere
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stderr.fileno())
            os.close(nowhere)
            with suppress(OSError):
                sys.stderr.flush()
        except OSError:
            return


def set_up(level_name: str, form: str) -> None:
    """Everything to standard error, libraries too, in one form.

    Args:
        level_name: ``debug``, ``info``, ``warning`` or ``error``.
        form: ``json``, or ``text`` for people.
    """
    level = logging.getLevelNamesMapping()[level_name.upper()]
    gate, outlet = Gate(), Outlet()
    rendered: list[structlog.typing.Processor] = (
        [structlog.processors.JSONRenderer()]
        if form == "json"
        else [plain, structlog.dev.ConsoleRenderer(colors=os.isatty(2))]
    )
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[gate.processor, *shared, *rendered],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, outlet)),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(outlet)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered],
        )
    )
    handler.addFilter(gate.filter)
    # What uvicorn says at info (each upgrade, each start) this service says itself or not.
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING))
