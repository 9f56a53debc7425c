"""What processes write, as lines to show."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_peer.cli.verbs.dev.shown.lines import (
    MAX_LINE_BYTES,
    MAX_VALUE_CHARACTERS,
    Line,
    Splitter,
    read_line,
)


def test_what_somebody_prints_is_shown_as_it_is() -> None:
    assert read_line("said hello") == Line(text="said hello")


@pytest.mark.parametrize("text", ["{", "{}", '{"event": 3}', "[1]", "{" * 100_000, '{"a": "b"}'])
def test_json_that_is_no_log_is_shown_as_it_is(text: str) -> None:
    assert read_line(text) == Line(text=text)


def test_a_log_in_json_becomes_words_fields_and_a_traceback() -> None:
    log = {
        "event": "handler failed",
        "level": "error",
        "timestamp": "2026-01-01T00:00:00Z",
        "route": "chat.Room.Say",
        "why": "two words",
        "exception": "Traceback\n  ValueError",
    }
    assert read_line(json.dumps(log)) == Line(
        text="handler failed",
        level="error",
        fields=(("route", "chat.Room.Say"), ("why", '"two words"')),
        more=("Traceback", "  ValueError"),
    )


def test_a_long_value_is_cut_and_says_so() -> None:
    line = read_line(json.dumps({"event": "x", "data": "a" * 10_000}))
    assert line.level == "info"
    assert len(line.fields[0][1]) == MAX_VALUE_CHARACTERS
    assert line.fields[0][1].endswith("…")


def split(*pieces: bytes) -> list[str]:
    splitter = Splitter()
    return [text for piece in pieces for text in splitter.feed(piece)] + list(splitter.end())


def test_lines_are_put_together_from_pieces() -> None:
    assert split(b"on", b"e\r\ntwo\n\nth", b"ree") == ["one", "two", "", "three"]


def test_bytes_that_are_no_text_do_not_stop_it() -> None:
    assert split(b"\xff\n") == ["�"]


@given(st.lists(st.binary(max_size=50), max_size=10))
def test_nothing_is_lost_however_it_comes(pieces: list[bytes]) -> None:
    assert split(*pieces) == split(b"".join(pieces))


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_line_without_an_end_takes_no_more_memory_than_its_bound(end: bytes) -> None:
    found = split(*[b"x" * 10_000] * 20, end)
    assert max(map(len, found)) <= MAX_LINE_BYTES
    assert "".join(found) == "x" * 200_000
