"""The control socket: one line in, one document out, for the own user only."""

import asyncio
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import uvloop

from actr_peer.errors import BusyError, ConfigError
from actr_peer.node.process import probe
from actr_peer.node.process import socket as control
from actr_peer.node.process.socket import ControlSocket

REPORTS = {"health": lambda: {"healthy": True}, "status": lambda: {"wires": [1, 2]}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "actr.sock"


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def listed(path: Path) -> bool:
    return path in path.parent.iterdir()


async def ask(path: Path, line: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(line)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_a_report_is_one_json_document(path: Path) -> None:
    async with ControlSocket(path, REPORTS):
        assert await asyncio.to_thread(probe.ask, str(path), "status") == {"wires": [1, 2]}


def test_it_answers_on_uvloop_too(path: Path) -> None:
    async def talk() -> bytes:
        async with ControlSocket(path, REPORTS):
            return await ask(path, b"health\n")

    assert uvloop.run(talk()) == b'{"healthy": true}\n'


async def test_only_the_own_user_can_connect(path: Path) -> None:
    async with ControlSocket(path, REPORTS):
        assert mode_of(path) == 0o600


async def test_an_unknown_report_names_those_that_there_are(path: Path) -> None:
    async with ControlSocket(path, REPORTS):
        assert b"no report 'kill'; known: health, status" in await ask(path, b"kill\n")


async def test_an_endless_request_is_refused(path: Path) -> None:
    async with ControlSocket(path, REPORTS):
        assert b"one line of 64 bytes at most" in await ask(path, b"x" * 65)


async def test_a_silent_client_is_let_go(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "REQUEST_TIMEOUT", 0.01)
    async with ControlSocket(path, REPORTS):
        reader, writer = await asyncio.open_unix_connection(path)
        assert await reader.read() == b""
        writer.close()


async def test_one_client_too_many_is_told_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "MAX_CLIENTS", 0)
    async with ControlSocket(path, REPORTS):
        assert b"more than 0 clients" in await ask(path, b"")


async def test_a_second_process_on_the_same_path_is_busy(path: Path) -> None:
    async with ControlSocket(path, REPORTS):
        with pytest.raises(BusyError, match=r"actr\.sock is the control socket of another process"):
            await ControlSocket(path, REPORTS).__aenter__()


async def test_a_second_process_is_told_who_has_the_path(path: Path) -> None:
    reports = {"health": lambda: {"id": "acme:room@2:default", "pid": 71}}
    async with ControlSocket(path, reports):
        with pytest.raises(BusyError, match=r"of acme:room@2:default \(pid 71\): stop that"):
            await ControlSocket(path, reports).__aenter__()


async def test_a_path_is_longer_than_the_address_of_a_socket(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 120) / "actr.sock"
    path.parent.mkdir()
    async with ControlSocket(path, REPORTS):
        assert await asyncio.to_thread(probe.ask, str(path), "status") == {"wires": [1, 2]}
    assert not listed(path)


async def test_the_folder_of_a_socket_below_the_state_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / ".actr" / "acme:room@2:default" / "control.sock"
    async with ControlSocket(path, REPORTS):
        assert mode_of(path.parent) == 0o700


async def test_the_socket_of_a_killed_process_is_replaced(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with ControlSocket(path, REPORTS):
        assert b"true" in await ask(path, b"health\n")
    assert not listed(path)


def test_a_file_that_is_no_socket_stays(path: Path) -> None:
    path.write_text("of somebody else")
    with pytest.raises(ConfigError, match="it is no socket"):
        asyncio.run(ControlSocket(path, REPORTS).__aenter__())
    assert path.read_text() == "of somebody else"


async def test_a_folder_that_is_not_there_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"control\.socket"):
        await ControlSocket(tmp_path / "no" / "actr.sock", REPORTS).__aenter__()


async def test_the_health_check_of_a_container_runs_without_the_peer_package(path: Path) -> None:
    command = [sys.executable, "-I", "-S", probe.__file__, str(path)]
    absent = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=False)
    async with ControlSocket(path, REPORTS):
        present = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=False)
    assert (absent.returncode, present.returncode) == (1, 0)
    assert b"no peer answers" in absent.stdout


async def test_a_peer_that_says_it_is_not_healthy_is_not(path: Path) -> None:
    async with ControlSocket(path, {"health": lambda: {"healthy": False}}):
        assert (await asyncio.to_thread(probe.is_healthy, str(path)))[0] is False
