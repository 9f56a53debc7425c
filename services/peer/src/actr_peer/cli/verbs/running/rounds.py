"""A question that every actor answers, and how long its answer takes."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Final, cast

from actr.services.reflection_actr import ReflectionClient
from actr.services.reflection_pb2 import DescribeRequest, Description
from actr_peer.errors import CallError
from actr_peer.service import Caller

NOBODY: Final = "actr.Ping"
"""A service that no actor has: the shortest answer is that it has none."""


async def round_trip(caller: Caller, timeout: float, *, question: str = NOBODY) -> float:
    """Ask for a service by its name; return the seconds until there was any answer, refusals
    included: an actor that tells nothing, or not to this caller, is there all the same.

    Args:
        question: The name; a long one makes a large message, and a large answer.

    Raises:
        DeadlineError, UnreachableError, BrokenError: If there is none.
    """
    began = time.perf_counter()
    told = ReflectionClient(caller).describe(DescribeRequest(services=[question]), timeout=timeout)
    async with aclosing(cast("AsyncGenerator[Description, None]", told)):
        with suppress(StopAsyncIteration, CallError):
            await anext(told)
    return time.perf_counter() - began
