from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest

from actr_signaling.issuer.web.app import PROBLEM, ROUTES
from actr_signaling.protocol.identity.certificates import verify_certificate
from actr_signaling.protocol.identity.keys import encode, read_keys
from signaling_kit.client import PATIENCE
from signaling_kit.issuer import Holder, IssuerProcess

pytestmark = pytest.mark.service


def cause(answer: httpx.Response) -> tuple[int, str]:
    """Status and cause of a problem."""
    assert answer.headers["content-type"] == PROBLEM
    body = answer.json()
    assert (body["status"], body["type"]) == (
        answer.status_code,
        f"urn:actr:issuer:{body['cause']}",
    )
    assert body["detail"]
    return answer.status_code, body["cause"]


async def key_of(issuer: IssuerProcess, text: str) -> bytes:
    """For whom a certificate is, as a reader of the public keys sees it."""
    page = await issuer.http.get("/v1/keys")
    nonce = (await issuer.http.get("/v1/nonce")).json()
    return verify_certificate(text.encode(), read_keys(page.text), now=nonce["time"]).key


async def test_an_actor_enrols_renews_hands_over_and_is_revoked(tmp_path: Path) -> None:
    holder, new = Holder(), Holder()
    async with IssuerProcess(tmp_path) as issuer:
        answer = await issuer.enrol(holder)
        assert answer.status_code == 201
        assert await key_of(issuer, answer.json()["certificate"]) == holder.public
        assert (await issuer.renew(holder)).status_code == 200
        body = holder.rotate(await issuer.nonce(), new)
        answer = await issuer.http.post("/v1/rotate", json=body)
        assert await key_of(issuer, answer.json()["certificate"]) == new.public
        assert (await issuer.http.get("/v1/access")).json()["access"].count(".") == 2
        before = await issuer.http.get("/v1/revoked")
        tag = {"if-none-match": before.headers["etag"]}
        assert (await issuer.http.get("/v1/revoked", headers=tag)).status_code == 304
        await issuer.verb("revoke", encode(new.public))
        after = await issuer.http.get("/v1/revoked", headers=tag)
        assert [one["key"] for one in after.json()["revoked"]] == [encode(new.public)]
        assert cause(await issuer.renew(new)) == (403, "revoked")


async def test_of_two_hundred_at_once_with_one_token_one_wins(tmp_path: Path) -> None:
    async with IssuerProcess(tmp_path, requests_burst=10_000) as issuer:
        token = (await issuer.verb("token", "new", "acme:room@*"))["token"]
        answers = await asyncio.gather(
            *(issuer.enrol(Holder(), f"acme:room@{number}", token=token) for number in range(200))
        )
        codes = [answer.status_code for answer in answers]
        assert (codes.count(201), codes.count(409)) == (1, 199)
        assert len((await issuer.verb("list"))["actors"]) == 1
        text = (await issuer.http.get("/metrics")).text
        assert 'actr_issuer_refused_total{cause="token-used"} 199.0' in text
        assert 'actr_issuer_enrolled_total{way="token"} 1.0' in text
        assert "actr_issuer_certificates_alive 1.0" in text


