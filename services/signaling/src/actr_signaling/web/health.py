"""``python -m actr_signaling.web.health``: is the replica on this machine ready? For containers.

Exit status: 0 ready · 1 not, or not reachable, with the reason on standard error.
"""

from __future__ import annotations

import http.client
import sys
import time
from collections.abc import Sequence

from actr_signaling.errors import ConfigError
from actr_signaling.settings import load

TIMEOUT = 10.0
"""Seconds; a busy machine is not an unhealthy replica, and who ends is seen by its end."""
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask ``/readyz``, or the path given; return the exit status."""
    path = (arguments if arguments is not None else sys.argv[1:]) or ["/readyz"]
    try:
        settings = load()
    except ConfigError as exc:
        print(exc, file=sys.stderr)  # noqa: T201
        return 1
    host = _LOOPBACK.get(settings.host, settings.host)
    started = time.monotonic()
    connection = http.client.HTTPConnection(host, settings.port, timeout=TIMEOUT)
    try:
        connection.request("GET", path[0])
        answer = connection.getresponse()
        body = answer.read(4096).decode(errors="replace")
    except OSError as exc:
        waited = time.monotonic() - started
        print(f"{host}:{settings.port}: {exc} ({waited:.1f} s)", file=sys.stderr)  # noqa: T201
        return 1
    finally:
        connection.close()
    if answer.status != 200:
        print(f"{answer.status} {body}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
