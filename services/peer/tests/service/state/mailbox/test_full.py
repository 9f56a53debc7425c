"""Disk full: new requests are refused, what was accepted finishes, service comes back by itself."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from actr_peer.actor.scheduler import Turn
from actr_peer.errors import Code
from actr_peer.protocol.mailbox.requests import STORED, Refused, Repeated, Request
from actr_peer.state.mailbox.mailbox import Mailbox
from actr_peer.state.storage import batches
from actr_peer.state.storage.database import Connection
from peer_kit import TESTS
from peer_kit.state import full_disk as mailbox_full_disk
from peer_kit.state.requests import Actor, Deliveries, leaping_clock, put, request, settled

pytestmark = pytest.mark.service


async def hoard(mailbox: Mailbox) -> None:
    """Fill the database, reserve excepted, with rows of the workload's own."""
    await mailbox.state_file.ask(
        lambda connection: connection.execute("CREATE TABLE IF NOT EXISTS hoard(x)")
    )
    for size in (100_000, 4_000):
        insert = partial(_hoard, size=size)
        try:
            while True:
                await mailbox.state_file.ask(insert)
        except sqlite3.Error:
            pass


def _hoard(connection: Connection, *, size: int) -> None:
    connection.execute("INSERT INTO hoard VALUES(zeroblob(?))", (size,))


async def clear(mailbox: Mailbox) -> None:
    await mailbox.state_file.ask(lambda connection: connection.execute("DELETE FROM hoard"))


async def test_a_small_request_does_not_overtake_a_large_one_that_finds_no_room(
    tmp_path: Path,
) -> None:
    async with Mailbox(tmp_path / "box.db", max_bytes=2_000_000) as mailbox:
        Deliveries(mailbox)
        await hoard(mailbox)
        together = [
            put(mailbox, request("urgent", signal=True, size=20)),
            put(mailbox, request("large", size=6000)),
            put(mailbox, request("small", size=20)),
        ]
        urgent, large, small = await asyncio.gather(*together)
        assert urgent is STORED
        assert isinstance(large, Refused)
        assert isinstance(small, Refused)
        assert await put(mailbox, request("small", size=20)) is STORED


async def test_in_a_full_database_new_requests_are_refused_and_accepted_ones_finish(
    tmp_path: Path,
) -> None:
    path = tmp_path / "box.db"
    async with Mailbox(path, max_bytes=2_000_000) as mailbox:
        deliveries = Deliveries(mailbox)
        for n in range(20):
            put(mailbox, request(f"a{n}", size=2000))
        items = await deliveries.wait_for(20)
        await hoard(mailbox)
        answer = await put(mailbox, request("b", size=200_000))
        assert isinstance(answer, Refused)
        assert (answer.code, answer.retry_after > 0) == (Code.RESOURCE_EXHAUSTED, True)
        assert (mailbox.counts.refused, mailbox.depth) == (1, 20)
        for item in items:  # replies longer than the requests: into the reserve
            mailbox.complete(item, bytes(4000))
        await settled(mailbox)
        answers = await asyncio.gather(*(put(mailbox, request(f"a{n}")) for n in range(20)))
        assert answers == [Repeated(bytes(4000))] * 20
    async with Mailbox(path, max_bytes=2_000_000) as mailbox:
        assert mailbox.counts.recovered == 0
        answer = await put(mailbox, request("b", size=200_000))
        assert isinstance(answer, Refused)
        await clear(mailbox)
        assert await put(mailbox, request("b", size=200_000)) == STORED


async def test_a_completion_for_which_even_the_reserve_has_no_room_is_saved_later(
    tmp_path: Path,
) -> None:
    async with Mailbox(tmp_path / "box.db", max_bytes=1_000_000) as mailbox:
        deliveries = Deliveries(mailbox)
        put(mailbox, request("a"))
        (item,) = await deliveries.wait_for(1)
        await hoard(mailbox)
        mailbox.complete(item, bytes(300_000))
        await settled(mailbox)
        assert await put(mailbox, request("a")) == Repeated(bytes(300_000)), "from memory"
        await clear(mailbox)
        await settled(mailbox)
        row = await mailbox.state_file.ask(
            lambda connection: connection.execute(
                "SELECT state, length(body) FROM actr_inbox"
            ).fetchone()
        )
        assert tuple(row) == (2, 300_000)


