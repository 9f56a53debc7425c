from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from actr_signaling.errors import ConfigError
from actr_signaling.issuer.office import Office
from actr_signaling.issuer.protocol.causes import Cause, RefusalError
from actr_signaling.issuer.protocol.grants import Grant
from actr_signaling.issuer.protocol.subjects import Subject
from actr_signaling.issuer.register import access, audit
from actr_signaling.issuer.register.administration import Administration
from actr_signaling.issuer.register.enrolments import MAX_FORMER
from actr_signaling.issuer.watched import ACCESS_FILE, KEYS_FILE, REVOKED_FILE
from actr_signaling.protocol.access.documents import read_document
from actr_signaling.protocol.identity.keys import encode, read_keys
from signaling_kit.issuer import (
    SECRET,
    Clock,
    Holder,
    enrol,
    opened,
    renew,
    rotate,
    settings,
    verified,
)

pytestmark = pytest.mark.service


def hand(office: Office, clock: Clock) -> Administration:
    """The operator's, on the register of a running issuer."""
    return Administration(office._database, office._keys, clock=clock)


async def token(office: Office, clock: Clock, pattern: str = "acme:room@*", **more: Any) -> str:
    grant = Grant(subject=Subject.parse(pattern), realm="default", **more)
    return (await hand(office, clock).new_token(grant, lasts=60))[0]


async def refused(attempt: Any) -> Cause:
    with pytest.raises(RefusalError) as caught:
        await attempt
    return caught.value.cause


async def test_a_certificate_says_what_the_token_or_the_rule_grants(tmp_path: Path) -> None:
    clock, by_token, by_secret = Clock(), Holder(), Holder()
    async with opened(tmp_path, clock) as office:
        text = await token(office, clock, claims={"role": "op", "teams": ("a", "b")}, life=60)
        first = await verified(office, await enrol(office, by_token, token=text), clock.now)
        assert (first.subject, first.realm, first.key) == (
            "acme:room@1",
            "default",
            by_token.public,
        )
        assert first.claims == {"role": "op", "teams": ("a", "b")}
        assert first.expires_at - first.issued_at == 60
        other = await verified(office, await enrol(office, by_secret, "acme:hall@1"), clock.now)
        assert (other.claims, other.expires_at - other.issued_at) == ({}, 900)
        clock.now += 600
        again = await verified(office, await renew(office, by_secret), clock.now)
        assert again.issued_at == clock.now
        assert again.serial != other.serial


async def test_of_two_hundred_with_one_token_exactly_one_wins(tmp_path: Path) -> None:
    clock, holders = Clock(), [Holder() for _ in range(200)]
    async with opened(tmp_path, clock) as office:
        text = await token(office, clock)
        outcomes = await asyncio.gather(
            *(enrol(office, holder, token=text) for holder in holders), return_exceptions=True
        )
        won = [one for one in outcomes if isinstance(one, str)]
        lost = [one for one in outcomes if isinstance(one, RefusalError)]
        assert (len(won), {one.cause for one in lost}) == (1, {Cause.TOKEN_USED})
        assert len(lost) == 199
        assert len(await hand(office, clock).actors()) == 1


async def test_a_wrong_request_uses_no_token_up(tmp_path: Path) -> None:
    clock, holder = Clock(), Holder()
    async with opened(tmp_path, clock) as office:
        text = await token(office, clock)
        assert await refused(enrol(office, holder, "acme:hall@1", token=text)) is Cause.PATTERN
        assert await refused(enrol(office, holder, realm="lab", token=text)) is Cause.PATTERN
        assert await enrol(office, holder, token=text)


async def test_a_token_survives_a_restart_and_so_does_its_use(tmp_path: Path) -> None:
    clock, holder = Clock(), Holder()
    async with opened(tmp_path, clock) as office:
        text = await token(office, clock)
    async with opened(tmp_path, clock) as office:
        await enrol(office, holder, token=text)
    async with opened(tmp_path, clock) as office:
        assert await refused(enrol(office, Holder(), token=text)) is Cause.TOKEN_USED
        assert await enrol(office, holder, token=text), "its answer may have been lost"
        assert await renew(office, holder)


