"""Certificates on real replicas and a real Redis: what an adversary does is refused, counted and
named, and honest actors beside it notice nothing."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from actr import signaling_pb2 as pb
from actr_signaling.protocol.access.documents import make_document
from actr_signaling.protocol.identity.certificates import verify_certificate
from actr_signaling.protocol.identity.signatures import REGISTER, verify
from signaling_kit.certified import Holder, Issuer
from signaling_kit.client import Client, serve
from signaling_kit.redis import RedisProcess
from signaling_kit.replica import ReplicaProcess

pytestmark = [pytest.mark.service, pytest.mark.timeout(120)]

SECRET = b"a realm secret for tests"


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
async def replica(issuer: Issuer, tmp_path: Path) -> AsyncIterator[ReplicaProcess]:
    settings = {**issuer.write(tmp_path), "production": True, "trust_interval": 0.05}
    async with ReplicaProcess(**settings) as running:
        yield running


def now() -> float:
    return time.time()


async def refused(url: str) -> dict[str, int]:
    """How many proofs were refused, by cause."""
    base = url.replace("ws://", "http://").removesuffix("/v1/ws")
    async with httpx.AsyncClient(base_url=base) as http:
        lines = (await http.get("/metrics")).text.splitlines()
    counts = [line for line in lines if line.startswith("actr_signaling_refused_total{")]
    return {line.split('"')[1]: int(float(line.rsplit(" ", 1)[1])) for line in counts}


def is_genuine(presence: pb.Presence, issuer: Issuer) -> bool:
    """Whether an actor that has the issuer's key takes it, as peers do."""
    certificate = verify_certificate(presence.signed.certificate, issuer.keys, now=now())
    return verify(
        certificate.key, presence.signed.signature, REGISTER, presence.signed.register
    ) and pb.Register.FromString(presence.signed.register) == pb.Register(
        id=presence.id,
        ws_address=presence.ws_address,
        incarnation=presence.incarnation,
        services=presence.services,
        metadata=presence.metadata,
    )


async def test_the_greeting_asks_for_a_certificate_and_says_the_time(
    replica: ReplicaProcess,
) -> None:
    client = await Client.open(replica.url)
    assert client.hello.certificate_required
    assert not client.hello.proof_required, "of a secret"
    assert abs(client.hello.time_ms / 1000 - now()) < 60
    await client.close()


Attack = Callable[[Issuer, Holder], tuple[Holder, dict[str, Any]]]
ATTACKS: dict[str, tuple[Attack, str]] = {
    "an expired certificate": (
        lambda issuer, a: (issuer.renew(a, now=now() - 2000), {}),
        "expired",
    ),
    "one of the future": (
        lambda issuer, a: (issuer.renew(a, now=now() + 600), {}),
        "not yet valid",
    ),
    "one of a foreign issuer": (
        lambda issuer, a: (Issuer(9).renew(a, now=now()), {}),
        "unknown issuer key",
    ),
    "one with another pattern": (
        lambda issuer, a: (issuer.renew(a, now=now(), subject="acme:b@*"), {}),
        "id not covered",
    ),
    "one of another realm": (
        lambda issuer, a: (issuer.renew(a, now=now(), realm="other"), {}),
        "another realm",
    ),
    "a stolen one without its key": (
        lambda issuer, a: (replace(issuer.enrol("a"), certificate=a.certificate), {}),
        "key not proven",
    ),
    "a changed one": (
        lambda issuer, a: (a, {"certificate": a.certificate[:-8] + b"AAAAAAAA"}),
        "bad signature",
    ),
    "no certificate": (lambda issuer, a: (a, {"certificate": b"", "mac": b"m"}), "no certificate"),
}


