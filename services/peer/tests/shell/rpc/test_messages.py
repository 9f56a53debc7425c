from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from actr_peer.errors import BrokenError, ClosedError, PeerError, UnreachableError
from actr_peer.rpc.messages import feed


class Refused:
    """A writer that the far side never opens."""

    def __init__(self, error: PeerError) -> None:
        self.error = error

    async def opened(self) -> None:
        raise self.error


async def nothing() -> AsyncIterator[Any]:
    pytest.fail("nothing is taken of the caller before the far side listens")
    yield


@pytest.mark.parametrize(
    ("error", "is_told"),
    [
        (UnreachableError("acme:nobody@1:default", "no such actor is online"), True),
        (BrokenError("its reply says why"), False),
        (ClosedError("the link says why"), False),
    ],
)
async def test_a_stream_that_is_never_opened_fails_its_call_and_no_task(
    error: PeerError, *, is_told: bool
) -> None:
    told: list[Exception] = []
    writer: Any = Refused(error)
    await feed(writer, nothing(), on_error=told.append)
    assert told == [error] * is_told
