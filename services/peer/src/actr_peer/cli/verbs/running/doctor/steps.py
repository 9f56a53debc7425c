"""One step after the other, each with its time and one sentence; none takes the next one along."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from actr_peer.errors import PeerError
from actr_peer.tasks import first_cause

MAX_CHARACTERS: Final = 400
"""Of what is told of one step: much of it is said by others."""


class Result(Enum):
    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"
    """There is nothing to look at."""
    NOT_TRIED = "not tried"
    """Something before it failed, without which it cannot be."""


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one step."""

    step: str
    result: Result
    ms: float
    found: str
    advice: str = ""
    """What to do; empty where nothing is to be done."""


class FaultError(Exception):
    """A step has failed.

    Args:
        found: What is wrong.
        advice: What to do, where it is not what the step always advises.
    """

    def __init__(self, found: str, advice: str = "") -> None:
        super().__init__(found)
        self.found, self.advice = found, advice


class SkippedError(Exception):
    """A step has nothing to look at; its text says why."""


class Checkup:
    """The steps so far.

    Args:
        told: Given each row, as soon as it is there.
    """

    def __init__(self, told: Callable[[Row], None]) -> None:
        self.rows: list[Row] = []
        self._told = told
        self._results: dict[str, Result] = {}

    def is_ok(self, step: str) -> bool:
        return self._results.get(step) is Result.OK

    @property
    def first_failed(self) -> Row | None:
        return next((row for row in self.rows if row.result is Result.FAILED), None)

    async def step(
        self,
        name: str,
        probe: Callable[[], Awaitable[str]],
        *,
        seconds: float,
        advice: str,
        needs: Iterable[str] = (),
    ) -> None:
        """Do one step; its probe returns what it found.

        Args:
            seconds: After which it has failed.
            advice: What to do about a failure of which the probe does not say it itself.
            needs: Steps without which it cannot be tried.
        """
        missing = next((each for each in needs if not self.is_ok(each)), None)
        if missing is not None:
            why = f"{missing!r} {_WHY_NOT[self._results[missing]]}"
            self._add(Row(name, Result.NOT_TRIED, 0.0, why))
            return
        began = time.monotonic()
        result, found, to_do = await _tried(probe, seconds)
        spent = round((time.monotonic() - began) * 1000, 1)
        to_do = (to_do or advice) if result is Result.FAILED else ""
        sentence = " ".join(found[:MAX_CHARACTERS].split())
        self._add(Row(name, result, spent, sentence, to_do))

    def _add(self, row: Row) -> None:
        self._results[row.step] = row.result
        self.rows.append(row)
        self._told(row)


_WHY_NOT: Final[Mapping[Result, str]] = {
    Result.FAILED: "failed",
    Result.SKIPPED: "was skipped",
    Result.NOT_TRIED: "was not tried",
}


async def _tried(probe: Callable[[], Awaitable[str]], seconds: float) -> tuple[Result, str, str]:
    """What a probe comes to: its result, what it found, and what it advises."""
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return Result.OK, await probe(), ""
    except SkippedError as exc:
        return Result.SKIPPED, str(exc), ""
    except FaultError as exc:
        return Result.FAILED, exc.found, exc.advice
    except TimeoutError as exc:
        late = f"no answer within {seconds:g} s"
        return Result.FAILED, late if limit.expired() else str(exc) or "it took too long", ""
    except Exception as exc:  # noqa: BLE001  boundary: whatever others say ends a step at the most
        cause = first_cause(exc)
        text = str(cause) if isinstance(cause, PeerError | OSError) else repr(cause)
        return Result.FAILED, text or repr(cause), ""
