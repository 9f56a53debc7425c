"""What the service between may do to a relayed wire, and what comes of it: an end, each time."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr.envelope_pb2 import RpcError, WireChallenge, WireHandshake, WireHello, WireWelcome
from actr_peer.errors import LimitError, PeerError, RemoteProtocolError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.websocket.handshake import (
    Accepted,
    DiallerHandshake,
    ListenerHandshake,
)
from actr_peer.protocol.websocket.lane_frames import HANDSHAKE, decode, encode
from actr_peer.protocol.websocket.proofs import RELAYED
from actr_peer.protocol.wire import sealing
from actr_peer.protocol.wire.sealing import TAG_BYTES, Sealing
from peer_kit import ROOT


def hello(nonce: bytes) -> bytes:
    return encode(HANDSHAKE, WireHandshake(hello=WireHello(nonce=nonce)).SerializeToString())


def challenge(nonce: bytes) -> bytes:
    step = WireHandshake(challenge=WireChallenge(nonce=nonce))
    return encode(HANDSHAKE, step.SerializeToString())


def pair() -> tuple[Sealing, Sealing]:
    return Sealing(b"d" * 32, is_dialler=True), Sealing(b"l" * 32, is_dialler=False)


def met() -> tuple[Sealing, Sealing]:
    """Both ends after their first messages, which go as they are."""
    dialler, listener = pair()
    first = hello(dialler.public)
    assert dialler.seal(first) == first
    assert listener.open(first) == first
    second = challenge(listener.public)
    assert listener.seal(second) == second
    assert dialler.open(second) == second
    return dialler, listener


def test_what_one_end_seals_the_other_opens_and_nobody_reads_between() -> None:
    dialler, listener = met()
    for number in range(3):
        frame = encode(0, f"what is said {number}".encode())
        for here, there in ((dialler, listener), (listener, dialler)):
            message = here.seal(frame)
            assert len(message) == len(frame) + TAG_BYTES
            assert b"what is said" not in message
            assert there.open(message) == frame


def test_the_two_directions_and_each_message_have_keys_and_numbers_of_their_own() -> None:
    dialler, listener = met()
    assert len({dialler.seal(b"x"), dialler.seal(b"x"), listener.seal(b"x")}) == 3


@given(st.data())
def test_a_changed_message_does_not_open(data: st.DataObject) -> None:
    dialler, listener = met()
    message = bytearray(dialler.seal(encode(1, b"pay ann")))
    at = data.draw(st.integers(0, len(message) - 1))
    message[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(RemoteProtocolError, match="does not open"):
        listener.open(bytes(message))


@pytest.mark.parametrize("order", [(1,), (0, 0), (1, 0), (0, 2)], ids=str)
def test_one_that_is_missing_doubled_or_out_of_turn_does_not_open(order: tuple[int, ...]) -> None:
    dialler, listener = met()
    messages = [dialler.seal(bytes([n])) for n in range(3)]
    *before, last = order
    with suppress(RemoteProtocolError):
        for number in before:
            listener.open(messages[number])
    with pytest.raises(RemoteProtocolError, match="does not open"):
        listener.open(messages[last])


def test_what_an_end_has_sealed_does_not_open_at_itself() -> None:
    dialler, _ = met()
    with pytest.raises(RemoteProtocolError, match="does not open"):
        dialler.open(dialler.seal(b"x"))


@pytest.mark.parametrize("what", ["hello", "challenge"])
def test_a_first_message_that_was_changed_gives_other_keys(what: str) -> None:
    """Also where the key in it is the right one."""
    dialler, listener = pair()
    first, second = hello(dialler.public), challenge(listener.public)
    dialler.seal(first)
    listener.open(first + b"" if what == "challenge" else _longer(first))
    listener.seal(second)
    dialler.open(_longer(second) if what == "challenge" else second)
    with pytest.raises(RemoteProtocolError, match="does not open"):
        listener.open(dialler.seal(b"proof"))


def _longer(frame: bytes) -> bytes:
    """The same step, with a field that nobody knows."""
    return encode(HANDSHAKE, frame[5:] + b"\xfa\x01\x00")


def test_a_key_of_somebody_between_is_another_key() -> None:
    dialler, listener = pair()
    between = Sealing(b"m" * 32, is_dialler=True)
    first = hello(dialler.public)
    dialler.seal(first)
    changed = hello(between.public)
    listener.open(changed)
    second = challenge(listener.public)
    listener.seal(second)
    dialler.open(second)
    with pytest.raises(RemoteProtocolError):
        listener.open(dialler.seal(b"proof"))


@pytest.mark.parametrize(
    "first",
    [
        challenge(b""),
        challenge(b"x" * 31),
        challenge(bytes(32)),  # of small order: the secret would be none
        encode(HANDSHAKE, WireHandshake(welcome=WireWelcome(error=RpcError())).SerializeToString()),
        encode(0, b"no step"),
        encode(HANDSHAKE, b"\xff"),
        b"",
    ],
    ids=["none", "short", "small order", "a refusal", "a channel", "noise", "nothing"],
)
def test_a_first_message_without_a_key_is_told_and_seals_nothing(first: bytes) -> None:
    dialler, _ = pair()
    dialler.seal(hello(dialler.public))
    assert dialler.open(first) == first
    with pytest.raises(PeerError):
        dialler.seal(b"proof")
    with pytest.raises(PeerError):
        dialler.open(b"anything")


def test_a_second_message_before_the_first_of_the_other_end_is_none() -> None:
    dialler, _ = pair()
    dialler.seal(hello(dialler.public))
    with pytest.raises(RemoteProtocolError, match="before the first"):
        dialler.seal(b"x")
    _, listener = pair()
    listener.open(hello(dialler.public))
    with pytest.raises(RemoteProtocolError, match="before the first"):
        listener.open(b"x")


def test_keys_are_used_up_after_so_many_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "MAX_MESSAGES", 2)
    dialler, _ = met()
    dialler.seal(b"1")
    dialler.seal(b"2")
    with pytest.raises(LimitError):
        dialler.seal(b"3")


def test_the_bytes_on_the_page_are_those_that_are_sent() -> None:
    block = (ROOT / "docs" / "protocol" / "relayed.md").read_text().split("```")[1]
    lines = [line.split("  ", 1) for line in block.splitlines() if "  " in line]
    page = {name: bytes.fromhex(digits) for name, digits in lines}
    secret = b"realm secret"
    here = Sealing(bytes(range(32)), is_dialler=True)
    there = Sealing(bytes(range(32, 64)), is_dialler=False)
    alice, bob = ActrId("acme", "chat", "alice"), ActrId("acme", "chat", "bob")
    dialler = DiallerHandshake(local=alice, remote=bob, nonce=here.public, secret=secret)
    dialler.relayed()
    listener = ListenerHandshake(local=bob, nonce=there.public, secret=secret, tls_key=RELAYED)
    assert here.seal(encode(HANDSHAKE, dialler.start())) == page["hello"]
    for asked, answered, side, end in (
        ("hello", "challenge", listener, there),
        ("challenge", "proof", dialler, here),
        ("proof", "welcome", listener, there),
    ):
        _, step = decode(end.open(page[asked]))
        assert end.seal(encode(HANDSHAKE, side.receive(step).step)) == page[answered]
    assert isinstance(dialler.receive(decode(here.open(page["welcome"]))[1]), Accepted)
    assert here.seal(encode(1, b"hi")) == page['channel 1, "hi"']
