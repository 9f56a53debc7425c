from __future__ import annotations

import httpx
import pytest

from actr_signaling.web.metrics import page
from signaling_kit.client import Client, serve

pytestmark = pytest.mark.service


async def test_it_counts_connections_actors_and_refused_proofs() -> None:
    async with serve() as replica:
        registered = await Client.registered_as(replica.url, "a")
        other = await Client.open(replica.url)
        hub = replica.service.hub
        hub.refused.update({"revoked": 2, "expired": 1})
        url = replica.url.replace("ws://", "http://").replace("/v1/ws", "/metrics")
        async with httpx.AsyncClient() as http:
            answer = await http.get(url)
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert answer.text == page(hub)
        lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
        assert lines == [
            "actr_signaling_connections 2",
            "actr_signaling_registered 1",
            "actr_signaling_actors 1",
            'actr_signaling_refused_total{cause="expired"} 1',
            'actr_signaling_refused_total{cause="revoked"} 2',
        ]
        for client in (registered, other):
            await client.close()
