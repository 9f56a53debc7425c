"""Sans-I/O: when the samples of the tracks of one file are due, so that they stay in step.

The time of the file goes on while any of its tracks is read. All that is read is in step: a track
that begins later than another, or was left for a while, hurries after it.
"""

from __future__ import annotations

from typing import Final

MAX_LAG: Final = 0.5
"""Seconds for which nobody may read, or by which a track may be late, until the file stands still
for it: what follows is late by so much for all tracks."""
MAX_BEHIND: Final = 5.0
"""Seconds by which a track hurries after the others; more is left out."""


class Playback:
    """The time of one file. It owns no clock: the caller passes ``now``.

    Args:
        speed: Seconds of the file in one second.
    """

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self._origin: float | None = None
        """When the file's beginning was, or would have been."""
        self._readers = 0
        self._idle_since = 0.0

    def enter(self, now: float) -> None:
        """A track is read from now on."""
        if self._origin is None:
            self._origin = now
        elif not self._readers and now - self._idle_since > MAX_LAG:
            self._origin += now - self._idle_since
        self._readers += 1

    def leave(self, now: float) -> None:
        """It has its sample, or nobody waits for that any longer."""
        self._readers -= 1
        self._idle_since = now

    def due(self, at: float) -> float:
        """When what stands at ``at`` seconds of the file is due."""
        assert self._origin is not None
        return self._origin + at / self.speed

    def stand_still(self, seconds: float) -> None:
        """One track was late by so much: the others wait for it."""
        assert self._origin is not None
        self._origin += seconds


class Place:
    """One track's part in it."""

    def __init__(self, playback: Playback) -> None:
        self.playback = playback
        self._read_at: float | None = None
        self._hurries = True

    def enter(self, now: float) -> None:
        """It is read from now on; who was not read for a while hurries after the others."""
        self._hurries |= self._read_at is not None and now - self._read_at > MAX_LAG
        self.playback.enter(now)

    def leave(self, now: float) -> None:
        """As :meth:`Playback.leave`."""
        self._read_at = now
        self.playback.leave(now)

    def is_past(self, at: float, now: float) -> bool:
        """Whether what stands at ``at`` seconds is left out: the others are too far ahead."""
        return self._hurries and now - self.playback.due(at) > MAX_BEHIND

    def wait(self, at: float, now: float) -> float:
        """Seconds until what stands at ``at`` seconds goes out; 0 or less: now."""
        wait = self.playback.due(at) - now
        if wait >= -MAX_LAG:
            self._hurries = False
        elif not self._hurries:
            self.playback.stand_still(-wait)
            return 0.0
        return wait
