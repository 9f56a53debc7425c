"""Replies go by the reply lane, and one that the caller does not take becomes an error."""

from __future__ import annotations

from typing import Any

import pytest

from actr_peer.errors import Code, LimitError, RemoteProtocolError
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.rpc.envelopes import (
    Envelope,
    decode_envelope,
    encode_cancel,
    encode_reply,
    encode_request,
)
from actr_peer.protocol.session.frames import FRAGMENT_BYTES
from actr_peer.protocol.session.receiver import UNNUMBERED
from actr_peer.rpc.answers import answer
from actr_peer.rpc.dispatch import Dispatcher, Routes
from actr_peer.transport.link import Link
from peer_kit.links import ADA, BOB, Pair, joined

RPC = PayloadType.RPC_RELIABLE


async def connect(pair: Pair) -> tuple[Link, Link]:
    near = pair.ada.transport.link(BOB)
    await near.ready()
    await pair.bob.heard.until(lambda: pair.bob.transport.find(ADA) is not None)
    far = pair.bob.transport.link(ADA)
    await far.ready()
    return near, far


async def test_a_reply_leaves_though_the_window_of_requests_is_full() -> None:
    async with joined() as pair:
        pair.bob.heard.acknowledges = False
        near, _ = await connect(pair)
        while near.lane(RPC).offer(b"request"):
            pass
        near.lane(RPC).answer(b"reply")
        near.lane(RPC).cancel(b"cancel")
        heard = pair.bob.heard
        await heard.until(lambda: heard.bodies().count(b"cancel") == 1)
        assert (RPC, b"reply", UNNUMBERED) in heard.messages
        assert (RPC, b"cancel", UNNUMBERED) in heard.messages


async def test_a_cancellation_comes_behind_its_request_too() -> None:
    async with joined() as pair:
        near, _ = await connect(pair)
        await near.lane(RPC).send(b"request")
        near.lane(RPC).cancel(b"cancel")
        heard = pair.bob.heard
        await heard.until(lambda: heard.bodies().count(b"cancel") == 2)
        numbers = {number for _, message, number in heard.messages if message == b"cancel"}
        assert numbers == {UNNUMBERED, 1}


async def test_a_reply_longer_than_the_caller_takes_is_an_error_to_it() -> None:
    async with joined() as pair:
        _, far = await connect(pair)
        far._session.remote_max_bytes = FRAGMENT_BYTES + 100
        answer(far, RPC, "id", encode_reply("id", bytes(FRAGMENT_BYTES + 200)))
        heard = pair.ada.heard
        await heard.until(lambda: bool(heard.messages))
        ((_, message, number),) = heard.messages
        envelope = decode_envelope(message)
        assert envelope.error is not None
        assert (envelope.request_id, envelope.error.code) == ("id", Code.RESOURCE_EXHAUSTED)
        assert number == UNNUMBERED


async def test_a_caller_that_takes_no_replies_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actr_peer.transport.lane.MAX_POSTED_FRAMES", 10)
    async with joined() as pair:
        near, _ = await connect(pair)
        for net in pair.nets.values():
            for wire in net.wires:
                wire.is_held = True
        while near._session.lanes.reply_sender(RPC).queued <= 10:
            answer(near, RPC, "id", b"reply")
        with pytest.raises(LimitError):
            answer(near, RPC, "id", b"reply")
        assert near.is_over


class Heard:
    """What a dispatcher made of what came by a reply lane."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

        def unused(*_: Any) -> Any:
            pytest.fail("not in this test")

        self.dispatcher = Dispatcher(
            Routes(
                put=unused,
                knows=unused,
                refusal=unused,
                is_cycle=unused,
                resolve=self.resolve,
                cancel=lambda _, request_id: self.said.append(("cancel", request_id)),
                open_stream=unused,
                chunk=unused,
                reject_chunk=unused,
            )
        )

    def resolve(self, _remote: object, envelope: Envelope, _message: bytes) -> None:
        self.said.append(("reply", envelope.request_id))

    def take(self, message: bytes) -> None:
        class NoLink:
            remote = BOB

        self.dispatcher.message(NoLink(), RPC, message, UNNUMBERED)  # type: ignore[arg-type]


def test_what_a_reply_lane_brings_is_routed_and_acknowledged_to_nobody() -> None:
    heard = Heard()
    heard.take(encode_reply("a", b""))
    heard.take(encode_cancel("b"))
    assert heard.said == [("reply", "a"), ("cancel", "b")]


@pytest.mark.parametrize("is_tell", [True, False])
def test_a_request_on_a_reply_lane_breaks_the_rules(is_tell: bool) -> None:
    with pytest.raises(RemoteProtocolError):
        Heard().take(encode_request("a", "demo.Chat.Say", b"", is_tell=is_tell))
