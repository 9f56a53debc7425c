"""What a replica exports: by name as the page of the documentation has it, and to whom."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import time
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from actr_signaling.web.metrics.families import FAMILIES
from actr_signaling.web.server import Replica
from signaling_kit.client import Client, serve
from tests.skips import lacking

pytestmark = pytest.mark.service

DOCUMENT = Path(__file__).resolve().parents[6] / "docs/metrics.md"
ROW = re.compile(r"^\| `(actr_signaling_\w+)` \| (\w+) \| (.*?) \| (\w*) ?\| (.+) \|$")
UNITS = ("seconds", "bytes")


def base(replica: Replica) -> str:
    return replica.url.replace("ws://", "http://").removesuffix("/v1/ws")


async def get(url: str, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient() as http:
        return await http.get(url, headers=headers)


def values(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def rows() -> dict[str, tuple[str, tuple[str, ...], str, str]]:
    found = {}
    for line in DOCUMENT.read_text("utf-8").splitlines():
        if match := ROW.match(line):
            name, kind, labels, unit, meaning = match.groups()
            found[name] = (kind, tuple(re.findall(r"`(\w+)`", labels)), unit, meaning)
    return found


async def test_it_counts_connections_actors_relays_and_refused_proofs() -> None:
    async with serve() as replica:
        registered = await Client.registered_as(replica.url, "a")
        other = await Client.registered_as(replica.url, "b")
        await registered.sees("b")
        assert (await registered.relay("b")).HasField("receipt")
        assert (await registered.relay("nobody")).HasField("undelivered")
        hub = replica.service.hub
        hub.refused.update({"revoked": 2, "expired": 1})
        found = values((await get(f"{base(replica)}/metrics")).text)
        assert found["actr_signaling_connections", ()] == 2
        assert found["actr_signaling_registered", ()] == 2
        assert found["actr_signaling_actors", ()] == 2
        assert found["actr_signaling_ready", ()] == 1
        assert abs(found["actr_signaling_clock_timestamp_seconds", ()] - time.time()) < 60
        assert found["actr_signaling_refused_total", ("expired",)] == 1
        assert found["actr_signaling_refused_total", ("revoked",)] == 2
        results = {k[1][0]: n for k, n in found.items() if k[0] == "actr_signaling_relays_total"}
        assert results.pop("delivered") == 1
        assert sorted(results.values()) == [0, 0, 0, 0, 1]
        assert found["actr_signaling_join_duration_seconds_count", ()] == 2
        assert 0 < found["actr_signaling_join_duration_seconds_sum", ()] < 60
        assert found["actr_signaling_store_duration_seconds_count", ()] == 0
        for client in (registered, other):
            await client.close()


async def test_the_page_of_metrics_has_what_is_exported_and_nothing_else() -> None:
    async with serve() as replica:
        replica.service.hub.refused.update({"expired": 1})
        text = (await get(f"{base(replica)}/metrics")).text
    documented = rows()
    kinds = dict(re.findall(r"^# TYPE (actr_\w+) (\w+)$", text, re.MULTILINE))
    meanings = dict(re.findall(r"^# HELP (actr_\w+) (.+)$", text, re.MULTILINE))
    assert kinds == {name: kind for name, (kind, *_) in documented.items()}
    assert meanings == {name: meaning for name, (*_, meaning) in documented.items()}
    assert {f.name: f.labels for f in FAMILIES} == {n: row[1] for n, row in documented.items()}
    for name, (_, _, unit, _) in documented.items():
        base_name = name.removesuffix("_total")
        assert unit == next((each for each in UNITS if base_name.endswith(each)), ""), name


async def test_on_the_port_of_all_it_is_for_this_machine_alone() -> None:
    async with serve() as replica:
        here = await get(f"{base(replica)}/metrics", host="localhost")
        led = await get(f"{base(replica)}/metrics", host="rebound.example")
    assert here.status_code == 200
    assert (led.status_code, "METRICS_LISTEN" in led.text) == (403, True)


async def test_who_asks_for_openmetrics_gets_them() -> None:
    async with serve() as replica:
        accept = "application/openmetrics-text; version=1.0.0"
        answer = await get(f"{base(replica)}/metrics", accept=accept)
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


@pytest.mark.skipif(shutil.which("promtool") is None, reason=lacking("promtool"))
async def test_promtool_finds_nothing_to_blame() -> None:
    async with serve() as replica:
        client = await Client.registered_as(replica.url, "a")
        text = (await get(f"{base(replica)}/metrics")).text
        await client.close()
    found = await asyncio.to_thread(
        subprocess.run,
        ["promtool", "check", "metrics"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, found.stdout + found.stderr) == (0, "")
