from __future__ import annotations

import pytest

from actr_signaling.ledger.redis import answers
from actr_signaling.ledger.redis.answers import StoreError

NUMBER = b"0001795290691368"
NOT_NUMBERS = [
    b"-000000000000005",
    b"5",
    b"",
    b" 00000000000005 ",
    b"0_00000000000005",
    7,
    None,
    [],
]


def test_a_number_is_read_as_the_scripts_write_it() -> None:
    assert answers.number(NUMBER) == 1_795_290_691_368


@pytest.mark.parametrize("answer", NOT_NUMBERS)
def test_what_the_scripts_do_not_write_is_no_number(answer: object) -> None:
    with pytest.raises(StoreError):
        answers.number(answer)


def test_a_message_is_its_channel_and_its_data() -> None:
    assert answers.message([b"message", b"actr:presence", b"P"]) == (b"actr:presence", b"P")


@pytest.mark.parametrize("answer", [[b"subscribe", b"actr:presence", 1], [b"pong", b""], []])
def test_what_a_subscription_says_of_itself_is_passed_over(answer: object) -> None:
    assert answers.message(answer) is None


@pytest.mark.parametrize(
    "answer", [7, None, b"message", [b"message"], [b"message", b"c", 7], [b"message", None, b""]]
)
def test_what_no_subscription_gives_ends_the_link(answer: object) -> None:
    with pytest.raises(StoreError):
        answers.message(answer)


def test_a_state_is_its_generation_its_version_and_its_values() -> None:
    assert answers.state([b"g", [NUMBER, [b"v"]]]) == (b"g", 1_795_290_691_368, [b"v"])
    assert answers.state([None, [NUMBER, []]]) == (None, 1_795_290_691_368, [])


@pytest.mark.parametrize(
    "answer",
    [
        [],
        [b"g"],
        [b"g", None],
        [b"g", [NUMBER]],
        [b"g", [NUMBER, b"v"]],
        [b"g", [NUMBER, [7]]],
        [b"g", [b"-000000000000005", []]],
        [7, [NUMBER, []]],
    ],
)
def test_what_is_no_state_ends_the_link(answer: list[object]) -> None:
    with pytest.raises(StoreError):
        answers.state(answer)


def test_text_is_bytes() -> None:
    assert answers.text(b"x") == b"x"
    with pytest.raises(StoreError, match="int where"):
        answers.text(7)
