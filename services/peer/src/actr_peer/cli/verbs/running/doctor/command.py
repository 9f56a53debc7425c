"""``actr doctor``: why there is no path, or how good it is."""

from __future__ import annotations

import json
import sys
from contextlib import AsyncExitStack, ExitStack
from typing import Annotated, Final

import typer
from rich.console import RenderableType
from rich.live import Live

from actr_peer.cli.callers import read_destination
from actr_peer.cli.exits import Exit, printable
from actr_peer.cli.options import AsJson, Flags, with_flags
from actr_peer.cli.tables import console, table
from actr_peer.cli.verbs.running.doctor.case import Case
from actr_peer.cli.verbs.running.doctor.far import Far
from actr_peer.cli.verbs.running.doctor.here import Here
from actr_peer.cli.verbs.running.doctor.servers import Servers
from actr_peer.cli.verbs.running.doctor.service import Signaling
from actr_peer.cli.verbs.running.doctor.steps import Checkup, Row
from actr_peer.node.config.settings import Log
from actr_peer.node.process.logs import log_warnings
from actr_peer.node.process.startup import run_loop
from actr_peer.protocol.identity import ActrId, ActrType

COLUMNS: Final = ("step", "result", "ms", "found")


@with_flags
def doctor(
    actor: Annotated[
        str, typer.Argument(metavar="[ACTOR]", help="Whom, as acme:room@2:default, or acme:room.")
    ] = "",
    *,
    module: Annotated[
        str | None,
        typer.Option("--module", "-m", help="A module that 'actr gen' wrote: compare with it."),
    ] = None,
    is_json: AsJson = False,
    flags: Flags,
) -> None:
    """Look at each step between this machine and an actor, and say what to do about a broken one.

    Without ACTOR only this machine and its services are looked at. The exit
    status is 0 where no step failed, else 1.
    """
    log_warnings(Log(level="error"))  # what others say is told by the steps
    whom = read_destination(actor) if actor else None
    with ExitStack() as stack:
        shown = _Screen(stack) if sys.stdout.isatty() and not is_json else _Page()
        checkup = Checkup(shown.row)
        run_loop(_examine(flags, whom, module, checkup))
    failed = checkup.first_failed
    if is_json:
        print(json.dumps(document_of(actor, checkup), indent=2))
    else:
        shown.end(checkup)
    if failed is not None:
        raise typer.Exit(Exit.FAILED)


async def _examine(
    flags: Flags, whom: ActrId | ActrType | None, module: str | None, checkup: Checkup
) -> None:
    async with AsyncExitStack() as stack:
        case = Case(flags=flags, whom=whom, module=module, checkup=checkup, stack=stack)
        here, signaling = Here(case), Signaling(case)
        await here.run()
        await signaling.reach()
        await here.prove()
        await signaling.register()
        await Servers(case).run()
        if whom is not None:
            await Far(case).run()


def document_of(actor: str, checkup: Checkup) -> dict[str, object]:
    """All steps as JSON has them."""
    failed = checkup.first_failed
    return {
        "actor": actor or None,
        "failed": failed and failed.step,
        "steps": [
            {
                "step": row.step,
                "result": row.result.value,
                "ms": row.ms,
                "found": row.found,
                "advice": row.advice,
            }
            for row in checkup.rows
        ],
    }


def table_of(rows: list[Row], title: str) -> RenderableType:
    """The steps so far; what is advised stands below what was found."""
    cells = [
        (
            row.step,
            row.result.value,
            f"{row.ms:.1f}" if row.ms else "",
            f"{row.found}\n→ {row.advice}" if row.advice else row.found,
        )
        for row in rows
    ]
    return table(title, COLUMNS, cells)


class _Page:
    """All at the end."""

    def row(self, row: Row) -> None:
        """A step is over."""

    def end(self, checkup: Checkup) -> None:
        console().print(table_of(checkup.rows, verdict(checkup)))


class _Screen(_Page):
    """The table, a row longer with each step."""

    def __init__(self, stack: ExitStack) -> None:
        self._rows: list[Row] = []
        self._live = stack.enter_context(
            Live(console=console(), auto_refresh=False, transient=True)
        )

    def row(self, row: Row) -> None:
        self._rows.append(row)
        self._live.update(table_of(self._rows, "looking …"), refresh=True)


def verdict(checkup: Checkup) -> str:
    """What all of it comes to."""
    failed = checkup.first_failed
    if failed is None:
        return "no step failed"
    return printable(f"{failed.step} failed: {failed.found}")
