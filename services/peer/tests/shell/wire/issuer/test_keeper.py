"""A certificate is there at the start, renewed in time, and outlives an issuer that is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from actr_peer.errors import ConfigError, PeerError, UnreachableError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.asking import Issuer
from actr_peer.protocol.identity.certificates import read_certificate
from actr_peer.protocol.identity.keeping import State
from actr_peer.wire.issuer.client import IssuerClient
from actr_peer.wire.issuer.clock import IssuerClock
from actr_peer.wire.issuer.keeper import Keeper
from actr_peer.wire.issuer.trusted import Trusted
from peer_kit.signaling.issuer import SECRET, TOKEN, FakeIssuer

ROOM = ActrId("acme", "room", "1")
KEY = Ed25519PrivateKey.generate()
PUBLIC = KEY.public_key().public_bytes_raw()


class Time:
    """A clock that stands still until somebody waits: then it is that much later."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.turn = asyncio.Semaphore(0)
        self.waiting = asyncio.Event()

    async def wait(self, seconds: float) -> None:
        self.waiting.set()
        await self.turn.acquire()
        self.waiting.clear()
        self.now += seconds

    async def pass_by(self, seconds: float) -> None:
        """Let the keeper have its turns until it is that much later."""
        until = self.now + seconds
        while self.now < until:
            await self.waiting.wait()
            self.turn.release()
            await asyncio.sleep(0)
        await self.waiting.wait()


class Stage:
    """One issuer, and whatever keepers ask it; all of them share one clock."""

    def __init__(self, issuer: FakeIssuer, folder: Path) -> None:
        self.issuer, self.kept = issuer, folder / "certificate.jwt"
        self.keys = folder / "issuer-keys.json"
        self.time, self.failed = Time(), list[PeerError]()
        self.clock = IssuerClock(lambda: self.time.now, lambda: self.time.now)

    def keeper(self, *, key: Ed25519PrivateKey = KEY, **changed: Any) -> Keeper:
        self.issuer.changed.update(self.times())
        given: dict[str, Any] = {
            "client": IssuerClient(Issuer.parse(self.issuer.url)),
            "clock": self.clock,
            "trusted": Trusted(self.clock, file=None, kept=self.keys),
            "token": lambda: TOKEN,
            "secret": b"",
            "kept": self.kept,
            "failed": self.failed.append,
            "start_timeout": 30,
            "wait": self.time.wait,
            **changed,
        }
        return Keeper(ROOM, key, **given)

    def times(self) -> dict[str, int]:
        now = int(self.time.now)
        return {"iat": now, "nbf": now, "exp": now + 900}


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with FakeIssuer() as issuer:
        yield Stage(issuer, tmp_path)


async def test_a_key_enrols_once_and_its_certificate_is_kept(stage: Stage) -> None:
    async with stage.keeper() as keeper:
        assert keeper.state is State.HOLDING
        assert read_certificate(keeper.text.encode()).key == PUBLIC
        await stage.time.waiting.wait()
        assert stage.kept.read_text() == keeper.text + "\n"
        assert stage.issuer.asked.count("/v1/enrol") == 1
    asked = len(stage.issuer.asked)
    async with stage.keeper() as again:
        assert again.text == keeper.text
    assert len(stage.issuer.asked) == asked


async def test_the_realm_s_secret_enrols_where_there_is_no_token(stage: Stage) -> None:
    async with stage.keeper(token=str, secret=SECRET) as keeper:
        assert keeper.text


async def test_it_is_renewed_before_its_end_by_the_key_alone(stage: Stage) -> None:
    async with stage.keeper() as keeper:
        first = keeper.text
        stage.issuer.changed.update(iat=int(stage.time.now) + 600, exp=int(stage.time.now) + 1500)
        await stage.time.pass_by(601)
        assert keeper.text != first
        assert keeper.state is State.HOLDING
        assert stage.issuer.asked.count("/v1/enrol") == 1
    assert stage.failed == []


