from __future__ import annotations

import logging

import pytest
import structlog

from actr_signaling.logs import LINES_BURST, LINES_PER_SECOND, Gate, plain


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_lines_of_one_kind_pass_at_a_rate_and_say_what_was_left_out() -> None:
    clock = Clock()
    gate = Gate(clock)
    passed = [gate.passes("refused") for _ in range(1_000)]
    assert passed.count(0) == LINES_BURST
    assert passed.count(None) == 1_000 - LINES_BURST
    assert gate.passes("something else") == 0
    clock.now = 1 / LINES_PER_SECOND
    assert gate.passes("refused") == 1_000 - LINES_BURST
    assert gate.passes("refused") is None


def test_kinds_are_bounded() -> None:
    gate = Gate(Clock())
    for number in range(10_000):
        gate.passes(f"kind {number}")
    assert len(gate._kinds) <= 256


def test_both_kinds_of_loggers_go_through_it() -> None:
    clock = Clock()
    gate = Gate(clock)
    record = logging.LogRecord("uvicorn.error", logging.WARNING, "", 0, "Invalid", (), None)
    for _ in range(int(LINES_BURST)):
        assert gate.processor(None, "info", {"event": "x"}) == {"event": "x"}
        assert gate.filter(record)
    with pytest.raises(structlog.DropEvent):
        gate.processor(None, "info", {"event": "x"})
    assert not gate.filter(record)
    clock.now = 1.0
    assert gate.processor(None, "info", {"event": "x"}) == {"event": "x", "left_out": 1}
    assert gate.filter(record)
    assert record.getMessage() == "Invalid (left out before: 1)"


def test_what_clients_said_moves_no_cursor_and_looks_like_no_line_of_ours() -> None:
    said = "ann\x1b[2J\x9b\u202e\n2026-01-01 [info] drained"
    raised = f"Traceback:\nValueError: {said}"
    event = {"event": said, "peer": said, "count": 3, "plain": "é", "exception": raised}
    shown = plain(None, "info", event)
    assert shown["event"] == shown["peer"] == "ann\\x1b[2J\\x9b\\u202e\\n2026-01-01 [info] drained"
    assert (shown["count"], shown["plain"]) == (3, "é")
    lines = str(shown["exception"]).split("\n")
    assert all(line.startswith("    ") and line.isprintable() for line in lines)
