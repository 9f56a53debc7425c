"""The command itself: the ready line, exit statuses, signals, the health check."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import sys
from pathlib import Path

import pytest
import structlog

from actr_signaling.logs import set_up
from actr_signaling.program import EXIT_CONFIG
from signaling_kit.client import PATIENCE, Client
from signaling_kit.redis import RedisProcess
from signaling_kit.replica import ReplicaProcess

pytestmark = pytest.mark.service


async def run(*arguments: str, module: str = "actr_signaling", **env: str) -> tuple[int, str]:
    """Run a module to its end; its exit status and standard error."""
    named = {f"ACTR_SIGNALING__{key.upper()}": value for key, value in env.items()}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **named},
    )
    try:
        async with asyncio.timeout(PATIENCE):
            _, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    assert process.returncode is not None
    return process.returncode, errors.decode()


async def test_a_port_in_use_is_one_sentence_and_status_2() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        status, errors = await run(listen=listen)
    assert status == 2
    assert errors.count("\n") == 1
    assert listen in errors
    assert "choose another port" in errors


async def test_a_wrong_setting_is_one_sentence_and_status_2() -> None:
    status, errors = await run(lease="soon")
    assert status == EXIT_CONFIG
    assert errors.count("\n") == 1
    assert "ACTR_SIGNALING__LEASE='soon'" in errors


async def test_a_wrong_argument_is_one_sentence_and_status_2() -> None:
    assert await run("--port", "8080") == (
        2,
        "actr-signaling: unrecognized arguments: --port 8080 (see 'actr-signaling -h')\n",
    )


async def test_a_redis_address_that_is_none_is_one_sentence_and_status_2() -> None:
    status, errors = await run(redis_url="redis://host:port")
    assert status == 2
    assert errors.count("\n") == 1
    assert "Redis URL" in errors


async def test_production_without_a_secret_is_status_2() -> None:
    status, errors = await run(production="true")
    assert status == 2
    assert "REALM_SECRET_FILE" in errors


async def test_an_unknown_argument_is_status_2() -> None:
    status, _ = await run("--nonsense")
    assert status == 2


async def test_development_mode_is_said_loudly() -> None:
    async with ReplicaProcess() as replica:
        replica.terminate()
        assert await replica.exited() == 0
    lines = [json.loads(line) for line in replica.log.splitlines()]
    assert "DEVELOPMENT MODE" in lines[0]["event"]
    assert lines[0]["level"] == "warning"


def test_lines_for_people_have_nothing_of_what_clients_said_but_its_characters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    set_up("info", "text")
    structlog.get_logger().warning("refused", peer="ann\x1b[2J\nforged [info] drained")
    logging.getLogger("uvicorn").warning("asked for %s", "x\nforged")
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert not any(line.startswith("forged") for line in lines)
    assert all(line.isprintable() for line in lines)


async def test_a_second_signal_ends_the_drain_at_once(redis_server: RedisProcess) -> None:
    async with ReplicaProcess(drain=60, redis_url=redis_server.url) as replica:
        client = await Client.registered_as(replica.url, "a")
        replica.terminate()
        await client.next("goaway")
        replica.terminate()
        assert await client.closed() == 1012
        assert await replica.exited() == 0


async def test_a_replica_whose_log_nobody_reads_any_more_is_ended_as_any_other() -> None:
    read, write = os.pipe()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "actr_signaling",
        stdout=asyncio.subprocess.PIPE,
        stderr=write,
        env={**os.environ, "ACTR_SIGNALING__LISTEN": "127.0.0.1:0"},
    )
    os.close(write)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            assert await process.stdout.readline()
            os.close(read)
            process.terminate()
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_the_ready_file_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "ready"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "actr_signaling",
        "--ready-file",
        str(path),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "ACTR_SIGNALING__LISTEN": "127.0.0.1:0"},
    )
    try:
        async with asyncio.timeout(PATIENCE):
            while not path.exists():  # noqa: ASYNC110 - a file has no event
                await asyncio.sleep(0.05)
        ready = json.loads(path.read_text())
    finally:
        process.terminate()
        out, _ = await process.communicate()
    assert ready["event"] == "ready"
    assert ready["url"].startswith("ws://127.0.0.1:")
    assert out == b""


async def test_the_health_check_says_whether_a_replica_is_ready() -> None:
    async with ReplicaProcess() as replica:
        listen = replica.url.removeprefix("ws://").removesuffix("/v1/ws")
        status, errors = await run(module="actr_signaling.web.health", listen=listen)
        assert (status, errors) == (0, "")
        status, errors = await run("/nothing", module="actr_signaling.web.health", listen=listen)
        assert status == 1
        assert errors.startswith("404")
    status, errors = await run(module="actr_signaling.web.health", listen=listen)
    assert status == 1
    assert "refused" in errors
