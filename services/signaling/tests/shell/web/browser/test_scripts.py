"""What pages load: the built files, as a browser asks for them."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import Request

from actr_signaling.web.browser import scripts
from signaling_kit.client import serve

pytestmark = pytest.mark.service

BUILT = Path(scripts.__file__).parent / "built"


def test_all_that_is_built_is_served_and_nothing_else() -> None:
    assert {path.name for path in BUILT.iterdir()} == set(scripts.NAMES)


async def test_a_page_gets_each_file_whole_and_packed_where_it_takes_that() -> None:
    async with serve() as replica:
        base = replica.url.replace("ws://", "http://").removesuffix("/v1/ws")
        async with httpx.AsyncClient(base_url=base) as http:
            for name in scripts.NAMES:
                content = (BUILT / name).read_bytes()
                for encoding in ("identity", "gzip, deflate, br"):
                    page = await http.get(f"/{name}", headers={"accept-encoding": encoding})
                    assert page.status_code == 200
                    assert page.content == content
                    is_packed = page.headers.get("content-encoding") == "gzip"
                    assert is_packed == ("gzip" in encoding)
                    size = len(gzip.compress(content, 9, mtime=0)) if is_packed else len(content)
                    assert page.headers["content-length"] == str(size)
                    assert page.headers["access-control-allow-origin"] == "*"
                    assert page.headers["vary"] == "accept-encoding"
                media_type = "application/json" if name.endswith(".map") else "text/javascript"
                assert page.headers["content-type"].startswith(media_type)


async def test_a_page_that_has_it_is_told_so() -> None:
    async with serve() as replica:
        base = replica.url.replace("ws://", "http://").removesuffix("/v1/ws")
        async with httpx.AsyncClient(base_url=base) as http:
            first = await http.get("/actr.js")
            tag = first.headers["etag"]
            assert first.headers["cache-control"] == "no-cache"
            for said in (tag, f"W/{tag}", f'"other", {tag}'):
                again = await http.get("/actr.js", headers={"if-none-match": said})
                assert (again.status_code, again.content) == (304, b"")
                assert again.headers["etag"] == tag
            other = await http.get("/actr.js", headers={"if-none-match": '"other"'})
            assert other.status_code == 200
            plain = await http.get("/actr.js", headers={"accept-encoding": "identity"})
            assert plain.headers["etag"] != tag
            head = await http.head("/actr.js")
            assert (head.status_code, head.content) == (200, b"")
            assert head.headers["content-length"] == first.headers["content-length"]
            assert (await http.post("/actr.js")).status_code == 405
            assert (await http.get("/built/actr.js")).status_code == 404


def test_each_script_names_a_map_of_its_own_sources() -> None:
    for name in scripts.NAMES:
        if name.endswith(".js"):
            text = scripts.script(name).plain.decode()
            assert text.endswith(f"//# sourceMappingURL={name}.map\n")
            described = json.loads(scripts.script(f"{name}.map").plain)
            assert described["file"] == name
            assert all(each is not None for each in described["sourcesContent"])
            assert not [path for path in described["sources"] if path.startswith(("/", ".."))]


async def test_a_file_goes_out_in_pieces_so_that_who_reads_slowly_holds_no_copy() -> None:
    sent: list[int] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(len(message.get("body", b"")))

    async def receive() -> MutableMapping[str, Any]:
        await asyncio.Event().wait()  # the far side says no more
        raise AssertionError

    scope = {"type": "http", "method": "GET", "path": "/actr.js.map", "headers": []}
    scope |= {"query_string": b"", "server": ("a", 80), "scheme": "http"}
    response = await scripts.answer(Request(scope))
    await response(scope, receive, send)
    assert sum(sent) == len(scripts.script("actr.js.map").plain)
    assert max(sent) <= scripts.PIECE_BYTES
