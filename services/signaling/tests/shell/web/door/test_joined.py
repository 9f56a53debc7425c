from __future__ import annotations

import asyncio
from unittest.mock import Mock

import pytest

from actr_signaling.protocol.shares import Flow
from actr_signaling.protocol.websocket import frames, pulse
from actr_signaling.web.door.joined import JoinedSocket
from actr_signaling.web.turns import Turns


class Ear:
    """Takes frames, and is told of nothing else."""

    def __init__(self) -> None:
        self.heard: list[bytes | str] = []
        self.is_over = asyncio.Event()

    def arrived(self, size: int) -> bool:
        return True

    def received(self, data: bytes | str) -> None:
        self.heard.append(data)

    def relieved(self) -> None: ...

    def closed(self) -> None:
        self.is_over.set()


def socket_of(ear: Ear) -> tuple[JoinedSocket, Mock]:
    transport = Mock(spec=asyncio.Transport)
    transport.is_closing.return_value = False
    transport.get_write_buffer_size.return_value = 0
    made = JoinedSocket(
        transport, Turns(), Flow("10.0.0.1"), open_sockets=set(), lost=Mock(), lags=Mock()
    )
    made.attach(ear)
    return made, transport


def masked(data: bytes) -> bytes:
    head = bytearray(frames.whole(data)[: -len(data)])
    head[1] |= 0x80
    return bytes(head) + bytes(4) + data


async def test_one_that_is_held_up_is_not_read_and_goes_on_with_what_has_come() -> None:
    ear = Ear()
    socket, transport = socket_of(ear)
    assert socket.address == "10.0.0.1"
    socket.data_received(masked(b"one"))
    socket.hold_up()
    socket.data_received(masked(b"two"))
    assert ear.heard == [b"one"]
    transport.pause_reading.assert_called_once_with()
    socket.go_on()
    socket.go_on()
    assert ear.heard == [b"one", b"two"]
    transport.resume_reading.assert_called_once_with()
    socket.connection_lost(None)


@pytest.mark.parametrize("is_held", [True, False])
async def test_of_one_that_is_held_up_no_pong_is_waited_for(
    is_held: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulse, "PING_SECONDS", 0.05)
    ear = Ear()
    socket, _ = socket_of(ear)
    if is_held:
        socket.hold_up()
    try:
        await asyncio.wait_for(ear.is_over.wait(), 0.5 if is_held else 60)
    except TimeoutError:
        assert is_held
    else:
        assert not is_held
    socket.connection_lost(None)
