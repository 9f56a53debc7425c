"""Asks a peer's control socket; needs nothing but the standard library.

A container's health check runs this file as a script, every few seconds in every container, so
it must not load the peer::

    python3 -I -S probe.py /tmp/actr.sock           exit status 0: healthy
    python3 -I -S probe.py /tmp/actr.sock status    any report, as it is
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from typing import Any

MAX_BYTES = 16 * 2**20
"""Of an answer."""


def ask(path: str, report: str, *, timeout: float = 5.0) -> Any:
    """Return one report of the peer behind ``path``.

    Args:
        timeout: Seconds that all of it may take.

    Raises:
        OSError: If nobody answers there, or not in time.
        ValueError: If the answer is no JSON document, or is longer than 16 MiB.
    """
    end, answer = time.monotonic() + timeout, bytearray()
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(timeout)
        _connect(client, path)
        client.sendall(report.encode() + b"\n")
        while len(answer) <= MAX_BYTES:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError("it does not come to an end with its answer")
            client.settimeout(left)
            piece = client.recv(65_536)
            if not piece:
                return json.loads(answer)
            answer += piece
    raise ValueError("its answer has no end")


def _connect(client: socket.socket, path: str) -> None:
    """Connect, past the 108 bytes of an address where there is ``/proc``, as the peer listens."""
    folder, name = os.path.split(path)
    descriptor = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        short = f"/proc/self/fd/{descriptor}"
        client.connect(f"{short}/{name}" if os.path.isdir(short) else path)
    finally:
        os.close(descriptor)


def is_healthy(path: str) -> tuple[bool, str]:
    """Whether the peer behind ``path`` says that it is healthy, and one line about it."""
    try:
        answer = ask(path, "health")
    except (OSError, ValueError) as exc:
        return False, f"no peer answers on {path}: {exc}"
    return answer.get("healthy") is True, json.dumps(answer)


if __name__ == "__main__":
    if len(sys.argv) > 2:
        sys.stdout.write(json.dumps(ask(sys.argv[1], sys.argv[2])) + "\n")
        sys.exit(0)
    ok, text = is_healthy(sys.argv[1])
    sys.stdout.write(text + "\n")
    sys.exit(not ok)