@pytest.mark.parametrize("attack", ATTACKS)
async def test_an_adversary_is_refused_counted_and_named_and_others_notice_nothing(
    issuer: Issuer, replica: ReplicaProcess, attack: str
) -> None:
    a, b = issuer.enrol("a", now=now()), issuer.enrol("b", now=now())
    honest = await Client.certified(replica.url, b)
    watching = await honest.subscribe()
    make, cause = ATTACKS[attack]
    holder, changed = make(issuer, a)
    mallory = await Client.open(replica.url)
    answer = await mallory.prove(holder, **changed)
    assert answer.error.code == 4401
    assert answer.error.message
    assert await mallory.closed() == 4401
    assert await refused(replica.url) == {cause: 1}
    assert (await honest.ask(heartbeat=pb.Heartbeat())).HasField("heartbeat_ack")
    assert [one.id for one in (await honest.subscribe()).present] == [
        one.id for one in watching.present
    ]
    real = await Client.certified(replica.url, a)
    assert (await real.relay("b", "hello")).HasField("receipt")
    assert (await honest.next("relayed")).negotiate.candidate.candidate == "hello"
    for client in (honest, real):
        await client.close()
    replica.terminate()
    await replica.exited()
    log = [json.loads(line) for line in replica.log.splitlines()]
    (said,) = [entry for entry in log if entry["event"] == "proof refused"]
    assert said["cause"] == cause


async def test_a_recorded_proof_is_of_no_use_on_another_connection(
    issuer: Issuer, replica: ReplicaProcess
) -> None:
    a = issuer.enrol("a", now=now())
    honest = await Client.certified(replica.url, a)
    recorded = a.authenticate(honest.hello.server_id, honest.hello.nonce)
    mallory = await Client.open(replica.url)
    answer = await mallory.ask(authenticate=recorded)
    assert answer.error.code == 4401
    assert await mallory.closed() == 4401
    assert await refused(replica.url) == {"key not proven": 1}
    assert (await honest.ask(heartbeat=pb.Heartbeat())).HasField("heartbeat_ack")
    await honest.close()


async def test_an_actor_renews_its_certificate_on_the_connection_that_it_has(
    issuer: Issuer, replica: ReplicaProcess
) -> None:
    a = issuer.enrol("a", now=now())
    client = await Client.certified(replica.url, a)
    other = await Client.certified(replica.url, issuer.enrol("b", now=now()))
    await other.subscribe()
    newer = issuer.renew(a, now=now(), life=1000)
    assert (await client.prove(newer)).HasField("authenticated")
    assert (await client.relay("b", "still here")).HasField("receipt")
    await other.next("relayed")
    found = await other.ask(discover=pb.Discover(id=a.id.to_wire()))
    (shown,) = found.discovered.found
    assert shown.signed.certificate == newer.certificate
    assert shown.epoch == client.registered.epoch  # type: ignore[union-attr]
    assert is_genuine(shown, issuer)
    told = [one.presence.presence.id for one in other.kept if one.HasField("presence")]
    assert a.id.to_wire() not in told
    for each in (client, other):
        await each.close()


async def _nearly_over(issuer: Issuer, url: str) -> Client:
    """Registered with a certificate that ends in a moment, or in a longer one on a machine that
    takes its time: what clocks may differ by is over already."""
    for seconds in (1, 4, 16, 64):
        short = issuer.enrol("a", now=now() + seconds - 70, life=10)
        with suppress(AssertionError, ConnectionClosed):
            return await Client.certified(url, short)
    raise AssertionError("this machine is too slow")


async def test_a_session_ends_when_its_certificate_does(issuer: Issuer, tmp_path: Path) -> None:
    settings = {**issuer.write(tmp_path), "authenticate": 0.2}
    async with serve(**settings) as replica:
        client = await _nearly_over(issuer, replica.url)
        honest = await Client.certified(replica.url, issuer.enrol("b", now=now()))
        assert await client.closed() == 4401
        assert "renewed" in client.socket.close_reason  # type: ignore[operator]
        assert replica.service.hub.refused["certificate ended"] == 1
        assert (await honest.ask(heartbeat=pb.Heartbeat())).HasField("heartbeat_ack")
        await honest.close()


