"""The page's processes: all there when it is told, and none when one of them has ended."""

from __future__ import annotations

import asyncio
import os
import signal
import urllib.request
from pathlib import Path

import psutil
import pytest

from actr_peer.cli.demo.page.show import open_page, show_page
from actr_peer.cli.demo.report import Event
from actr_peer.errors import BrokenError

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.timeout(180)]


def children(word: str) -> list[int]:
    """Processes of this one whose command line has the word."""
    return [
        child.pid
        for child in psutil.Process().children()
        if any(word in part for part in child.cmdline())
    ]


async def test_a_process_that_ends_is_named_and_takes_the_others_with_it(tmp_path: Path) -> None:
    seen: list[str] = []
    told: asyncio.Queue[str] = asyncio.Queue()

    def show(name: str, event: Event) -> None:
        seen.append(name)

    async def kill() -> None:
        address = await told.get()
        with await asyncio.to_thread(urllib.request.urlopen, address) as page:
            assert b"<title>actr demo</title>" in page.read()
        [stage] = children("demo.page.actor")
        os.kill(stage, signal.SIGKILL)

    killing = asyncio.ensure_future(kill())
    with pytest.raises(BrokenError, match="the stage was killed by SIGKILL"):
        await show_page(tmp_path, show, told.put_nowait)
    await killing
    assert seen == ["signaling", "stage", "site"]
    assert children("demo.page") == children("actr_signaling") == []


def test_without_a_screen_nothing_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda address: not opened.append(address))
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert not open_page("http://127.0.0.1:1/")
    monkeypatch.setenv("DISPLAY", ":0")
    assert open_page("http://127.0.0.1:1/")
    assert opened == ["http://127.0.0.1:1/"]
