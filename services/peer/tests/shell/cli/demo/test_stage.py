"""The parent of the demo, with stand-ins for the three processes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actr_peer.cli.demo import stage
from actr_peer.cli.demo.report import (
    Event,
    Finished,
    MediaSeen,
    MediaSent,
    Plan,
    Progress,
    Ready,
    Report,
    RowDone,
    make_plan,
    not_run,
)
from actr_peer.cli.demo.stage import ROOM_ID, Stage
from actr_peer.errors import BrokenError
from actr_peer.protocol.payload import PayloadType

READY = Ready(id="x", url="ws://127.0.0.1:1/v1/ws")
BYTE_TYPES = list(PayloadType)[:4]


@pytest.fixture(autouse=True)
async def _bounded() -> AsyncIterator[None]:
    async with asyncio.timeout(60):
        yield


def writes(*events: Event | str) -> list[str]:
    """Lines of code that write these events."""
    lines = [event if isinstance(event, str) else event.model_dump_json() for event in events]
    return [f"print({line!r}, flush=True)" for line in lines]


def tells(*events: Event | str, first: str = "", then: str = "") -> tuple[str, ...]:
    """A program that writes these events, with some more code before and behind."""
    lines = ["import os, signal, sys, time", first, *writes(*events), then]
    return (sys.executable, "-c", "\n".join(lines))


HERE = "open(os.environ['ACTR_MAILBOX__PATH'], 'w').close()"
"""Code by which a program says that it has come so far."""


def awaits(name: str) -> str:
    """Code that waits until the program of that name has said :data:`HERE`."""
    folder = "os.path.dirname(os.environ['ACTR_MAILBOX__PATH'])"
    return f"while not os.path.exists({folder} + '/{name}.db'): time.sleep(0.01)"


def serves(*last_words: Event) -> tuple[str, ...]:
    """A program that is ready, waits for SIGTERM, and then writes these events."""
    signals = "{signal.SIGTERM}"
    first = f"signal.pthread_sigmask(signal.SIG_BLOCK, {signals})\n{HERE}"
    last = "\n".join([f"signal.sigwait({signals})", *writes(*last_words)])
    return tells(READY, first=first, then=last)


FRAMES = tuple((number, number * 1_000_000) for number in range(10))
SENT = MediaSent(track_id="camera", wire="webrtc", frames=FRAMES, bytes=10)
SEEN = MediaSeen(track_id="camera", kind="video", codec="VP8", frames=FRAMES, bytes=10)
ROWS = [
    RowDone(row=not_run(payload_type, "fine").model_copy(update={"ok": True}))
    for payload_type in BYTE_TYPES
]
SIGNALING = tells(READY, then="signal.pause()")
ROOM = serves(SEEN, Finished())
CALLER = tells(READY, *ROWS, SENT, Finished(), then=awaits("room"))


@pytest.fixture
def plan() -> Plan:
    return make_plan(ROOM_ID, wire="both", size="small", file=None)


async def perform(
    plan: Plan,
    folder: Path,
    *,
    signaling: tuple[str, ...] = SIGNALING,
    room: tuple[str, ...] = ROOM,
    caller: tuple[str, ...] = CALLER,
) -> tuple[Report, list[tuple[str, Event]]]:
    shown: list[tuple[str, Event]] = []
    programs = {"signaling": signaling, "room": room, "caller": caller}
    report = await Stage(
        plan, folder, lambda name, event: shown.append((name, event)), programs=programs
    ).perform()
    return report, shown


async def test_the_report_has_a_row_for_each_payload_type(plan: Plan, tmp_path: Path) -> None:
    report, shown = await perform(plan, tmp_path)
    assert (report.ok, report.problem) == (True, None)
    assert [row.payload_type for row in report.rows] == [each.name for each in PayloadType]
    assert report.rows[-1].result == "10 of 10 VP8 video frames"
    assert ("caller", ROWS[0]) in shown


async def test_the_processes_get_a_secret_file_and_none_of_the_users_settings(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTR_CALLS__TIMEOUT_S", "1")
    ask = (
        "import json; names = [n for n in os.environ if n.startswith('ACTR_')]\n"
        "print(json.dumps({'event': 'failed', 'error': 'x', 'text': ' '.join(sorted(names))}))"
    )
    report, _ = await perform(plan, tmp_path, caller=tells(READY, then=ask))
    assert report.problem is not None
    assert "ACTR_REALM__SECRET_FILE" in report.problem
    assert "ACTR_CALLS__TIMEOUT_S" not in report.problem


async def test_a_killed_room_is_told_with_the_step_in_which_it_was(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "PATIENCE", 1.0)
    room = tells(READY, then=f"{awaits('caller')}\nos.kill(os.getpid(), signal.SIGKILL)")
    upload = Progress(payload_type="STREAM_RELIABLE", done=0, total=1)
    caller = tells(READY, upload, then=f"{HERE}\nsignal.pause()")
    report, _ = await perform(plan, tmp_path, room=room, caller=caller)
    assert not report.ok
    assert report.problem is not None
    assert report.problem.startswith("the room was killed by SIGKILL during")
    fates = {row.payload_type: row.result for row in report.rows}
    assert fates.pop("STREAM_RELIABLE") == "not finished"
    assert set(fates.values()) == {"not run"}


async def test_a_caller_that_has_told_all_of_a_dead_room_is_not_waited_for(
    plan: Plan, tmp_path: Path
) -> None:
    room = tells(READY, then="os.kill(os.getpid(), signal.SIGKILL)")
    rows = [
        RowDone(row=not_run(payload_type, "UnreachableError: it went offline"))
        for payload_type in PayloadType
    ]
    caller = tells(READY, *rows, then="signal.pause()")
    report, _ = await perform(plan, tmp_path, room=room, caller=caller)
    assert report.problem is not None
    assert report.problem.startswith("the room was killed by SIGKILL during")
    assert "the caller" not in report.problem


async def test_a_caller_that_never_notices_is_ended(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "PATIENCE", 0.1)
    room = tells(READY, then="os.kill(os.getpid(), signal.SIGKILL)")
    report, _ = await perform(plan, tmp_path, room=room, caller=tells(READY, then="signal.pause()"))
    assert report.problem is not None
    assert "the caller did not end in time" in report.problem


async def test_a_caller_that_fails_is_told_with_its_status(plan: Plan, tmp_path: Path) -> None:
    report, _ = await perform(plan, tmp_path, caller=tells(READY, *ROWS, then="sys.exit(3)"))
    assert not report.ok
    assert report.problem == "the caller ended with status 3"
    assert [row.ok for row in report.rows] == [True] * 4 + [False]


async def test_words_that_are_no_event_are_a_problem_and_no_crash(
    plan: Plan, tmp_path: Path
) -> None:
    report, _ = await perform(plan, tmp_path, caller=tells(READY, "hello"))
    assert report.problem is not None
    assert "caller wrote 'hello'" in report.problem


async def test_a_room_that_will_not_end_is_a_problem(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "STOP_TIMEOUT", 0.2)
    monkeypatch.setattr("actr_peer.cli.demo.children.STOP_TIMEOUT", 0.2)
    deaf = f"signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{HERE}"
    room = tells(READY, first=deaf, then="while True: signal.pause()")
    report, _ = await perform(plan, tmp_path, room=room)
    assert report.problem == "the room did not end in time"


async def test_a_signaling_service_that_does_not_start_ends_the_demo(
    plan: Plan, tmp_path: Path
) -> None:
    with pytest.raises(BrokenError, match="ended with status 2 at its start"):
        await perform(plan, tmp_path, signaling=tells(then="sys.exit(2)"))
