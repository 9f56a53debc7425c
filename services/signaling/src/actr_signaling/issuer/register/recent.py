"""Shell: an answer that is made once for all who ask at the same time, and within a second.

Some answers are over all of the register, and anybody may ask for them: without this, a few hundred
questions would keep it busy for a minute, and what was revoked would be told as late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Recent(Generic[T]):
    """The last answer.

    Args:
        make: Makes one.
        steady: Seconds that only go on.
        version: Changes where an answer of the same second is not good any more.
    """

    def __init__(
        self,
        make: Callable[[], Awaitable[T]],
        steady: Callable[[], float],
        version: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self._make, self._steady, self._version = make, steady, version
        self._making = asyncio.Lock()
        self._held: list[T] = []
        self._of: object = None

    async def get(self) -> T:
        """The same object for as long as it says the same.

        Raises:
            RefusalError: If the register cannot be read.
        """
        version = None if self._version is None else await self._version()
        async with self._making:
            # Looked at here: who has waited for another's answer takes that.
            of = int(self._steady()), version
            if of != self._of:
                made = await self._make()
                if [made] != self._held:
                    self._held = [made]
                self._of = of
            return self._held[0]
