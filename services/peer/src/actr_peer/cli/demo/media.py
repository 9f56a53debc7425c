"""The caller's media step: the user's file, or a test pattern and a tone, as native RTP."""

from __future__ import annotations

import asyncio
import mimetypes
import time
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Final

from actr_peer import ActrId, ActrRef, PayloadType
from actr_peer.cli.demo.report import MediaSent, Plan, Progress, Row, RowDone, not_run, tell
from actr_peer.errors import ConfigError, PeerError
from actr_peer.protocol.media.frames import Sample
from actr_peer.protocol.webrtc.negotiation import TrackKind
from actr_peer.wire.media.file import open_media
from actr_peer.wire.media.sources import TestPattern, Tone
from actr_peer.wire.webrtc.engine import MediaSource

PUBLISH_TIMEOUT: Final = 10.0
NO_WEBRTC_TIMEOUT: Final = 1.0
"""Seconds to wait for a WebRTC wire where none is expected."""
MAX_MEDIA_SECONDS: Final = 20.0
"""Of a long file; the whole of it goes out on STREAM_RELIABLE."""
SLACK: Final = 5.0
"""Seconds by which a source may take longer than it plays."""
FPS: Final = 30
TONES_PER_SECOND: Final = 50

# First bytes of containers, where they stand. FFmpeg alone would take a text file for a video.
_MAGIC: Final = (
    (4, b"ftyp"),  # MP4, MOV
    (0, b"\x1aE\xdf\xa3"),  # Matroska, WebM
    (0, b"RIFF"),  # AVI, WAV
    (0, b"OggS"),
    (0, b"DKIF"),  # IVF
    (0, b"fLaC"),
    (0, b"FLV"),
    (0, b"ID3"),
)


class Recorder:
    """A source that notes what was read from it, and when.

    Attributes:
        frames: RTP time and monotonic nanoseconds of each frame.
        bytes: Of all frames.
        ended: Set when the source is at its end.
    """

    def __init__(self, source: MediaSource) -> None:
        self._source = source
        self.frames: list[tuple[int, int]] = []
        self.bytes = 0
        self.ended = asyncio.Event()

    @property
    def track_id(self) -> str:
        return self._source.track_id

    @property
    def kind(self) -> TrackKind:
        return self._source.kind

    @property
    def codec(self) -> str:
        return self._source.codec

    async def read(self) -> Sample | None:
        sample = await self._source.read()
        if sample is None:
            self.ended.set()
            return None
        self.frames.append((sample.timestamp, time.monotonic_ns()))
        self.bytes += len(sample.data)
        return sample

    def request_keyframe(self) -> None:
        self._source.request_keyframe()


def wire_in_use(ref: ActrRef, remote: ActrId) -> str | None:
    """The kind of wire that carries the traffic to ``remote`` now."""
    link = ref.node.view().link(remote)
    return link.active.value if link is not None and link.active is not None else None


async def send(ref: ActrRef, room: ActrId, plan: Plan) -> None:
    """Send every track of the plan and tell what was sent; the room tells what came.

    Without WebRTC in the plan, show that the refusal says so.

    Raises:
        PeerError: If a track cannot be published.
    """
    tell(Progress(payload_type=PayloadType.MEDIA_RTP.name, done=0, total=1))
    sources = [Recorder(source) for source in await _sources(plan)]
    if plan.wire == "websocket":
        tell(RowDone(row=await _refused(ref, room, sources[0])))
        return
    await _play(ref, room, sources, plan)
    for source in sources:
        tell(
            MediaSent(
                track_id=source.track_id,
                wire="webrtc",
                frames=tuple(source.frames),
                bytes=source.bytes,
            )
        )
    tell(Progress(payload_type=PayloadType.MEDIA_RTP.name, done=1, total=1))


async def _play(ref: ActrRef, room: ActrId, sources: list[Recorder], plan: Plan) -> None:
    """Publish until every source has ended, or the longest time is over."""
    async with AsyncExitStack() as stack:
        for source in sources:
            publication = await ref.publish(room, source, timeout=PUBLISH_TIMEOUT)
            stack.push_async_callback(publication.stop)
        limit = MAX_MEDIA_SECONDS if plan.file else plan.media_seconds + SLACK
        with suppress(TimeoutError):
            async with asyncio.timeout(limit):
                for source in sources:
                    await source.ended.wait()


async def _refused(ref: ActrRef, room: ActrId, source: Recorder) -> Row:
    """Ask for what cannot be: that it is refused, in words, is the result that is expected."""
    try:
        publication = await ref.publish(room, source, timeout=NO_WEBRTC_TIMEOUT)
    except PeerError as exc:
        row = not_run(PayloadType.MEDIA_RTP, f"needs WebRTC (refused with {type(exc).__name__})")
        return row.model_copy(update={"ok": True})
    await publication.stop()
    return not_run(PayloadType.MEDIA_RTP, "media went out without WebRTC")


async def _sources(plan: Plan) -> list[MediaSource]:
    if plan.file and looks_like_media(Path(plan.file)):
        with suppress(ConfigError):  # a name that promises more than the file holds
            return list(await open_media(plan.file))
    return [
        TestPattern(track_id="pattern", frames=int(plan.media_seconds * FPS)),
        Tone(track_id="tone", frames=int(plan.media_seconds * TONES_PER_SECOND)),
    ]


def looks_like_media(path: Path) -> bool:
    """Whether the file's first bytes, or its name, are those of video or sound."""
    with path.open("rb") as file:
        head = file.read(16)
    if any(head[at : at + len(magic)] == magic for at, magic in _MAGIC):
        return True
    guessed = mimetypes.guess_type(path.name)[0] or ""
    return guessed.startswith(("video/", "audio/"))
