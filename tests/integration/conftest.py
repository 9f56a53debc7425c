"""Brings the compose system up once, and puts it right again before each test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

import pytest

from integration_kit.drivers import ROOT, Composed
from integration_kit.engine import DockerError, each_eventually, eventually

PROJECT = "actr-test"


@pytest.fixture(scope="session")
def docker_compose_file() -> str:
    return str(ROOT / "compose.yaml")


@pytest.fixture(scope="session")
def docker_compose_project_name() -> str:
    return PROJECT


@pytest.fixture(scope="session")
def docker_setup() -> list[str]:
    os.environ["ACTR_CONSOLE_PORTS"] = "127.0.0.1:"  # any free port: a user's system may be up
    return ["--profile '*' down --volumes --remove-orphans", "up --build --wait"]


@pytest.fixture(scope="session")
def docker_cleanup() -> list[str]:
    return ["--profile '*' down --volumes --remove-orphans"]


@pytest.fixture(scope="session")
def _removed() -> Iterator[None]:
    """Nothing is left, not even of a set-up that failed."""
    yield
    with suppress(DockerError):
        Composed(PROJECT).compose("--profile", "*", "down", "--volumes", "--remove-orphans")


@pytest.fixture(scope="session")
def _up(_removed: None, docker_services: object) -> Composed:
    return Composed(PROJECT)


@pytest.fixture
def system(_up: Composed) -> Composed:
    """Three peers, two signaling services, one Redis, all healthy and all connected."""
    if not _up.is_whole():
        _up.up()
    assert_all_connected(_up)
    return _up


def assert_all_connected(system: Composed) -> None:
    """Every peer reaches every other in both ways, and talks to it."""
    each_eventually(
        system.peers(),
        "has a WebRTC and a WebSocket wire to every other peer",
        lambda peer: peer.wires("webrtc") & peer.wires("websocket") == system.others(peer),
        within=60,
    )
    eventually(
        "every pair has finished a round",
        lambda: all(counts.rounds for counts in system.counts().values()),
        within=60,
    )
