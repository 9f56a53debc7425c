"""What is revoked, by a file or by the issuer's word, and what is said of one that is away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from actr_peer.errors import ConfigError, PeerError, UnreachableError
from actr_peer.protocol.identity.keys import encode
from actr_peer.protocol.identity.revoked import Revoked
from actr_peer.wire.issuer.client import IssuerClient, Said
from actr_peer.wire.issuer.looks import SPREAD
from actr_peer.wire.issuer.revocations import Revocations
from peer_kit.vectors.identities import key_of

ALICE, BOB = (key_of(name).public_key().public_bytes_raw() for name in ("alice", "bob"))


def listed(*keys: bytes) -> str:
    return json.dumps({"revoked": [{"key": encode(key), "at": 1} for key in keys], "version": 1})


class Client(IssuerClient):
    """Answers what the test says."""

    def __init__(self) -> None:
        self.answer: Said | PeerError = Said(listed(), '"0"')
        self.tags: list[str] = []

    async def revoked(self, tag: str = "") -> Said | None:
        self.tags.append(tag)
        if isinstance(self.answer, PeerError):
            raise self.answer
        return None if tag == self.answer.tag else self.answer


class Stage:
    def __init__(
        self,
        *,
        file: Path | None = None,
        client: Client | None = None,
        wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.looks = 0
        self.failed: list[PeerError] = []
        self.revocations = Revocations(
            file=file,
            client=client,
            every=15.0,
            looked=self._looked,
            failed=self.failed.append,
            wait=wait,
        )

    def _looked(self) -> None:
        self.looks += 1

    async def look(self) -> Revoked:
        await self.revocations.look()
        return self.revocations.revoked


async def test_a_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "revoked.json"
    path.write_text(listed(ALICE))
    stage = Stage(file=path)
    assert stage.revocations.revoked.keys == {ALICE}, "from the start"
    assert (await stage.look()).keys == {ALICE}
    path.write_text(listed(ALICE, BOB))
    assert (await stage.look()).keys == {ALICE, BOB}
    assert stage.looks == 2, "what was new in between is looked for each time"


async def test_a_file_that_is_spoilt_or_gone_changes_nothing_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "revoked.json"
    path.write_text(listed(ALICE))
    stage = Stage(file=path)
    for spoil in (lambda: path.write_text("nonsense, for a while"), path.unlink):
        spoil()
        for _ in range(3):
            assert (await stage.look()).keys == {ALICE}
    assert len(stage.failed) == 1
    assert "identity.revoked_file = " in str(stage.failed[0])
    assert caplog.text.count("what was stays") == 1
    path.write_text(listed(BOB))
    caplog.set_level("INFO")
    assert (await stage.look()).keys == {BOB}
    assert caplog.text.count("known again") == 1
    path.unlink()
    await stage.look()
    assert len(stage.failed) == 2


def test_a_file_that_cannot_be_used_ends_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"identity\.revoked_file = .*: no such file"):
        Stage(file=tmp_path / "revoked.json")


async def test_the_issuer_is_asked_for_what_is_new(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    client = Client()
    stage = Stage(client=client)
    assert not await stage.look()
    assert stage.looks == 0, "where nothing is revoked there is nothing to look for"
    client.answer = Said(listed(ALICE), '"1"')
    for _ in range(2):
        assert (await stage.look()).keys == {ALICE}
    assert client.tags == ["", '"0"', '"1"']
    assert caplog.text.count("revoked: new=1 all=1") == 1
    client.answer = Said(listed(), '"2"')
    assert not await stage.look(), "whose certificates have ended is on the list no more"


async def test_an_issuer_that_is_away_changes_nothing_and_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    client = Client()
    stage = Stage(client=client)
    client.answer = Said(listed(ALICE), '"1"')
    await stage.look()
    for why in ("no answer", "no answer", "refused"):
        client.answer = UnreachableError("the issuer", why)
        assert (await stage.look()).keys == {ALICE}
    assert stage.looks == 4
    client.answer = Said("nonsense", '"2"')
    assert (await stage.look()).keys == {ALICE}
    assert len(stage.failed) == 1
    assert caplog.text.count("what was stays") == 1
    client.answer = Said(listed(ALICE), '"1"')
    assert (await stage.look()).keys == {ALICE}
    assert client.tags[-1] == '"1"', "what could not be used is not what is known"
    assert caplog.text.count("known again") == 1


async def test_inside_its_block_it_looks_again_and_again_and_not_all_at_once() -> None:
    waits: asyncio.Queue[float] = asyncio.Queue()

    async def wait(seconds: float) -> None:
        await waits.put(seconds)
        await asyncio.sleep(0)

    client = Client()
    stage = Stage(client=client, wait=wait)
    async with asyncio.timeout(60), stage.revocations:
        seconds = {await waits.get() for _ in range(20)}
    assert len(client.tags) >= 20
    assert len(seconds) > 1
    assert 15.0 * (1 - SPREAD) <= min(seconds) <= max(seconds) <= 15.0


async def test_with_neither_file_nor_issuer_nothing_is_ever_revoked() -> None:
    stage = Stage()
    async with stage.revocations:
        assert not stage.revocations.revoked
        assert not stage.revocations._tasks._children
