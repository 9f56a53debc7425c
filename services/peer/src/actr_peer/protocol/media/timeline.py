"""Sans-I/O: where frames of several tracks stand in one file: sound and picture in step.

The time of the file is the recorder's own clock. What a track's sender says of its frames
(``MediaFrame.sent_at``) is by the sender's clock; the soonest arrival tells how that differs. A
track whose sender says nothing stands as its first frame arrived. Between frames their timestamps
count; where they and the sender's clock have come apart, the clock does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from actr_peer.protocol.media.frames import TIMESTAMPS, VIDEO_CLOCK, MediaFrame

CLOCK_SECONDS: Final = 2.0
"""How long the beginning waits for the senders' reports, which put tracks in step; without them
tracks are in step as they arrived."""
TRACK_SECONDS: Final = 10.0
"""How long it waits for a track that has not come: the file is begun without it."""
MAX_HELD_BYTES: Final = 64 * 1024 * 1024
"""Of frames that wait for the beginning; more begin it."""
MAX_STEP: Final = 10.0
"""Seconds by which timestamps may jump; a larger jump is a new beginning of the sender's."""
MAX_DRIFT: Final = 0.04
"""Seconds by which a track may be out of step: who looks and listens notices more (EBU R37)."""
LEAST_STEP: Final = 0.001
"""Seconds between two frames of a track: containers count in these."""


class Placed(NamedTuple):
    """A frame and its place."""

    track: int
    """Its number among those of the file."""
    frame: MediaFrame
    ticks: int
    """Of the codec's clock, from the file's beginning."""


@dataclass(slots=True, eq=False)
class Line:
    """One track on its way into the file."""

    remote: Hashable
    index: int | None = None
    """Its place among the tracks of the file; None until that has begun, or without it."""
    is_over: bool = False
    held: deque[tuple[MediaFrame, float]] = field(default_factory=deque)
    last: tuple[int, float] | None = None
    """Timestamp and arrival of the frame that was placed last."""
    ticks: int = 0
    """Its place."""


class Timeline:
    """The frames of all tracks of one file. It owns no clock: the caller passes ``now``.

    Args:
        clocks: Ticks a second of the timestamps, by codec in capitals.

    Attributes:
        has_begun: Whether the tracks of the file are fixed.
        is_in_step: Whether the senders' own clocks put the tracks in step at the beginning.
        skipped: Frames of sound left out because others were at their place already.
    """

    def __init__(self, clocks: Mapping[str, int]) -> None:
        self.has_begun = False
        self.is_in_step = True
        self.skipped = 0
        self.lines: list[Line] = []
        self._clocks = clocks
        self._first_at: float | None = None
        self._origin = 0.0
        self._offsets: dict[Hashable, float] = {}
        """Seconds from each remote's clock to this one."""

    def add(self, remote: Hashable) -> Line:
        """A track, before the file has begun."""
        line = Line(remote)
        self.lines.append(line)
        return line

    def take(self, line: Line, frame: MediaFrame, now: float) -> list[Placed]:
        """Take a frame; return what is to be written now: nothing while the beginning waits."""
        if self.has_begun:
            return self._place(line, frame, now) if line.index is not None else []
        line.held.append((frame, now))
        self._first_at = now if self._first_at is None else self._first_at
        return self._begin() if self._is_ready(now) else []

    def end(self, line: Line, now: float) -> list[Placed]:
        """The track has ended; return what is to be written now."""
        line.is_over = True
        return self._begin() if not self.has_begun and self._is_ready(now) else []

    def finish(self) -> list[Placed]:
        """Nothing follows; return what waited for a beginning."""
        has_some = any(line.held for line in self.lines)
        return self._begin() if has_some and not self.has_begun else []

    def _is_ready(self, now: float) -> bool:
        here = [line for line in self.lines if line.held]
        if not here or self._first_at is None:
            return False
        waited = now - self._first_at
        if sum(len(frame.data) for line in here for frame, _ in line.held) > MAX_HELD_BYTES:
            return True
        if any(not line.held and not line.is_over for line in self.lines):
            return waited > TRACK_SECONDS
        has_clocks = all(_reported(line) is not None or line.is_over for line in here)
        return has_clocks or waited > CLOCK_SECONDS

    def _begin(self) -> list[Placed]:
        self.has_begun = True
        here = [line for line in self.lines if line.held]
        for line in here:
            for frame, arrived in line.held:
                if frame.sent_at is not None:
                    known = self._offsets.get(line.remote, arrived - frame.sent_at)
                    self._offsets[line.remote] = min(known, arrived - frame.sent_at)
        self.is_in_step = all(_reported(line) is not None for line in here)
        self._origin = min(self._first_of(line) for line in here)
        for index, line in enumerate(here):
            line.index = index
            line.ticks = round((self._first_of(line) - self._origin) * self._rate(line.held[0][0]))
        placed = []
        for line in here:
            for frame, arrived in line.held:
                placed += self._place(line, frame, arrived)
            line.held.clear()
        return placed

    def _first_of(self, line: Line) -> float:
        """When a track's first frame was taken, by this side's clock."""
        first, arrived = line.held[0]
        reported = _reported(line)
        if reported is None:
            return arrived
        sent_at, timestamp = reported
        before = _signed(timestamp - first.timestamp) / self._rate(first)
        return sent_at - before + self._offsets[line.remote]

    def _place(self, line: Line, frame: MediaFrame, now: float) -> list[Placed]:
        assert line.index is not None
        rate = self._rate(frame)
        if line.last is not None:
            ticks = self._in_step(line.ticks + _step(line.last, frame, now, rate), line, frame, now)
            if ticks <= line.ticks and frame.kind == "audio":
                self.skipped += 1
                line.last = (frame.timestamp, now)
                return []
            line.ticks = max(ticks, line.ticks + round(LEAST_STEP * rate))
        line.last = (frame.timestamp, now)
        return [Placed(line.index, frame, line.ticks)]

    def _in_step(self, ticks: int, line: Line, frame: MediaFrame, now: float) -> int:
        """The place by the sender's clock, where the timestamps have led too far from it."""
        if frame.sent_at is None:
            return ticks
        rate = self._rate(frame)
        here = frame.sent_at + self._offsets.setdefault(line.remote, now - frame.sent_at)
        by_clock = round((here - self._origin) * rate)
        is_plausible = abs(here - now) < MAX_STEP  # else somebody has set the sender's clock
        return by_clock if is_plausible and abs(by_clock - ticks) > MAX_DRIFT * rate else ticks

    def _rate(self, frame: MediaFrame) -> int:
        return self._clocks.get(frame.codec.upper(), VIDEO_CLOCK)


def _step(last: tuple[int, float], frame: MediaFrame, now: float, rate: int) -> int:
    """Ticks from the frame before; by the arrival, where the timestamps begin anew."""
    timestamp, arrived = last
    step = _signed(frame.timestamp - timestamp)
    return step if 0 < step <= MAX_STEP * rate else round((now - arrived) * rate)


def _reported(line: Line) -> tuple[float, int] | None:
    """When one of the frames that wait was taken, by its sender's clock; and its timestamp."""
    known = ((f.sent_at, f.timestamp) for f, _ in line.held if f.sent_at is not None)
    return next(known, None)


def _signed(ticks: int) -> int:
    return (ticks + TIMESTAMPS // 2) % TIMESTAMPS - TIMESTAMPS // 2
