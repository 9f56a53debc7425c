from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from signaling_kit.client import serve

pytestmark = pytest.mark.service


async def test_the_pages_say_what_runs_and_whether_it_is_ready() -> None:
    async with serve() as replica:
        base = replica.url.replace("ws://", "http://").removesuffix("/v1/ws")
        async with httpx.AsyncClient(base_url=base) as http:
            assert (await http.get("/healthz")).json()["status"] == "ok"
            assert (await http.get("/readyz")).json()["status"] == "ready"
            page = (await http.get("/version")).json()
            assert page["service"] == "actr-signaling"
            assert page["server_id"] == replica.service.server_id
            assert page["form"] == "memory"
            paths = (await http.get("/openapi.json")).json()["paths"]
            assert set(paths) == {"/healthz", "/metrics", "/readyz", "/version"}
            assert (await http.get("/docs")).status_code == 404


async def test_the_health_page_says_while_nobody_proves_anything(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a secret of some length")
    for settings, is_said in (({}, True), ({"realm_secret_file": secret}, False)):
        async with serve(**settings) as replica:
            base = replica.url.replace("ws://", "http://").removesuffix("/v1/ws")
            async with httpx.AsyncClient(base_url=base) as http:
                for page in ("/healthz", "/readyz"):
                    said = (await http.get(page)).json().get("warning", "")
                    assert said.startswith("DEVELOPMENT MODE") is is_said


async def test_without_its_store_a_replica_is_alive_but_not_ready() -> None:
    async with serve(redis_url="redis://127.0.0.1:1/0") as replica:
        base = replica.url.replace("ws://", "http://").removesuffix("/v1/ws")
        async with httpx.AsyncClient(base_url=base) as http:
            assert (await http.get("/healthz")).status_code == 200
            page = await http.get("/readyz")
            assert (page.status_code, page.json()) == (503, {"status": "store away"})