async def test_a_proof_is_good_once_and_for_its_request_only(tmp_path: Path) -> None:
    clock, holder, other = Clock(), Holder(), Holder()
    async with opened(tmp_path, clock) as office:
        body = holder.enrol(office.nonce()[0])
        stolen = {**body, "key": encode(other.public)}
        assert await refused(office.enrol(json.dumps(stolen).encode(), "a")) is Cause.PROOF
        assert await refused(office.enrol(json.dumps(body).encode(), "a")) is Cause.NONCE
        good = holder.enrol(office.nonce()[0])
        await office.enrol(json.dumps(good).encode(), "a")
        assert await refused(office.enrol(json.dumps(good).encode(), "a")) is Cause.NONCE
        late = holder.renew(office.nonce()[0])
        clock.now += 61
        assert await refused(office.renew(json.dumps(late).encode(), "a")) is Cause.NONCE
        forged = {**other.renew(office.nonce()[0]), "key": encode(holder.public)}
        assert await refused(office.renew(json.dumps(forged).encode(), "a")) is Cause.PROOF
        assert await refused(enrol(office, holder, secret=b"another secret")) is Cause.SECRET


async def test_who_was_revoked_is_out_at_once_and_for_good(tmp_path: Path) -> None:
    clock, holder = Clock(), Holder()
    async with opened(tmp_path, clock) as office:
        await enrol(office, holder)
        await hand(office, clock).revoke_key(holder.public)
        assert (await office.revocations())["revoked"] == [
            {"key": encode(holder.public), "at": int(clock.now)}
        ]
        assert await refused(renew(office, holder)) is Cause.REVOKED
        assert await refused(enrol(office, holder)) is Cause.REVOKED
        text = await token(office, clock)
        assert await refused(enrol(office, holder, token=text)) is Cause.REVOKED
        assert await enrol(office, Holder()), "its id is free for another key"
        clock.now += 900 + 119
        assert (await office.revocations())["revoked"], "a reader's clock may be a minute behind"
        clock.now += 2
        assert (await office.revocations())["revoked"] == []
        assert await refused(renew(office, holder)) is Cause.REVOKED


async def test_ids_that_were_revoked_are_enrolled_by_a_new_token_only(tmp_path: Path) -> None:
    clock, holders = Clock(), [Holder() for _ in range(3)]
    async with opened(tmp_path, clock) as office:
        before = await token(office, clock)
        for number, holder in enumerate(holders):
            await enrol(office, holder, f"acme:{'room' if number else 'hall'}@{number}")
        clock.now += 1
        done = await hand(office, clock).revoke_ids(Subject.parse("acme:room@*"), "default")
        assert {one.key for one in done.keys} == {holder.public for holder in holders[1:]}
        assert await renew(office, holders[0])
        assert await refused(renew(office, holders[1])) is Cause.REVOKED
        assert await refused(enrol(office, Holder(), "acme:room@9")) is Cause.REVOKED
        assert await refused(enrol(office, Holder(), "acme:room@9", token=before)) is Cause.REVOKED
        clock.now += 1
        after = await token(office, clock)
        assert await enrol(office, Holder(), "acme:room@9", token=after)
        await hand(office, clock).lift(Subject.parse("acme:room@*"), "default")
        assert await enrol(office, Holder(), "acme:room@8")


async def test_an_id_passes_to_another_key_when_its_certificate_is_over(tmp_path: Path) -> None:
    clock, old, new = Clock(), Holder(), Holder()
    async with opened(tmp_path, clock) as office:
        await enrol(office, old)
        assert await refused(enrol(office, new)) is Cause.TAKEN
        clock.now += 900
        await enrol(office, new)
        assert await refused(renew(office, old)) is Cause.SUPERSEDED


async def test_a_token_takes_an_id_over_and_readers_are_told(tmp_path: Path) -> None:
    clock, old, new = Clock(), Holder(), Holder()
    async with opened(tmp_path, clock) as office:
        await enrol(office, old)
        await enrol(office, new, token=await token(office, clock))
        told = await office.revocations()
        assert told == {
            "revoked": [{"key": encode(old.public), "at": int(clock.now)}],
            "version": 1,
        }


