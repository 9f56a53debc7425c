"""Shell: what this service wants of TCP."""

from __future__ import annotations

import asyncio
import socket

GONE_MS = 2_500
"""Without an answer of the far side's kernel to what was sent, or to whether its window opens."""
SLOW_MS = 30_000
"""The same of one that lags behind what it is told."""
UNSENT_BYTES = 64 * 1024
"""That the kernel takes beyond what is on its way; else it hides who is slow for megabytes."""


def watch_path(transport: asyncio.Transport) -> None:
    """Let the kernel notice a far side that vanished without a word.

    Three seconds, and the grace after it, are within the five that are promised; a ping from
    here would take a busy peer for a dead one.
    """
    raw = _socket_of(transport)
    if raw is None:
        return
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 2)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 1)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GONE_MS)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)


def watch_reader(transport: asyncio.Transport, *, is_slow: bool) -> None:
    """Let one be slow that is there: a window that stays shut counts as if nobody answered."""
    raw = _socket_of(transport)
    if raw is not None:
        until = SLOW_MS if is_slow else GONE_MS
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, until)


def _socket_of(transport: asyncio.Transport) -> socket.socket | None:
    """Where it is one of TCP."""
    raw = transport.get_extra_info("socket")
    is_tcp = raw is not None and raw.family in (socket.AF_INET, socket.AF_INET6)
    return raw if is_tcp else None
