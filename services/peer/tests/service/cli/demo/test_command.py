"""``actr demo`` from outside: three processes, five payload types, and nothing left."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import psutil
import pytest

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.timeout(180)]

BYTE_TYPES = ["RPC_RELIABLE", "RPC_SIGNAL", "STREAM_RELIABLE", "STREAM_LATENCY_FIRST"]


class Demo:
    """One run, whose processes are known by a mark in their environment."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mark = uuid.uuid4().hex

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "actr_peer", "demo", "--json", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self._folder,
            env={**os.environ, "DEMO_MARK": self._mark},
            # A shell's background job, as the tests may be, ignores Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def run(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        """Run to the end; the exit status and the document."""
        with self.start(*arguments) as process:
            out, errors = process.communicate(timeout=150)
        sys.stdout.write(errors)
        return process.returncode, json.loads(out)

    def processes(self, name: str = "") -> list[psutil.Process]:
        """Those that run with the mark."""
        found = []
        for process in psutil.process_iter():
            try:
                is_ours = process.environ().get("DEMO_MARK") == self._mark
                if is_ours and name in " ".join(process.cmdline()):
                    found.append(process)
            except psutil.Error:
                continue
        return found


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    run = Demo(tmp_path)
    yield run
    left = run.processes()
    for process in left:
        process.kill()
    assert left == []


def by_type(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["payload_type"]: row for row in document["rows"]}


def read_until(stream: IO[str], pattern: str) -> str:
    """The first line that matches."""
    for line in stream:
        sys.stdout.write(line)
        if re.search(pattern, line):
            return line
    raise AssertionError(f"it ended before {pattern!r}")


def test_five_payload_types_pass_between_two_processes(demo: Demo) -> None:
    status, document = demo.run("--size", "small")
    rows = by_type(document)
    assert (status, document["ok"], document["problem"]) == (0, True, None)
    assert list(rows) == [
        "RPC_RELIABLE",
        "RPC_SIGNAL",
        "STREAM_RELIABLE",
        "STREAM_LATENCY_FIRST",
        "MEDIA_RTP",
    ]
    for row in rows.values():
        assert row["ok"], row
        assert row["messages"] > 0
        assert 0 < row["p50_ms"] <= row["p99_ms"]
        assert row["wire"] == "webrtc"
    assert set(document["peak_memory_bytes"]) == {"room", "caller"}


def test_a_file_of_the_user_arrives_with_an_equal_hash(demo: Demo, tmp_path: Path) -> None:
    path = tmp_path / "notes.bin"
    path.write_bytes(os.urandom(3_000_001))
    status, document = demo.run("--size", "small", "--wire", "websocket", "--file", str(path))
    row = by_type(document)["STREAM_RELIABLE"]
    assert (status, row["bytes"]) == (0, 3_000_001)
    assert row["result"].startswith("SHA-256 equal")


def test_without_webrtc_the_byte_types_pass_and_media_says_what_it_needs(demo: Demo) -> None:
    status, document = demo.run("--size", "small", "--wire", "websocket")
    rows = by_type(document)
    assert (status, document["ok"]) == (0, True)
    assert [rows[name]["wire"] for name in BYTE_TYPES] == ["websocket"] * 4
    assert rows["MEDIA_RTP"]["ok"]
    assert rows["MEDIA_RTP"]["result"].startswith("needs WebRTC")


def test_a_room_that_is_killed_ends_the_demo_with_a_clear_report(
    demo: Demo, tmp_path: Path
) -> None:
    """
    1. The caller uploads a file that takes a while.
    2. The room is killed in the middle.
    3. The caller gets a typed error; the demo says what happened and ends with 1.
    """
    path = tmp_path / "large.bin"
    with path.open("wb") as file:
        file.truncate(2_000_000_000)
    with demo.start("--size", "small", "--wire", "websocket", "--file", str(path)) as process:
        assert process.stderr is not None
        read_until(process.stderr, "RPC_SIGNAL .*ok")
        (room,) = demo.processes("demo.room")
        room.kill()
        out, _ = process.communicate(timeout=100)
    document = json.loads(out)
    rows = by_type(document)
    assert (process.returncode, document["ok"]) == (1, False)
    assert "the room was killed by SIGKILL" in document["problem"]
    assert re.match(
        "(BrokenError|UnreachableError|DeadlineError): ", rows["STREAM_RELIABLE"]["result"]
    )
    assert rows["RPC_SIGNAL"]["ok"]
    assert not rows["MEDIA_RTP"]["ok"]


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -signal.SIGKILL)],
    ids=["Ctrl-C", "SIGTERM", "SIGKILL"],
)
def test_nothing_is_left_when_the_demo_is_interrupted(
    demo: Demo, number: signal.Signals, status: int
) -> None:
    with demo.start("--size", "large", "--wire", "websocket") as process:
        assert process.stderr is not None
        read_until(process.stderr, "caller .*is ready")
        children = [os.pidfd_open(child.pid) for child in demo.processes("-m actr_")]
        process.send_signal(number)
        assert process.wait(timeout=60) == status
    left = set(children)
    while left:
        ended, _, _ = select.select(left, [], [], 30)
        assert ended, "a process outlived the demo"
        left -= set(ended)
    for descriptor in children:
        os.close(descriptor)


@pytest.mark.parametrize(
    ("name", "why"), [("nowhere.mp4", "there is no such file"), (".", "it is a folder")]
)
def test_a_file_that_cannot_be_sent_is_named_at_once(tmp_path: Path, name: str, why: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "actr_peer", "demo", "--file", name],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert f"--file '{name}': {why}; give the path of a file to send" in ended.stderr


def test_the_page_is_served_until_it_is_interrupted(demo: Demo) -> None:
    with demo.start("--browser", "--no-open") as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/#[\w-]{32}", ready["url"])
        assert len(demo.processes("demo.page")) == 2
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert demo.processes() == []
