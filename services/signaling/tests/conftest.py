"""Deployments that the tests run on: memory, one replica on Redis, two replicas on Redis."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from signaling_kit.client import Deployment, serve
from signaling_kit.redis import RedisProcess, SecureRedis
from signaling_kit.watching import View
from tests.skips import lacking


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    """One real redis-server for the whole run, on a free port."""
    with started(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisProcess]:
    """A redis-server that the test may kill, restart and flush."""
    with started(tmp_path) as server:
        yield server


@pytest.fixture
def saving_redis(tmp_path: Path) -> Iterator[RedisProcess]:
    """Likewise, and it keeps its data over a restart."""
    with started(tmp_path, saves=True) as server:
        yield server


@pytest.fixture
def secure_redis(tmp_path: Path) -> Iterator[SecureRedis]:
    """A redis-server as it is deployed: TLS, and users that may do what they need."""
    for program in ("redis-server", "openssl"):
        if shutil.which(program) is None:
            pytest.skip(lacking(program))
    with SecureRedis(tmp_path) as server:
        yield server


def started(directory: Path, *, saves: bool = False) -> RedisProcess:
    if shutil.which("redis-server") is None:
        pytest.skip(lacking("redis-server"))
    return RedisProcess(directory, saves=saves)


@pytest.fixture(params=["memory", "redis", "two replicas"])
async def deployment(request: pytest.FixtureRequest) -> AsyncIterator[Deployment]:
    """Each form of the service; a client opened by place goes to one of its replicas."""
    options: dict[str, Any] = {"grace": 0.3}
    count = 1
    if request.param != "memory":
        server: RedisProcess = request.getfixturevalue("redis_server")
        options["redis_url"] = server.url
        options["redis_prefix"] = f"t{secrets.token_hex(8)}"
        count = 2 if request.param == "two replicas" else 1
    async with AsyncExitStack() as stack:
        replicas = [await stack.enter_async_context(serve(**options)) for _ in range(count)]
        deployment = Deployment(replicas)
        yield deployment
        await deployment.close_clients()


@pytest.fixture
def view() -> View:
    """Presence and its watchers, without sockets."""
    return View()
