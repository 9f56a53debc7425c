from __future__ import annotations

import stat
from pathlib import Path

import httpx
import pytest

from actr_signaling.issuer.web.embedded import PATH, SECRET_FILE, Embedded
from actr_signaling.protocol.identity.keys import decode, read_keys
from signaling_kit.client import Client
from signaling_kit.issuer import Holder
from signaling_kit.replica import ReplicaProcess

pytestmark = pytest.mark.service


async def test_a_signaling_service_has_an_issuer_in_it_where_one_is_wanted(tmp_path: Path) -> None:
    home = tmp_path / "issuer"
    async with ReplicaProcess(issuer_home=home) as replica:
        base = replica.url.replace("ws://", "http://").removesuffix("/v1/ws")
        secret = (home / SECRET_FILE).read_bytes()
        assert stat.S_IMODE((home / SECRET_FILE).stat().st_mode) == 0o600
        async with httpx.AsyncClient(base_url=base + PATH) as http:
            for _ in range(2):  # a developer's keys come and go
                nonce = decode((await http.get("/v1/nonce")).json()["nonce"])
                body = Holder().enrol(nonce, secret=secret)
                assert (await http.post("/v1/enrol", json=body)).status_code == 201
            keys = (await http.get("/v1/keys")).text
            assert read_keys(keys) == read_keys((home / "public/keys.json").read_text())
            assert (await http.get("/healthz")).json() == {"status": "ready"}
            assert "actr_issuer_enrolled" in (await http.get("/metrics")).text
        async with httpx.AsyncClient(base_url=base) as http:
            assert (await http.get("/readyz")).json() == {"status": "ready"}
            assert (await http.get("/v1/keys")).status_code == 404
        replica.terminate()
        assert await replica.exited() == 0


async def test_certificates_of_that_issuer_are_all_that_the_service_takes(tmp_path: Path) -> None:
    home = tmp_path / ".actr" / "issuer"
    async with ReplicaProcess(issuer_home=home, trust_interval=0.05) as replica:
        client = await Client.open(replica.url)
        assert client.hello.certificate_required
        answer = await client.authenticate("a", (home / SECRET_FILE).read_bytes())
        assert "a certificate is required here" in answer.error.message
    assert (home.parent / ".gitignore").read_text() == "*\n"
    assert stat.S_IMODE(home.parent.stat().st_mode) == 0o700
    async with ReplicaProcess(issuer_home=home) as replica:  # its key is there already
        assert replica.url


async def test_it_takes_the_secret_of_the_service_that_it_is_part_of(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a secret of some length")
    embedded = Embedded(tmp_path / "issuer", realm_secret_file=secret)
    assert not (tmp_path / "issuer" / SECRET_FILE).exists()
    assert embedded.office.settings.taken == "expired"
    embedded = Embedded(tmp_path / "issuer", realm_secret_file=secret, taken="always")
    assert embedded.office.settings.taken == "always"


async def test_pages_that_the_service_takes_may_ask_its_issuer(tmp_path: Path) -> None:
    page = "https://page.example"
    async with ReplicaProcess(issuer_home=tmp_path / "issuer", allowed_origins=page) as replica:
        base = replica.url.replace("ws://", "http://").removesuffix("/v1/ws")
        async with httpx.AsyncClient(base_url=base + PATH) as http:
            answer = await http.get("/v1/keys", headers={"origin": page})
            assert answer.headers["access-control-allow-origin"] == page
