"""What an attack is, and how it is judged."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from tests.adversary.world import World

PATIENCE = 60.0
"""Seconds for anything that is waited for: a busy machine takes its time."""
_T = TypeVar("_T")


class SucceededError(Exception):
    """The adversary got what it wanted."""


class UnclearError(Exception):
    """The attack failed, and not as it should: it was not counted, or not named."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """How an attack was refused."""

    counted: str
    """Which counter has it, and how often."""
    named: str
    """What was said of it: to the hook of a workload, by an error, in a log."""


Attack = Callable[["World"], Coroutine[Any, Any, Refusal]]
"""Attacks, and returns how it was refused.

Raises:
    SucceededError: If it was not.
    UnclearError: If it was, but is not counted or not named.
"""
Attacks = Mapping[str, Attack]


async def refused_first(refused: Awaitable[_T], success: Awaitable[object], wanted: str) -> _T:
    """What ``refused`` gives, if it comes before ``success``.

    Raises:
        SucceededError: If it does not; the text is what the adversary ``wanted``.
        UnclearError: If neither comes.
    """
    waiting = asyncio.ensure_future(refused), asyncio.ensure_future(success)
    try:
        done, _ = await asyncio.wait(waiting, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        if waiting[0] in done:
            return waiting[0].result()
        if waiting[1] in done:
            waiting[1].result()
            raise SucceededError(wanted)
        raise UnclearError("nothing was refused, and nothing succeeded")
    finally:
        for task in waiting:
            task.cancel()
        for task in waiting:
            with suppress(asyncio.CancelledError, Exception):
                await task


def demand(is_so: bool, what: str) -> None:
    """
    Raises:
        UnclearError: If it is not so.
    """
    if not is_so:
        raise UnclearError(what)
