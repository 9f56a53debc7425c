"""A real TURN server, which answers STUN on the same port."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

READY: Final = b"Total General servers"


@contextmanager
def coturn(folder: Path) -> Iterator[int]:
    """coturn on this port of the loopback, with the user ``user`` and the password ``right``.

    Args:
        folder: For its files.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = {
        "listening-ip": "127.0.0.1",
        "listening-port": port,
        "relay-ip": "127.0.0.1",
        "realm": "test",
        "user": "user:right",
        "log-file": "stdout",
        "userdb": folder / "turn.db",
        "pidfile": folder / "turn.pid",
    }
    flags = ["lt-cred-mech", "no-tls", "no-dtls", "no-cli", "allow-loopback-peers"]
    command = ["turnserver", "-n", *(f"--{key}={value}" for key, value in options.items())]
    with subprocess.Popen(
        [*command, *(f"--{flag}" for flag in flags)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as server:
        try:
            assert server.stdout is not None
            for line in server.stdout:
                if READY in line:
                    break
            else:
                raise AssertionError("the TURN server did not start")
            yield port
        finally:
            server.kill()
            server.communicate()
