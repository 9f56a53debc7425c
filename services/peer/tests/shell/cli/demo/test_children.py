"""Processes that end with their block and with their parent."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from actr_peer.cli.demo.children import Child, child
from actr_peer.cli.demo.report import Event, Finished, Ready
from actr_peer.errors import RemoteProtocolError

READY = 'print(\'{"event": "ready", "id": "x"}\', flush=True)'
FOREVER = "import signal; signal.alarm(100); signal.pause()"  # also where nobody ends it

Start = Callable[..., AbstractAsyncContextManager[Child]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    def run(code: str) -> AbstractAsyncContextManager[Child]:
        command = (sys.executable, "-c", code)
        return child("x", command, environment=dict(os.environ), log=tmp_path / "x.log")

    return run


@pytest.fixture(autouse=True)
async def _bounded() -> AsyncIterator[None]:
    async with asyncio.timeout(60):
        yield


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def first(running: Child) -> Event:
    return await anext(running.events())


async def test_events_come_as_they_are_written_and_end_with_the_process(start: Start) -> None:
    code = f'{READY}; print(\'{{"event": "finished"}}\')'
    async with start(code) as running:
        assert [event async for event in running.events()] == [Ready(id="x"), Finished()]
        assert await running.ended() == "ended with status 0"


async def test_a_line_that_is_no_event_is_the_childs_fault(start: Start) -> None:
    async with start("print('hello')") as running:
        with pytest.raises(RemoteProtocolError, match="x wrote 'hello'"):
            await first(running)


async def test_leaving_the_block_ends_the_process(start: Start) -> None:
    async with start(f"{READY}; {FOREVER}") as running:
        await first(running)
    assert not is_running(running.pid)
    assert await running.ended() == "was killed by SIGTERM"


async def test_cancelling_the_block_ends_the_process(start: Start) -> None:
    pids: asyncio.Queue[int] = asyncio.Queue()

    async def block() -> None:
        async with start(f"{READY}; {FOREVER}") as running:
            await first(running)
            pids.put_nowait(running.pid)
            await asyncio.Event().wait()

    task = asyncio.create_task(block())
    pid = await pids.get()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not is_running(pid)


async def test_a_process_that_ignores_sigterm_is_killed(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actr_peer.cli.demo.children.STOP_TIMEOUT", 0.1)
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    async with start(f"{deaf}; {READY}; signal.pause()") as running:
        await first(running)
    assert await running.ended() == "was killed by SIGKILL"


async def test_what_it_wrote_on_standard_error_is_kept(start: Start) -> None:
    async with start("raise SystemExit('no luck')") as running:
        assert await running.ended() == "ended with status 1"
    assert running.last_lines() == "no luck"


@pytest.mark.skipif(sys.platform != "linux", reason="asks the Linux kernel")
async def test_peak_memory_is_that_of_the_program_not_of_the_parent(start: Start) -> None:
    async with start(f"{READY}; {FOREVER}") as running:
        await first(running)
        peak = running.peak_memory()
    assert peak is not None
    assert 1_000_000 < peak < 60_000_000


PARENT = """
import asyncio, os, signal, sys
from pathlib import Path
from actr_peer.cli.demo.children import child

async def main():
    code = "import os, signal; print(os.getpid(), flush=True); signal.pause()"
    environment = dict(os.environ)
    async with child(
        "x", (sys.executable, "-c", code), environment=environment, log=Path(sys.argv[1])
    ) as running:
        print((await running.output.readline()).decode(), end="", flush=True)
        await asyncio.Event().wait()

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a background job
asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks the Linux kernel")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["SIGKILL", "Ctrl-C"])
def test_the_death_of_the_parent_ends_the_process(tmp_path: Path, number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "log")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        orphan = os.pidfd_open(int(parent.stdout.readline()))
        parent.send_signal(number)
        readable, _, _ = select.select([orphan], [], [], 20)
        parent.kill()
    os.close(orphan)
    assert readable, "the process outlived its parent"


async def test_both_outputs_may_go_to_a_descriptor_that_somebody_else_reads() -> None:
    reading, writing = os.pipe()
    code = "import os; os.write(1, b'one '); os.write(2, b'two')"
    try:
        async with child(
            "x", (sys.executable, "-c", code), environment=dict(os.environ), log=writing
        ) as running:
            assert await running.status() == 0
        assert running.last_lines() == ""
        assert os.read(reading, 100) == b"one two"
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.skipif(sys.platform != "linux", reason="asks the Linux kernel")
async def test_what_it_has_left_behind_ends_with_the_block(tmp_path: Path) -> None:
    code = f"""
import os, subprocess, sys
left = subprocess.Popen([sys.executable, "-c", {FOREVER!r}])
os.write(1, str(left.pid).encode())
os._exit(3)
"""
    reading, writing = os.pipe()
    try:
        async with child(
            "x", (sys.executable, "-c", code), environment=dict(os.environ), log=writing
        ) as running:
            assert await running.status() == 3, "although another holds its output"
            orphan = os.pidfd_open(int(os.read(reading, 100)))
        assert select.select([orphan], [], [], 20)[0]
        os.close(orphan)
    finally:
        os.close(reading)
        os.close(writing)
