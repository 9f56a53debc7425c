"""A slow reader and a fast writer over real wires: nothing piles up, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from actr.demo import chat_pb2 as pb
from actr.demo.chat_actr import ChatClient
from actr_peer import Context, System, WireKind
from actr_peer.protocol.streams.halves import WINDOW
from lab.quiet import Quiet
from peer_kit.signaling import config, signaling_service

pytestmark = pytest.mark.service

ROOM = "acme:room@1:default"
PATIENCE = 60.0
PIECE_BYTES = 4096


class Slow(Quiet):
    """Takes a hundred items a second, and keeps their numbers."""

    def __init__(self) -> None:
        self.taken: list[int] = []

    async def upload(self, requests: AsyncIterator[pb.FilePiece], ctx: Context) -> pb.UploadReply:
        async for piece in requests:
            self.taken.append(int.from_bytes(piece.data[:4], "big"))
            await asyncio.sleep(0.01)
        return pb.UploadReply(size_bytes=len(self.taken))


@pytest.mark.parametrize("kind", [WireKind.WEBSOCKET, WireKind.WEBRTC], ids=lambda kind: kind.value)
async def test_a_slow_reader_holds_up_a_fast_writer_and_nothing_is_lost(kind: WireKind):
    room, count, ahead, held = Slow(), 300, 0, 0
    async with (
        signaling_service() as url,
        System(replace(config("room", url), prefer=(kind,))).attach(room),
        System(replace(config("caller", url), prefer=(kind,))).attach(Quiet()) as here,
        asyncio.timeout(PATIENCE),
    ):

        async def fast() -> AsyncIterator[pb.FilePiece]:
            nonlocal ahead, held
            for number in range(count):
                ahead = max(ahead, number - len(room.taken))
                lanes = [lane for link in here.view().links for lane in link.lanes.values()]
                held = max(held, *(lane.sending_bytes for lane in lanes))
                yield pb.FilePiece(data=number.to_bytes(4, "big") + bytes(PIECE_BYTES - 4))

        reply = await ChatClient(here.ref.to(ROOM)).upload(fast())
    assert reply.size_bytes == count
    assert room.taken == list(range(count))
    assert ahead <= 2 * WINDOW
    assert held <= 2 * WINDOW * (PIECE_BYTES + 200)
