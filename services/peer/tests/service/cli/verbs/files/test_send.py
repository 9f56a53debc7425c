"""``actr send`` and ``actr receive`` as processes, over a wire that is cut and through restarts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.transfer import Plan, transfer
from peer_kit.place import Place, line_of

pytestmark = pytest.mark.service
SHELF = "acme:shelf@1:default"
LONGEST_RESENT_MB = 16
"""Two blocks, the stream's window and the kernel's buffers, for each restart: not the file."""


async def test_a_wire_that_is_cut_every_second_loses_nothing(tmp_path: Path) -> None:
    plan = Plan(mb=64, cut_every=1.0, kills_receiver=False, kills_sender=False)
    row = await transfer(plan, tmp_path)
    assert (row["exit"], row["hash_equal"]) == (0, True)


async def test_a_killed_receiver_goes_on_from_its_last_verified_block(tmp_path: Path) -> None:
    row = await transfer(Plan(mb=96, cut_every=0, kills_sender=False), tmp_path)
    assert (row["exit"], row["hash_equal"]) == (0, True)
    assert row["resent_mb"] <= LONGEST_RESENT_MB


async def test_a_killed_sender_goes_on_from_the_receivers_last_verified_block(
    tmp_path: Path,
) -> None:
    row = await transfer(Plan(mb=96, cut_every=0, kills_receiver=False), tmp_path)
    assert (row["exit"], row["hash_equal"]) == (0, True)
    assert row["resent_mb"] <= LONGEST_RESENT_MB


def test_one_transfer_and_its_end_are_told_as_json(tmp_path: Path) -> None:
    place = Place(tmp_path)
    (tmp_path / "a.txt").write_text("hello")
    receive = ("actr_peer", "receive", "in", "--once", "--json", "--quota", "1K")
    with place.signaling(), place.process(*receive, ACTR_ACTOR__ID=SHELF) as shelf:
        line_of(shelf.stderr, "actor ready")
        (tmp_path / "big").write_bytes(bytes(2000))
        refused = place.run("send", "big", SHELF)
        assert refused.returncode == 5
        assert "over the quota" in refused.stderr
        refused = place.run("send", "a.txt", SHELF, "--name", "../a.txt")
        assert (refused.returncode, (tmp_path / "a.txt").read_text()) == (5, "hello")
        sent = place.run("send", "a.txt", SHELF, "--json")
        assert sent.returncode == 0, sent.stderr
        assert shelf.stdout is not None
        received = json.loads(shelf.stdout.readline())
        assert shelf.wait(timeout=60) == 0
    assert json.loads(sent.stdout)["digest"] == received["digest"]
    assert (tmp_path / "in" / "a.txt").read_text() == "hello"


def test_bad_input_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with place.signaling():
        missing = place.run("send", "nothing", SHELF)
        assert missing.returncode == 2
        assert "cannot send" in missing.stderr
        assert place.run("receive", "in", "--quota", "much").returncode == 2
