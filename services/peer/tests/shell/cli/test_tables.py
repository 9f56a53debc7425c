"""Tables: folded where the terminal is narrow, whole in a pipe."""

from __future__ import annotations

import io

import pytest
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


def test_a_title_is_one_line_however_narrow_its_table_is_and_stands_alone_without_rows() -> None:
    title, out = "actors (this one is acme:room@1:default)", io.StringIO()
    wide = Console(file=out, width=80)
    wide.print(table(title, ("a",), [(1,)]), table(title, ("a",), []))
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    assert (lines[0], lines[-1], lines.count(title)) == (title, title, 2)


@pytest.mark.parametrize("said", ["[/nothing]", "[red]x[/red]", "[link=a]b", "\x1b[2J"])
def test_what_others_say_is_shown_and_never_acts(said: str) -> None:
    out = io.StringIO()
    made = table("actors", ("metadata",), [(said,)])
    Console(file=out, width=80, force_terminal=True, color_system=None).print(made)
    shown = said.replace("\x1b", "\\x1b")
    assert shown in out.getvalue()
    assert "\x1b[2J" not in out.getvalue()
