"""Shell: what this service wants of TCP."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

GONE_MS = 2_500
"""Without an answer of the far side's kernel to what was sent, or to whether its window opens."""
SLOW_MS = 30_000
"""The same of one that lags behind what it is told."""
UNSENT_BYTES = 64 * 1024
"""That the kernel takes beyond what is on its way; else it hides who is slow for megabytes."""


_SOL, _TCP = socket.SOL_SOCKET, socket.IPPROTO_TCP
_WATCHED = (
    (_SOL, socket.SO_KEEPALIVE, 1),
    (_TCP, socket.TCP_KEEPIDLE, 2),
    (_TCP, socket.TCP_KEEPINTVL, 1),
    (_TCP, socket.TCP_KEEPCNT, 1),
    (_TCP, socket.TCP_USER_TIMEOUT, GONE_MS),
    (_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES),
)


def watch_path(transport: asyncio.Transport) -> None:
    """Let the kernel notice a far side that vanished without a word.

    Three seconds, and the grace after it, are within the five that are promised; a ping from
    here would take a busy peer for a dead one.
    """
    _set(transport, _WATCHED)


def watch_reader(transport: asyncio.Transport, *, is_slow: bool) -> None:
    """Let one be slow that is there: a window that stays shut counts as if nobody answered."""
    until = SLOW_MS if is_slow else GONE_MS
    _set(transport, ((_TCP, socket.TCP_USER_TIMEOUT, until),))


def _set(transport: asyncio.Transport, options: Sequence[tuple[int, int, int]]) -> None:
    """Where it is one of TCP."""
    seen = transport.get_extra_info("socket")
    if seen is None or seen.family not in (socket.AF_INET, socket.AF_INET6):
        return
    # uvloop's makes a socket object for each option: one does for all.
    raw = socket.socket(seen.family, seen.type, seen.proto, seen.fileno())
    try:
        for option in options:
            raw.setsockopt(*option)
    finally:
        raw.detach()
