"""``actr dev`` on a terminal: lines of all actors side by side, and below them the living table."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from itertools import cycle
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from actr_peer.cli.exits import printable
from actr_peer.cli.verbs.dev.running.life import State
from actr_peer.cli.verbs.dev.shown.board import Board, Row, Told, Wires
from actr_peer.cli.verbs.dev.shown.lines import Line
from actr_peer.cli.verbs.dev.shown.screen import BAR, Screen, clock, plain_texts

COLOURS: Final = ("cyan", "magenta", "green", "yellow", "blue", "bright_red")
INTERVAL: Final = 0.05
"""Seconds between two writes: what comes meanwhile is written at once."""
MAX_PENDING: Final = 500
"""Lines that wait for a write."""
MAX_WIRES: Final = 6
MAX_VISITORS: Final = 6
_DOTS: Final = {
    State.STARTING: ("◐", "yellow"),
    State.ONLINE: ("●", "green"),
    State.ENDING: ("◐", "yellow"),
    State.WAITING: ("○", "red"),
    State.RESTING: ("○", "red"),
}
_LEVELS: Final = {"warning": "yellow", "error": "red", "critical": "bold red", "debug": "dim"}


class Terminal(Screen):
    """The lines scroll, the table stays below them.

    Args:
        labels: All that there will be.
    """

    def __init__(self, labels: tuple[str, ...], console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        colours = cycle(COLOURS)
        self._colours = {"dev": "bold", "signaling": "dim"} | {
            label: next(colours) for label in labels
        }
        self._width = max(map(len, self._colours))
        self._board: Board | None = None
        self._pending: list[tuple[str, str, Text]] = []
        """Time, label and words of lines to write."""
        self._timer: asyncio.TimerHandle | None = None
        self._live = Live(
            "", console=self._console, auto_refresh=False, transient=True, redirect_stdout=False
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._flush()
        with suppress(OSError):  # the terminal may be what went away
            self._live.stop()

    def begin(self, board: Board) -> None:
        self._board = board
        self.redraw()

    def redraw(self) -> None:
        # Outside of the loop, as what is logged at the very end, it waits for the last write.
        with suppress(RuntimeError):
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(INTERVAL, self._flush)

    def show(self, label: str, line: Line) -> None:
        for text in self._words(line):
            self._add(label, text)

    def tell(self, told: Told) -> None:
        if told.is_in_table:
            return
        style = _LEVELS.get(told.level, "dim" if told.who == "dev" else "")
        for text in told.text.splitlines():
            self._add(told.who, Text(printable(text), style=style))

    def _add(self, label: str, text: Text) -> None:
        self._pending.append((clock(), label, text))
        if len(self._pending) >= MAX_PENDING:
            self._flush()
        else:
            self.redraw()

    def _words(self, line: Line) -> Iterator[Text]:
        if not line.level:
            coloured = Text.from_ansi(line.text)
            yield coloured if coloured.plain.isprintable() else Text(printable(coloured.plain))
            return
        style = _LEVELS.get(line.level, "")
        first, *more = plain_texts(line)
        fields = "".join(f"  {key}={value}" for key, value in line.fields)
        text = Text(first, style=style)
        if fields and first.endswith(printable(fields)):
            text.stylize("dim", len(first) - len(printable(fields)))
        yield text
        for rest in more:
            yield Text(rest, style="dim")

    def _flush(self) -> None:
        """Write what has come, and the table as it is now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        pending, self._pending = self._pending, []
        # One write for both; that the terminal went away is told by a signal.
        with suppress(OSError), self._console:
            if pending:
                self._console.print(self._lines(pending))
            self._live.update(self._table(), refresh=True)

    def _lines(self, pending: list[tuple[str, str, Text]]) -> RenderableType:
        grid = Table.grid(padding=(0, 1))
        grid.add_column(no_wrap=True, width=8)
        grid.add_column(no_wrap=True, width=self._width)
        grid.add_column(no_wrap=True, width=1)
        grid.add_column(overflow="fold", ratio=1)
        for time, label, text in pending:
            colour = self._colours.get(label, "")
            bar = Text(BAR, colour)
            grid.add_row(Text(time, style="dim"), Text(label, style=colour), bar, text)
        return grid

    # The table

    def _table(self) -> RenderableType:
        board = self._board
        if board is None:
            return ""
        labels = {str(row.named.id): row.named.label for row in board.rows}
        grid = Table.grid(padding=(0, 2))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        grid.add_column(overflow="fold")
        grid.add_column(overflow="fold")
        for row in board.rows:
            grid.add_row(*self._cells(row, labels))
        for visitor in self._visitors(board):
            grid.add_row(*visitor)
        foot = Text(f"signaling {board.signaling}   Ctrl-C ends all", style="dim")
        return Group("", grid, foot)

    def _cells(self, row: Row, labels: dict[str, str]) -> tuple[Text, ...]:
        dot, colour = _DOTS[row.state]
        label = row.named.label
        name = Text.assemble((dot, colour), " ", (label, self._colours[label]))
        state = "crashed, starts again" if row.state is State.RESTING else row.state.value
        if row.waiting:
            state += f", {row.waiting} waiting"
        if row.dead:
            state += f", {row.dead} dead letter{'s' if row.dead > 1 else ''}"
        wires = Text("\n").join(self._wires(row, labels))
        return name, Text(str(row.named.id)), Text(state, style=colour), wires

    def _wires(self, row: Row, labels: dict[str, str]) -> Iterator[Text]:
        shown = list(row.wires.values())
        for wires in shown[:MAX_WIRES]:
            yield self._wire(wires, labels)
        if (more := len(shown) - MAX_WIRES) > 0:
            yield Text(f"and {more} more", style="dim")

    def _wire(self, wires: Wires, labels: dict[str, str]) -> Text:
        label = labels.get(wires.remote)
        name = Text(label or printable(wires.remote), style=self._colours.get(label or "", ""))
        return Text.assemble("⇄ ", name, " ", (wires.text, "dim" if wires.active else "red"))

    def _visitors(self, board: Board) -> Iterator[tuple[Text, ...]]:
        """Others: their ids stand below those of the workloads."""
        shown = sorted(board.visitors)
        for actor in shown[:MAX_VISITORS]:
            yield Text("●", style="dim"), Text(printable(actor)), Text("visits", style="dim")
        if len(shown) > MAX_VISITORS:
            yield Text(""), Text(f"and {len(shown) - MAX_VISITORS} more online", style="dim")
