from __future__ import annotations

import pytest

from actr_peer import FileProgress
from actr_peer.cli.verbs.files.send import Bar


def test_a_name_cannot_command_the_terminal_that_shows_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    with Bar("[bold]a\x1b[2Jb") as told:
        told(FileProgress(name="x", done_bytes=1, total_bytes=2))
    shown = capsys.readouterr().err
    assert r"[bold]a\x1b[2Jb" in shown
    assert "\x1b[2J" not in shown
