"""What the kernel is told of each connection."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import cast

from actr_signaling.web.door.tcp import watch_path, watch_reader


class Transport:
    """As far as it is asked."""

    def __init__(self, raw: socket.socket | None) -> None:
        self._raw = raw

    def get_extra_info(self, name: str) -> socket.socket | None:
        assert name == "socket"
        return self._raw


def watch(raw: socket.socket | None) -> None:
    watch_path(cast(asyncio.Transport, Transport(raw)))


def test_a_far_side_that_vanished_is_noticed_within_three_seconds() -> None:
    with socket.socket() as raw:
        watch(raw)
        assert raw.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        idle = raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
        between = raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL)
        probes = raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT)
        assert idle + between * probes <= 3
        assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) <= 3_000


def test_one_that_lags_may_be_slow_and_is_watched_again_when_it_has_read() -> None:
    with socket.socket() as raw:
        watch(raw)
        until = [raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)]
        for is_slow in (True, False):
            watch_reader(cast(asyncio.Transport, Transport(raw)), is_slow=is_slow)
            until.append(raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))
        assert until[0] == until[2] < 20_000 < until[1]


def test_a_socket_of_another_kind_and_none_are_left_alone(tmp_path: Path) -> None:
    watch(None)
    with socket.socket(socket.AF_UNIX) as raw:
        raw.bind(str(tmp_path / "s"))
        watch(raw)
        assert not raw.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
