"""What is abused: a service, the honest clients of it, and a table of abuses."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

HONEST = 50
"""Clients that do what peers do, all the time."""
REST = "none"
"""The abuse in which nothing is done: what the machine itself costs."""

Act = Callable[[], Awaitable[None]]
"""One thing that an honest client does and waits for; whatever it raises is an error."""
Attack = Callable[[str], AsyncIterator[None]]
"""An abuse of the service at an address: what comes before its first ``yield`` prepares it, and
then it goes on until it is killed. It may end by itself, and may not raise."""


MEASURED, ABUSER = 2, 1
"""Priorities: a stranger has a machine of its own, so that it takes no time from the measured."""
_NICE = {MEASURED: 0, ABUSER: 10}
"""The same where real-time priorities are not allowed."""


def prefer(pid: int, priority: int) -> None:
    """Run a process before all other work of this machine, where that is allowed.

    What is measured is the service, and not who else uses the machine.
    """
    try:
        os.sched_setscheduler(pid, os.SCHED_RR, os.sched_param(priority))
    except PermissionError:
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, pid, _NICE[priority])


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A running service, in a process of its own."""

    address: str
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One thing that is abused."""

    serve: Callable[[], AbstractAsyncContextManager[Service]]
    """Starts the service; called in the process that runs all."""
    crowd: Callable[[str, int], AbstractAsyncContextManager[Sequence[Act]]]
    """Connects so many honest clients; called in their own process. Each act is called again
    and again, never twice at once; it connects anew by itself when it was cut."""
    abuses: Mapping[str, Attack]
    """By name; each is run in a process of its own."""
