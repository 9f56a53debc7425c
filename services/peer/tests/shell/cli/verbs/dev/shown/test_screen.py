"""Lines for a pipe, and JSON for a program."""

from __future__ import annotations

import json

import pytest

from actr_peer.cli.verbs.dev.named import read_workloads
from actr_peer.cli.verbs.dev.shown.board import Board, Told
from actr_peer.cli.verbs.dev.shown.lines import Line
from actr_peer.cli.verbs.dev.shown.screen import Json, Plain

LOG = Line(text="it failed", level="error", fields=(("a", "b"),), more=("Traceback",))


def test_lines_of_a_pipe_are_aligned_and_say_whose_they_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    screen = Plain(("room",))
    screen.show("room", Line(text="\x1b[31mred\x1b[0m\u202e"))
    screen.show("room", LOG)
    screen.tell(Told(event="wire", text="wire to x: webrtc", who="room", is_in_table=True))
    screen.tell(Told(event="refused", text="one\ntwo", level="error"))
    lines = [line.split(maxsplit=1)[1] for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        r"room      │ red\u202e",
        "room      │ error: it failed  a=b",
        "room      │ Traceback",
        "room      │ wire to x: webrtc",
        "dev       │ error: one",
        "dev       │ two",
    ]


def test_a_program_gets_a_document_for_each_line_with_the_whole_id(
    capsys: pytest.CaptureFixture[str],
) -> None:
    screen = Json()
    screen.begin(Board(read_workloads(["room:Room"], "default")))
    screen.show("room", LOG)
    screen.show("room", Line(text="printed"))
    screen.tell(Told(event="state", text="online", data={"actor": "dev:room@1:default"}))
    log, printed, state = map(json.loads, capsys.readouterr().out.splitlines())
    assert log.pop("time") > 0
    assert log == {
        "event": "log",
        "actor": "dev:room@1:default",
        "text": "it failed",
        "level": "error",
        "fields": {"a": "b"},
        "exception": "Traceback",
    }
    assert (printed["text"], printed["level"]) == ("printed", None)
    assert (state["event"], state["actor"]) == ("state", "dev:room@1:default")
