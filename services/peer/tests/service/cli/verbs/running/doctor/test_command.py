"""``actr doctor``: a path without a fault, and what is shown of it."""

from __future__ import annotations

import contextlib
import os
import pty
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from actr_peer.cli.exits import Exit
from peer_kit.place import ROOM, Place

pytestmark = [pytest.mark.service, pytest.mark.slow]

ROOT_FOLDER = Path(__file__).resolve().parents[8]
STEPS = [
    "configuration",
    "port",
    "signaling name",
    "signaling TCP",
    "signaling upgrade",
    "clock",
    "Redis",
    "certificate",
    "signaling proof",
    "gathering",
    "actor",
    "candidates",
    "pair",
    "MTU",
    "WebSocket",
    "contract",
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = Place(tmp_path_factory.mktemp("place"))
    with made.signaling(), made.room():
        yield made


def test_every_step_of_a_path_without_a_fault_is_ok(place: Place) -> None:
    found = place.examine(ROOM, "--module", "actr.demo.chat_actr")
    assert found.failed is None
    assert list(found.rows) == STEPS
    nothing_there = {"Redis", "certificate"}
    assert {step for step, result in found.results.items() if result != "ok"} == nothing_there
    assert "direct" in found.rows["pair"]["found"]
    assert "answered" in found.rows["candidates"]["found"]
    assert "full packets pass" in found.rows["MTU"]["found"]
    assert "demo.Chat" in found.rows["contract"]["found"]
    assert all(row["ms"] >= 0 for row in found.rows.values())
    assert found.rows["candidates"]["ms"] > 0


def test_without_an_actor_this_side_alone_is_looked_at(place: Place) -> None:
    found = place.examine()
    assert list(found.rows) == STEPS[:-6]
    assert found.failed is None


def test_a_kind_of_wire_that_is_left_out_is_skipped(place: Place) -> None:
    found = place.examine(ROOM, ACTR_WIRES__PREFER="websocket")
    assert found.failed is None
    assert found.results["gathering"] == found.results["candidates"] == "skipped"
    assert found.results["pair"] == "not tried"
    assert found.results["WebSocket"] == found.results["contract"] == "ok"


def test_a_table_says_what_failed_and_what_to_do(place: Place) -> None:
    ended = place.run("doctor", "demo:room@9:default")
    assert ended.returncode == Exit.FAILED
    first, *_ = ended.stdout.splitlines()
    assert first == "actor failed: demo:room@9:default is not online: signaling knows no such actor"
    assert "→ start it ('actr run" in ended.stdout
    assert "│ not tried │" in ended.stdout
    assert ended.stderr == ""


def test_on_a_terminal_the_table_grows_and_stays(place: Place) -> None:
    inner, outer = pty.openpty()
    with place.process("actr_peer", "doctor", stdout=outer, TERM="xterm", COLUMNS="100") as child:
        os.close(outer)
        shown = b""
        with contextlib.suppress(OSError):  # its end, as Linux tells it of a terminal
            while part := os.read(inner, 65536):
                shown += part
        assert child.wait(60) == Exit.OK
    os.close(inner)
    text = shown.decode()
    assert text.index("looking …") < text.index("no step failed")
    assert text.index("no step failed") < text.rindex("gathering")


def test_the_page_lists_every_step_in_its_order() -> None:
    text = (ROOT_FOLDER / "docs/doctor.md").read_text("utf-8")
    listed = re.findall(r"^\| ([^|`]+) \| ", text, flags=re.M)
    assert listed == ["step", *STEPS]


def test_an_actor_that_is_none_is_wrong_usage(place: Place) -> None:
    ended = place.run("doctor", "nobody")
    assert ended.returncode == Exit.USAGE
