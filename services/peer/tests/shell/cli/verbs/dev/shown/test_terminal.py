"""The table below the lines, as a terminal gets it."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from actr_peer.cli.verbs.dev.named import read_workloads
from actr_peer.cli.verbs.dev.running.life import State
from actr_peer.cli.verbs.dev.shown.board import Board, Told
from actr_peer.cli.verbs.dev.shown.lines import Line
from actr_peer.cli.verbs.dev.shown.terminal import MAX_PENDING, MAX_VISITORS, Terminal

CALLER = "actr:caller@1:default"


@pytest.fixture
def console() -> Console:
    return Console(
        file=io.StringIO(),
        force_terminal=True,
        width=140,
        height=40,
        color_system=None,
        highlight=False,
    )


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.fixture
def board() -> Board:
    found = Board(read_workloads(["room:Room", "desk:Desk"], "default"))
    found.signaling = "ws://127.0.0.1:8080/v1/ws"
    room, desk = found.rows
    room.state, room.pid = State.ONLINE, 71
    wire = {"remote": CALLER, "kind": "webrtc", "state": "ready", "rtt_ms": 0.5, "active": True}
    wires = [wire, {**wire, "remote": str(desk.named.id)}]
    room.take({"files": [], "waiting": 3, "dead": 1, "wires": wires})
    desk.state = State.WAITING
    found.visitors = {f"demo:caller@{number}:default" for number in range(MAX_VISITORS + 2)}
    return found


async def test_the_table_says_who_is_online_and_by_which_wires(
    console: Console, board: Board
) -> None:
    with Terminal(("room", "desk"), console) as screen:
        screen.begin(board)
    lines = [line.strip() for line in written(console).splitlines()]
    rows = [" ".join(line.split()) for line in lines if line]
    assert any(
        row.endswith(f"online, 3 waiting, 1 dead letter ⇄ {CALLER} webrtc 0.5 ms") for row in rows
    )
    assert any(row.endswith("⇄ desk webrtc 0.5 ms") for row in rows), "one of ours by its label"
    assert any("○ desk dev:desk@1:default waiting for a change" in row for row in rows)
    assert "and 2 more online" in rows
    assert any("ws://127.0.0.1:8080/v1/ws Ctrl-C ends all" in row for row in rows)


async def test_lines_stand_above_the_table_with_their_time_and_label(
    console: Console, board: Board
) -> None:
    with Terminal(("room", "desk"), console) as screen:
        screen.begin(board)
        screen.show("room", Line(text="said \x1b[31mhello\x1b[0m"))
        screen.show("desk", Line(text="it failed", level="error", more=("Traceback",)))
        screen.tell(Told(event="state", text="online as dev:room@1:default", who="room"))
        screen.tell(Told(event="wire", text="only in the table", who="room", is_in_table=True))
    text = written(console)
    assert "room      │ said hello" in text
    assert "desk      │ error: it failed" in text
    assert "desk      │ Traceback" in text
    assert "room      │ online as dev:room@1:default" in text
    assert "only in the table" not in text


async def test_a_flood_of_lines_is_written_and_not_kept(console: Console, board: Board) -> None:
    with Terminal(("room", "desk"), console) as screen:
        screen.begin(board)
        for number in range(MAX_PENDING + 1):
            screen.show("room", Line(text=f"line {number}."))
        assert "line 0." in written(console), "before the loop had a turn"
    assert f"line {MAX_PENDING}." in written(console)


async def test_what_a_process_prints_moves_no_cursor_and_is_no_markup(
    console: Console, board: Board
) -> None:
    with Terminal(("room", "desk"), console) as screen:
        screen.begin(board)
        screen.show("room", Line(text="[red]x[/nothing] \x1b[2Jy\x08"))
    assert "[red]x[/nothing] y" in written(console)
    assert "\x1b[2Jy" not in written(console)


def test_what_is_logged_when_the_loop_is_gone_is_written_at_the_end(
    console: Console, board: Board
) -> None:
    with Terminal(("room", "desk"), console) as screen:
        screen.begin(board)
        screen.show("dev", Line(text="the last word", level="error"))
    assert "the last word" in written(console)