@pytest.mark.parametrize("what", ["key", "serial"])
async def test_who_is_revoked_is_out_within_seconds_and_does_not_come_back(
    issuer: Issuer, replica: ReplicaProcess, tmp_path: Path, what: str
) -> None:
    a, b = issuer.enrol("a", now=now()), issuer.enrol("b", now=now())
    client = await Client.certified(replica.url, a)
    other = await Client.certified(replica.url, b)
    await other.sees("a")
    if what == "key":
        issuer.revoke_key(a)
    else:
        issuer.revoke_serial(a)
    issuer.write(tmp_path)
    assert await client.closed() == 4403
    assert client.socket.close_reason.startswith("revoked: ")  # type: ignore[union-attr]
    left = await other.event("a", "LEAVE")
    assert left.reason == pb.PresenceEvent.KICKED
    again = await Client.open(replica.url)
    assert (await again.prove(a)).error.code == 4403
    assert await again.closed() == 4403
    assert await refused(replica.url) == {"revoked": 2}
    assert (await other.ask(heartbeat=pb.Heartbeat())).HasField("heartbeat_ack")
    await other.close()


async def test_an_issuer_key_is_replaced_with_no_break(
    issuer: Issuer, replica: ReplicaProcess, tmp_path: Path
) -> None:
    old, new = issuer, Issuer(2)
    a = old.enrol("a", now=now())
    client = await Client.certified(replica.url, a)
    newer = new.renew(a, now=now())
    answer = await client.prove(newer)
    assert answer.error.code == 4401, "not known yet: the session stays as it is"
    old.write(tmp_path, new)
    while not (await client.prove(newer)).HasField("authenticated"):
        pass
    new.write(tmp_path)
    while True:
        late = await Client.open(replica.url)
        is_known = (await late.prove(old.enrol("b", now=now()))).HasField("authenticated")
        late.abort()
        if not is_known:
            break
    assert (await client.ask(heartbeat=pb.Heartbeat())).HasField("heartbeat_ack")
    await client.close()


async def test_what_another_key_signed_is_not_registered(
    issuer: Issuer, replica: ReplicaProcess
) -> None:
    a = issuer.enrol("a", now=now())
    for register, cause in (
        (issuer.enrol("a", now=now()).register(), "registration altered"),
        (pb.Register(id=a.id.to_wire()), "registration not signed"),
    ):
        client = await Client.open(replica.url)
        await client.prove(a)
        assert (await client.ask(register=register)).error.code == 4401
        assert await client.closed() == 4401
        assert (await refused(replica.url))[cause] == 1


async def test_a_redis_that_changes_an_entry_fools_nobody_and_is_written_over(
    issuer: Issuer, tmp_path: Path, own_redis: RedisProcess
) -> None:
    a, b = issuer.enrol("a", now=now()), issuer.enrol("b", now=now())
    settings = {**issuer.write(tmp_path), "redis_url": own_redis.url}
    async with serve(**settings) as one, serve(**settings) as two:
        client = await Client.certified(one.url, a, ws_address="ws://10.0.0.1:9100/v1/wire")
        other = await Client.certified(two.url, b)
        await other.sees("a")
        # The store sends whoever wants to reach a to a place of its own.
        script = """
            local id, from, to = ARGV[1], ARGV[2], ARGV[3]
            local value = redis.call('HGET', 'actr:records', id)
            local at = string.find(value, from, 1, true)
            local forged = string.sub(value, 1, at - 1) .. to .. string.sub(value, at + #from)
            redis.call('HSET', 'actr:records', id, forged)
            local before = redis.call('HGET', 'actr:state', 'version')
            local version = string.format('%016.0f', tonumber(before) + 2)
            redis.call('HSET', 'actr:state', 'version', version)
            redis.call('PUBLISH', 'actr:presence', 'P' .. before .. version .. forged)
        """
        own_redis.ask("EVAL", script, "0", str(a.id), "ws://10.0.0.1", "ws://10.6.6.6")
        forged = (await other.event("a", "UPDATE")).presence
        assert forged.ws_address == "ws://10.6.6.6:9100/v1/wire"
        assert not is_genuine(forged, issuer)
        assert (await client.ask(heartbeat=pb.Heartbeat())).HasField("heartbeat_ack")
        mended = (await other.event("a", "UPDATE")).presence
        assert mended.ws_address == "ws://10.0.0.1:9100/v1/wire"
        assert is_genuine(mended, issuer)
        for each in (client, other):
            await each.close()


