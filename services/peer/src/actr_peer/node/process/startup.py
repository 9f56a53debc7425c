"""What every process that runs an actor has: a loop, and an end when it is asked to."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from actr_peer.errors import BusyError
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
