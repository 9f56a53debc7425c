"""The vectors of ``proto/vectors``: what this side writes and reads, as another language does."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest

from peer_kit import ROOT

FOLDER = ROOT / "proto" / "vectors"
Vector = dict[str, Any]


@cache
def _groups(file: str) -> dict[str, Any]:
    groups: dict[str, Any] = json.loads((FOLDER / f"{file}.json").read_text("utf-8"))["groups"]
    return groups


def vectors(file: str, group: str) -> list[Vector]:
    """The vectors of one group, in order."""
    listed: list[Vector] = _groups(file)[group]["vectors"]
    return listed


def each(file: str, group: str) -> pytest.MarkDecorator:
    """Run a test once for each vector of a group; it is the argument ``vector``."""
    cases = [pytest.param(vector, id=vector["why"]) for vector in vectors(file, group)]
    return pytest.mark.parametrize("vector", cases)