async def test_secrets_beside_certificates_are_taken_only_where_it_is_said(
    issuer: Issuer, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(SECRET)
    settings: dict[str, Any] = {**issuer.write(tmp_path), "realm_secret_file": secret}
    for accepts in (False, True):
        async with serve(**settings, accept_secrets=accepts) as replica:
            client = await Client.open(replica.url)
            assert client.hello.certificate_required is not accepts
            answer = await client.authenticate("a", SECRET)
            assert answer.HasField("authenticated") is accepts
            client.abort()
            certified = await Client.certified(replica.url, issuer.enrol("b", now=now()))
            await certified.close()


def rules(issuer: Issuer, place: Path, version: int, *tables: dict[str, Any]) -> Path:
    """Have the issuer publish access rules in a file."""
    path = place / "access.json"
    text = make_document(
        issuer.key, issuer="tests", version=version, now=int(now()), rules=list(tables)
    )
    path.write_text(json.dumps({"access": text}))
    return path


async def test_the_issuer_s_access_rules_keep_actors_apart_on_all_replicas(
    issuer: Issuer, tmp_path: Path, own_redis: RedisProcess
) -> None:
    operators = {"effect": "allow", "callers": ["acme:ann@*"], "claims": ["role=operator"]}
    settings = {**issuer.write(tmp_path), "trust_interval": 0.05, "production": True}
    settings["access"] = str(rules(issuer, tmp_path, 2, operators))
    room, ann, eve = (
        issuer.enrol(name, now=now(), claims={"role": role})
        for name, role in (("room@1", "room"), ("ann@1", "operator"), ("ann@2", "guest"))
    )
    settings["redis_url"] = own_redis.url
    async with ReplicaProcess(**settings) as one, ReplicaProcess(**settings) as two:
        there = await Client.certified(one.url, room)
        here = [await Client.certified(two.url, who) for who in (ann, eve)]

        async def outcomes() -> list[tuple[int, str]]:
            """How many each discovers, and what becomes of its relay."""
            found = []
            for client in here:
                by = pb.Discover(id=room.id.to_wire(), limit=1)
                listed = (await client.ask(discover=by)).discovered.found
                answer = await client.relay("room@1")
                what = answer.WhichOneof("body") or ""
                if what == "undelivered":
                    what = pb.Undelivered.Reason.Name(answer.undelivered.reason)
                found.append((len(listed), what))
            return found

        async def become(wanted: list[tuple[int, str]]) -> None:
            for _ in range(400):
                if await outcomes() == wanted:
                    return
                await asyncio.sleep(0.05)
            raise AssertionError(await outcomes())

        await become([(1, "receipt"), (0, "NOT_ALLOWED")])
        assert (await there.relay("ann@1")).HasField("receipt"), "its answer"
        rules(Issuer(9), tmp_path, 9, {"effect": "allow", "callers": ["*:*@*"]})
        rules(issuer, tmp_path, 1, {"effect": "allow", "callers": ["*:*@*"]})
        await asyncio.sleep(0.3)
        assert await outcomes() == [(1, "receipt"), (0, "NOT_ALLOWED")], "old ones, again"
        rules(issuer, tmp_path, 3, {"effect": "allow", "callers": ["*:*@*"]})
        await become([(1, "receipt"), (1, "receipt")])
        rules(issuer, tmp_path, 4)
        await become([(0, "NOT_ALLOWED"), (0, "NOT_ALLOWED")])
        base = two.url.replace("ws://", "http://").removesuffix("/v1/ws")
        async with httpx.AsyncClient(base_url=base) as http:
            page = (await http.get("/metrics")).text
        assert 'actr_signaling_kept_apart_total{what="relay"}' in page
        assert 'actr_signaling_kept_apart_total{what="discovery"}' in page
        for client in (there, *here):
            await client.close()
