"""The model of how signaling scales, held against what was measured and what must follow."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
IDLE_KB = {100: 7.0, 1_000: 7.5, 10_000: 7.6}
"""Memory of the service for a peer, as ``make bench-signaling`` has measured it, by peers."""
MANY = (1_000_000, 100_000_000)


@cache
def computed() -> dict[int, dict[str, Any]]:
    """What the model says, by peers."""
    peers = [str(number) for number in (0, *IDLE_KB, *MANY)]
    command = [sys.executable, "-m", "bench.network.signaling.model", "--json", "--peers", *peers]
    told = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60).stdout
    return {row["peers"]: row for row in json.loads(told)["rows"]}


@pytest.mark.parametrize("peers", IDLE_KB)
def test_memory_of_a_crowd_is_that_of_the_model_within_half(peers: int) -> None:
    grown = computed()[peers]["memory_gb"] - computed()[0]["memory_gb"]
    assert 1 / 1.5 < IDLE_KB[peers] * peers / (grown * 1024**2) < 1.5


def test_ten_thousand_fit_one_service() -> None:
    row = computed()[10_000]
    assert (row["deployments"], row["replicas"]) == (1, 1)
    assert row["cores"] < 1


def test_more_peers_than_one_redis_can_hold_need_more_of_them() -> None:
    million, hundred = (computed()[number] for number in MANY)
    assert 1 < million["deployments"] < hundred["deployments"]
    assert all(row["redis_share"] <= 0.5 for row in (million, hundred))
