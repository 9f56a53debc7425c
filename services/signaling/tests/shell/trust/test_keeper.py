from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from actr_signaling.errors import ConfigError
from actr_signaling.protocol.client.trust import Revoked, Trust
from actr_signaling.trust.keeper import Keeper
from signaling_kit.certified import Issuer

ISSUER = Issuer()


class Kept:
    """A keeper on files of an issuer, and the trust that it keeps."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.trust = Trust(issuer_keys={})
        self.changed = asyncio.Event()
        settings = ISSUER.write(place)
        self.keeper = Keeper(
            self.trust,
            keys=settings["issuer_keys"],
            revoked=settings["revoked"],
            interval=0.01,
            changed=self.changed.set,
        )


async def test_keys_and_what_is_revoked_are_known_before_anybody_comes(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    assert kept.trust.issuer_keys == ISSUER.keys
    assert kept.trust.revoked == Revoked()
    assert kept.keeper.is_ready


async def test_what_is_revoked_is_known_while_it_runs(tmp_path: Path) -> None:
    issuer, kept = Issuer(), Kept(tmp_path)
    room = issuer.enrol("room")
    async with kept.keeper:
        issuer.revoke_key(room)
        issuer.write(tmp_path)
        async with asyncio.timeout(10):
            await kept.changed.wait()
    assert kept.trust.revoked == Revoked(keys=frozenset({room.public}))


async def test_what_cannot_be_used_leaves_what_was_known_and_is_said_once(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    (tmp_path / "issuer.json").write_text('{"keys": []}')
    (tmp_path / "revoked.json").write_text("nothing")
    with capture_logs() as logs:
        await kept.keeper.look()
        await kept.keeper.look()
    assert len(logs) == 2
    assert {entry["what"] for entry in logs} == {"ISSUER_KEYS", "REVOKED"}
    assert kept.trust.issuer_keys == ISSUER.keys
    assert not kept.changed.is_set()
    ISSUER.write(tmp_path)
    await kept.keeper.look()
    assert kept.changed.is_set()


@pytest.mark.parametrize("what", ["issuer.json", "revoked.json"])
async def test_a_file_that_cannot_be_used_ends_the_start(tmp_path: Path, what: str) -> None:
    ISSUER.write(tmp_path)
    (tmp_path / what).write_text("nothing")
    with pytest.raises(ConfigError, match=r"ACTR_SIGNALING__(ISSUER_KEYS|REVOKED): "):
        Keeper(
            Trust(issuer_keys={}),
            keys=str(tmp_path / "issuer.json"),
            revoked=str(tmp_path / "revoked.json"),
            interval=1,
            changed=lambda: None,
        )
    (tmp_path / what).write_bytes(b"\xff")
    with pytest.raises(ConfigError):
        Keeper(
            Trust(issuer_keys={}),
            keys=str(tmp_path / "issuer.json"),
            revoked=str(tmp_path / "revoked.json"),
            interval=1,
            changed=lambda: None,
        )


async def test_files_of_an_issuer_of_this_process_are_there_when_the_block_is_entered(
    tmp_path: Path,
) -> None:
    issuer, trust = Issuer(), Trust(issuer_keys={})
    places = [str(tmp_path / name) for name in ("issuer.json", "revoked.json")]
    keys, revoked = places

    def keeper() -> Keeper:
        return Keeper(
            trust, keys=keys, revoked=revoked, interval=60, changed=lambda: None, is_there=False
        )

    late = keeper()
    with pytest.raises(ConfigError, match="ISSUER_KEYS"):
        await late.__aenter__()
    issuer.write(tmp_path)
    async with keeper():
        assert trust.issuer_keys == issuer.keys


async def test_an_issuer_that_is_still_starting_lets_nobody_in_and_ends_nothing() -> None:
    trust = Trust(issuer_keys={})
    keeper = Keeper(
        trust,
        keys="http://127.0.0.1:1/v1/keys",
        revoked="",
        interval=0.01,
        changed=lambda: None,
    )
    with capture_logs() as logs:
        await keeper.look()
    assert [entry["what"] for entry in logs] == ["ISSUER_KEYS"]
    assert not keeper.is_ready


async def test_without_issuer_keys_nothing_is_kept() -> None:
    keeper = Keeper(Trust(), keys="", revoked="", interval=1, changed=lambda: None)
    async with keeper:
        assert keeper.is_ready
