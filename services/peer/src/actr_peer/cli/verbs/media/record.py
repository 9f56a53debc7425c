"""``actr record``: tracks that an actor publishes to this one, into a file that plays."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from actr_peer.cli.exits import ToldError
from actr_peer.cli.options import AsJson, Flags, with_flags
from actr_peer.node.config import NodeConfig
from actr_peer.node.process.logs import log_warnings
from actr_peer.node.process.startup import interruptible, run_loop
from actr_peer.protocol.identity import ActrId
from actr_peer.service import Service

if TYPE_CHECKING:
    from actr_peer.actor.subscribers.recording import Recording, RecordingReport

SHOW_INTERVAL: Final = 0.25

app = typer.Typer()


@app.command()
@with_flags
def record(
    actor: Annotated[str, typer.Argument(help="Who sends the tracks, as acme:camera@1:default.")],
    tracks: Annotated[str, typer.Argument(help="Ids of its tracks, joined by commas.")],
    file: Annotated[Path, typer.Argument(help="film.webm, film.mkv or film.mp4.")],
    *,
    seconds: Annotated[float, typer.Option(min=0, help="How long; 0: to the end.")] = 0.0,
    is_json: AsJson = False,
    flags: Flags,
) -> None:
    """Record tracks until they end, for --seconds, or until Ctrl-C; the file plays in any case.

    It waits until the actor publishes them to the id that is shown: a new one, or that of --id.
    """
    # The media stack, which help and completion do without.
    from actr_peer.actor.subscribers.recording import Recording

    log_warnings(flags.settings().log)
    sender = ActrId.read(actor)
    config = flags.caller("record", sender)
    wanted = [each for each in tracks.split(",") if each]
    recording = Recording(file)
    try:
        run_loop(_record(config, sender, wanted, recording, seconds or None))
    except KeyboardInterrupt as exc:  # an ordinary end of it
        if not is_json:
            raise
        _tell(recording)
        raise ToldError from exc
    if is_json:
        _tell(recording)


def _tell(recording: Recording) -> None:
    print(json.dumps({**asdict(recording.report), "path": str(recording.path)}, indent=2))


async def _record(
    config: NodeConfig,
    sender: ActrId,
    tracks: list[str],
    recording: Recording,
    seconds: float | None,
) -> None:
    from actr_peer.node.system import System

    with interruptible():
        async with System(config).attach(Service()) as node, recording:
            for track_id in tracks:
                recording.add(node.ref.track(sender, track_id))
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await _shown(recording, str(config.id))


async def _shown(recording: Recording, own: str) -> RecordingReport:
    """Wait for the end, with a line of progress meanwhile."""
    with Progress(
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    ) as progress:
        line = progress.add_task(f"waiting for tracks at {own}", total=None)
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(SHOW_INTERVAL):
                    return await recording.finished()
            if recording.report.frames:
                frames = ", ".join(f"{k}: {n} frames" for k, n in recording.report.frames.items())
                shown = f"{recording.path.name}: {recording.report.seconds:.1f} s, {frames}"
                progress.update(line, description=shown)
