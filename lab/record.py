"""What was accepted and what arrived, record by record, and the comparison of the two.

Records are appended to a file with one ``write`` each, so they outlive a process that is killed.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

LANES = ("rpc", "signal", "stream", "latency")
RELIABLE = LANES[:3]

_RECORD = struct.Struct(">BIdd")


class Record(NamedTuple):
    """One message, accepted or arrived."""

    lane: str
    number: int
    at: float
    """When, on the machine's monotonic clock, seconds."""
    sent_at: float
    """When its sender offered it to the runtime, by the same clock."""


class RecordFile:
    """The file of one process's records; a later process of the same name goes on with it."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, record: Record) -> None:
        lane, number, at, sent_at = record
        os.write(self._file, _RECORD.pack(LANES.index(lane), number, at, sent_at))

    def close(self) -> None:
        os.close(self._file)


def read(path: Path) -> list[Record]:
    """All records of a file, in the order of writing; none if there is no file."""
    data = path.read_bytes() if path.exists() else b""
    whole = len(data) - len(data) % _RECORD.size
    return [
        Record(LANES[lane], number, at, sent_at)
        for lane, number, at, sent_at in _RECORD.iter_unpack(data[:whole])
    ]


@dataclass(slots=True)
class Verdict:
    """How one lane did."""

    accepted: int = 0
    arrived: int = 0
    lost: int = 0
    """Accepted, and never there."""
    doubled: int = 0
    """Arrivals of what had arrived."""
    out_of_order: int = 0
    """First arrivals of a number after a larger one."""
    missing: list[int] = field(default_factory=list)
    """Some of those lost."""

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.doubled or self.out_of_order)

    def row(self) -> dict[str, int]:
        """The counts by name."""
        return {name: value for name, value in asdict(self).items() if name != "missing"}


def compare(accepted: Sequence[Record], arrived: Sequence[Record], lane: str) -> Verdict:
    """Compare the records of one lane; numbers are unique to the sender and grow."""
    asked = {record.number for record in accepted if record.lane == lane}
    verdict = Verdict(accepted=len(asked))
    seen: set[int] = set()
    newest = -1
    for record in arrived:
        if record.lane != lane:
            continue
        verdict.arrived += 1
        if record.number in seen:
            verdict.doubled += 1
            continue
        seen.add(record.number)
        verdict.out_of_order += record.number < newest
        newest = max(newest, record.number)
    missing = sorted(asked - seen)
    verdict.lost = len(missing)
    verdict.missing = missing[:10]
    return verdict


def silences(
    arrived: Sequence[Record], lane: str, starts: Sequence[float], end: float
) -> list[float]:
    """The longest silence of a lane after each of ``starts``, until the next or the ``end``.

    A silence belongs to the cut during which it begins; it may end after the next one.
    """
    times = sorted(record.at for record in arrived if record.lane == lane)
    found = []
    for start, until in zip(starts, [*starts[1:], end], strict=True):
        longest = 0.0
        previous = start
        for at in times:
            if at <= start:
                previous = at
                continue
            longest = max(longest, at - previous)
            previous = at
            if at > until:
                break
        else:
            longest = max(longest, end - max(previous, start))
        found.append(longest)
    return found


def oldest(arrived: Sequence[Record], lane: str) -> float:
    """The largest age at delivery, seconds; 0 where nothing arrived."""
    return max((r.at - r.sent_at for r in arrived if r.lane == lane), default=0.0)
