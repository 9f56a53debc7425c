"""What becomes of a step, whatever its probe comes to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from actr_peer.cli.verbs.running.doctor.steps import (
    MAX_CHARACTERS,
    Checkup,
    FaultError,
    Result,
    Row,
    SkippedError,
)
from actr_peer.errors import UnreachableError


@pytest.fixture
def told() -> list[Row]:
    return []


@pytest.fixture
def checkup(told: list[Row]) -> Checkup:
    return Checkup(told.append)


def saying(text: str) -> Callable[[], Awaitable[str]]:
    async def probe() -> str:
        return text

    return probe


def raising(error: BaseException) -> Callable[[], Awaitable[str]]:
    async def probe() -> str:
        raise error

    return probe


async def test_a_step_tells_what_it_found_at_once(checkup: Checkup, told: list[Row]) -> None:
    await checkup.step("name", saying("it is there"), seconds=1, advice="look")
    (row,) = told
    assert (row.step, row.result, row.found, row.advice) == ("name", Result.OK, "it is there", "")
    assert checkup.is_ok("name")
    assert checkup.first_failed is None


@pytest.mark.parametrize(
    ("error", "result", "found", "advice"),
    [
        (FaultError("no power"), Result.FAILED, "no power", "look"),
        (FaultError("no power", "plug it in"), Result.FAILED, "no power", "plug it in"),
        (SkippedError("there is none"), Result.SKIPPED, "there is none", ""),
        (UnreachableError("it", "gone"), Result.FAILED, "cannot reach it: gone", "look"),
        (OSError(111, "refused"), Result.FAILED, "[Errno 111] refused", "look"),
        (ExceptionGroup("of two", [OSError("first")]), Result.FAILED, "first", "look"),
        (KeyError("what nobody meant"), Result.FAILED, "KeyError('what nobody meant')", "look"),
        (TimeoutError(), Result.FAILED, "it took too long", "look"),
    ],
)
async def test_whatever_a_probe_raises_ends_its_step_alone(
    checkup: Checkup, error: Exception, result: Result, found: str, advice: str
) -> None:
    await checkup.step("first", raising(error), seconds=1, advice="look")
    await checkup.step("second", saying("fine"), seconds=1, advice="")
    first, second = checkup.rows
    assert (first.result, first.found, first.advice) == (result, found, advice)
    assert second.result is Result.OK


async def test_a_step_that_does_not_end_has_failed(checkup: Checkup) -> None:
    async def forever() -> str:
        await asyncio.Event().wait()
        return ""

    await checkup.step("slow", forever, seconds=0.01, advice="wait")
    assert checkup.rows[0].found == "no answer within 0.01 s"
    assert checkup.rows[0].ms >= 10


async def test_what_was_asked_to_end_does(checkup: Checkup) -> None:
    with pytest.raises(KeyboardInterrupt):
        await checkup.step("first", raising(KeyboardInterrupt()), seconds=1, advice="")


async def test_what_needs_a_step_that_is_not_ok_is_not_tried(checkup: Checkup) -> None:
    await checkup.step("down", raising(FaultError("no power")), seconds=1, advice="look")
    await checkup.step("none", raising(SkippedError("there is none")), seconds=1, advice="")
    await checkup.step("after", raising(KeyError()), seconds=1, advice="", needs=("down",))
    await checkup.step("behind", raising(KeyError()), seconds=1, advice="", needs=("after",))
    await checkup.step("beside", raising(KeyError()), seconds=1, advice="", needs=("none",))
    assert [(row.step, row.found) for row in checkup.rows if row.result is Result.NOT_TRIED] == [
        ("after", "'down' failed"),
        ("behind", "'after' was not tried"),
        ("beside", "'none' was skipped"),
    ]
    assert checkup.first_failed == checkup.rows[0]


async def test_what_others_say_is_one_line_of_bounded_length(checkup: Checkup) -> None:
    await checkup.step("long", saying("two\nlines " + "x" * 10_000), seconds=1, advice="")
    assert checkup.rows[0].found.startswith("two lines xxx")
    assert len(checkup.rows[0].found) <= MAX_CHARACTERS
