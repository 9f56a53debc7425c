"""Tables of all verbs: as wide as the terminal; in a pipe, as wide as what they hold."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from actr_peer.cli.exits import printable

PIPE_COLUMNS: Final = 4096
"""Where the output is no terminal: nothing is cut, for a program reads it."""


def console() -> Console:
    return Console(width=None if sys.stdout.isatty() else PIPE_COLUMNS, soft_wrap=False)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> RenderableType:
    """A title, and a table whose cells are folded, never cut, where the terminal is too narrow.

    Without rows there is the title alone.
    """
    head = Text(printable(title), style="italic")
    made = Table(*(Column(name, overflow="fold") for name in columns))
    for row in rows:
        made.add_row(*map(plain, row))
    return Group(head, made) if made.row_count else head


def plain(cell: object) -> Text:
    """A cell as it is: much of it is said by others, and none of that is markup, or moves the
    cursor."""
    return Text(printable(str(cell)))
