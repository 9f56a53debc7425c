"""``actr doctor``: faults on the way to the signaling service, planted."""

from __future__ import annotations

import shutil
import socket
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from peer_kit.place import Place
from signaling_kit.redis import RedisProcess
from tests.skips import lacking

pytestmark = [pytest.mark.service, pytest.mark.slow]

AHEAD = """
import time
real = time.time
time.time = lambda: real() + 3600
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_name_that_is_not_found(place: Place) -> None:
    found = place.examine(ACTR_SIGNALING__URL="ws://signaling.invalid:8080/v1/ws")
    assert found.failed == "signaling name"
    assert "signaling.invalid" in found.fault[0]
    assert "signaling.url" in found.fault[1]
    assert found.results["signaling TCP"] == "not tried"
    assert found.results["gathering"] == "ok"  # what needs no signaling is looked at


def test_a_signaling_service_that_is_down(place: Place) -> None:
    with place.signaling():
        pass
    found = place.examine("acme:room@2:default")
    assert found.failed == "signaling TCP"
    assert "refused" in found.fault[0].lower()
    assert "actr-signaling" in found.fault[1]
    assert found.results["signaling proof"] == "not tried"
    assert found.results["contract"] == "not tried"


def test_what_is_no_signaling_service(place: Place) -> None:
    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Other) as other:
        thread = Thread(target=other.serve_forever)
        thread.start()
        found = place.examine(ACTR_SIGNALING__URL=f"ws://127.0.0.1:{other.server_port}/v1/ws")
        other.shutdown()
        thread.join()
    assert found.failed == "signaling upgrade"
    assert "404" in found.fault[0]
    assert "/v1/ws" in found.fault[1]


def test_a_service_that_says_nothing_takes_no_longer_than_its_step(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        found = place.examine(ACTR_SIGNALING__URL=f"ws://127.0.0.1:{port}/v1/ws")
    assert found.failed == "signaling upgrade"
    assert found.rows["signaling upgrade"]["ms"] < 20_000


def test_a_secret_that_is_not_the_realm_s(place: Place) -> None:
    for name in ("right", "wrong"):
        (place.folder / name).write_text(f"{name} secret of the realm", "utf-8")
    place.environment["ACTR_SIGNALING__REALM_SECRET_FILE"] = "right"
    with place.signaling():
        found = place.examine(ACTR_REALM__SECRET_FILE="wrong")
        assert found.failed == "signaling proof"
        assert "secret" in found.fault[0]
        assert "ACTR_REALM__SECRET_FILE" in found.fault[1]
        assert found.results["clock"] == "ok"
        assert place.examine(ACTR_REALM__SECRET_FILE="right").failed is None


def test_a_clock_that_is_off(place: Place) -> None:
    other = place.folder / "ahead"
    other.mkdir()
    (other / "sitecustomize.py").write_text(AHEAD, "utf-8")
    path = place.environment.get("PYTHONPATH", "")
    place.environment["PYTHONPATH"] = f"{other}:{path}"
    with place.signaling():
        place.environment["PYTHONPATH"] = path or str(place.folder)
        found = place.examine()
    assert found.failed == "clock"
    assert "3600 s behind signaling's" in found.fault[0]
    assert "NTP" in found.fault[1]


@pytest.mark.skipif(shutil.which("redis-server") is None, reason=lacking("redis-server"))
def test_a_signaling_service_without_its_redis(place: Place) -> None:
    with RedisProcess(place.folder) as redis:
        place.environment["ACTR_SIGNALING__REDIS_URL"] = redis.url
        with place.signaling():
            assert place.examine().results["Redis"] == "ok"
            redis.kill()
            found = place.examine()
    assert found.failed == "Redis"
    assert "ACTR_SIGNALING__REDIS_URL" in found.fault[1]
