"""``actr dev``: its command line, its signals, and its end."""

from __future__ import annotations

import asyncio
import io
import logging
import signal
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from actr_peer.cli.options import AsLines, ConfigFile
from actr_peer.cli.verbs.dev.named import Named, configured, read_workloads
from actr_peer.cli.verbs.dev.running.identities import elsewhere, identities
from actr_peer.cli.verbs.dev.running.signaling import check_installed
from actr_peer.cli.verbs.dev.shown.lines import Line
from actr_peer.cli.verbs.dev.shown.screen import Json, Plain, Screen, is_terminal
from actr_peer.cli.verbs.dev.shown.terminal import Terminal
from actr_peer.cli.verbs.dev.stage import Plan, Stage
from actr_peer.node.config.development import SIGNALING
from actr_peer.node.config.loading import load
from actr_peer.node.config.reading import own_id
from actr_peer.node.process.logs import configure_logs
from actr_peer.tasks import first_cause

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

app = typer.Typer()


@app.command()
def dev(
    workloads: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODULE:NAME",
            help="As room:Room, room:Room=acme:room@1:default or room:Room=3; without any, those "
            "of \\[tool.actr] dev in pyproject.toml.",
        ),
    ] = None,
    *,
    signaling: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Use this service, which runs, and start none."),
    ] = None,
    is_reloading: Annotated[
        bool, typer.Option("--reload/--no-reload", help="Start anew what changes.")
    ] = True,
    is_json: AsLines = False,
    config: ConfigFile = None,
) -> None:
    """Run workloads, a process each, with a signaling service on memory: all that is needed, and
    watched. They start anew when their files change. Ctrl-C ends all."""
    flags = {} if signaling is None else {SIGNALING: signaling}
    loaded = load(config, flags)
    realm = own_id(loaded.settings.actor.id).realm
    named = read_workloads(workloads or configured(), realm)
    runs_already = loaded.origin(SIGNALING) not in ("default", "actr dev")
    if not runs_already:
        check_installed()
    folder = Path.cwd()
    plan = Plan(
        workloads=named,
        realm=realm,
        settings=loaded.settings,
        identities=(elsewhere if runs_already else identities)(loaded.settings, folder),
        signaling=loaded.settings.signaling.url if runs_already else None,
        folder=folder,
        config=config,
        is_reloading=is_reloading,
    )
    if isinstance(sys.stdout, io.TextIOWrapper):  # whatever actors print, in any alphabet
        sys.stdout.reconfigure(errors="replace")
    with _screen(named, is_json=is_json) as screen:
        configure_logs(loaded.settings.log.model_copy(update={"level": "error"}))
        logging.getLogger().handlers = [_OnScreen(screen)]
        try:
            asyncio.run(_perform(plan, screen))
        except BaseExceptionGroup as group:
            raise first_cause(group) from None


def _screen(named: tuple[Named, ...], *, is_json: bool) -> Screen:
    labels = tuple(each.label for each in named)
    if is_json:
        return Json()
    return Terminal(labels) if is_terminal() else Plain(labels)


async def _perform(plan: Plan, screen: Screen) -> None:
    """Run the stage; a signal ends it in good order, and a second one at once."""
    stage = Stage(plan, screen)
    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, stage.stop)
    await stage.perform()


class _OnScreen(logging.Handler):
    """What the process itself logs is one of the lines: it may not get between them."""

    def __init__(self, screen: Screen) -> None:
        super().__init__()
        self._screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        said = record.msg.get("event") if isinstance(record.msg, dict) else record.getMessage()
        self._screen.show("dev", Line(text=str(said), level=record.levelname.lower()))
