"""``/`` as a browser asks for it: the console's files, their policy, and who gets none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from actr_signaling.protocol.client.trust import Trust
from actr_signaling.settings import PREFIX
from actr_signaling.web.browser import scripts
from actr_signaling.web.browser.console import pages
from signaling_kit.client import serve

pytestmark = pytest.mark.service

BUILT = Path(pages.__file__).parent / "built"


@asynccontextmanager
async def browser(**settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with serve(**settings) as replica:
        base = replica.url.replace("ws://", "http://").removesuffix("/v1/ws")
        async with httpx.AsyncClient(base_url=base) as http:
            yield http


def test_all_that_is_built_is_served_and_nothing_else() -> None:
    assert {path.name for path in BUILT.iterdir()} == set(pages.PATHS.values())


async def test_each_file_comes_whole_with_its_type_and_the_policy() -> None:
    types = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
    async with browser() as http:
        for path, name in pages.PATHS.items():
            answer = await http.get(path)
            assert answer.status_code == 200
            assert answer.content == (BUILT / name).read_bytes()
            expected = types.get(Path(name).suffix)
            assert expected is None or answer.headers["content-type"].startswith(expected)
            for header, value in pages.HEADERS.items():
                assert answer.headers[header] == value
            assert "access-control-allow-origin" not in answer.headers


async def test_the_policy_lets_nothing_in_but_what_is_served_here() -> None:
    policy = pages.HEADERS["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "frame-ancestors 'none'" in policy
    assert not any(word in policy for word in ("unsafe", "http:", "https:", "*", "data:", "blob:"))
    page = (BUILT / "index.html").read_text()
    assert "style=" not in page
    assert page.count("<script") == page.count('<script type="module" src="/console.js">') == 1


async def test_a_page_that_has_it_is_told_so() -> None:
    async with browser() as http:
        tag = (await http.get("/console.js")).headers["etag"]
        again = await http.get("/console.js", headers={"if-none-match": tag})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["content-security-policy"] == pages.HEADERS["content-security-policy"]


@pytest.mark.parametrize("path", [*pages.PATHS, pages.ABOUT])
async def test_in_development_mode_another_name_of_this_machine_gets_nothing(path: str) -> None:
    async with browser() as http:
        for host in ("evil.example", "evil.example:80", "192.168.1.2"):
            answer = await http.get(path, headers={"host": host})
            assert answer.status_code == 403
            assert "this service" in answer.text
            assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        port = http.base_url.port
        assert (await http.get(path, headers={"host": f"localhost:{port}"})).status_code == 200


async def test_what_turns_it_off_says_how_to_turn_it_on(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a secret of some length")
    for settings in ({"console": "off"}, {"realm_secret_file": secret}):
        async with browser(**settings) as http:
            for path in (*pages.PATHS, pages.ABOUT):
                answer = await http.get(path)
                assert (answer.status_code, f"{PREFIX}CONSOLE=here" in answer.text) == (404, True)
            for name in scripts.NAMES:  # which pages of others need all the same
                assert (await http.head(f"/{name}")).status_code == 200


async def test_where_it_is_on_it_says_what_proves_who_looks(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a secret of some length")
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "none"),
        ({"realm_secret_file": secret, "console": "on"}, "secret"),
    ]
    for settings, proof in cases:
        async with browser(**settings) as http:
            about = (await http.get(pages.ABOUT, headers={"host": "localhost"})).json()
            assert about["proof"] == proof
            assert about["issuer"] == "/issuer"
            assert about["version"]
            elsewhere = await http.get("/", headers={"host": "signaling.example"})
            assert elsewhere.status_code == (200 if "console" in settings else 403)


def test_where_there_are_issuer_keys_a_certificate_proves_it() -> None:
    def secret_of(realm: str) -> bytes:
        return realm.encode()

    assert pages.proof(Trust(secret_of=secret_of, issuer_keys={})) == "certificate"
    both = Trust(secret_of=secret_of, issuer_keys={}, accepts_secrets=True)
    assert pages.proof(both) == "certificate"


async def test_it_is_no_part_of_the_api() -> None:
    async with browser() as http:
        assert "/console.json" not in (await http.get("/openapi.json")).json()["paths"]
        assert (await http.post("/")).status_code == 405
        assert (await http.head("/")).headers["content-length"] != "0"