async def test_effects_for_which_there_is_no_room_are_answered_and_may_be_tried_again(
    tmp_path: Path,
) -> None:
    size = 500_000

    async def handle(item: Request, turn: Turn) -> bytes:
        async with turn.transaction() as tx:
            await tx.execute("INSERT INTO hoard VALUES(zeroblob(?))", (size,))
        return b"ok"

    async with Mailbox(tmp_path / "box.db", max_bytes=1_000_000) as mailbox:
        await hoard(mailbox)
        actor = Actor(mailbox, handle)
        async with actor.scheduler:
            put(mailbox, request("a", size=1))
            answer = await actor.reply_to("a")
            assert answer.startswith(b"RESOURCE_EXHAUSTED")
            await clear(mailbox)
            assert await put(mailbox, request("a")) == STORED, "it is not remembered as done"
            await actor.until(lambda: actor.replies["a"] == b"ok")


async def test_a_read_for_which_there_is_no_room_is_answered_and_may_be_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def handle(item: Request, turn: Turn) -> bytes:
        async with turn.transaction() as tx:
            await tx.execute("INSERT INTO hoard VALUES(zeroblob(500000))")
            row = await tx.fetch_one("SELECT count(*) FROM hoard")
        return str(row).encode()

    async with Mailbox(tmp_path / "box.db", max_bytes=1_000_000) as mailbox:
        await hoard(mailbox)
        actor = Actor(mailbox, handle)
        async with actor.scheduler:
            put(mailbox, request("a", size=1))
            answer = await actor.reply_to("a")
            assert answer.startswith(b"RESOURCE_EXHAUSTED")
            assert caplog.text == "", "it is no failure of the handler"
            await clear(mailbox)
            assert await put(mailbox, request("a")) == STORED, "it is not remembered as done"
            await actor.until(lambda: actor.replies["a"] == b"(1,)")


async def test_a_read_for_which_the_file_must_grow_is_made(tmp_path: Path) -> None:
    async def handle(item: Request, turn: Turn) -> bytes:
        async with turn.transaction() as tx:
            await tx.execute("CREATE TABLE IF NOT EXISTS hoard(x)")
            await tx.execute("INSERT INTO hoard VALUES(zeroblob(3000000))")
            row = await tx.fetch_one("SELECT count(*) FROM hoard")
        return str(row).encode()

    async with Mailbox(tmp_path / "box.db") as mailbox:
        actor = Actor(mailbox, handle)
        async with actor.scheduler:
            for number, name in enumerate("abc", 1):
                put(mailbox, request(name))
                assert await actor.reply_to(name) == f"({number},)".encode()


async def test_a_process_that_was_stopped_for_a_while_finds_its_room_nevertheless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the wall clock, the batch has taken minutes."""
    monkeypatch.setattr(batches, "time", leaping_clock())

    async def handle(item: Request, turn: Turn) -> bytes:
        async with turn.transaction() as tx:
            await tx.execute("CREATE TABLE IF NOT EXISTS hoard(x)")
            await tx.execute("INSERT INTO hoard VALUES(zeroblob(3000000))")
        return b"ok"

    async with Mailbox(tmp_path / "box.db") as mailbox:
        actor = Actor(mailbox, handle)
        async with actor.scheduler:
            put(mailbox, request("a"))
            assert await actor.reply_to("a") == b"ok"


@pytest.fixture
def full_volume(tmp_path: Path) -> dict[str, Any]:
    """The report of ``state.full_disk`` on a tmpfs of 8 MB in a mount namespace of its own."""
    if os.geteuid() != 0:
        pytest.skip("a full volume can be mounted by root only; run the tests as root")
    folder = tmp_path / "volume"
    folder.mkdir()
    script = 'mount -t tmpfs -o size=8m tmpfs "$1" && exec "$2" -m "$3" "$1"'
    command = ["unshare", "-m", "sh", "-c", script, "sh", str(folder), sys.executable]
    probe = subprocess.run(
        ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if probe.returncode != 0:
        told = probe.stderr.decode().strip()
        pytest.skip(f"no mount namespace ({told}); run the tests where root may make one")
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    done = subprocess.run(
        [*command, mailbox_full_disk.__name__],
        capture_output=True,
        timeout=60,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr.decode()
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_on_a_full_volume_the_accepted_finishes_and_service_comes_back(
    full_volume: dict[str, Any],
) -> None:
    report = full_volume
    assert report["refused"] == "RESOURCE_EXHAUSTED, again after 1.0 s"
    assert report["completed"] == report["stored"] + report["signal stored"] > 0
    assert report["after completing"]
    assert report["after space came back"]
    assert report["recovered"] == report["depth"] == 2 + report["stored again"]
    assert report["integrity"] == "ok"
