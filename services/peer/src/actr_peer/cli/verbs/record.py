"""``actr record``: tracks that an actor publishes to this one, into a file that plays."""

from __future__ import annotations

import asyncio
import json
import secrets
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from actr_peer import ActrId, NodeConfig, Service, System
from actr_peer.actor.subscribers.recording import Recording, RecordingReport
from actr_peer.node.process import settings
from actr_peer.node.process.settings import Actor, Mailbox, Settings
from actr_peer.node.process.startup import (
    configure_logs,
    interruptible,
    node_config,
    run_loop,
)

SHOW_INTERVAL: Final = 0.25

app = typer.Typer()


@app.command()
def record(
    actor: Annotated[str, typer.Argument(help="Who sends the tracks, as acme:camera@1:default.")],
    tracks: Annotated[str, typer.Argument(help="Ids of its tracks, joined by commas.")],
    file: Annotated[Path, typer.Argument(help="film.webm, film.mkv or film.mp4.")],
    *,
    own: Annotated[
        str, typer.Option("--as", help="The id that the tracks are published to; else a new one.")
    ] = "",
    seconds: Annotated[float, typer.Option(min=0, help="How long; 0: to the end.")] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="What was recorded, as JSON.")] = False,
    config: Annotated[
        Path | None, typer.Option(help="Read this file, not ./actr.toml or what ACTR_CONFIG names.")
    ] = None,
) -> None:
    """Record tracks until they end, for --seconds, or until Ctrl-C; the file plays in any case.

    It waits until the actor publishes them to the id that is shown.
    """
    loaded = settings.load(config).settings
    configure_logs(loaded.log.model_copy(update={"level": "warning"}))
    sender = ActrId.read(actor)
    chosen = ActrId.parse(own) if own else _new_id(sender)
    wanted = [each for each in tracks.split(",") if each]
    run_loop(
        _record(_config(loaded, chosen), sender, wanted, file, seconds or None, as_json=as_json)
    )


def _new_id(sender: ActrId) -> ActrId:
    return ActrId("actr", "record", secrets.token_hex(4), sender.realm)


def _config(loaded: Settings, own: ActrId) -> NodeConfig:
    """An actor for one file: nothing kept, no listener."""
    update: dict[str, Any] = {
        "actor": Actor(id=str(own)),
        "mailbox": Mailbox(path=""),
        "wires": loaded.wires.model_copy(update={"listen": "", "advertise": ""}),
    }
    return node_config(loaded.model_copy(update=update))


async def _record(
    config: NodeConfig,
    sender: ActrId,
    tracks: list[str],
    file: Path,
    seconds: float | None,
    *,
    as_json: bool,
) -> None:
    recording = Recording(file)
    with interruptible():
        try:
            async with System(config).attach(Service()) as node, recording:
                for track_id in tracks:
                    recording.add(node.ref.track(sender, track_id))
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await _shown(recording, str(config.id))
        finally:
            if as_json and recording.error is None:
                print(json.dumps({**asdict(recording.report), "path": str(file)}, indent=2))


async def _shown(recording: Recording, own: str) -> RecordingReport:
    """Wait for the end, with a line of progress meanwhile."""
    with Progress(
        TextColumn("{task.description}"), TimeElapsedColumn(), console=Console(stderr=True)
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