async def test_an_issuer_that_is_away_takes_nothing_and_is_told_of(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with stage.keeper() as keeper:
        first = keeper.text
        stage.issuer.away = True
        await stage.time.pass_by(800)
        assert (keeper.text, keeper.state) == (first, State.RENEWING)
        assert stage.failed
        assert all(isinstance(error, UnreachableError) for error in stage.failed)
        assert "no certificate: cause=cannot reach the issuer http" in caplog.text
        await stage.time.pass_by(3600)
        assert keeper.state is State.LAPSED
        assert "lives=0" in caplog.text
        stage.issuer.away = False
        stage.issuer.changed.update(stage.times())
        await stage.time.pass_by(61)
        assert keeper.text != first


async def test_a_start_without_the_issuer_goes_on_with_what_was_kept(stage: Stage) -> None:
    async with stage.keeper() as keeper:
        await stage.time.waiting.wait()
    stage.issuer.away = True
    async with stage.keeper() as again:
        assert again.text == keeper.text


@pytest.mark.parametrize("lost", ["certificate", "keys", "of another key"])
async def test_what_is_kept_and_of_no_use_is_asked_for_again(stage: Stage, lost: str) -> None:
    async with stage.keeper() as keeper:
        await stage.time.waiting.wait()
    key = KEY
    if lost == "certificate":
        stage.kept.write_text("nonsense")
    elif lost == "keys":
        stage.keys.unlink()
    else:
        key = Ed25519PrivateKey.generate()
    async with stage.keeper(key=key) as again:
        assert again.text != keeper.text


async def test_a_key_that_was_just_made_is_not_asked_for(stage: Stage) -> None:
    async with stage.keeper(is_new=True) as keeper:
        assert keeper.state is State.HOLDING
    assert stage.issuer.asked == ["/v1/nonce", "/v1/enrol", "/v1/keys"]


async def test_a_certificate_of_an_issuer_key_that_is_gone_is_asked_for_again(
    stage: Stage,
) -> None:
    async with stage.keeper() as keeper:
        first = keeper.text
        await stage.time.waiting.wait()
    async with FakeIssuer() as other:
        stage.keys.write_text(other.keys)
        stage.issuer = other
        async with stage.keeper() as again:
            assert again.text != first


async def test_a_first_start_without_the_issuer_ends_with_its_name(stage: Stage) -> None:
    stage.issuer.away = True

    async def soon(_: float) -> None:
        await asyncio.Event().wait()

    with pytest.raises(UnreachableError, match=r"the issuer http://127\.0\.0\.1:\d+/issuer: "):
        async with stage.keeper(start_timeout=0.5, wait=soon):
            pass


async def test_a_first_start_that_is_refused_ends_with_the_issuer_s_words(stage: Stage) -> None:
    stage.issuer.refusal = 403, "revoked"
    with pytest.raises(
        ConfigError, match="gives acme:room@1:default no certificate: it is revoked"
    ):
        async with stage.keeper():
            pass


async def test_a_key_that_nobody_knows_and_that_has_nothing_to_enrol_with_is_told_what_to_do(
    stage: Stage,
) -> None:
    with pytest.raises(ConfigError, match=r"identity\.join_token_file .* realm\.secret_file"):
        async with stage.keeper(token=str):
            pass


async def test_a_revoked_actor_goes_on_until_its_certificate_ends(stage: Stage) -> None:
    async with stage.keeper() as keeper:
        stage.issuer.refusal = 403, "revoked"
        await stage.time.pass_by(700)
        assert keeper.state is State.REFUSED
        assert isinstance(stage.failed[-1], ConfigError)
        stage.issuer.refusal = None
        stage.issuer.changed.update(stage.times())
        await stage.time.pass_by(301)
        assert keeper.state is State.HOLDING


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"sub": "acme:hall@1"}, "one for acme:hall@1 in realm default and not for acme:room@1"),
        ({"exp": 1_700_000_000, "iat": 1_700_000_000 - 900, "nbf": 0}, None),
    ],
    ids=["of another", "with its own idea of the time"],
)
async def test_what_the_issuer_gives_is_believed_if_it_is_this_actor_s(
    stage: Stage, changed: dict[str, Any], told: str | None
) -> None:
    keeper = stage.keeper()
    stage.issuer.changed.update(changed)
    if told is None:  # the issuer's clock is the one that counts
        async with keeper:
            assert stage.clock.offset == pytest.approx(-100_000_900, abs=2)
    else:
        with pytest.raises(ConfigError, match=told):
            async with keeper:
                pass


async def test_a_certificate_that_its_issuer_did_not_sign_sets_no_clock(stage: Stage) -> None:
    """Over http whoever is between can answer in the issuer's place."""
    stage.keys.write_text(stage.issuer.keys)
    trusted = Trusted(stage.clock, file=stage.keys)
    stage.issuer.key = Ed25519PrivateKey.generate()
    keeper = stage.keeper(trusted=trusted)
    stage.issuer.changed.update(iat=1_700_000_000, nbf=1_700_000_000, exp=1_700_000_900)
    with pytest.raises(ConfigError, match="not among those known here"):
        async with keeper:
            pass
    assert stage.clock.offset == 0


@pytest.mark.parametrize("earlier", [0, 3600], ids=["the same", "an older one"])
async def test_a_certificate_from_before_is_not_taken_while_the_last_one_lives(
    stage: Stage, earlier: int
) -> None:
    """It would hold the clock here back, and others' certificates that are over would be good."""
    async with stage.keeper() as keeper:
        first = keeper.text
        begun = int(stage.time.now)
        times = {"iat": begun - earlier, "nbf": begun - earlier, "exp": begun - earlier + 900}
        stage.issuer.changed.update(times, jti=read_certificate(first.encode()).serial)
        await stage.time.pass_by(700)
        assert keeper.text == first
        assert stage.clock.offset == pytest.approx(0, abs=1)
        assert any("from before the last one" in str(error) for error in stage.failed)
        stage.issuer.changed.update(stage.times(), jti="another")
        await stage.time.pass_by(61)
        assert keeper.text != first


async def test_one_that_is_busy_is_asked_again_later(stage: Stage) -> None:
    stage.issuer.refusal = 503, "unready"
    keeper = stage.keeper()
    entering = asyncio.create_task(keeper.__aenter__())
    await stage.time.pass_by(3)
    assert not entering.done()
    stage.issuer.refusal = None
    await stage.time.pass_by(10)
    await entering
    assert keeper.state is State.HOLDING
    assert all(isinstance(error, UnreachableError) for error in stage.failed)
    await keeper.__aexit__(None, None, None)


async def test_a_certificate_that_cannot_be_kept_is_used_all_the_same(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    async with stage.keeper(kept=stage.kept.parent / "nowhere" / "x") as keeper:
        await stage.time.waiting.wait()
        assert keeper.text
    assert "certificate not kept" in caplog.text
