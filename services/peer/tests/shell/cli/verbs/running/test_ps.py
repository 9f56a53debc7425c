"""``actr ps`` and ``actr health``: what they print of a peer's answer."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from actr_peer.cli.verbs.running import ps
from actr_peer.node.process.announcing import announced
from actr_peer.node.process.socket import ControlSocket

STATUS: dict[str, Any] = {
    "id": "acme:room@1:default",
    "pid": 4711,
    "signaling": "registered",
    "identity": {"by": "certificate"},
    "actors": [
        {"id": "acme:room@2:default", "type": "acme:room", "ws_address": "ws://a:1/", "waiting": 0}
    ],
    "wires": [
        {
            "remote": "acme:room@2:default",
            "kind": "webrtc",
            "state": "ready",
            "rtt_ms": 0.61,
            "relayed": False,
            "active": True,
            "identity": {
                "by": "certificate",
                "subject": "acme:room@2",
                "name": "b-yBtC4Ko7vwUR4I",
                "fingerprint": "6f" * 32,
                "expires_at": 1_800_000_900,
                "seconds_left": 600,
            },
        },
        {
            "remote": "acme:room@2:default",
            "kind": "websocket",
            "state": "connecting",
            "rtt_ms": None,
            "relayed": False,
            "active": False,
            "identity": None,
        },
    ],
    "lanes": [
        {
            "remote": "acme:room@2:default",
            "lane": "RPC_SIGNAL",
            "sent": 12,
            "received": 11,
            "resent": 0,
            "duplicates": 0,
            "dropped": 0,
            "queued": 0,
        }
    ],
    "streams": {"open": 71, "unknown": 5, "stale": 0},
    "mailbox": {"path": "/data/1.db", "depth": 3, "dead": 1},
}


def run(*arguments: str, control: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "actr_peer", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "ACTR_CONTROL__SOCKET": str(control), "COLUMNS": "160"},
        check=False,
    )


async def actr(*arguments: str, control: Path) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(run, *arguments, control=control)


def test_the_tables_show_actors_wires_lanes_and_the_mailbox() -> None:
    console = Console(width=240)
    with console.capture() as capture:
        for table in ps.tables(STATUS):
            console.print(table)
    shown = capture.get()
    for text in (
        "acme:room@2:default",
        "0.6 ms",
        "connecting",
        "RPC_SIGNAL",
        "/data/1.db",
        "71",
        "unknown",
        "acme:room@2 key b-yBtC4Ko7vwUR4I until 2027-01-15 08:15:00+00:00",
    ):
        assert text in shown


def test_what_proves_nothing_or_the_secret_alone_is_said_in_a_word() -> None:
    for word in ("development", "secret"):
        assert ps._proved({"by": word}) == (word, "")
    assert ps._proved(None) == ("", ""), "of a wire that is not there"


async def test_json_is_the_peers_own_document(tmp_path: Path) -> None:
    path = tmp_path / "actr.sock"
    async with ControlSocket(path, {"status": lambda: STATUS}):
        done = await actr("ps", "--json", control=path)
    assert json.loads(done.stdout) == STATUS


async def test_development_mode_is_said_beside_the_tables(tmp_path: Path) -> None:
    path = tmp_path / "actr.sock"
    for trust, said in (("development", "DEVELOPMENT MODE: nobody proves"), ("certificate", "")):
        async with ControlSocket(path, {"status": lambda: {**STATUS, "trust": trust}}):  # noqa: B023
            done = await actr("ps", control=path)
        assert said in done.stderr
        assert bool(done.stderr) is bool(said)


async def test_without_a_peer_the_exit_status_says_unreachable(tmp_path: Path) -> None:
    done = await actr("ps", control=tmp_path / "none.sock")
    assert (done.returncode, done.stdout) == (3, "")
    assert "cannot reach the peer on this machine" in done.stderr


@pytest.mark.parametrize(("healthy", "status"), [(True, 0), (False, 1)])
async def test_health_is_the_exit_status(tmp_path: Path, healthy: bool, status: int) -> None:
    path = tmp_path / "actr.sock"
    async with ControlSocket(path, {"health": lambda: {"healthy": healthy}}):
        done = await actr("health", control=path)
    assert done.returncode == status


async def test_all_who_run_on_this_machine_are_listed_wherever_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    other = {**STATUS, "id": "acme:hall@1:default"}
    reports = {"status": lambda: STATUS, "health": lambda: STATUS}
    others = {"status": lambda: other, "health": lambda: other}
    one, two = tmp_path / "one.sock", tmp_path / "two.sock"
    async with ControlSocket(one, reports), ControlSocket(two, others):
        with announced(one), announced(two):
            listed = await asked("--json")
            assert {(each["id"], each["socket"]) for each in json.loads(listed)["running"]} == {
                ("acme:room@1:default", str(one)),
                ("acme:hall@1:default", str(two)),
            }
            shown = await asked()
            assert "2 actors run here" in shown
            assert "acme:hall@1:default" in shown
            assert json.loads(await asked("--json", "--id", "acme:hall@1:default")) == other
        nobody = json.loads(await asked("--json"))
        assert nobody == {"running": []}


@pytest.mark.parametrize("odd", [[1], {"error": "no such report"}, {"id": "x", "pid": 1}, 7])
async def test_what_answers_as_no_actor_does_is_not_listed(
    odd: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    one, two = tmp_path / "one.sock", tmp_path / "two.sock"
    async with (
        ControlSocket(one, {"status": lambda: STATUS}),
        ControlSocket(two, {"status": lambda: odd}),
    ):
        with announced(one), announced(two):
            shown = await asked()
            (listed,) = json.loads(await asked("--json"))["running"]
    assert "1 actors run here" in shown
    assert listed["id"] == STATUS["id"]


async def asked(*arguments: str) -> str:
    """What ``actr ps`` prints, without a configuration."""
    done = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "actr_peer", "ps", *arguments, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await done.communicate()
    assert done.returncode == 0
    return out.decode()
