"""``actr mailbox``: what a mailbox holds; dead letters shown, replayed and dropped.

Reading opens the file itself. Replaying and dropping go through the peer while it runs, and
through the file when it does not.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from actr_peer.cli.exits import Exit
from actr_peer.cli.options import IdFlag
from actr_peer.cli.tables import console, plain
from actr_peer.errors import BusyError, ConfigError, PeerError, UnreachableError
from actr_peer.node.config.loading import load
from actr_peer.node.config.reading import mailbox_path
from actr_peer.protocol.mailbox.requests import State
from actr_peer.protocol.rpc.envelopes import decode_envelope
from actr_peer.state.mailbox.dead_letters import MAX_LISTED, Filter, Letter
from actr_peer.state.mailbox.inspection import look
from actr_peer.state.mailbox.inspection import show as read
from actr_peer.state.mailbox.letterbox import ask
from actr_peer.state.mailbox.mailbox import Mailbox

app = typer.Typer(no_args_is_help=True)


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
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document.")]
Numbers = Annotated[list[int] | None, typer.Argument(help="Numbers, as 'list' shows them.")]
All = Annotated[bool, typer.Option("--all", help="Every dead letter.")]


@app.callback()
def _group() -> None:
    """Stored requests: list, show, replay and drop them."""


@app.command("list")
def list_(
    *,
    state: Annotated[Stored, typer.Option(help="Which requests.")] = Stored.DEAD,
    sender: Sender = "",
    route: Route = "",
    reason: Reason = "",
    request_id: RequestId = "",
    limit: Annotated[int, typer.Option(min=1, max=MAX_LISTED)] = 100,
    file: File = None,
    own: IdFlag = None,
    as_json: AsJson = False,
) -> None:
    """List stored requests, oldest first: dead letters, or another state."""
    which = Filter(sender=sender, route=route, reason=reason, request_id=request_id, limit=limit)
    letters = look(str(_file(file, own)), which, State[state.name])
    if as_json:
        print(json.dumps({"state": state.value, "letters": [_row(one) for one in letters]}))
        return
    table = Table("number", "caller", "method", "lane", "bytes", "tries", "died", "reason")
    for one in letters:
        tries = f"{one.attempts} ({one.crashes} crashed, {one.failures} failed)"
        cells = (one.sender, one.route_key, one.payload_type.name, str(one.size), tries)
        row = (one.sequence, *cells, _time(one.died_at), one.reason)
        table.add_row(*map(plain, row))
    console().print(table)


@app.command()
def show(
    number: Annotated[int, typer.Argument(help="As 'list' shows it.")],
    *,
    file: File = None,
    own: IdFlag = None,
    as_json: AsJson = False,
) -> None:
    """Show one stored request and its envelope."""
    letter = read(str(_file(file, own)), number)
    if letter is None:
        raise UnreachableError(f"request {number}", "the mailbox has none of that number")
    document = _row(letter) | {"body": _body(letter)}
    if as_json:
        print(json.dumps(document))
        return
    table = Table(show_header=False)
    for key, value in document.items():
        table.add_row(key, plain(value if isinstance(value, str) else json.dumps(value)))
    console().print(table)


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
    as_json: AsJson = False,
) -> None:
    """Queue dead letters again, under the ids they had; by number, by filter, or --all."""
    which = _chosen(numbers, sender, route, reason, request_id, every=every)
    _change("replay", _file(file, own), which, as_json=as_json)


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
    as_json: AsJson = False,
) -> None:
    """Delete dead letters for good; by number, by filter, or --all."""
    which = _chosen(numbers, sender, route, reason, request_id, every=every)
    _change("drop", _file(file, own), which, as_json=as_json)


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


def _file(path: Path | None, own: str | None) -> Path:
    """The mailbox's file: as given, else as configured."""
    if path is not None:
        return path
    configured = mailbox_path(load(flags={} if own is None else {"actor.id": own}).settings)
    if configured is None:
        raise ConfigError("mailbox.path is empty: this actor keeps its mailbox in memory")
    return configured


def _row(letter: Letter) -> dict[str, Any]:
    row = asdict(letter) | {
        "state": letter.state.name.lower(),
        "payload_type": letter.payload_type.name,
        "died_at": _time(letter.died_at),
    }
    del row["envelope"]
    return row


def _body(letter: Letter) -> dict[str, Any]:
    """The envelope's fields, or its bytes where it does not decode."""
    data = letter.envelope or b""
    try:
        envelope = decode_envelope(data)
    except PeerError as exc:
        return {"undecodable": str(exc), "base64": _base64(data)}
    error = envelope.error
    return {
        "request_id": envelope.request_id,
        "metadata": dict(envelope.metadata),
        "timeout_s": envelope.timeout,
        "error": str(error) if error is not None else None,
        "payload_base64": _base64(envelope.payload),
    }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds") if seconds else ""


def _text(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))
