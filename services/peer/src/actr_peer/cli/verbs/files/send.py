"""``actr send FILE ACTOR``: a file or a directory to an actor that receives files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from actr_peer.cli.exits import printable
from actr_peer.cli.options import AsJson, Flags, TargetArgument, Timeout, with_flags
from actr_peer.node.config import NodeConfig
from actr_peer.node.process.logs import log_warnings
from actr_peer.node.process.startup import run_loop
from actr_peer.protocol.identity import ActrId
from actr_peer.service import Service

if TYPE_CHECKING:
    from actr_peer.actor.files.told import FileProgress, SentFile

PATIENCE: Final = 60.0

app = typer.Typer()


@app.command()
@with_flags
def send(
    path: Annotated[Path, typer.Argument(help="The file or directory.")],
    actor: TargetArgument,
    *,
    name: Annotated[str | None, typer.Option(help="What it is called there.")] = None,
    patience: Annotated[
        float, typer.Option(min=0, help="Seconds without progress after which it is given up.")
    ] = PATIENCE,
    timeout: Timeout = None,
    is_json: AsJson = False,
    flags: Flags,
) -> None:
    """Send a file or a directory as a whole.

    It goes on by itself when the link breaks or the receiver restarts; started again, it goes on
    from what the receiver has.
    """
    log_warnings(flags.settings().log)
    target = ActrId.read(actor)
    node = flags.caller("send", target)
    options = (name, timeout, patience)
    run_loop(_send(node, path, target, options, as_json=is_json))


class Bar:
    """How far it is, with rate and time left, on a terminal; nothing elsewhere."""

    def __init__(self, name: str) -> None:
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._name = name
        self._task = self._bar.add_task(escape(printable(name)), total=None)

    def __enter__(self) -> Callable[[FileProgress], None]:
        self._bar.start()
        return self._show

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def _show(self, progress: FileProgress) -> None:
        task = self._bar.tasks[self._task]
        if task.total is None or progress.done_bytes < task.completed:
            # What was there before is no part of the rate.
            self._bar.reset(
                self._task, total=progress.total_bytes, completed=progress.resumed_bytes
            )
        self._bar.update(self._task, completed=progress.done_bytes)


async def _send(
    config: NodeConfig,
    path: Path,
    target: ActrId,
    options: tuple[str | None, float | None, float],
    *,
    as_json: bool,
) -> None:
    from actr_peer.node.system import System  # the WebRTC stack, which help does without

    name, timeout, patience = options
    async with System(config).attach(Service()) as node:
        with Bar(name or path.name) as bar:
            sent = await node.ref.send_file(
                path, target, progress=bar, name=name, timeout=timeout, patience=patience
            )
        _print(sent, as_json=as_json)


def _print(sent: SentFile, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(sent)))
    elif sent.was_there:
        print(f"{sent.name}: was there already, whole and equal")
    else:
        print(f"{sent.name}: {sent.files} files, {sent.size_bytes} bytes, digest {sent.digest}")
