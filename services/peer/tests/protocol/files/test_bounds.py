from __future__ import annotations

import pytest

from actr_peer.errors import CallError, Code
from actr_peer.protocol.files.bounds import (
    MAX_CLOSING,
    MAX_TRANSFERS,
    MAX_TRANSFERS_EACH,
    SILENT_SECONDS,
    FileQuota,
    Usage,
    check_places,
    idle,
    in_progress,
    is_stale,
    may_take_over,
)


def test_a_quota_has_a_bound_or_none() -> None:
    assert FileQuota(1).is_bounded
    assert FileQuota(files=1).is_bounded
    assert not FileQuota().is_bounded


@pytest.mark.parametrize(
    ("quota", "asked", "why"),
    [
        (FileQuota(), Usage(100, 5), ""),
        (FileQuota(150), Usage(100, 1), ""),
        (FileQuota(149), Usage(100, 1), "99 are left"),
        (FileQuota(10), Usage(100, 1), "0 are left"),
        (FileQuota(files=3), Usage(1, 2), ""),
        (FileQuota(files=2), Usage(1, 2), "1 are left"),
        (FileQuota(), Usage(1001, 1), "disk has 1000"),
    ],
)
def test_a_quota_refuses_what_does_not_fit(quota: FileQuota, asked: Usage, why: str) -> None:
    used = Usage(50, 1)
    if not why:
        quota.check(used, asked, free_bytes=1000)
        return
    with pytest.raises(CallError, match=why) as caught:
        quota.check(used, asked, free_bytes=1000)
    assert caught.value.code is Code.RESOURCE_EXHAUSTED


def test_places_are_bounded_for_each_and_for_all() -> None:
    check_places(MAX_TRANSFERS_EACH - 1, MAX_TRANSFERS - 1, closing=MAX_CLOSING - 1)
    with pytest.raises(CallError, match="8 transfers that have ended") as refused:
        check_places(0, 0, closing=MAX_CLOSING)
    assert (refused.value.code, refused.value.retryable) == (Code.RESOURCE_EXHAUSTED, True)
    for mine, everybody in ((MAX_TRANSFERS_EACH, 2), (0, MAX_TRANSFERS)):
        with pytest.raises(CallError) as caught:
            check_places(mine, everybody)
        assert caught.value.retryable


def test_only_a_silent_transfer_gives_its_place() -> None:
    assert may_take_over(silent_seconds=SILENT_SECONDS)
    assert not may_take_over(silent_seconds=SILENT_SECONDS - 0.1)


def test_a_partial_transfer_is_stale_after_its_time() -> None:
    assert is_stale(age_seconds=2, keep_seconds=1)
    assert not is_stale(age_seconds=1, keep_seconds=1)
    assert not is_stale(age_seconds=-5, keep_seconds=1)


def test_what_passes_is_said_to_be_retryable() -> None:
    assert in_progress("x").retryable
    assert idle().retryable
