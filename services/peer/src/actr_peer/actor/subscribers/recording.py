"""Tracks of remotes into one file that plays: as they came, in step, finished whatever ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from actr_peer.errors import BrokenError, BusyError, ConfigError, PeerError
from actr_peer.protocol.media.timeline import Line, Placed, Timeline
from actr_peer.state.worker import Worker
from actr_peer.tasks import Tasks

if TYPE_CHECKING:
    from actr_peer.actor.subscribers.tracks import RemoteTrack
    from actr_peer.wire.media.muxer import Muxer


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
    skipped: int = 0
    """Frames of sound left out because a sender's clock went back over them."""


class Recording:
    """A file that tracks are written to; a block, which finishes the file on its way out.

    The suffix says the container: ``.webm`` takes VP8 and Opus, ``.mp4`` H264 and Opus, ``.mkv``
    all. Samples are written as they come. Tracks are added before the first frame of any is
    written: within 2 s, or until all that were added are there, for at most 10 s. However the block
    is left, by an error or a cancellation too, what was written plays.

    Raises:
        ConfigError: If the suffix is none of these, the container takes a codec not, or the folder
            takes no file.
    """

    def __init__(self, path: Path | str) -> None:
        from actr_peer.wire.media.muxer import CLOCKS, check  # PyAV is loaded by who records

        self.path = Path(path)
        check(self.path)
        self.report = RecordingReport(self.path)
        self.error: PeerError | None = None
        """The first thing that went wrong; a track of a remote that is gone, or the disk."""
        self._timeline = Timeline(CLOCKS)
        self._tracks: list[str] = []
        """Ids of those in the file."""
        self._added: dict[Line, str] = {}
        self._tasks = Tasks("recording")
        self._worker = Worker(f"record/{self.path.name}")
        self._muxer: Muxer | None = None
        """The worker's."""
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
            await self._finish()

    def add(self, track: RemoteTrack) -> None:
        """Record a track as well.

        Raises:
            BusyError: If the file is begun: its header names all tracks.
            ClosedError: If the block is not entered, or left.
        """
        if self._timeline.has_begun:
            raise BusyError(f"{self.path.name} is begun without {track.track_id!r}: add it before")
        line = self._timeline.add(track.remote)
        name = f"record/{track.track_id}"
        try:
            self._tasks.start(name, self._record(line, track), failed=lambda exc: self._end(line))
        except PeerError:
            self._timeline.lines.remove(line)
            raise
        self._added[line] = track.track_id

    async def finished(self) -> RecordingReport:
        """Wait until all tracks have ended.

        Raises:
            ConfigError: If no track was added.
            PeerError: The first thing that went wrong, once nothing more is written.
        """
        if not self._added:
            raise ConfigError(f"nothing to record to {self.path.name}: add a track")
        await self._has_ended.wait()
        if self.error is not None:
            raise self.error
        return self.report

    async def _record(self, line: Line, track: RemoteTrack) -> None:
        now = asyncio.get_running_loop().time
        try:
            async for frame in track:
                await self._write(self._timeline.take(line, frame, now()))
                if self._timeline.has_begun and line.index is None:
                    break  # the file is begun without it
            await self._write(self._timeline.end(line, now()))
        except PeerError as error:
            self.error = self.error or error
        except Exception as exc:
            self.error = self.error or BrokenError(f"{self.path}: {track.track_id!r}: {exc!r}")
            raise
        finally:
            self._end(line)

    def _end(self, line: Line) -> None:
        line.is_over = True
        if all(each.is_over for each in self._timeline.lines):
            self._has_ended.set()

    async def _write(self, placed: Sequence[Placed]) -> None:
        """Have frames written, and wait for it: who is too slow for the tracks loses frames there.

        Raises:
            ConfigError: If the container does not take a codec.
            BrokenError: If the file cannot be written.
        """
        if placed:
            self._note_tracks()
            await self._worker.run(self._put, placed)

    def _note_tracks(self) -> None:
        if not self._tracks:
            here = [line for line in self._added if line.index is not None]
            here.sort(key=lambda line: line.index or 0)
            self._tracks = [self._added[line] for line in here]
            self.report.left_out = [t for line, t in self._added.items() if line.index is None]
            self.report.is_in_step = self._timeline.is_in_step

    def _put(self, placed: Sequence[Placed]) -> None:
        """In the worker."""
        from actr_peer.wire.media.muxer import CLOCKS, Muxer

        if self._muxer is None:
            firsts = {each.track: each.frame for each in reversed(placed)}
            self._muxer = Muxer(self.path, [firsts[track] for track in sorted(firsts)])
        for each in placed:
            self._muxer.write(each.track, each.frame, each.ticks)
            track, rate = self._tracks[each.track], CLOCKS[each.frame.codec.upper()]
            self.report.frames[track] = self.report.frames.get(track, 0) + 1
            self.report.seconds = max(self.report.seconds, each.ticks / rate)

    async def _finish(self) -> None:
        """Have the file finished behind all that is written; cancelling does not stop that."""
        rest = self._timeline.finish()
        self.report.skipped = self._timeline.skipped
        if rest:
            self._note_tracks()
        await asyncio.shield(self._worker.close(partial(self._close, rest)))

    def _close(self, rest: Sequence[Placed]) -> None:
        """In the worker."""
        try:
            if rest:
                self._put(rest)
        finally:
            if self._muxer is not None:
                self._muxer.close()
