"""The issuer's rules as an actor keeps them: no older ones, and the last while it is away."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt import PyJWS

from actr_peer.errors import ConfigError, PeerError
from actr_peer.protocol.identity.keys import key_id
from actr_peer.protocol.rpc.access.published import Published
from actr_peer.wire.issuer.ruling import OLD_SECONDS, Ruling

KEY, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32) for seed in (1, 2))
KEYS = {key_id(KEY.public_key().public_bytes_raw()): KEY.public_key().public_bytes_raw()}
NOW = 1_800_000_000


def write(path: Path, version: int, *, at: int = NOW, key: Ed25519PrivateKey = KEY) -> None:
    payload: dict[str, Any] = {"iss": "t", "version": version, "iat": at, "rules": []}
    header = {"typ": "actr-access+jwt", "kid": key_id(key.public_key().public_bytes_raw())}
    text = PyJWS().encode(json.dumps(payload).encode(), key, "EdDSA", headers=header)
    path.write_text(json.dumps({"access": text}))


class Place:
    def __init__(self, folder: Path) -> None:
        self.file, self.kept = folder / "access.json", folder / "kept.json"
        self.took: list[int] = []
        self.failed: list[str] = []
        self.now = NOW
        self.fault: ConfigError | None = None

    def ruling(self) -> Ruling:
        return Ruling(
            file=self.file,
            client=None,
            keys=lambda: KEYS,
            now=lambda: self.now,
            kept=self.kept,
            every=3600.0,
            took=self._take,
            failed=lambda error: self.failed.append(str(error)),
        )

    def _take(self, published: Published) -> None:
        if self.fault is not None:
            raise self.fault
        self.took.append(published.version)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


async def test_newer_rules_are_taken_and_older_or_foreign_ones_are_not(place: Place) -> None:
    write(place.file, 2)
    async with place.ruling() as ruling:
        assert place.took == [2]
        write(place.file, 2, at=NOW + 60)
        await ruling.look()
        write(place.file, 1, at=NOW + 60)
        await ruling.look()
        assert "version 1, where 2 was seen" in place.failed[-1]
        write(place.file, 9, key=OTHER)
        await ruling.look()
        assert place.took == [2]
        assert ruling.refused == 2
        write(place.file, 3)
        await ruling.look()
        assert place.took == [2, 3]


async def test_the_last_rules_hold_over_a_start_without_the_issuer_and_against_older_ones(
    place: Place,
) -> None:
    write(place.file, 5)
    async with place.ruling():
        pass
    place.file.unlink()
    async with place.ruling() as ruling:
        assert place.took == [5, 5]
        assert "no such file" in place.failed[-1]
        write(place.file, 4)
        await ruling.look()
        assert place.took == [5, 5]
        assert "version 4, where 5 was seen" in place.failed[-1]


async def test_what_is_wrong_is_told_once_and_when_it_is_over_it_may_be_told_again(
    place: Place,
) -> None:
    async with place.ruling() as ruling:
        await ruling.look()
        assert len(place.failed) == 1
        write(place.file, 1)
        await ruling.look()
        place.file.unlink()
        await ruling.look()
        assert len(place.failed) == 2


async def test_rules_that_nobody_signs_anew_are_told_and_hold(place: Place) -> None:
    write(place.file, 1)
    async with place.ruling() as ruling:
        place.now = NOW + int(OLD_SECONDS) + 1
        await ruling.look()
        assert "somebody holds newer ones back" in place.failed[-1]
        assert place.took == [1]


async def test_rules_that_cannot_be_used_leave_those_of_before(place: Place) -> None:
    write(place.file, 1)
    async with place.ruling() as ruling:
        place.fault = ConfigError("a rule that is none")
        write(place.file, 2)
        await ruling.look()
        assert place.took == [1]
        place.fault = None
        await ruling.look()
        assert place.took == [1, 2], "it is looked at again"


async def test_kept_rules_that_cannot_be_read_are_passed_over(place: Place) -> None:
    place.kept.write_text("nothing")
    write(place.file, 1)
    async with place.ruling():
        assert place.took == [1]


async def test_failures_are_errors_of_the_actor(place: Place) -> None:
    place.file.mkdir()
    async with place.ruling():
        assert place.failed
        assert issubclass(ConfigError, PeerError)
