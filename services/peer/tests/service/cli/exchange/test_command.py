"""``actr exchange`` as processes: all five payload types, counts, and a kill in between."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from actr_peer.node.process.probe import ask
from signaling_kit.replica import ReplicaProcess

pytestmark = [pytest.mark.service, pytest.mark.slow]

PATIENCE = 60.0
"""Seconds for anything that a test waits for; never reached where it works."""
ROUND = re.compile(
    r"round \d+: acme:room@(\d):default → acme:room@(\d):default webrtc [\d.]+ ms \| calls 4 \| "
    r"urgent 1 \| upload 32 KiB \| lines \d+/20 \| media 10 out [1-9]\d* in \| [\d.]+ s"
)


class Peer:
    """One process; its control socket and mailbox lie in ``folder``."""

    def __init__(self, instance: str, process: Process, folder: Path) -> None:
        self.instance = instance
        self.process = process
        self.control = str(folder / f"{instance}.sock")

    async def until(self, wanted: re.Pattern[str]) -> re.Match[str]:
        """Read lines until one matches."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            async for line in self.process.stdout:
                if match := wanted.search(line.decode()):
                    return match
        raise AssertionError(f"peer {self.instance} ended before a line matched {wanted.pattern}")

    async def link(self, other: Peer) -> dict[str, Any]:
        """What it says of the exchange with ``other``."""
        status = await asyncio.to_thread(ask, self.control, "status")
        (found,) = (
            link
            for link in status["exchange"]
            if link["remote"] == f"acme:room@{other.instance}:default"
        )
        return dict(found)


@asynccontextmanager
async def peer(instance: str, url: str, folder: Path, *flags: str) -> AsyncIterator[Peer]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "actr_peer", "exchange", "--interval", "0.2", *flags),
        stdout=PIPE,
        env={
            **os.environ,
            "ACTR_ACTOR__ID": f"acme:room@{instance}:default",
            "ACTR_SIGNALING__URL": url,
            "ACTR_WIRES__LISTEN": "127.0.0.1:0",
            "ACTR_MAILBOX__PATH": str(folder / "{instance}.db"),
            "ACTR_CONTROL__SOCKET": str(folder / "{instance}.sock"),
            "ACTR_LOG__LEVEL": "error",
        },
    )
    try:
        yield Peer(instance, process, folder)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with ReplicaProcess() as replica:
        yield replica.url


async def test_two_peers_exchange_all_five_payload_types_until_they_are_told_to_stop(
    url: str, tmp_path: Path
) -> None:
    async with peer("1", url, tmp_path) as one, peer("2", url, tmp_path) as two:
        for sender, receiver in ((one, two), (two, one)):
            match = await sender.until(ROUND)
            assert match.groups() == (sender.instance, receiver.instance)
        sent, taken = await one.link(two), await two.link(one)
        assert (sent["failed"], sent["unanswered"]) == (0, 0)
        assert (taken["run"], taken["missing"], taken["repeated"]) == (sent["own_run"], 0, 0)
        assert taken["heard"] >= sent["answered"] > 0
        for ending in (one, two):
            ending.process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(PATIENCE):
                await ending.process.communicate()
            assert ending.process.returncode == 0


async def test_flags_say_who_a_peer_is_and_json_has_a_line_for_each_round(
    url: str, tmp_path: Path
) -> None:
    async with peer("1", url, tmp_path), AsyncExitStack() as stack:
        flags = (
            "--json",
            "--id",
            "acme:room@3:default",
            "--mailbox",
            str(tmp_path / "three.db"),
            "--listen",
            "127.0.0.1:0",
        )
        three = await stack.enter_async_context(peer("2", url, tmp_path, *flags))
        assert three.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            told = json.loads(await three.process.stdout.readline())
    assert (told["actor"], told["remote"]) == ("acme:room@3:default", "acme:room@1:default")
    assert (told["round"], told["errors"]) == (1, {})


async def test_a_killed_peer_goes_on_with_its_counts(url: str, tmp_path: Path) -> None:
    async with peer("1", url, tmp_path) as one, AsyncExitStack() as stack:
        victim = await stack.enter_async_context(peer("2", url, tmp_path))
        await one.until(ROUND)
        before = await one.link(victim)
        victim.process.kill()
        await victim.process.wait()
        reborn = await stack.enter_async_context(peer("2", url, tmp_path))
        while (sent := await one.link(reborn))["answered"] <= before["answered"] + 3:
            await one.until(ROUND)
        taken = await reborn.link(one)
        assert sent["unanswered"] == 0
        assert (taken["run"], taken["missing"], taken["repeated"]) == (sent["own_run"], 0, 0)
        assert taken["heard"] >= sent["answered"]
