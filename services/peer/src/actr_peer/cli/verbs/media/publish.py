"""``actr publish``: the tracks of a media file to an actor, as native RTP."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from actr_peer.cli.options import AsJson, Flags, TargetArgument, with_flags
from actr_peer.node.config import NodeConfig
from actr_peer.node.process.logs import log_warnings
from actr_peer.node.process.startup import interruptible, run_loop
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.media.frames import AUDIO_CLOCK, TIMESTAMPS, VIDEO_CLOCK, Sample
from actr_peer.service import Service

if TYPE_CHECKING:
    from actr_peer.transport.publications import Publication
    from actr_peer.wire.media.file import FileTrack

CLOCKS: Final = {"video": VIDEO_CLOCK, "audio": AUDIO_CLOCK}
LINGER: Final = 0.3
"""Seconds after the last frame in which the far side may ask for what it misses."""
SHOW_INTERVAL: Final = 0.25

app = typer.Typer()


@app.command()
@with_flags
def publish(
    file: Annotated[Path, typer.Argument(help="Its first video and its first sound are sent.")],
    actor: TargetArgument,
    *,
    loops: Annotated[int, typer.Option(min=0, help="How often; 0: until interrupted.")] = 1,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds for a WebRTC wire.")] = 10.0,
    is_json: AsJson = False,
    flags: Flags,
) -> None:
    """Send a media file to an actor at the pace at which it plays.

    VP8, H264 without B-frames and Opus pass as they are; all else becomes VP8 and Opus.
    """
    log_warnings(flags.settings().log)
    target = ActrId.read(actor)
    sending = _publish(flags.caller("publish", target), target, file, loops, timeout)
    run_loop(_tell(sending) if is_json else _quietly(sending))


async def _tell(sending: Coroutine[Any, Any, dict[str, Any]]) -> None:
    with interruptible():
        print(json.dumps(await sending, indent=2))


async def _quietly(sending: Coroutine[Any, Any, dict[str, Any]]) -> None:
    with interruptible():
        await sending


class Rounds:
    """When the next round of a file begins: for all of its tracks when the last has ended.

    Its tracks are opened together, for those of one opening are in step.
    """

    def __init__(self, tracks: list[FileTrack], loops: int) -> None:
        self.loops = loops
        self.tracks = tracks
        self.number = 1
        self.began = 0.0
        """Seconds of media before this round."""
        self._longest = 0.0
        self._barrier = asyncio.Barrier(len(tracks))

    async def another(self, seconds: float) -> bool:
        """Whether there is one more, for a track that was ``seconds`` long in this one."""
        self._longest = max(self._longest, seconds)
        if await self._barrier.wait() == 0:
            from actr_peer.wire.media.file import open_media

            self.number += 1
            self.tracks = await open_media(self.tracks[0].path)
            self.began += self._longest
            self._longest = 0.0
        await self._barrier.wait()
        return self.loops == 0 or self.number <= self.loops


class Looped:
    """One track of a file, as often as wanted; its time goes on from round to round."""

    def __init__(self, track: FileTrack, rounds: Rounds) -> None:
        self.track_id, self.kind, self.codec = track.track_id, track.kind, track.codec
        self.frames = self.bytes = 0
        self._take(track)
        self._rounds = rounds
        self._last = self._step = 0

    def _take(self, track: FileTrack) -> None:
        self._track = track
        # Of a file that is passed on as it is none can be made: the next one comes.
        self.request_keyframe = track.request_keyframe

    @property
    def dropped(self) -> int:
        """Frames that were never made because their time had passed."""
        return self._track.dropped

    async def read(self) -> Sample | None:
        """The next frame; None after the last round."""
        while (sample := await self._track.read()) is None:
            clock = CLOCKS[self.kind]
            if not await self._rounds.another((self._last + self._step) / clock):
                return None
            self._last = self._step = 0
            self._take(next(each for each in self._rounds.tracks if each.kind == self.kind))
        self._step = sample.timestamp - self._last or self._step
        self._last = sample.timestamp
        self.frames += 1
        self.bytes += len(sample.data)
        began = int(self._rounds.began * CLOCKS[self.kind])
        return replace(sample, timestamp=(began + sample.timestamp) % TIMESTAMPS)


async def _publish(
    config: NodeConfig, target: ActrId, file: Path, loops: int, timeout: float
) -> dict[str, Any]:
    # The media and the WebRTC stack, which help and completion do without.
    from actr_peer.node.system import System
    from actr_peer.wire.media.file import open_media

    tracks = await open_media(file)
    rounds = Rounds(tracks, loops)
    sources = [Looped(track, rounds) for track in tracks]
    began = time.monotonic()
    async with System(config).attach(Service()) as node:
        sent = [(each, await node.ref.publish(target, each, timeout=timeout)) for each in sources]
        await _shown([publication for _, publication in sent], sources)
        await asyncio.sleep(LINGER)
        told = [_told(source, publication) for source, publication in sent]
        for _, publication in sent:
            await publication.stop()
    return {
        "file": str(file),
        "actor": str(target),
        "seconds": round(time.monotonic() - began, 3),
        "tracks": told,
    }


async def _shown(publications: list[Publication], sources: list[Looped]) -> None:
    """Wait for the end of all of them, or the failure of one; a line of progress meanwhile.

    Raises:
        PeerError: Why one failed.
    """
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bars = [progress.add_task(each.track_id, total=None) for each in sources]
        for publication in publications:
            while not publication.ended.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(SHOW_INTERVAL):
                        await publication.ended.wait()
                for bar, source in zip(bars, sources, strict=True):
                    shown = f"{source.track_id}: {source.frames} frames, {source.bytes:,} bytes"
                    progress.update(bar, description=shown)
                failed = next((each.error for each in publications if each.error), None)
                if failed is not None:
                    raise failed


def _told(source: Looped, publication: Publication) -> dict[str, Any]:
    stats = publication.stats()
    return {
        "track_id": source.track_id,
        "kind": source.kind,
        "codec": source.codec,
        "frames": source.frames,
        "bytes": source.bytes,
        "dropped": source.dropped,
        "packets": stats.packets if stats is not None else 0,
        "packets_lost": stats.lost if stats is not None else 0,
        "rtt_ms": round(stats.rtt * 1e3, 2) if stats is not None and stats.rtt else None,
    }