async def test_killed_in_the_midst_it_uses_no_token_twice_and_loses_nobody(tmp_path: Path) -> None:
    """Sixty tokens, two keys after each; killed after the first ten; then two others after each."""
    async with IssuerProcess(tmp_path, requests_burst=10_000) as issuer:
        made = await asyncio.gather(
            *(issuer.verb("token", "new", f"acme:room@{number}") for number in range(6))
        )
        tokens = [(f"acme:room@{number}", one["token"]) for number, one in enumerate(made)]
        won: dict[str, set[bytes]] = {id: set() for id, _ in tokens}
        holders: dict[bytes, Holder] = {}
        enough = asyncio.Event()

        async def attempt(at: IssuerProcess, id: str, token: str) -> None:
            holder = Holder()
            holders[holder.public] = holder
            try:
                answer = await at.enrol(holder, id, token=token)
            except (httpx.HTTPError, ValueError):
                return  # it was killed meanwhile
            if answer.status_code == 201:
                won[id].add(holder.public)
                if sum(map(len, won.values())) >= 2:
                    enough.set()

        async with asyncio.TaskGroup() as group:
            for id, token in tokens * 2:
                group.create_task(attempt(issuer, id, token))
            await enough.wait()
            issuer.process.kill()
    before = {id: set(keys) for id, keys in won.items()}
    async with IssuerProcess(tmp_path, requests_burst=10_000) as issuer:
        await asyncio.gather(*(attempt(issuer, id, token) for id, token in tokens * 2))
        assert all(len(keys) <= 1 for keys in won.values())
        for keys in before.values():
            for key in keys:
                assert (await issuer.renew(holders[key])).status_code == 200
        listed = (await issuer.verb("list"))["actors"]
        used = [one for one in (await issuer.verb("token", "list"))["tokens"] if one["used_at"]]
        assert len(listed) == len(used) == len(tokens)
        assert len({one["id"] for one in listed}) == len(tokens)


async def test_what_is_wrong_is_told_with_its_cause(tmp_path: Path) -> None:
    holder = Holder()
    async with IssuerProcess(tmp_path) as issuer:

        async def sent(**change: Any) -> tuple[int, str]:
            body = {**holder.enrol(await issuer.nonce()), **change}
            return cause(await issuer.http.post("/v1/enrol", json=body))

        assert await sent(key=encode(Holder().public)) == (401, "proof")
        assert await sent(nonce=encode(bytes(32))) == (401, "nonce")
        assert await sent(id="acme") == (400, "malformed")
        assert await sent(token="x") == (400, "malformed")
        assert await sent(mac="") == (400, "malformed")
        assert cause(await issuer.enrol(holder, secret=b"wrong")) == (403, "secret")
        unknown = "actr-join-" + "x" * 43
        assert cause(await issuer.enrol(holder, token=unknown)) == (403, "token-unknown")
        assert cause(await issuer.renew(holder)) == (404, "unknown-key")
        good = holder.enrol(await issuer.nonce())
        assert (await issuer.http.post("/v1/enrol", json=good)).status_code == 201
        assert cause(await issuer.http.post("/v1/enrol", json=good)) == (401, "nonce")
        assert cause(await issuer.http.get("/v1/nothing")) == (404, "malformed")
        assert (await issuer.http.get("/v1/enrol")).status_code == 405
        taken = await issuer.enrol(Holder())
        assert cause(taken) == (409, "taken")
        assert 0 < int(taken.headers["retry-after"]) <= 900


