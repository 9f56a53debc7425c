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


def test_messages_of_a_cluster_are_read_likewise() -> None:
    assert answers.message([b"smessage", b"c", b"d"]) == (b"c", b"d")
    assert answers.message([b"ssubscribe", b"c", 1]) is None
    with pytest.raises(StoreError):
        answers.message([b"smessage", b"c"])


def test_a_subscription_that_a_node_ends_ends_the_link() -> None:
    with pytest.raises(StoreError, match="another server has the slot"):
        answers.message([b"sunsubscribe", b"c", 0])


NAMED = [b"name", b"main", b"ip", b"10.0.0.7", b"port", b"6380", b"config-epoch", b"3"]


def test_a_sentinel_tells_the_epoch_host_and_port_of_the_primary() -> None:
    assert answers.named_primary(NAMED) == (3, "10.0.0.7", 6380)


@pytest.mark.parametrize(
    "answer",
    [
        7,
        None,
        [],
        NAMED[:-1],
        NAMED[:-2],
        [*NAMED[:-1], b"x"],
        [*NAMED[:-1], 3],
        [*NAMED, b"port", b"65536"],
        [*NAMED, b"ip", b""],
        [*NAMED, b"ip", b"h\xff"],
    ],
)
def test_what_names_no_primary_ends_the_link(answer: object) -> None:
    with pytest.raises(StoreError):
        answers.named_primary(answer)


SLOTS = [
    [0, 8191, [b"10.0.0.7", 7000, b"id"], [b"10.0.0.8", 7000, b"id"]],
    [8192, 16383, [None, 7001, b"id", [b"hostname", b"x"]]],
]


def test_the_primary_of_a_slot_is_the_first_of_its_row() -> None:
    assert answers.slot_primary(SLOTS, 8191, "asked") == ("10.0.0.7", 7000)


def test_a_node_that_does_not_know_its_own_name_is_where_it_was_asked() -> None:
    assert answers.slot_primary(SLOTS, 8192, "asked") == ("asked", 7001)


@pytest.mark.parametrize(
    "answer",
    [7, None, [], [7], [[0, 1]], [[0, b"9", [b"h", 1]]], [[0, 9, [b"?", 1]]], [[0, 9, [b"h", 0]]]],
)
def test_what_is_no_list_of_slots_ends_the_link(answer: object) -> None:
    with pytest.raises(StoreError):
        answers.slot_primary(answer, 5, "asked")


def test_text_is_bytes() -> None:
    assert answers.text(b"x") == b"x"
    with pytest.raises(StoreError, match="int where"):
        answers.text(7)
