"""Where ``actr dev`` shows things: lines for a pipe, JSON for a program; the base of all."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final, Self

from rich.text import Text

from actr_peer.cli.exits import printable
from actr_peer.cli.verbs.dev.shown.board import Board, Told
from actr_peer.cli.verbs.dev.shown.lines import Line

BAR: Final = "│"


class Screen:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None

    def begin(self, board: Board) -> None:
        """Learn what there is to show; it is looked at again with each :meth:`redraw`."""

    def redraw(self) -> None:
        """The board is other than it was."""

    def show(self, label: str, line: Line) -> None:
        """Show one line of a process's output."""

    def tell(self, told: Told) -> None:
        """Show what ``actr dev`` says itself."""


class Plain(Screen):
    """A line for everything, aligned, with the time and whose it is.

    Args:
        labels: All that there will be.
    """

    def __init__(self, labels: tuple[str, ...]) -> None:
        self._width = max(map(len, (*labels, "signaling")))

    def show(self, label: str, line: Line) -> None:
        for text in plain_texts(line):
            self._print(label, text)

    def tell(self, told: Told) -> None:
        level = "" if told.level == "info" else f"{told.level}: "
        for number, text in enumerate(told.text.splitlines()):
            self._print(told.who, f"{level}{printable(text)}" if number == 0 else printable(text))

    def _print(self, label: str, text: str) -> None:
        print(f"{clock()} {label:<{self._width}} {BAR} {text}".rstrip(), flush=True)


class Json(Screen):
    """A JSON document on a line of its own for everything."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}

    def begin(self, board: Board) -> None:
        self._ids = {row.named.label: str(row.named.id) for row in board.rows}

    def show(self, label: str, line: Line) -> None:
        document: dict[str, Any] = {"event": "log", "actor": self._ids.get(label, label)}
        document |= {"text": line.text, "level": line.level or None}
        document |= {"fields": dict(line.fields)} if line.fields else {}
        document |= {"exception": "\n".join(line.more)} if line.more else {}
        self._print(document)

    def tell(self, told: Told) -> None:
        level = {} if told.level == "info" else {"level": told.level}
        self._print({"event": told.event, **told.data, "text": told.text, **level})

    def _print(self, document: dict[str, Any]) -> None:
        print(json.dumps({"time": round(time.time(), 3), **document}), flush=True)


def clock() -> str:
    """What a person's watch says."""
    return time.strftime("%H:%M:%S")


def plain_texts(line: Line) -> Iterator[str]:
    """A line without colours, the words of a log first, then each line of its traceback."""
    if not line.level:
        yield printable(Text.from_ansi(line.text).plain)
        return
    level = "" if line.level in ("info", "debug") else f"{line.level}: "
    fields = "".join(f"  {key}={value}" for key, value in line.fields)
    first, *rest = f"{line.text}".splitlines() or [""]
    yield printable(f"{level}{first}{fields}")
    for text in (*rest, *line.more):
        yield printable(text)


def is_terminal() -> bool:
    return sys.stdout.isatty()