async def test_bodies_and_slow_clients_are_bounded(tmp_path: Path) -> None:
    async with IssuerProcess(tmp_path) as issuer:
        for size in (4096, 7000, 20_000):
            answer = await issuer.http.post("/v1/enrol", content=b"[" * size)
            # 413 where the connection has seen that it is too long before the page has
            assert answer.status_code in (400, 413)
        url = issuer.http.base_url
        with socket.create_connection((url.host, url.port or 0)) as slow:
            slow.sendall(b"POST /v1/enrol HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
            slow.settimeout(6 * PATIENCE)
            answer = await asyncio.to_thread(slow.recv, 100)
        assert answer.startswith(b"HTTP/1.1 408 ")


async def test_a_flood_is_told_when_to_come_back(tmp_path: Path) -> None:
    async with IssuerProcess(tmp_path, requests_per_second=0.1, requests_burst=3) as issuer:
        answers = [await issuer.http.get("/v1/nonce") for _ in range(4)]
        assert [answer.status_code for answer in answers[:3]] == [200] * 3
        assert cause(answers[3]) == (429, "too-fast")
        assert 0 < int(answers[3].headers["retry-after"]) <= 10
        assert (await issuer.http.get("/healthz")).status_code == 200
        text = (await issuer.http.get("/metrics")).text
        assert 'actr_issuer_refused_total{cause="too-fast"} 1.0' in text


async def test_who_looks_at_what_is_public_takes_no_certificate_from_others(tmp_path: Path) -> None:
    few = {"requests_per_second": 0.1, "requests_burst": 2, "reads_per_second": 0.1}
    async with IssuerProcess(tmp_path, **few, reads_burst=6) as issuer:
        pages = [f"/v1/{name}" for name in ("keys", "revoked", "access")]
        answers = [await issuer.http.get(page) for page in [*pages, *pages]]
        assert [answer.status_code for answer in answers] == [200] * 6
        assert cause(await issuer.http.get(pages[0])) == (429, "too-fast")
        assert (await issuer.http.get("/v1/nonce")).status_code == 200


PAGE = "https://page.example"


async def test_pages_of_an_origin_that_is_allowed_may_ask_and_read_the_answer(
    tmp_path: Path,
) -> None:
    rare = {"requests_per_second": 0.1, "requests_burst": 1}
    async with IssuerProcess(tmp_path, **rare, allowed_origins=PAGE) as issuer:
        wanted = {"access-control-request-method": "POST"} | {
            "access-control-request-headers": "content-type"
        }
        asked = await issuer.http.options("/v1/enrol", headers={"origin": PAGE} | wanted)
        assert asked.status_code == 200
        assert asked.headers["access-control-allow-origin"] == PAGE
        assert "access-control-allow-credentials" not in asked.headers
        for status in (200, 429):  # a refusal too says what is wrong, and until when
            answer = await issuer.http.get("/v1/nonce", headers={"origin": PAGE})
            assert answer.status_code == status
            assert answer.headers["access-control-allow-origin"] == PAGE
            assert "retry-after" in answer.headers["access-control-expose-headers"]
        other = {"origin": "https://elsewhere.example"}
        asked = await issuer.http.options("/v1/enrol", headers=other | wanted)
        assert asked.status_code == 400
        answer = await issuer.http.get("/v1/keys", headers=other)
        assert "access-control-allow-origin" not in answer.headers
        for path in ("/metrics", "/healthz"):  # of those who run it
            answer = await issuer.http.get(path, headers={"origin": PAGE})
            assert answer.status_code == 200
            assert "access-control-allow-origin" not in answer.headers


async def test_no_page_may_ask_where_none_is_named(tmp_path: Path) -> None:
    async with IssuerProcess(tmp_path) as issuer:
        answer = await issuer.http.get("/v1/keys", headers={"origin": PAGE})
        assert "access-control-allow-origin" not in answer.headers


async def test_metrics_have_no_label_from_outside(tmp_path: Path) -> None:
    async with IssuerProcess(tmp_path) as issuer:
        for number in range(5):
            await issuer.http.get(f"/v1/made-up-{number}")
        text = (await issuer.http.get("/metrics")).text
    assert "made-up" not in text
    assert 'actr_issuer_request_seconds_count{route="other"} 5.0' in text
    assert {path for _, path, _, _ in ROUTES} == {
        "/v1/nonce", "/v1/enrol", "/v1/renew", "/v1/rotate", "/v1/keys", "/v1/revoked",
        "/v1/access", "/healthz", "/metrics",
    }  # fmt: skip


async def test_it_says_that_it_is_ready_and_its_log_has_no_key(tmp_path: Path) -> None:
    async with IssuerProcess(tmp_path) as issuer:
        assert (await issuer.http.get("/healthz")).json() == {"status": "ready"}
        assert await issuer.verb("health") != {"status": "ready"}, "its port is not the one given"
        issuer.process.terminate()
        assert await issuer.process.wait() == 0
    assert json.dumps(issuer.log).count("PRIVATE") == 0
