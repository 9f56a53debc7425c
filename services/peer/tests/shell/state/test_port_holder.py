"""Which process of this machine listens on a port."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from actr_peer.state.file_lock import FileLock
from actr_peer.state.port_holder import holder_of_port

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")


def test_a_process_is_told_by_its_command(tmp_path: Path) -> None:
    source = "import socket; s = socket.create_server(('127.0.0.1', 0));"
    source += "print(s.getsockname()[1], flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        told = holder_of_port(port)
        process.communicate("\n")
    assert sys.executable in told
    assert told.endswith(f"(pid {process.pid})")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_actor_is_told_by_its_id(tmp_path: Path, host: str) -> None:
    lock = FileLock(str(tmp_path / "mailbox.db"), "acme:room@1:default")
    lock.take()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.create_server((host, 0), family=family) as listener:
            told = holder_of_port(listener.getsockname()[1])
    finally:
        lock.release()
    assert told == f"acme:room@1:default (pid {os.getpid()})"


def test_a_port_that_nobody_has_has_no_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert holder_of_port(port) == ""
