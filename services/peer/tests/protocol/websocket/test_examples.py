"""The hex lines of docs/protocol.md, section WebSocket wire, are what this code makes."""

from __future__ import annotations

import pytest

from actr_peer.errors import UnreachableError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.websocket.handshake import (
    Accepted,
    DiallerHandshake,
    ListenerHandshake,
    refuse,
)
from actr_peer.protocol.websocket.lane_frames import HANDSHAKE, decode, encode
from actr_peer.protocol.wire.close_codes import CloseCode
from peer_kit import ROOT

PAGE = ROOT / "docs" / "protocol.md"
ALICE = ActrId("acme", "chat", "alice")
BOB = ActrId("acme", "chat", "bob")


def examples() -> dict[str, bytes]:
    section = PAGE.read_text().split("## WebSocket wire\n")[1].split("\n## ")[0]
    block = section.split("### Examples")[1].split("```")[1]
    lines = [line.split("  ", 1) for line in block.splitlines() if "  " in line]
    return {name: bytes.fromhex(digits) for name, digits in lines}


def test_the_handshake_on_the_page_is_the_one_that_is_spoken() -> None:
    secret = b"realm secret"
    dialler = DiallerHandshake(local=ALICE, remote=BOB, nonce=bytes(range(32)), secret=secret)
    listener = ListenerHandshake(local=BOB, nonce=bytes(range(32, 64)), secret=secret)
    page = examples()
    assert encode(HANDSHAKE, dialler.start()) == page["hello"]
    for asked, answered, side in (
        ("hello", "challenge", listener),
        ("challenge", "proof", dialler),
        ("proof", "welcome", listener),
    ):
        _, step = decode(page[asked])
        assert encode(HANDSHAKE, side.receive(step).step) == page[answered]
    accepted = Accepted(BOB, message_bytes=81_920)
    assert dialler.receive(decode(page["welcome"])[1]) == accepted


def test_the_message_on_the_page_decodes() -> None:
    assert decode(examples()['channel 1, "hi"']) == (1, b"hi")


def test_the_welcome_on_the_page_that_refuses_is_the_one_that_is_sent() -> None:
    section = PAGE.read_text().split("## WebSocket wire\n")[1].split("\n## ")[0]
    (line,) = [line for line in section.splitlines() if line.startswith("welcome that refuses")]
    page = bytes.fromhex(line.removeprefix("welcome that refuses"))
    refused = refuse(CloseCode.UNAUTHENTICATED, "no proof")
    assert encode(HANDSHAKE, refused.step) == page
    dialler = DiallerHandshake(local=ALICE, remote=BOB, nonce=bytes(32), secret=None)
    dialler.start()
    with pytest.raises(UnreachableError, match="no proof"):
        dialler.receive(decode(page)[1])
