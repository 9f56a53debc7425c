"""Shell: what this service wants of TCP."""

from __future__ import annotations

import asyncio
import socket


def watch_path(transport: asyncio.Transport) -> None:
    """Let the kernel notice a far side that vanished without a word.

    Three seconds, and the grace after it, are within the five that are promised; a ping from
    here would take a busy peer for a dead one.
    """
    raw = transport.get_extra_info("socket")
    if raw is None or raw.family not in (socket.AF_INET, socket.AF_INET6):
        return
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 2)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 1)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 2_500)
