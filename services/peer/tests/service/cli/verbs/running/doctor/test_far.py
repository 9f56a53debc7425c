"""``actr doctor ACTOR``: faults between this machine and another actor, planted."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from actr_peer.cli.verbs.running.doctor.far import path_mtu
from lab.netns import CANNOT
from peer_kit.place import ROOM, Place

pytestmark = [pytest.mark.service, pytest.mark.slow]

TESTS = Path(__file__).resolve().parents[5]
CONTRACT = """
syntax = "proto3";
package demo;
import "actr/options.proto";
service Chat {
  rpc Say(Line) returns (Number);
}
message Line { uint64 author = 1; string text = 2; }
message Number { uint64 number = 1; }
"""
IN_A_NETWORK = """
import json, sys
from pathlib import Path
from subprocess import run
from peer_kit.place import ROOM, Place

place = Place(Path(sys.argv[1]))
with place.signaling(), place.room():
    run(["iptables", "-A", "INPUT", "-p", "udp", *sys.argv[2:], "-j", "DROP"], check=True)
    found = place.examine(ROOM)
print(json.dumps({"failed": found.failed, "fault": found.fault, "results": found.results}))
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_an_actor_that_is_offline(place: Place) -> None:
    with place.signaling():
        found = place.examine(ROOM)
    assert found.failed == "actor"
    assert f"{ROOM} is not online" in found.fault[0]
    assert "actr run" in found.fault[1]
    assert found.results["candidates"] == "not tried"


def in_a_network(folder: Path, *filtered: str) -> dict[str, object]:
    """What doctor finds of a room beside it, where UDP that the filter names does not arrive."""

    if shutil.which("iptables", path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
        pytest.skip("iptables is not installed; apt install iptables")
    path = f"{TESTS}:{TESTS.parents[2]}:{os.environ.get('PYTHONPATH', '')}"
    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "lab.netns",
            sys.executable,
            "-c",
            IN_A_NETWORK,
            str(folder),
            *filtered,
        ],
        cwd=TESTS.parents[2],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    if ended.returncode == CANNOT:
        pytest.skip("no network of its own; run it as root")
    assert ended.returncode == 0, ended.stderr
    found: dict[str, object] = json.loads(ended.stdout.splitlines()[-1])
    return found


def test_udp_that_is_blocked(tmp_path: Path) -> None:
    found = in_a_network(tmp_path)
    results, (said, advice) = found["results"], found["fault"]
    assert found["failed"] == "candidates"
    assert "host 127.0.0.1" in said
    assert "not answered" in said
    assert "let UDP through" in advice
    assert "wires.ice_servers" in advice
    assert results["WebSocket"] == results["contract"] == "ok"


def test_full_packets_that_are_lost(tmp_path: Path) -> None:
    found = in_a_network(tmp_path, "-m", "length", "--length", "1100:65535")
    assert found["failed"] == "MTU"
    assert "MTU of the tunnel" in found["fault"][1]


def test_a_websocket_that_is_refused(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        address = f"127.0.0.1:{gone.getsockname()[1]}"
    with place.signaling(), place.room(ACTR_WIRES__ADVERTISE=address):
        found = place.examine(ROOM)
    assert found.failed == "WebSocket"
    assert address in found.fault[0]
    assert "wires.advertise" in found.fault[1]
    assert found.results["candidates"] == found.results["contract"] == "ok"


def test_a_contract_that_is_another(place: Place) -> None:
    (place.folder / "chat.proto").write_text(CONTRACT, "utf-8")
    place.shell(f"{sys.executable} -m actr_peer gen chat.proto")
    with place.signaling(), place.room():
        found = place.examine(ROOM, "-m", "chat_actr")
        assert found.failed == "contract"
        assert "demo.Chat.Say" in found.fault[0]
        assert "actr proto check" in found.fault[1]
        assert place.examine(ROOM, "-m", "actr.demo.chat_actr").failed is None


def test_an_actor_that_tells_nothing_of_itself_has_no_fault(place: Place) -> None:
    own = {"ACTR_ACTOR__REFLECTION": "false", "ACTR_WIRES__LISTEN": ""}
    with place.signaling(), place.room(**own):
        found = place.examine("demo:room")
    assert found.failed is None
    assert found.results["WebSocket"] == found.results["contract"] == "skipped"
    assert ROOM in found.rows["actor"]["found"]


def test_what_the_kernel_knows_of_a_way() -> None:
    assert path_mtu("127.0.0.1", 9) is not None
    assert path_mtu("::1", 9) is None
    assert path_mtu("no address", 9) is None
