"""``actr top``: the actors of this machine, and what they do, as it changes."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum
from typing import Annotated, Final

import typer
from rich.live import Live

from actr_peer.cli.options import AsLines
from actr_peer.cli.tables import console
from actr_peer.cli.verbs.running.ps import statuses
from actr_peer.cli.verbs.running.watch.rates import Row, Status, row_of
from actr_peer.cli.verbs.running.watch.screen import document_of, table_of
from actr_peer.errors import UnreachableError
from actr_peer.node.config.loading import load
from actr_peer.protocol.identity import ActrId

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Sort(StrEnum):
    """By what rows are ordered, the most first."""

    CALLS = "calls"
    FAILED = "failed"
    P99 = "p99"
    WAITING = "waiting"
    STREAMS = "streams"
    LINKS = "links"
    ID = "id"


_KEYS: Final[Mapping[Sort, Callable[[Row], float]]] = {
    Sort.CALLS: lambda row: row.rates.calls_in + row.rates.calls_out if row.rates else 0,
    Sort.FAILED: lambda row: row.rates.failed if row.rates else 0,
    Sort.P99: lambda row: (row.rates.p99_ms or 0) if row.rates else 0,
    Sort.WAITING: lambda row: row.depth,
    Sort.STREAMS: lambda row: row.streams,
    Sort.LINKS: lambda row: row.links,
    Sort.ID: lambda _: 0,
}


def top(
    actors: Annotated[
        list[str] | None,
        typer.Argument(metavar="ACTOR", help="Only these, as acme:room@2:default; else all."),
    ] = None,
    *,
    every: Annotated[float, typer.Option(min=0.2, max=3600, help="Seconds between looks.")] = 1.0,
    sort: Annotated[Sort, typer.Option(help="By what the rows are ordered.")] = Sort.CALLS,
    is_once: Annotated[bool, typer.Option("--once", help="Show one look, and end.")] = False,
    is_json: AsLines = False,
) -> None:
    """Show what the actors of this machine do, again and again, until Ctrl-C; no configuration is
    needed. Rates are of the time between two looks, so the first ones take that long."""
    wanted = frozenset(ActrId.read(actor).text for actor in actors or ())
    is_live = not is_json and not is_once and sys.stdout.isatty()
    with _ending() as ended:
        looks = _looks(wanted, every, ended)
        if is_live:
            with Live(console=console(), auto_refresh=False) as live:
                for rows in looks:
                    live.update(table_of(ordered(rows, sort), sort.value), refresh=True)
            return
        next(looks, None)  # there are no rates in it
        for rows in looks:
            found = ordered(rows, sort)
            if is_json:
                print(document_of(found), flush=True)
            else:
                console().print(table_of(found, sort.value, is_live=False))
            if is_once:
                return


def ordered(rows: Iterable[Row], sort: Sort) -> list[Row]:
    """The most first; those that are alike by id."""
    return sorted(rows, key=lambda row: (-_KEYS[sort](row), row.id))


def _looks(wanted: frozenset[str], every: float, ended: threading.Event) -> Iterator[Sequence[Row]]:
    """What is there at once, and again after each interval, until it is to end.

    Raises:
        UnreachableError: If there is nothing at the beginning.
    """
    loaded = load(None, {})
    before: Mapping[str, Status] = {}
    looked = time.monotonic()
    is_first = True
    while not ended.is_set():
        told = {str(status["id"]): status for status in statuses(loaded)}
        now = {actor: told[actor] for actor in told if not wanted or actor in wanted}
        at = time.monotonic()
        if is_first and not now:
            named = ", ".join(sorted(wanted))
            why = f"{named} does not run here" if named else "nobody runs here"
            raise UnreachableError("the actors of this machine", why)
        yield list(_rows(now, before, at - looked))
        before, looked, is_first = now, at, False
        ended.wait(every)


def _rows(now: Mapping[str, Status], before: Mapping[str, Status], seconds: float) -> Iterator[Row]:
    for actor, status in now.items():
        with suppress(LookupError, TypeError, ValueError):  # of another version
            yield row_of(status, before.get(actor), seconds)


@contextmanager
def _ending() -> Iterator[threading.Event]:
    """A block in which a signal ends what goes on, in good order."""
    ended = threading.Event()
    former = {number: signal.signal(number, lambda *_: ended.set()) for number in SIGNALS}
    try:
        yield ended
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
