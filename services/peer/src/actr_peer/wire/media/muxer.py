"""A playable file of encoded samples, as they came: WebM, Matroska or MP4, by PyAV."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av

from actr_peer.errors import BrokenError, ConfigError
from actr_peer.protocol.media.frames import MediaFrame, vp8_size

CONTAINERS: Final = {
    ".webm": ("VP8", "OPUS"),
    ".mkv": ("VP8", "H264", "OPUS"),
    ".mp4": ("H264", "OPUS"),
}
"""Suffix to the codecs that are written as they come: nothing is encoded again."""
CLOCKS: Final = {"VP8": 90_000, "H264": 90_000, "OPUS": 48_000}
"""Ticks a second of their timestamps."""


def check(path: Path) -> None:
    """Refuse a file that cannot be written, before anything is waited for.

    Raises:
        ConfigError: If its suffix is none of :data:`CONTAINERS`, or its folder takes no file.
    """
    if path.suffix.lower() not in CONTAINERS:
        raise ConfigError(f"a recording is one of {', '.join(CONTAINERS)}, not {path.name!r}")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK) or path.is_dir():
        raise ConfigError(f"cannot record to {path}: its folder is not there, or takes no file")


class Muxer:
    """Writes one file; blocking, for a thread. One call at a time.

    Args:
        firsts: The first frame of each track: a video's is a key frame.

    Raises:
        ConfigError: If the container does not take a codec: the text says which does.
        BrokenError: If the file cannot be written.
    """

    def __init__(self, path: Path, firsts: Sequence[MediaFrame]) -> None:
        check(path)
        self._path = path
        taken = CONTAINERS[path.suffix.lower()]
        for first in firsts:
            if first.codec.upper() not in taken:
                fit = [s for s, codecs in CONTAINERS.items() if first.codec.upper() in codecs]
                instead = f"; take {' or '.join(fit)}" if fit else ""
                raise ConfigError(f"{path.suffix} takes no {first.codec}{instead}")
        self._templates: list[Any] = []
        try:
            self._out: Any = av.open(str(path), "w")
            self._streams = [self._stream(first) for first in firsts]
            self._out.start_encoding()
        except (av.FFmpegError, OSError) as exc:
            raise BrokenError(f"{path}: {exc}") from exc

    def write(self, index: int, frame: MediaFrame, ticks: int) -> None:
        """Put a frame of a track at ``ticks`` of its clock after the beginning.

        Raises:
            BrokenError: If the disk is full, or gone.
        """
        packet: Any = av.Packet(frame.data)
        packet.stream = self._streams[index]
        packet.time_base = Fraction(1, CLOCKS[frame.codec.upper()])
        packet.pts = packet.dts = ticks
        packet.is_keyframe = frame.keyframe
        try:
            self._out.mux(packet)
        except (av.FFmpegError, OSError) as exc:
            raise BrokenError(f"{self._path}: {exc}") from exc

    def close(self) -> None:
        """Write what makes the file playable.

        Raises:
            BrokenError: If that cannot be written.
        """
        try:
            self._out.close()
        except (av.FFmpegError, OSError) as exc:
            raise BrokenError(f"{self._path}: {exc}") from exc
        finally:
            for template in self._templates:
                template.close()

    def _stream(self, first: MediaFrame) -> Any:
        if first.kind == "audio":
            stream = self._out.add_stream("libopus", rate=CLOCKS["OPUS"])
            stream.layout = "stereo"
            return stream
        if first.codec.upper() == "VP8":
            template = av.open(io.BytesIO(_ivf(first.data)), format="ivf")
        else:
            template = av.open(io.BytesIO(first.data), format="h264")
        self._templates.append(template)
        return self._out.add_stream_from_template(template.streams.video[0])


def _ivf(keyframe: bytes) -> bytes:
    """A file of one VP8 frame: from it FFmpeg reads what a container says of a stream."""
    size = vp8_size(keyframe)
    if size is None:
        raise BrokenError("a track begins with what is no picture of VP8")
    width, height = size
    clock = CLOCKS["VP8"]
    head = struct.pack("<4sHH4sHHIIII", b"DKIF", 0, 32, b"VP80", width, height, clock, 1, 1, 0)
    return head + struct.pack("<IQ", len(keyframe), 0) + keyframe
