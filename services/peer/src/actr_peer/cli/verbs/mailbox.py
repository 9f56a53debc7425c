"""``actr mailbox``: what a mailbox holds; dead letters shown, replayed and dropped; a copy of it.

Reading opens the file itself. Replaying and dropping go through the peer while it runs, and
through the file when it does not.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from actr_peer.cli.contracts.stored import Known, body_of, row_of, shown_of, time_of, tries_of
from actr_peer.cli.exits import Exit, printable
from actr_peer.cli.options import AsJson, ConfigFile, IdFlag
from actr_peer.cli.tables import console, table
from actr_peer.errors import BusyError, ConfigError, UnreachableError
from actr_peer.node.config.loading import load
from actr_peer.node.config.reading import mailbox_path, there_of
from actr_peer.protocol.mailbox.requests import State
from actr_peer.state.mailbox.backup import back_up
from actr_peer.state.mailbox.dead_letters import MAX_LISTED, Filter
from actr_peer.state.mailbox.inspection import look
from actr_peer.state.mailbox.inspection import show as read
from actr_peer.state.mailbox.letterbox import ask
from actr_peer.state.mailbox.mailbox import Mailbox

app = typer.Typer()


class Stored(Enum):
    """What ``list`` can list."""

    DEAD = "dead"
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"


File = Annotated[
    Path | None, typer.Option(help="The mailbox's file; without it, that of the configuration.")
]
Sender = Annotated[str, typer.Option(help="Part of the caller's id.")]
Route = Annotated[str, typer.Option(help="Part of the method's name.")]
Reason = Annotated[str, typer.Option(help="Part of why it is dead.")]
RequestId = Annotated[str, typer.Option(help="The whole request id.")]
Module = Annotated[
    str | None,
    typer.Option(
        "--module", "-m", help="A module that 'actr gen' wrote: take the contract from it."
    ),
]
Numbers = Annotated[list[int] | None, typer.Argument(help="Numbers, as 'list' shows them.")]
All = Annotated[bool, typer.Option("--all", help="Every dead letter.")]


@app.callback()
def _group() -> None:
    """Stored requests: list, show, replay and drop them; copy them all."""


@app.command("list")
def list_(
    *,
    state: Annotated[Stored, typer.Option(help="Which requests.")] = Stored.DEAD,
    sender: Sender = "",
    route: Route = "",
    reason: Reason = "",
    request_id: RequestId = "",
    limit: Annotated[int, typer.Option(min=1, max=MAX_LISTED, help="The most.")] = 100,
    file: File = None,
    own: IdFlag = None,
    config: ConfigFile = None,
    is_json: AsJson = False,
) -> None:
    """List stored requests, oldest first: dead letters, or another state."""
    which = Filter(sender=sender, route=route, reason=reason, request_id=request_id, limit=limit)
    letters = look(str(_file(file, own, config)), which, State[state.name])
    if is_json:
        print(json.dumps({"state": state.value, "letters": [row_of(one) for one in letters]}))
        return
    names = ("number", "caller", "method", "lane", "bytes", "tries", "died", "reason")
    rows = []
    for one in letters:
        cells = (one.sender, one.route_key, one.payload_type.name, str(one.size), tries_of(one))
        why = f"{one.reason}: {one.last_error}" if one.last_error else one.reason
        rows.append((one.sequence, *cells, time_of(one.died_at), why))
    console().print(table(f"{len(rows)} {state.value}", names, rows))


@app.command()
def show(
    number: Annotated[int, typer.Argument(help="As 'list' shows it.")],
    *,
    module: Module = None,
    file: File = None,
    own: IdFlag = None,
    config: ConfigFile = None,
    is_json: AsJson = False,
) -> None:
    """Show one stored request, read by its contract.

    The contract is that of the actor, which is asked if it runs, or of a
    generated module.
    """
    path = _file(file, own, config)
    letter = read(str(path), number)
    if letter is None:
        raise UnreachableError(f"request {number}", "the mailbox has none of that number")
    body, envelope = body_of(letter)
    if envelope is not None:
        known = Known(module, path, load(config, _own(own)).settings)
        body["message"], body["unread"] = known.message(letter.route_key, envelope)
    if is_json:
        print(json.dumps(row_of(letter) | {"body": body}))
        return
    console().print(table(f"request {number}", ("", ""), shown_of(letter, body)))


@app.command()
def replay(
    numbers: Numbers = None,
    *,
    every: All = False,
    sender: Sender = "",
    route: Route = "",
    reason: Reason = "",
    request_id: RequestId = "",
    file: File = None,
    own: IdFlag = None,
    config: ConfigFile = None,
    is_json: AsJson = False,
) -> None:
    """Queue dead letters again, under the ids they had; by number, by filter, or --all."""
    which = _chosen(numbers, sender, route, reason, request_id, every=every)
    _change("replay", _file(file, own, config), which, as_json=is_json)


@app.command()
def drop(
    numbers: Numbers = None,
    *,
    every: All = False,
    sender: Sender = "",
    route: Route = "",
    reason: Reason = "",
    request_id: RequestId = "",
    file: File = None,
    own: IdFlag = None,
    config: ConfigFile = None,
    is_json: AsJson = False,
) -> None:
    """Delete dead letters for good; by number, by filter, or --all."""
    which = _chosen(numbers, sender, route, reason, request_id, every=every)
    _change("drop", _file(file, own, config), which, as_json=is_json)


@app.command()
def backup(
    copy: Annotated[Path, typer.Argument(help="A new file; the outbox's copy is COPY-outbox.")],
    *,
    file: File = None,
    own: IdFlag = None,
    config: ConfigFile = None,
    is_json: AsJson = False,
) -> None:
    """Copy the mailbox, and the outbox beside it, while the actor runs or not."""
    path = _file(file, own, config)
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(f"copying {printable(path.name)}", total=None)
        copied = back_up(
            path, copy, lambda done, total: progress.update(task, completed=done, total=total)
        )
    if is_json:
        rows = [{"file": str(c.file), "copy": str(c.copy), "bytes": c.size} for c in copied]
        print(json.dumps({"copied": rows}))
        return
    for one in copied:
        print(f"{one.copy}: {one.size:,} bytes, a copy of {one.file}")


def _chosen(
    numbers: list[int] | None, sender: str, route: str, reason: str, request_id: str, *, every: bool
) -> Filter:
    """What was named, unless it would be all by mistake."""
    which = Filter(
        sequences=tuple(numbers or ()),
        sender=sender,
        route=route,
        reason=reason,
        request_id=request_id,
    )
    if which == Filter() and not every:
        raise ConfigError("say which: numbers, a filter such as --route, or --all")
    return which


def _change(verb: str, path: Path, which: Filter, *, as_json: bool) -> None:
    """Do ``verb`` to the letters that fit, and tell what was and was not done."""
    found: list[int] = []
    page = which
    # All of them before any is done: one that is replayed may be a new letter at once.
    while numbers := [letter.sequence for letter in look(str(path), page)]:
        found += numbers
        page = replace(which, after=numbers[-1])
    done: list[int] = []
    for start in range(0, len(found), MAX_LISTED):
        done += _perform(verb, path, found[start : start + MAX_LISTED])
    left = sorted({*found, *which.sequences} - {*done})
    if as_json:
        print(json.dumps({"done": done, "left": left}))
    else:
        print(f"{verb}: {len(done)} done" + (f", left as they are: {_text(left)}" if left else ""))
    if left:
        raise typer.Exit(Exit.FAILED)


def _perform(verb: str, path: Path, numbers: list[int]) -> list[int]:
    try:
        return asyncio.run(_perform_here(verb, path, numbers))
    except BusyError:
        pass  # the peer runs: it does it
    try:
        return ask(f"{path.resolve()}-letters", verb, numbers)
    except (OSError, ValueError) as exc:
        raise UnreachableError(f"the peer that has {path}", str(exc)) from exc


async def _perform_here(verb: str, path: Path, numbers: list[int]) -> list[int]:
    async with Mailbox(path, owner=f"actr mailbox {verb}") as mailbox:
        act = mailbox.letters.replay if verb == "replay" else mailbox.letters.drop
        return await act(numbers)


def _file(path: Path | None, own: str | None, config: Path | None) -> Path:
    """The mailbox's file: as given, else as configured; where nobody says whose, that of the only
    actor of this folder.

    Raises:
        ConfigError: If there is none, or several actors have one.
    """
    if path is not None:
        return path
    loaded = load(config, _own(own))
    configured = mailbox_path(loaded.settings)
    if configured is None:
        raise ConfigError("mailbox.path is empty: this actor keeps its mailbox in memory")
    if loaded.origin("actor.id") != "default" or configured.exists():
        return configured
    there = there_of(loaded.settings.mailbox.path)
    if len(there) > 1:
        raise ConfigError(f"{', '.join(there)} have mailboxes here: say whose with --id")
    return next(iter(there.values()), configured)


def _own(own: str | None) -> dict[str, str]:
    return {} if own is None else {"actor.id": own}


def _text(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))
