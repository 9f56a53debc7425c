"""One thread for the blocking work of one owner: in order, off the loop, and closed in its turn.

A transfer, a recording and an encoder have one each. What a cancelled owner has begun goes on to
its end; closing is queued behind it, so that no file is closed under a write, and nobody waits for
it who does not want to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Worker:
    """The thread; made with the first thing it is to do, and gone after :meth:`close`.

    Args:
        name: The thread's.
    """

    def __init__(self, name: str = "files") -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._closed: asyncio.Future[None] | None = None

    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        """Do it behind what was given before; it is done whoever cancels the future."""
        loop = asyncio.get_running_loop()
        # An executor forgets what is cancelled before a thread has taken it: hence the shield.
        return asyncio.shield(loop.run_in_executor(self._pool, lambda: function(*args, **kwargs)))

    def close(self, function: Callable[[], None]) -> asyncio.Future[None]:
        """Do this last, and nothing after it; harmless when it is closed."""
        if self._closed is None:
            self._closed = self.run(function)
            self._pool.shutdown(wait=False)
        return self._closed
