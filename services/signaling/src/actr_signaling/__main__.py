"""``python -m actr_signaling``, ``actr-signaling``: settings from the environment, one replica.

Exit status: 0 stopped by a signal, after a clean drain · 2 a setting or an argument that cannot
be used (one sentence on standard error) · 1 anything else, with a traceback.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from actr_signaling.errors import ConfigError
from actr_signaling.logs import Gate
from actr_signaling.settings import Settings, load
from actr_signaling.web.server import Replica, run

EXIT_CONFIG = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one replica until a signal; return the exit status."""
    options = _arguments(arguments)
    try:
        settings = load()
        _set_up_logging(settings)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(settings, _announcer(options)))
    except ConfigError as exc:
        print(f"actr-signaling: {exc}", file=sys.stderr)  # noqa: T201
        return EXIT_CONFIG
    return 0


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it exists: half the cost of a message."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _serve(settings: Settings, announce: Callable[[str], None]) -> None:
    replica = Replica(settings, announce)
    # Modules and routes stay for good: a collection that looks at them again stops all for 60 ms.
    gc.collect()
    gc.freeze()
    await run(replica)


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="actr-signaling",
        description="Introduces actr peers to each other. Settings: ACTR_SIGNALING__… "
        "environment variables (docs/signaling.md).",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--ready-file", type=Path, help="write the ready line there, in place of standard output"
    )
    where.add_argument("--ready-fd", type=int, help="write the ready line to this descriptor")
    return parser.parse_args(arguments)


def _announcer(options: argparse.Namespace) -> Callable[[str], None]:
    """Tell a parent process, in one line of JSON, that connections are accepted, and where."""

    def announce(url: str) -> None:
        line = json.dumps({"event": "ready", "url": url}) + "\n"
        if options.ready_file is not None:
            # Whole or not at all: a watcher must not read half a line.
            draft = options.ready_file.with_name(options.ready_file.name + ".new")
            draft.write_text(line)
            draft.replace(options.ready_file)
        else:
            with open(
                1 if options.ready_fd is None else options.ready_fd,
                "w",
                closefd=options.ready_fd is not None,
            ) as out:
                out.write(line)

    return announce


def _set_up_logging(settings: Settings) -> None:
    """Everything to standard error, libraries too, in one form."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    is_terminal = os.isatty(2)
    gate = Gate()
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=is_terminal)
    )
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[gate.processor, *shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared)
    )
    handler.addFilter(gate.filter)
    # What uvicorn says at info (each upgrade, each start) this service says itself or not.
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING))


if __name__ == "__main__":
    sys.exit(main())
