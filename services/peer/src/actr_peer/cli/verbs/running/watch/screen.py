"""How ``actr top`` shows its rows: a screen, plain lines, or JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Final

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from actr_peer.cli.tables import plain
from actr_peer.cli.verbs.running.watch.rates import Row

NUMBERS: Final = (
    "in/s", "out/s", "failed/s", "p50", "p99", "waiting", "dead", "streams", "links",
)  # fmt: skip
BAD: Final = frozenset({"failed/s", "dead"})
"""Columns in which anything but nothing wants a look."""
NOTHING: Final = frozenset({"0", "–"})


def table_of(rows: Sequence[Row], sort: str, *, is_live: bool = True) -> RenderableType:
    """One line for each actor, and above it what all of them are."""
    calls = sum(row.rates.calls_in for row in rows if row.rates is not None)
    actors = f"{len(rows)} actor{'' if len(rows) == 1 else 's'}"
    head = Text.assemble((actors, "bold"), f"   {_rate(calls)} calls/s   by {sort}   ")
    head.append(time.strftime("%H:%M:%S") + ("   Ctrl-C ends" if is_live else ""), style="dim")
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim")
    made.add_column("actor", overflow="fold", min_width=16)
    for name in NUMBERS:
        made.add_column(name, justify="right", no_wrap=True)
    made.add_column("wires", overflow="fold")
    for row in rows:
        cells = zip(NUMBERS, _numbers(row), strict=True)
        made.add_row(_name(row), *(_cell(name, cell) for name, cell in cells), _wires(row))
    return Group(head, made) if rows else Group(head, Text("nobody runs here now", style="dim"))


def document_of(rows: Sequence[Row]) -> str:
    """One look as a line of JSON."""
    return json.dumps({"time": round(time.time(), 3), "actors": [_document(row) for row in rows]})


def _document(row: Row) -> Mapping[str, object]:
    whole = asdict(row)
    rates = whole["rates"] or {}
    rounded = {key: value and round(value, 3) for key, value in rates.items()}
    return whole | {"rates": rounded or None, "wires": dict(row.wires)}


def _numbers(row: Row) -> tuple[str, ...]:
    told = row.rates
    rates: tuple[str, ...] = ("–",) * 5
    if told is not None:
        calls = (told.calls_in, told.calls_out, told.failed)
        rates = (*map(_rate, calls), _ms(told.p50_ms), _ms(told.p99_ms))
    return (*rates, str(row.depth), str(row.dead), str(row.streams), str(row.links))


def _name(row: Row) -> Text:
    is_on = row.signaling == "registered"
    dot = Text("● ", "green") if is_on else Text("○ ", "yellow")
    name = dot + plain(row.id)
    return name if is_on else name + Text(f" ({plain(row.signaling).plain})", "yellow")


def _cell(column: str, text: str) -> Text:
    if text in NOTHING:
        return Text(text, style="dim")
    return Text(text, style="bold red" if column in BAD else "")


def _wires(row: Row) -> Text:
    told = " ".join(f"{count} {kind}" for kind, count in sorted(row.wires.items(), reverse=True))
    return plain(told) if told else Text("none", style="dim")


def _rate(number: float) -> str:
    if not number:
        return "0"
    return f"{number:,.0f}" if number >= 10 else f"{number:.1f}"


def _ms(number: float | None) -> str:
    if number is None:
        return "–"
    return f"{number / 1000:.1f} s" if number >= 1000 else f"{number:.3g} ms"
