from __future__ import annotations

from pathlib import Path

import pytest

from actr_signaling.issuer.keys import KeyFiles
from actr_signaling.issuer.protocol.causes import Cause, RefusalError
from actr_signaling.issuer.protocol.grants import Grant
from actr_signaling.issuer.protocol.issuer_keys import State
from actr_signaling.issuer.protocol.subjects import Subject
from actr_signaling.issuer.register import administration
from actr_signaling.issuer.register.administration import Administration
from actr_signaling.issuer.register.database import Database
from signaling_kit.issuer import Clock, Holder, enrol, opened

pytestmark = pytest.mark.service
ROOMS = Grant(subject=Subject.parse("acme:room@*"), realm="default", claims={"a": ("b", "c")})


def made(database: Database, folder: Path, clock: Clock) -> Administration:
    return Administration(database, KeyFiles(folder / "keys"), clock=clock)


async def test_tokens_are_kept_as_they_were_made_and_never_their_text(tmp_path: Path) -> None:
    async with Database(tmp_path / "r") as database:
        operator = made(database, tmp_path, Clock())
        text, token = await operator.new_token(ROOMS, lasts=60, note="for the lab")
        assert await operator.tokens() == [token]
        assert text.encode() not in (tmp_path / "r").read_bytes()
        assert (token.claims, token.note) == ({"a": ("b", "c")}, "for the lab")


async def test_a_token_is_revoked_while_it_waits(tmp_path: Path) -> None:
    clock = Clock()
    async with Database(tmp_path / "r") as database:
        operator = made(database, tmp_path, clock)
        _, token = await operator.new_token(ROOMS, lasts=60)
        await operator.revoke_token(token.id)
        clock.now += 1
        await operator.revoke_token(token.id)
        assert (await operator.tokens())[0].revoked_at == clock.now - 1
        with pytest.raises(RefusalError, match="no token"):
            await operator.revoke_token("none")


async def test_a_used_token_is_not_revoked_but_its_key_is(tmp_path: Path) -> None:
    clock, holder = Clock(), Holder()
    async with opened(tmp_path, clock) as office:
        operator = made(office._database, tmp_path, clock)
        text, token = await operator.new_token(ROOMS, lasts=60)
        await enrol(office, holder, token=text)
        with pytest.raises(RefusalError, match="revoke the key"):
            await operator.revoke_token(token.id)
        assert (await operator.revoke_key(holder.public)).keys[0].key == holder.public
        with pytest.raises(RefusalError, match="not enrolled"):
            await operator.revoke_key(Holder().public)


async def test_tokens_have_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(administration, "MAX_TOKENS", 1)
    async with Database(tmp_path / "r") as database:
        operator = made(database, tmp_path, Clock())
        await operator.new_token(ROOMS, lasts=60)
        with pytest.raises(RefusalError) as refused:
            await operator.new_token(ROOMS, lasts=60)
        assert refused.value.cause is Cause.FULL


async def test_who_holds_more_than_was_revoked_is_named_and_left(tmp_path: Path) -> None:
    clock, wide = Clock(), Holder()
    async with opened(tmp_path, clock) as office:
        operator = made(office._database, tmp_path, clock)
        text, _ = await operator.new_token(ROOMS, lasts=60, patterns=True)
        await enrol(office, wide, "acme:room@*", token=text)
        done = await operator.revoke_ids(Subject.parse("acme:room@2"), "default")
        assert (done.keys, [one.key for one in done.wider]) == ((), [wide.public])
        assert [str(one.pattern) for one in await operator.blocks()] == ["acme:room@2"]
        with pytest.raises(RefusalError, match="is not revoked"):
            await operator.lift(Subject.parse("acme:room@3"), "default")


async def test_the_only_key_that_signs_is_not_retired_but_a_stolen_one_is_replaced(
    tmp_path: Path,
) -> None:
    clock = Clock()
    async with Database(tmp_path / "r") as database:
        operator = made(database, tmp_path, clock)
        await operator.ensure_key()
        await operator.ensure_key()
        [key] = await operator.issuer_keys()
        with pytest.raises(RefusalError, match="key new"):
            await operator.retire_key(key.kid, is_stolen=False)
        with pytest.raises(RefusalError, match="no issuer key"):
            await operator.retire_key("none", is_stolen=False)
        gone = await operator.retire_key(key.kid, is_stolen=True)
        assert gone.state(clock.now) is State.GONE
        states = {one.kid: one.state(clock.now) for one in await operator.issuer_keys()}
        assert sorted(states.values()) == [State.GONE, State.SIGNING]


async def test_published_keys_have_a_bound(tmp_path: Path) -> None:
    async with Database(tmp_path / "r") as database:
        operator = made(database, tmp_path, Clock())
        for _ in range(16):
            await operator.new_key(ahead=0)
        with pytest.raises(RefusalError) as refused:
            await operator.new_key(ahead=0)
        assert refused.value.cause is Cause.FULL
