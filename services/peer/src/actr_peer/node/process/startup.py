"""What every process that runs an actor has: a loop, logs, and an end when it is asked to."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

import structlog

from actr_peer.errors import BusyError
from actr_peer.node.config.settings import Log
from actr_peer.protocol.identity import ActrId
from actr_peer.tasks import Tasks

if TYPE_CHECKING:
    from actr_peer.node.ref import ActrRef

Result = TypeVar("Result")
STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


async def until_asked_to_stop(ref: ActrRef, ready: Callable[[], object]) -> None:
    """Wait for SIGTERM or SIGINT.

    Args:
        ready: Tells others that the actor is there, once both signals end it gracefully.

    Raises:
        BusyError: If the actor ended by itself: a newer process has its identity.
    """
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, asked.set)
    ready()
    try:
        async with Tasks("stop") as tasks:
            ended = tasks.start("actor", _set_at_the_end(ref, asked))
            await asked.wait()
            if ended.done():
                raise BusyError(replaced(ref.id))
    finally:
        for number in STOP_SIGNALS:
            loop.remove_signal_handler(number)


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM and SIGHUP cancel the task of this block, as Ctrl-C does; out of it comes
    ``KeyboardInterrupt``, when the blocks inside have ended in good order."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    numbers = (signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, task.cancel)
    try:
        yield
    except asyncio.CancelledError as exc:
        raise KeyboardInterrupt from exc
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def replaced(own: ActrId) -> str:
    """What a process says that ends because another one is the actor now."""
    return (
        f"a newer process has the identity {own}; give one of them another with --id or "
        "ACTR_ACTOR__ID"
    )


async def _set_at_the_end(ref: ActrRef, asked: asyncio.Event) -> None:
    await ref
    asked.set()


def run_loop(work: Coroutine[Any, Any, Result]) -> Result:
    """Run ``work`` on uvloop where it is installed: half the processor time per byte."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    return uvloop.run(work)


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


def configure_logs(log: Log, environment: Mapping[str, str] = os.environ) -> None:
    """Send structured logs, and those of the libraries, to standard error."""
    readable = log.format == "console" or (log.format == "auto" and sys.stderr.isatty())
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.types.Processor = (
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
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                *((_plain,) if readable else ()),
                renderer,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=log.level.upper(), force=True)
    for noisy in ("aioice", "aiortc"):  # a line per candidate pair and packet
        logging.getLogger(noisy).setLevel(
            max(logging.WARNING, logging.getLevelName(log.level.upper()))
        )
