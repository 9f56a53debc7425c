from __future__ import annotations

from typing import Any

import pytest

from actr_signaling.issuer.protocol.causes import RefusalError
from actr_signaling.issuer.protocol.grants import MAX_LIFE, MIN_LIFE, check_claims, check_life


def test_claims_are_texts_and_lists_of_texts() -> None:
    given = {"role": "operator", "teams": ["a", "b"]}
    assert check_claims(given) == {"role": "operator", "teams": ("a", "b")}
    assert check_claims(check_claims(given)) == check_claims(given)


@pytest.mark.parametrize(
    "value",
    [
        "role=operator",
        {f"n{index}": "x" for index in range(17)},
        {"": "x"},
        {"a b": "x"},
        {"n" * 65: "x"},
        {1: "x"},
        {"role": 1},
        {"role": "x" * 257},
        {"role": []},
        {"role": ""},
        {"role": "a\nb"},
        {"role": ["x"] * 17},
        {"role": ["x", 1]},
        {"role": ["x" * 257]},
        {f"n{index}": ["x" * 250] * 16 for index in range(2)},
        {"role": ["ä" * 250] * 4},
    ],
    ids=range(16),
)
def test_claims_out_of_bounds_are_refused(value: Any) -> None:
    with pytest.raises(RefusalError, match="claim"):
        check_claims(value)


@pytest.mark.parametrize("value", [MIN_LIFE - 1, MAX_LIFE + 1, "900", 900.0, True, None])
def test_a_life_is_a_whole_number_within_bounds(value: Any) -> None:
    assert [check_life(MIN_LIFE), check_life(MAX_LIFE)] == [MIN_LIFE, MAX_LIFE]
    with pytest.raises(RefusalError, match="life"):
        check_life(value)
