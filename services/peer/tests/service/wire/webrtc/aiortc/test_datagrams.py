"""Datagrams in one system call, over real sockets."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import Any

import pytest

from actr_peer.wire.webrtc.aiortc import datagrams
from actr_peer.wire.webrtc.aiortc.datagrams import MAX_SEGMENTS, send_together

pytestmark = pytest.mark.service


class Receiver(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.got: list[bytes] = []
        self._changed = asyncio.Event()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.got.append(data)
        self._changed.set()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(60):
            while len(self.got) < count:
                self._changed.clear()
                await self._changed.wait()


async def opened(protocol: asyncio.DatagramProtocol) -> Any:
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: protocol, local_addr=("127.0.0.1", 0)
    )
    return transport


PACKETS = [
    *(bytes([n]) * 1200 for n in range(MAX_SEGMENTS + 5)),
    b"short",
    b"x",
    b"longer than it",
    b"as long as it.",
]


@pytest.fixture
async def far() -> Any:
    made = Receiver()
    transport = await opened(made)
    yield made, transport.get_extra_info("sockname")
    transport.close()


async def test_datagrams_of_any_sizes_arrive_as_they_are(far: Any) -> None:
    receiver, address = far
    near = await opened(asyncio.DatagramProtocol())
    assert send_together(near, PACKETS, address)
    await receiver.until(len(PACKETS))
    assert receiver.got == PACKETS
    near.close()


class Refusing(socket.socket):
    code = errno.EIO
    tried = 0

    def sendmsg(self, *arguments: Any) -> int:
        Refusing.tried += 1
        raise OSError(self.code, "refused")


@pytest.mark.parametrize(
    ("code", "works", "tried"), [(errno.EIO, False, 1), (errno.EAGAIN, True, 3)]
)
async def test_what_the_kernel_refuses_goes_one_by_one(
    far: Any, monkeypatch: pytest.MonkeyPatch, code: int, works: bool, tried: int
) -> None:
    receiver, address = far
    near = await opened(asyncio.DatagramProtocol())
    monkeypatch.setattr(datagrams.socket, "socket", Refusing)
    monkeypatch.setattr(Refusing, "code", code)
    monkeypatch.setattr(Refusing, "tried", 0)
    assert send_together(near, PACKETS, address) is works
    assert Refusing.tried == tried
    await receiver.until(len(PACKETS))
    assert receiver.got == PACKETS
    near.close()


async def test_a_socket_that_is_gone_takes_nothing_and_says_nothing(far: Any) -> None:
    _, address = far
    near = await opened(asyncio.DatagramProtocol())
    near.close()
    assert send_together(near, PACKETS, address)
