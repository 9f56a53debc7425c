"""When a request is given up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from actr_peer.protocol.mailbox.requests import MAX_ATTEMPTS, MAX_CRASHES, Request, blame, give_up
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


def test_a_repeated_request_is_known_by_its_sender_and_its_id() -> None:
    one = found(0, 0)
    assert one.key == (one.sender, one.request_id)
    assert not one.is_signal
    assert replace(one, payload_type=PayloadType.RPC_SIGNAL).is_signal


@pytest.mark.parametrize(
    ("interrupted", "blamed"),
    [
        ({}, {}),
        ({1: False, 2: False}, {1: True, 2: True}),
        ({1: False, 2: True}, {1: True, 2: False}),
        ({1: True, 2: True}, {1: True, 2: True}),
    ],
    ids=["nobody ran", "handlers ran", "one ran and one had deferred", "all had deferred"],
)
def test_the_end_of_the_process_is_blamed_on_handlers_before_deferred_replies(
    interrupted: dict[int, bool], blamed: dict[int, bool]
) -> None:
    assert blame(interrupted) == blamed
