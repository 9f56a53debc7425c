"""What answers at an address that is no signaling service's: another path, or another server."""

from __future__ import annotations

import re
import typing
from http.client import responses

from websockets.exceptions import InvalidMessage, InvalidStatus

from actr_peer.errors import ConfigError
from actr_peer.protocol.signaling.session import Final
from actr_peer.protocol.wire.addresses import SIGNALING_PATH

LATER: typing.Final = frozenset({408, 425, 429})
"""Statuses, besides those from 500 on, of who may take an actor later."""
MAX_NAME: typing.Final = 64
_OLDER_HTTP: typing.Final = re.compile(r"HTTP/\d\.\d (\d{3})\b")


def another_service(failure: Exception) -> str:
    """What answered in place of a signaling service, and where such a one is; empty, where the
    failed upgrade may be mended by waiting: nobody listens, or who is in front of the service says
    that it is not there yet."""
    by = ""
    if isinstance(failure, InvalidStatus):
        status = failure.response.status_code
        server = failure.response.headers.get("Server", "")[:MAX_NAME]
        by = f" by {server!r}" if server else ""
    elif isinstance(failure, InvalidMessage) and isinstance(failure.__cause__, ValueError):
        found = _OLDER_HTTP.search(str(failure.__cause__))  # the library reads HTTP/1.1 only
        if found is None:
            return f"what answers there is no HTTP: write ws://host:port{SIGNALING_PATH}"
        status = int(found[1])
    else:
        return ""
    if status >= 500 or status in LATER:
        return ""
    said = f"{status} {responses.get(status, '')}".rstrip()
    return (
        f"HTTP status {said} is answered{by}, where a signaling service takes a WebSocket: its "
        f"path is {SIGNALING_PATH}, as in ws://127.0.0.1:8080{SIGNALING_PATH}"
    )


def stranger(url: str) -> Final:
    """The end of a first connection to who takes a WebSocket and neither chooses the subprotocol of
    a signaling service nor greets as one."""
    return Final(
        ConfigError(
            f"signaling.url = {url!r}: what answers there takes a WebSocket, and is no signaling "
            f"service: it does not greet; name the address of one, as ws://127.0.0.1:8080{SIGNALING_PATH}"
        )
    )