async def test_a_key_hands_over_to_a_new_one_with_no_break(tmp_path: Path) -> None:
    clock, old, new = Clock(), Holder(), Holder()
    async with opened(tmp_path, clock) as office:
        await enrol(office, old, token=await token(office, clock, claims={"role": "op"}))
        certificate = await verified(office, await rotate(office, old, new), clock.now)
        assert (certificate.key, certificate.claims) == (new.public, {"role": "op"})
        assert (await office.revocations())["revoked"] == []
        assert await refused(renew(office, old)) is Cause.SUPERSEDED
        assert await renew(office, new)


async def test_a_key_is_listed_as_revoked_until_the_longest_of_its_certificates_is_over(
    tmp_path: Path,
) -> None:
    clock, holder, path = Clock(), Holder(), tmp_path / "rules.toml"
    path.write_text('[[rule]]\npattern = "acme:room@*"\nlife = 3600\n')
    async with opened(tmp_path, clock, rules_file=path) as office:
        await enrol(office, holder)
        path.write_text('[[rule]]\npattern = "acme:room@*"\nlife = 30\n')
        await renew(office, holder)
        await hand(office, clock).revoke_key(holder.public)
        clock.now += 3500
        assert (await office.revocations())["revoked"]


async def test_who_lost_its_id_is_not_believed_again_by_enrolling_for_another(
    tmp_path: Path,
) -> None:
    clock, old, new, other = Clock(), Holder(), Holder(), Holder()
    async with opened(tmp_path, clock) as office:
        await enrol(office, old)
        await enrol(office, new, token=await token(office, clock))
        assert await refused(enrol(office, old, "acme:hall@1")) is Cause.TAKEN
        await enrol(office, other, "acme:hall@1")
        assert await refused(rotate(office, other, old)) is Cause.TAKEN
        listed = (await office.revocations())["revoked"]
        assert listed == [{"key": encode(old.public), "at": int(clock.now)}]


async def test_an_actor_that_changes_its_key_without_end_fills_no_register(tmp_path: Path) -> None:
    clock, key = Clock(), Holder()
    async with opened(tmp_path, clock, max_actors=10_000) as office:
        await enrol(office, key)
        for _ in range(MAX_FORMER):
            new = Holder()
            await rotate(office, key, new)
            key = new
        assert await refused(rotate(office, key, Holder())) is Cause.TOO_FAST
        assert len(await hand(office, clock).actors()) == MAX_FORMER + 1
        clock.now += 900 + 120
        new = Holder()
        await rotate(office, key, new)
        assert len(await hand(office, clock).actors()) == MAX_FORMER + 1
        assert await renew(office, new)


async def test_the_issuer_serves_on_where_its_clock_is_set_back(tmp_path: Path) -> None:
    clock, steady, holder = Clock(), Clock(), Holder()
    async with Office(settings(tmp_path), clock=clock, steady=steady) as office:
        clock.now += 86400  # its key has been signing for long
        await enrol(office, holder)
        for _ in range(300):
            office.admit("192.0.2.1", reads=False)
        clock.now -= 3600
        steady.now += 60
        office.admit("192.0.2.1", reads=False)
        assert await renew(office, holder)


async def test_the_issuer_s_key_is_replaced_with_no_break(tmp_path: Path) -> None:
    clock, holder = Clock(), Holder()
    async with opened(tmp_path, clock) as office:
        operator = hand(office, clock)
        first = await enrol(office, holder)
        [old] = await operator.issuer_keys()
        new = await operator.new_key(ahead=300)
        assert len((await office.public_keys())["keys"]) == 2  # type: ignore[arg-type]
        early = await renew(office, holder)
        clock.now += 300
        late = await renew(office, holder)
        for text in (first, early, late):
            await verified(office, text, clock.now)
        await operator.retire_key(old.kid, is_stolen=False)
        for text in (first, early, late, await renew(office, holder)):
            await verified(office, text, clock.now)
        clock.now += 900 + 61
        assert [one["kid"] for one in (await office.public_keys())["keys"]] == [new.kid]  # type: ignore[attr-defined]


async def test_the_newest_key_that_is_there_signs(tmp_path: Path) -> None:
    clock, holder = Clock(), Holder()
    async with opened(tmp_path, clock) as office:
        [old] = await hand(office, clock).issuer_keys()
        new = await hand(office, clock).new_key(ahead=0)
        office._keys.remove(new.kid)
        await enrol(office, holder)
        await office.check()
        office._keys.remove(old.kid)
        assert await refused(renew(office, holder)) is Cause.UNREADY
        assert await refused(office.check()) is Cause.UNREADY


