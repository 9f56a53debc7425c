"""Steps a coroutine at once; a task is made only where it suspends.

A task costs 2.4 µs and a turn of the loop, a step 0.4 (research: performance), and most
handlers never wait. Until there is a task, and after, ``asyncio.current_task()`` gives the same
:class:`StandIn`, so that what notes its task and looks again (``asyncio.timeout``, task groups,
anyio's scopes) finds it unchanged.
"""

from __future__ import annotations

import asyncio
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import Coroutine, Generator
from contextvars import Context
from types import coroutine
from typing import Any, Final, TypeVar

Result = TypeVar("Result")


class Suspended:
    """What :func:`step` returns for a coroutine that waits."""

    __slots__ = ("awaited",)

    def __init__(self, awaited: Any) -> None:
        self.awaited: Final = awaited
        """What the coroutine gave to the loop: a future, or None for one turn of it."""


class StandIn:
    """The current task of a stepped coroutine: its real one, once there is one."""

    __slots__ = ("__weakref__", "_cancels", "_message", "owner", "task")

    def __init__(self, owner: object = None) -> None:
        self.owner = owner
        """Who steps the coroutine."""
        self.task: asyncio.Task[Any] | None = None
        self._cancels = 0
        self._message: Any = None

    def bind(self, task: asyncio.Task[Any]) -> None:
        """The coroutine goes on in ``task``."""
        self.task = task
        for _ in range(self._cancels):
            task.cancel(self._message)

    def cancel(self, msg: Any = None) -> bool:
        if self.task is not None:
            return self.task.cancel(msg)
        self._cancels += 1
        self._message = msg
        return True

    def cancelling(self) -> int:
        return self._cancels if self.task is None else self.task.cancelling()

    def uncancel(self) -> int:
        if self.task is not None:
            return self.task.uncancel()
        self._cancels = max(0, self._cancels - 1)
        return self._cancels

    def done(self) -> bool:
        return self.task is not None and self.task.done()

    # What anyio looks at before it cancels a task, of the private parts of every task.

    @property
    def _must_cancel(self) -> bool:
        """A cancellation waits for the coroutine's next suspension."""
        return self._cancels > 0 if self.task is None else self.task._must_cancel  # type: ignore[attr-defined]

    @property
    def _fut_waiter(self) -> asyncio.Future[Any] | None:
        """What the task waits for: before there is one, nothing."""
        return None if self.task is None else self.task._fut_waiter  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> Any:
        if self.task is None:
            raise AttributeError(f"{name}: the handler has not waited yet, so it has no task")
        return getattr(self.task, name)


def step(
    coro: Coroutine[Any, Any, Result],
    stand_in: StandIn,
    context: Context,
    loop: asyncio.AbstractEventLoop,
) -> Result | Suspended:
    """Run ``coro`` until it ends or waits. Call it from a callback, not from a task.

    Raises:
        BaseException: What the coroutine raises.
    """
    _enter_task(loop, stand_in)  # type: ignore[arg-type]  # a task by behaviour
    try:
        return Suspended(context.run(coro.send, None))
    except StopIteration as stop:
        result: Result = stop.value
        return result
    finally:
        _leave_task(loop, stand_in)  # type: ignore[arg-type]  # a task by behaviour


@coroutine
def resume(
    coro: Coroutine[Any, Any, Result], stand_in: StandIn, suspended: Suspended
) -> Generator[Any, None, Result]:
    """Go on with a coroutine that :func:`step` found waiting; to be awaited in its task."""
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    stand_in.bind(task)
    awaited = suspended.awaited
    while True:
        error: BaseException | None = None
        try:
            yield awaited
        except BaseException as exc:  # noqa: BLE001 - goes into the coroutine
            error = exc
        _leave_task(loop, task)
        _enter_task(loop, stand_in)  # type: ignore[arg-type]  # a task by behaviour
        try:
            awaited = coro.send(None) if error is None else coro.throw(error)
        except StopIteration as stop:
            result: Result = stop.value
            return result
        finally:
            _leave_task(loop, stand_in)  # type: ignore[arg-type]  # a task by behaviour
            _enter_task(loop, task)
