"""Tracks of remotes into one file that plays: as they came, in step, finished whatever ends it."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from actr_peer.errors import BusyError, PeerError
from actr_peer.protocol.media.frames import TIMESTAMPS, MediaFrame
from actr_peer.tasks import Tasks

if TYPE_CHECKING:
    from actr_peer.actor.subscribers.tracks import RemoteTrack
    from actr_peer.wire.media.muxer import Muxer

CLOCK_SECONDS: Final = 2.0
"""How long the beginning waits for the senders' reports, which put tracks in step; without them
tracks are in step as they arrived."""
TRACK_SECONDS: Final = 10.0
"""How long it waits for a track that has not come: the file is begun without it."""
MAX_HELD_BYTES: Final = 64 * 1024 * 1024
"""Of frames that wait for the beginning; more begin it."""
MAX_STEP: Final = 10.0
"""Seconds by which timestamps may jump; a larger jump is a new beginning of the sender's."""


@dataclass(slots=True)
class RecordingReport:
    """What is in the file."""

    path: Path
    seconds: float = 0.0
    frames: dict[str, int] = field(default_factory=dict)
    """Written of each track."""
    left_out: list[str] = field(default_factory=list)
    """Tracks that came too late, or not at all."""
    is_in_step: bool = True
    """Whether the senders' own clocks put the tracks in step; else they are as they arrived."""


