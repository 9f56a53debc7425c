"""Log lines: one form for ours and those of libraries; nothing of others looks like ours."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest
import structlog

from actr_peer.node.config.settings import Log
from actr_peer.node.process.logs import configure_logs, log_warnings


@pytest.fixture
def _restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


@pytest.mark.usefixtures("_restored_logging")
def test_logs_of_ours_and_of_libraries_are_json_lines_on_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logs(Log(format="json"))
    structlog.get_logger("actr").info("link ready", dest="acme:room@2:default")
    logging.getLogger("elsewhere").warning("line %s", 1)
    captured = capsys.readouterr()
    lines = [json.loads(line) for line in captured.err.splitlines()]
    assert captured.out == ""
    assert [(line["event"], line["level"]) for line in lines] == [
        ("link ready", "info"),
        ("line 1", "warning"),
    ]
    assert lines[0]["dest"] == "acme:room@2:default"


@pytest.mark.usefixtures("_restored_logging")
def test_what_others_said_moves_no_cursor_and_looks_like_no_line_of_ours(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logs(Log(format="console"), {"NO_COLOR": "1"})
    said = "gone \x1b[2J\x9b\u202e é\nactor ready: id=acme:room@1:default"
    logging.getLogger("x").warning("turned away: cause=%s", said)
    try:
        raise ValueError(said)
    except ValueError:
        logging.getLogger("x").exception("failed")
    told = capsys.readouterr().err
    assert "gone \\x1b[2J\\x9b\\u202e é\n    actor ready" in told
    assert all(each.isprintable() for line in told.splitlines() for each in line)
    assert "\n    Traceback (most recent call last):\n" in told
    assert not any(line.startswith("actor ready") for line in told.splitlines())


@pytest.mark.usefixtures("_restored_logging")
def test_a_program_that_only_calls_tells_its_warnings_in_the_same_form(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log_warnings(Log(format="json"))
    logging.getLogger("x").info("nobody reads this")
    logging.getLogger("aiortc").warning("a wire %s", "broke")
    (line,) = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    assert (told["event"], told["level"]) == ("a wire broke", "warning")


def test_what_writes_log_lines_is_not_loaded_by_who_writes_none() -> None:
    """Seen from a process of its own: this one has it."""
    program = (
        "import sys\n"
        "import actr_peer.cli.verbs.call\n"
        "from actr_peer.node.config.settings import Log\n"
        "from actr_peer.node.process.logs import log_warnings\n"
        "log_warnings(Log())\n"
        "print([name for name in ('structlog', 'pygments') if name in sys.modules])\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == "[]"
