"""A program around an actor: ``actr_peer.run``, and what ``actr run`` does with a workload.

It has logs on standard error, uvloop, a graceful end on SIGTERM and Ctrl-C, the control socket that
``actr ps`` asks, and one sentence with an exit code (:mod:`actr_peer.cli.exits`) for an error.
"""

from __future__ import annotations

import inspect
import logging
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast, overload

from actr_peer.cli.exits import Exit, ending, printable
from actr_peer.cli.workloads import code_of_others
from actr_peer.errors import BusyError, ConfigError, LocalProtocolError, PeerError
from actr_peer.node.config import NodeConfig
from actr_peer.node.config.loading import load
from actr_peer.node.contract.handlers import Workload, services_of
from actr_peer.node.node import Node
from actr_peer.node.process.logs import configure_logs
from actr_peer.node.process.serving import answering, say_ready, serve
from actr_peer.node.process.startup import interruptible, replaced, run_loop
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
        SystemExit: With one sentence on standard error, for each :class:`PeerError` that comes so
            far; with 130, for a ``main`` or a start that a signal ended.
    """
    try:
        with ending(_tell):
            return _run(work, services, config)
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)


async def serve_workload(
    services: tuple[Service, ...],
    config: NodeConfig,
    ready: Callable[[Node], None] = say_ready,
) -> None:
    """Be an actor until the process is asked to stop.

    Args:
        ready: Tells that it is there.

    Raises:
        PeerError: Why it could not start, or ended by itself.
    """
    with interruptible():  # a start that takes long; then serve() ends it gracefully
        async with System(config).attach(*services) as node:
            await serve(node, ready=ready)


def _run(
    work: Workload | MainOfActor[Any] | Main[Any],
    services: tuple[Service, ...],
    config: NodeConfig | None,
) -> Any:
    loaded = load()
    main = _main_of(work)
    takes_ref = main is not None and _takes_ref(main)
    # Who only calls has something else to show, as the verbs that call.
    is_quiet = main is not None and not takes_ref and loaded.origin("log.level") == "default"
    log_update = {"level": "warning"} if is_quiet else {}
    configure_logs(loaded.settings.log.model_copy(update=log_update))
    if main is not None and not takes_ref:
        if services or config is not None:
            name = getattr(main, "__name__", "main")
            raise LocalProtocolError(
                f"{name} takes no actor: write `async def {name}(ref)` to have one"
            )
        return run_loop(_alone(main))
    chosen = config or NodeConfig.from_settings(loaded.settings)
    if main is not None:
        return run_loop(_beside(main, services or (Service(),), chosen))
    with code_of_others(getattr(work, "__name__", "")):
        own = services_of(cast("Workload", work))
    return run_loop(serve_workload((*own, *services), chosen))


def _main_of(work: object) -> Callable[..., Coroutine[Any, Any, Any]] | None:
    """The coroutine function; None: it is a workload.

    Raises:
        ConfigError: If it is a function that is not async.
    """
    if inspect.iscoroutinefunction(work):
        return work
    if inspect.isroutine(work):
        raise ConfigError(f"{work.__name__} is not async: write `async def {work.__name__}`")
    return None


def _takes_ref(main: Callable[..., Any]) -> bool:
    """Whether it has a parameter for the actor."""
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return any(
        each.default is inspect.Parameter.empty and each.kind not in variable
        for each in inspect.signature(main).parameters.values()
    )


async def _alone(main: Main[Result]) -> Result:
    with interruptible():
        return await main()


async def _beside(
    main: MainOfActor[Result], services: tuple[Service, ...], config: NodeConfig
) -> Result:
    """Run ``main`` with the actor, for as long as that has its identity."""
    with interruptible():
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


def _tell(error: PeerError, text: str) -> None:
    log.debug("the program ends", exc_info=error)
    print(f"{Path(sys.argv[0]).name or 'actr'}: {printable(text)}", file=sys.stderr)