class _Line:
    """One track on its way into the file."""

    def __init__(self, track: RemoteTrack) -> None:
        self.track = track
        self.held: deque[tuple[MediaFrame, float]] = deque()
        self.index = -1
        """Its place in the file, once that is begun with it."""
        self.is_over = False
        self.offset = 0
        """Ticks from the file's beginning to its first frame."""
        self._last = (0, 0.0)
        self._ticks = 0

    def first_at(self, clock_rate: int) -> float | None:
        """When its first frame was sent, by the sender's clock, as far as that is known."""
        first = self.held[0][0]
        for frame, _ in self.held:
            if frame.sent_at is not None:
                return frame.sent_at - _ticks_between(first, frame.timestamp) / clock_rate
        return None

    def place(self, frame: MediaFrame, at: float, clock_rate: int) -> int | None:
        """Ticks from the file's beginning; None: it is not after the one before."""
        timestamp, arrived = self._last
        if not arrived:
            step = 0
        else:
            step = (frame.timestamp - timestamp + TIMESTAMPS // 2) % TIMESTAMPS - TIMESTAMPS // 2
            if abs(step) > MAX_STEP * clock_rate:
                step = max(1, round((at - arrived) * clock_rate))
            elif step <= 0:
                return None
        self._last = (frame.timestamp, at)
        self._ticks += step
        return self._ticks + self.offset


def _ticks_between(first: MediaFrame, timestamp: int) -> int:
    return (timestamp - first.timestamp + TIMESTAMPS // 2) % TIMESTAMPS - TIMESTAMPS // 2


class Recording:
    """A file that tracks are written to; a block, which finishes the file on its way out.

    The suffix says the container: ``.webm`` takes VP8 and Opus, ``.mp4`` H264 and Opus, ``.mkv``
    all. Samples are written as they come. Tracks are added before the first frame of any is
    written: within 2 s, or until all that were added are there, for at most 10 s. However the block
    is left, by an error or a cancellation too, what was written plays.

    Raises:
        ConfigError: If the suffix is none of these, or the container takes a codec not.
    """

    def __init__(self, path: Path | str) -> None:
        from actr_peer.wire.media.muxer import CLOCKS, check  # PyAV is loaded by who records

        self.path = Path(path)
        check(self.path)
        self.report = RecordingReport(self.path)
        self.error: PeerError | None = None
        """The first thing that went wrong; a track of a remote that is gone, or the disk."""
        self._clocks = CLOCKS
        self._tasks = Tasks("recording")
        self._lines: list[_Line] = []
        self._muxer: Muxer | None = None
        self._writing = asyncio.Lock()
        self._file = RLock()
        """A thread may still write when what waited for it was cancelled."""
        self._first_at: float | None = None
        self._is_finished = False
        self._has_ended = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self._tasks.__aexit__(None, None, None)  # what leaves the block leaves as it is
        finally:
            self._finish()

    def add(self, track: RemoteTrack) -> None:
        """Record a track as well.

        Raises:
            BusyError: If the file is begun: its header names all tracks.
            ClosedError: If the block is not entered, or left.
        """
        if self._muxer is not None:
            raise BusyError(f"{self.path.name} is begun without {track.track_id!r}: add it before")
        line = _Line(track)
        name = f"record/{track.track_id}"
        self._tasks.start(name, self._record(line), failed=lambda exc: self._over(line))
        self._lines.append(line)

    async def finished(self) -> RecordingReport:
        """Wait until all tracks have ended.

        Raises:
            PeerError: The first thing that went wrong, once nothing more is written.
        """
        await self._has_ended.wait()
        if self.error is not None:
            raise self.error
        return self.report

    async def _record(self, line: _Line) -> None:
        try:
            async for frame in line.track:
                if not await self._take(line, frame):
                    break
            line.is_over = True
            async with self._writing:
                await self._begin_if_ready()
        except PeerError as error:
            self.error = self.error or error
        finally:
            self._over(line)

    def _over(self, line: _Line) -> None:
        line.is_over = True
        if all(each.is_over for each in self._lines):
            self._has_ended.set()

    async def _take(self, line: _Line, frame: MediaFrame) -> bool:
        """Write a frame, or hold it for the beginning; False: the file is begun without it."""
        now = asyncio.get_running_loop().time()
        async with self._writing:
            if self._muxer is None:
                line.held.append((frame, now))
                self._first_at = self._first_at if self._first_at is not None else now
                await self._begin_if_ready()
                return True
            if line.index < 0:
                return False
            await asyncio.to_thread(self._write, self._muxer, line, frame, now)
            return True

    async def _begin_if_ready(self) -> None:
        if self._muxer is None and self._is_ready():
            await asyncio.to_thread(self._begin)

    def _is_ready(self) -> bool:
        here = [line for line in self._lines if line.held]
        if not here or self._first_at is None:
            return False
        waited = max(line.held[-1][1] for line in here) - self._first_at
        awaited = [line for line in self._lines if not line.held and not line.is_over]
        if sum(len(f.data) for line in here for f, _ in line.held) > MAX_HELD_BYTES:
            return True
        if awaited:
            return waited > TRACK_SECONDS
        has_clocks = all(line.first_at(1) is not None or line.is_over for line in here)
        return has_clocks or waited > CLOCK_SECONDS or all(line.is_over for line in here)

    def _begin(self) -> None:
        """Open the file, and write what was held; in a thread."""
        with self._file:
            if self._muxer is None and not self._is_finished:
                self._open()

    def _open(self) -> None:
        from actr_peer.wire.media.muxer import Muxer

        here = [line for line in self._lines if line.held]
        self.report.left_out = [each.track.track_id for each in self._lines if not each.held]
        muxer = Muxer(self.path, [line.held[0][0] for line in here])
        rates = [self._clocks[line.held[0][0].codec.upper()] for line in here]
        sent = [line.first_at(rate) for line, rate in zip(here, rates, strict=True)]
        known = [at for at in sent if at is not None]
        self.report.is_in_step = len(known) == len(here)
        starts = known if self.report.is_in_step else [line.held[0][1] for line in here]
        for index, (line, rate, start) in enumerate(zip(here, rates, starts, strict=True)):
            line.index = index
            line.offset = round((start - min(starts)) * rate)
        self._muxer = muxer
        for line in here:
            while line.held:
                self._write(muxer, line, *line.held.popleft())

    def _write(self, muxer: Muxer, line: _Line, frame: MediaFrame, at: float) -> None:
        with self._file:
            rate = self._clocks[frame.codec.upper()]
            ticks = None if self._is_finished else line.place(frame, at, rate)
            if ticks is None:
                return
            muxer.write(line.index, frame, ticks)
        name = line.track.track_id
        self.report.frames[name] = self.report.frames.get(name, 0) + 1
        self.report.seconds = max(self.report.seconds, ticks / rate)

    def _finish(self) -> None:
        with self._file:
            if self.error is None and any(line.held for line in self._lines):
                self._begin()
            self._is_finished = True
            if self._muxer is not None:
                self._muxer.close()
