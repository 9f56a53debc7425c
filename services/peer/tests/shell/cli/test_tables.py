"""Tables: folded where the terminal is narrow, whole in a pipe."""

from __future__ import annotations

import io

from rich.console import Console

from actr_peer.cli.tables import PIPE_COLUMNS, console, table

ACTOR = "acme:" + "r" * 63 + "@1:default"


def test_in_a_pipe_nothing_is_cut() -> None:
    assert console().width == PIPE_COLUMNS


def test_on_a_narrow_terminal_a_cell_goes_on_in_the_next_line() -> None:
    out = io.StringIO()
    Console(file=out, width=40).print(table("actors", ("actor", "waiting"), [(ACTOR, 1)]))
    shown = "".join(
        line.split("│")[1].strip() for line in out.getvalue().splitlines() if "│" in line
    )
    assert shown == ACTOR
