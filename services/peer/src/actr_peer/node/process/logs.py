"""Where the log lines of a process go, and in which form: structlog, to standard error."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Final

from actr_peer.node.config.settings import Log

if TYPE_CHECKING:
    from structlog.types import Processor

NOISY: Final = ("aioice", "aiortc")
"""A line for each candidate pair and packet."""


def configure_logs(log: Log, environment: Mapping[str, str] = os.environ) -> None:
    """Send structured logs, and those of the libraries, to standard error."""
    _send(log, _formatter(log, environment))


def log_warnings(log: Log) -> None:
    """The same from warnings on, for a program that only calls.

    Nearly always there is none: structlog, which loads what colours tracebacks, comes with the
    first one. It is a quarter of what such a program has to import.
    """
    quiet = log.model_copy(update={"level": "warning"})
    _send(quiet, _Late(quiet))


class _Late(logging.Formatter):
    """Loads what formats when there is something to format."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log
        self._made: logging.Formatter | None = None

    def format(self, record: logging.LogRecord) -> str:
        if self._made is None:
            self._made = _formatter(self._log, os.environ)
        return self._made.format(record)


def _send(log: Log, formatter: logging.Formatter) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=log.level.upper(), force=True)
    for noisy in NOISY:
        logging.getLogger(noisy).setLevel(
            max(logging.WARNING, logging.getLevelName(log.level.upper()))
        )


def _formatter(log: Log, environment: Mapping[str, str]) -> logging.Formatter:
    """Has structlog's own loggers, too, write by the returned one."""
    import structlog

    readable = log.format == "console" or (log.format == "auto" and sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty() and "NO_COLOR" not in environment)
        if readable
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(log.level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            *((_plain,) if readable else ()),
            renderer,
        ],
    )


def _plain(logger: object, name: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Much of what is logged was said by others: on a terminal it moves no cursor, changes no
    colour, and looks like no line of ours."""
    for key, value in event.items():
        if isinstance(value, str) and (key == "exception" or not value.isprintable()):
            shown = (
                "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)
                for line in value.split("\n")
            )
            event[key] = ("    " if key == "exception" else "") + "\n    ".join(shown)
    return event
