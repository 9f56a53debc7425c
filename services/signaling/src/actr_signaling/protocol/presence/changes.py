"""Sans-I/O: a versioned change of presence."""

from __future__ import annotations

from dataclasses import dataclass

from actr_signaling.protocol.presence.records import Entry
from actr_signaling.protocol.presence.view import Reason


@dataclass(frozen=True, slots=True)
class Put:
    """An entry is new or changed."""

    entry: Entry
    version: int


@dataclass(frozen=True, slots=True)
class Removed:
    """The session with ``epoch`` has ended."""

    text: str
    epoch: int
    reason: Reason
    version: int
