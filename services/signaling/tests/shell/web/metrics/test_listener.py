"""Metrics at an address of their own."""

from __future__ import annotations

import httpx
import pytest

from actr_signaling.errors import ConfigError
from actr_signaling.settings import Settings
from actr_signaling.web.metrics.listener import Listener
from signaling_kit.client import serve

pytestmark = pytest.mark.service


async def get(url: str, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient() as http:
        return await http.get(url, headers=headers)


async def test_at_an_address_of_its_own_it_is_for_whoever_reaches_that() -> None:
    async with serve(metrics_listen="127.0.0.1:0") as replica:
        url = replica.metrics_url
        answer = await get(url, host="signaling")
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert "actr_signaling_connections 0.0" in answer.text
        assert "process_resident_memory_bytes" in answer.text
        assert (await get(url.replace("/metrics", "/version"))).status_code == 404
        async with httpx.AsyncClient() as http:
            assert (await http.post(url)).status_code == 405
    with pytest.raises(httpx.ConnectError):
        await get(url)


async def test_an_address_that_is_taken_is_told() -> None:
    async with serve() as replica:
        taken = replica.url.removeprefix("ws://").removesuffix("/v1/ws")
        settings = Settings(metrics_listen=taken)
        with pytest.raises(ConfigError, match=r"METRICS_LISTEN='127\.0\.0\.1:\d+'"):
            async with Listener(settings, replica.service):
                pass
