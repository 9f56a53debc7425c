"""A source of frames, fenced in: whatever the application's object does ends its track alone."""

from __future__ import annotations

import asyncio
import logging
from typing import get_args
from weakref import WeakValueDictionary

from actr_peer.errors import BrokenError, BusyError, ConfigError, LimitError, PeerError
from actr_peer.protocol.media.frames import MAX_SAMPLE_BYTES, Sample, fault
from actr_peer.protocol.webrtc.negotiation import TrackKind
from actr_peer.wire.webrtc.engine import MediaSource

MAX_TRACK_ID_CHARACTERS = 128

log = logging.getLogger(__name__)

_readers: WeakValueDictionary[int, object] = WeakValueDictionary()
"""Who reads an object of the application's, by the object's identity: one at a time."""


class GuardedSource:
    """What the runtime sees of a source; made by :func:`guard`.

    The three attributes are read once; the two calls fail in one way only.

    Attributes:
        source: The application's object.
    """

    def __init__(self, source: MediaSource, track_id: str, kind: TrackKind, codec: str) -> None:
        self.source = source
        self.track_id = track_id
        self.kind = kind
        self.codec = codec

    def __repr__(self) -> str:
        return f"<{type(self.source).__name__} {self.track_id} {self.codec}>"

    @property
    def dropped(self) -> int:
        """Frames that the source says it never made; 0 where it does not say."""
        dropped = getattr(self.source, "dropped", 0)
        return dropped if isinstance(dropped, int) else 0

    async def read(self) -> Sample | None:
        """As ``MediaSource.read``.

        Raises:
            PeerError: The source's own; ``BrokenError`` for whatever else it raises, or for
                something that is no frame; ``LimitError`` for one that is too long.
        """
        try:
            sample = await self.source.read()
        except PeerError:
            raise
        except asyncio.CancelledError as exc:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise BrokenError("the source failed: it let a cancellation of its own out") from exc
        except Exception as exc:
            raise BrokenError(f"the source failed: {exc!r}") from exc
        if sample is not None:
            _check(sample)
        return sample

    def request_keyframe(self) -> None:
        """As ``MediaSource.request_keyframe``; a failure of the source's is logged."""
        try:
            self.source.request_keyframe()
        except Exception:
            log.exception("key-frame request failed: track=%s", self.track_id)

    def bitrate_estimated(self, bits_per_second: float) -> None:
        """Tell the source what the path carries, where it has a method of this name to hear it."""
        self._tell("bitrate_estimated", bits_per_second)

    def published(self) -> None:
        """Tell the source that it is published, where it has a method of this name."""
        self._tell("published")

    def read_by(self, publication: object) -> None:
        """Have one publication read the source, until it is :meth:`unpublished`.

        Raises:
            BusyError: If another one does.
        """
        if id(self.source) in _readers:
            raise BusyError(
                f"track {self.track_id!r} is read by another publication: stop that first, or "
                "make a track for each remote"
            )
        _readers[id(self.source)] = publication

    def unpublished(self) -> None:
        """Tell the source that its publication has ended, where it has a method of this name."""
        _readers.pop(id(self.source), None)
        self._tell("unpublished")

    def _tell(self, name: str, *values: object) -> None:
        try:
            told = getattr(self.source, name, None)
            if callable(told):
                told(*values)
        except Exception:
            log.exception("source failed when told: track=%s what=%s", self.track_id, name)


def guard(source: MediaSource) -> GuardedSource:
    """Fence ``source`` in, once.

    Raises:
        ConfigError: If it is no source: an attribute is missing or of another type.
        LimitError: If its track id is too long.
    """
    if isinstance(source, GuardedSource):
        return source
    track_id = _text(source, "track_id")
    if len(track_id) > MAX_TRACK_ID_CHARACTERS:
        raise LimitError(
            "characters of a track id", limit=MAX_TRACK_ID_CHARACTERS, asked=len(track_id)
        )
    kind, codec = _text(source, "kind"), _text(source, "codec")
    if kind not in get_args(TrackKind):
        raise ConfigError(f"a source of kind {kind!r}; it is 'audio' or 'video'")
    for call in ("read", "request_keyframe"):
        if not callable(_attribute(source, call)):
            raise ConfigError(f"{type(source).__name__} is no source: its {call} is no method")
    return GuardedSource(source, track_id, "audio" if kind == "audio" else "video", codec)


def _attribute(source: object, name: str) -> object:
    try:
        return getattr(source, name)
    except Exception as exc:
        raise ConfigError(f"{type(source).__name__} is no source: {name}: {exc!r}") from exc


def _text(source: object, name: str) -> str:
    value = _attribute(source, name)
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ConfigError(
            f"{type(source).__name__} is no source: its {name} is {value!r:.100}, and is to be text"
        )
    return value


def _check(sample: object) -> None:
    wrong = fault(sample)
    if wrong:
        raise BrokenError(f"the source gave no frame: {wrong}")
    assert isinstance(sample, Sample)
    check_size(sample)


def check_size(sample: Sample) -> None:
    """Refuse a sample that no receiver takes.

    Raises:
        LimitError: If it is too long.
    """
    size = memoryview(sample.data).nbytes
    if size > MAX_SAMPLE_BYTES:
        raise LimitError("bytes of a sample", limit=MAX_SAMPLE_BYTES, asked=size)