async def test_rules_that_change_hold_at_the_next_renewal(tmp_path: Path) -> None:
    clock, holder, path = Clock(), Holder(), tmp_path / "rules.toml"
    path.write_text('[[rule]]\npattern = "acme:room@*"\nclaims = {role = "old"}\n')
    async with opened(tmp_path, clock, rules_file=path) as office:
        await enrol(office, holder)
        path.write_text('[[rule]]\npattern = "acme:room@*"\nclaims = {role = "newer"}\n')
        certificate = await verified(office, await renew(office, holder), clock.now)
        assert certificate.claims == {"role": "newer"}
        path.write_text("")
        assert await refused(renew(office, holder)) is Cause.RULE


async def test_public_files_say_what_the_pages_say(tmp_path: Path) -> None:
    clock, holder = Clock(), Holder()
    async with opened(tmp_path, clock) as office:
        await enrol(office, holder)
        await hand(office, clock).revoke_key(holder.public)
        await office.publish()
        public = office.settings.public
        assert json.loads((public / KEYS_FILE).read_text()) == await office.public_keys()
        assert json.loads((public / REVOKED_FILE).read_text()) == await office.revocations()


async def test_the_audit_log_tells_who_was_enrolled_and_refused_and_holds_no_secret(
    tmp_path: Path,
) -> None:
    clock, holder, other = Clock(), Holder(), Holder()
    async with opened(tmp_path, clock) as office:
        text = await token(office, clock)
        await refused(renew(office, holder))
        certificate = await enrol(office, holder, token=text)
        await refused(enrol(office, other, token=text))
        await renew(office, holder)
        entries = await audit.last(office._database, 100)
    events = [entry.event for entry in entries]
    assert events == ["key made", "token made", "enrolled", "refused", "renewed"]
    assert (entries[2].key, entries[2].address) == (encode(holder.public), "192.0.2.1")
    assert (entries[3].key, "token-used" in entries[3].detail) == (encode(other.public), True)
    held = (tmp_path / "issuer" / "register.db").read_bytes()
    for secret in (text.encode(), certificate.encode(), SECRET, b"PRIVATE KEY"):
        assert secret not in held


async def test_a_full_register_takes_nobody_new(tmp_path: Path) -> None:
    clock, holder = Clock(), Holder()
    async with opened(tmp_path, clock, max_actors=1) as office:
        await enrol(office, holder)
        assert await refused(enrol(office, Holder(), "acme:room@2")) is Cause.FULL
        assert await renew(office, holder)


async def test_a_key_that_others_may_read_stops_the_start(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock):
        pass
    [path] = (tmp_path / "issuer" / "keys").iterdir()
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="others may read"):
        await Office(settings(tmp_path), clock=clock).__aenter__()


async def test_access_rules_are_published_signed_and_anew_each_minute(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock) as office:
        keys = read_keys(json.dumps(await office.public_keys()))

        async def said() -> Any:
            return read_document(json.dumps(await office.access()).encode(), keys)

        assert ((await said()).version, (await said()).rules) == (0, None)
        table = {"effect": "allow", "callers": ["acme:ann@*"]}
        first = await access.keep(office._database, [table], now=clock.now)
        assert first.version == int(clock.now)
        assert (await said()).version == first.version
        await office.publish()
        path = office.settings.public / ACCESS_FILE
        assert read_document(path.read_bytes(), keys).version == first.version
        before = await office.access()
        clock.now += 59
        assert await office.access() == before
        clock.now += 1
        assert (await said()).issued_at == int(clock.now)
        clock.now -= 60
        second = await access.keep(office._database, None, now=clock.now)
        assert second.version == first.version + 1, "it rises though the clock went back"
        assert (await said()).rules is None
        [line] = await audit.last(office._database, 1)
        assert (line.event, "none" in line.detail) == ("access set", True)


async def test_it_is_ready_only_with_a_key(tmp_path: Path) -> None:
    async with opened(tmp_path, Clock()) as office:
        await office.check()
        for path in (tmp_path / "issuer/keys").glob("*.pem"):
            path.unlink()
        office._keys._keys.clear()  # as after a start
        with pytest.raises(RefusalError, match="no key to sign with"):
            await office.check()
