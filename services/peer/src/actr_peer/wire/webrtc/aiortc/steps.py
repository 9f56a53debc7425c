"""Running aiortc's sending here and now: it is ``async``, and never suspends.

A task for each packet would cost more than the packet, and a turn of the loop besides.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any


def run_now(coro: Coroutine[Any, Any, None]) -> bool:
    """Run ``coro`` to its end within this call; False if it suspended, which ends it too."""
    try:
        coro.send(None)
    except StopIteration:
        return True
    coro.close()
    return False
