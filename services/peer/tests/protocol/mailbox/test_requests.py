"""When a request is given up."""

from __future__ import annotations

import pytest

from actr_peer.protocol.mailbox.requests import MAX_ATTEMPTS, MAX_CRASHES, Request, give_up
from actr_peer.protocol.payload import PayloadType


def found(attempts: int, crashes: int) -> Request:
    return Request(
        "a", "b", PayloadType.RPC_RELIABLE, False, "", b"", attempts=attempts, crashes=crashes
    )


@pytest.mark.parametrize(
    ("attempts", "crashes", "why"),
    [
        pytest.param(0, 0, None, id="never interrupted"),
        pytest.param(2, 2, None, id="two crashes are bad luck"),
        pytest.param(3, 3, "the process died 3 times while it ran", id="three are a pattern"),
        pytest.param(4, 0, None, id="four interruptions"),
        pytest.param(5, 0, "interrupted 5 times", id="five interruptions"),
    ],
)
def test_a_request_found_interrupted_is_given_up_after_so_many_starts(
    attempts: int, crashes: int, why: str | None
) -> None:
    assert give_up(found(attempts, crashes), max_attempts=MAX_ATTEMPTS) == why


def test_the_numbers_are_those_of_the_spec() -> None:
    assert (MAX_ATTEMPTS, MAX_CRASHES) == (5, 3)
