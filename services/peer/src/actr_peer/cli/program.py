"""A program around an actor: ``actr_peer.run``, and what ``actr run`` does with a workload.

It has logs on standard error, uvloop, a graceful end on SIGTERM and Ctrl-C, the control socket that
``actr ps`` asks, and one sentence with an exit code (:mod:`actr_peer.cli.exits`) for an error.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, TypeAlias, TypeVar, cast, overload

from actr_peer.cli.exits import SIGNALLED, explain
from actr_peer.errors import BusyError, LocalProtocolError, PeerError
from actr_peer.node.config import NodeConfig
from actr_peer.node.config.loading import load
from actr_peer.node.contract.handlers import Workload, services_of
from actr_peer.node.process.serving import answering, say_ready, serve
from actr_peer.node.process.startup import STOP_SIGNALS, configure_logs, replaced, run_loop
from actr_peer.node.ref import ActrRef
from actr_peer.node.system import System
from actr_peer.service import Service
from actr_peer.tasks import Tasks, first_cause

log = logging.getLogger(__name__)

Result = TypeVar("Result")
Main: TypeAlias = Callable[[], Coroutine[Any, Any, Result]]
MainOfActor: TypeAlias = Callable[[ActrRef], Coroutine[Any, Any, Result]]


@overload
def run(work: Workload, /, *, config: NodeConfig | None = None) -> None: ...


@overload
def run(
    work: MainOfActor[Result], /, *services: Service, config: NodeConfig | None = None
) -> Result: ...


@overload
def run(work: Main[Result], /) -> Result: ...


def run(
    work: Workload | MainOfActor[Any] | Main[Any],
    /,
    *services: Service,
    config: NodeConfig | None = None,
) -> Any:
    """Run a workload, or an ``async def main``, as a whole process; as ``asyncio.run`` is called.

    ::

        actr_peer.run(Room)              serve until SIGTERM or Ctrl-C
        actr_peer.run(main)              async def main() or main(ref): to its end, and its result
        actr_peer.run(main, Room())      main(ref) beside the workload

    ``main(ref)`` gets the actor of the configuration, started; ``main()`` makes what it needs, for
    instance with :func:`actr_peer.connect`. SIGTERM and Ctrl-C cancel either: what its blocks do at
    their end is done.

    Args:
        work: A service's object or class, or several; or a coroutine function.
        services: The workload beside ``main(ref)``.
        config: The actor's; None: that of ``actr.toml`` and the environment.

    Raises:
        SystemExit: With one sentence on standard error, for each error of :class:`PeerError` that
            comes so far; with 128 and the signal's number, for a ``main`` that was stopped by one.
    """
    try:
        return _run(work, services, config)
    except PeerError as exc:
        _end(exc)
    except BaseExceptionGroup as group:
        cause = first_cause(group)
        if not isinstance(cause, PeerError):
            raise
        _end(cause)


async def serve_workload(services: tuple[Service, ...], config: NodeConfig) -> None:
    """Be an actor until the process is asked to stop.

    Raises:
        PeerError: Why it could not start, or ended by itself.
    """
    async with System(config).attach(*services) as node:
        await serve(node)


def _run(
    work: Workload | MainOfActor[Any] | Main[Any],
    services: tuple[Service, ...],
    config: NodeConfig | None,
) -> Any:
    settings = load().settings
    configure_logs(settings.log)
    if not inspect.iscoroutinefunction(work):
        own = services_of(cast("Workload", work))
        return run_loop(
            serve_workload((*own, *services), config or NodeConfig.from_settings(settings))
        )
    takes_ref = bool(inspect.signature(work).parameters)
    if not takes_ref and (services or config is not None):
        raise LocalProtocolError(
            f"{work.__name__} takes no actor: write `async def {work.__name__}(ref)` to have one"
        )
    stopped: list[int] = []
    try:
        if takes_ref:
            chosen = config or NodeConfig.from_settings(settings)
            return run_loop(_beside(work, services or (Service(),), chosen, stopped))
        return run_loop(_alone(cast("Main[Any]", work), stopped))
    except asyncio.CancelledError:
        if not stopped:
            raise
        sys.exit(SIGNALLED + stopped[0])


async def _alone(main: Main[Result], stopped: list[int]) -> Result:
    with _cancelled_by_signals(stopped):
        return await main()


async def _beside(
    main: MainOfActor[Result],
    services: tuple[Service, ...],
    config: NodeConfig,
    stopped: list[int],
) -> Result:
    """Run ``main`` with the actor, for as long as that has its identity."""
    with _cancelled_by_signals(stopped):
        async with System(config).attach(*services) as node, answering(node):
            say_ready(node)
            try:
                async with Tasks("main") as tasks:
                    tasks.start("actor", _until_replaced(node.ref))
                    return await main(node.ref)
            except BaseExceptionGroup as group:
                raise first_cause(group) from None


async def _until_replaced(ref: ActrRef) -> None:
    await ref
    raise BusyError(replaced(ref.id))


@contextmanager
def _cancelled_by_signals(stopped: list[int]) -> Iterator[None]:
    """A block whose task SIGTERM and Ctrl-C cancel; their numbers are noted."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def stop(number: int) -> None:
        stopped.append(number)
        task.cancel()

    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop, number)
    try:
        yield
    finally:
        for number in STOP_SIGNALS:
            loop.remove_signal_handler(number)


def _end(error: PeerError) -> NoReturn:
    log.debug("the program ends", exc_info=error)
    code, text = explain(error)
    print(f"{Path(sys.argv[0]).name or 'actr'}: {text}", file=sys.stderr)
    sys.exit(code)
