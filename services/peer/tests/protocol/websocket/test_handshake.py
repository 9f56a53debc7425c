"""Both sides of the handshake, joined by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr.envelope_pb2 import WireChallenge, WireHandshake, WireProof, WireWelcome
from actr_peer.errors import Code, RemoteProtocolError, UnreachableError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import WIRE_MESSAGE_BYTES
from actr_peer.protocol.websocket.handshake import (
    Accepted,
    DiallerHandshake,
    ListenerHandshake,
    Outcome,
    Refused,
    Reply,
    State,
)
from actr_peer.protocol.websocket.lane_frames import MAX_STEP_BYTES, MESSAGE_BYTES
from actr_peer.protocol.wire.close_codes import CloseCode

ALICE = ActrId("acme", "chat", "alice")
BOB = ActrId("acme", "chat", "bob")
STRANGER = ActrId("acme", "chat", "eve", "elsewhere")
SECRET = b"a secret of the realm"


def make_dialler(
    secret: bytes | None = SECRET, *, local: ActrId = ALICE, remote: ActrId = BOB
) -> DiallerHandshake:
    return DiallerHandshake(local=local, remote=remote, nonce=b"d" * 32, secret=secret)


def make_listener(secret: bytes | None = SECRET, **more: tuple[str, ...]) -> ListenerHandshake:
    return ListenerHandshake(local=BOB, nonce=b"l" * 32, secret=secret, **more)


def hello(*, version: int = 1, nonce: bytes = b"d" * 32) -> bytes:
    """A hello that is right but for what is given."""
    step = WireHandshake.FromString(make_dialler().start())
    step.hello.version, step.hello.nonce = version, nonce
    return step.SerializeToString()


def run(dialler: DiallerHandshake, listener: ListenerHandshake) -> tuple[Outcome, Outcome]:
    """Run both to the end; errors of the dialler are raised."""
    at_listener = listener.receive(dialler.start())
    at_dialler: Outcome = dialler.receive(at_listener.step)
    while isinstance(at_dialler, Reply):
        at_listener = listener.receive(at_dialler.step)
        at_dialler = dialler.receive(at_listener.step)
    return at_dialler, at_listener


@pytest.mark.parametrize("secret", [SECRET, None])
def test_both_learn_who_the_other_is(secret: bytes | None) -> None:
    dialler, listener = make_dialler(secret), make_listener(secret)
    at_dialler, at_listener = run(dialler, listener)
    assert isinstance(at_dialler, Accepted)
    assert isinstance(at_listener, Accepted)
    assert (at_dialler.remote, at_listener.remote) == (BOB, ALICE)
    assert (dialler.state, listener.state) == (State.DONE, State.DONE)


def test_a_hello_that_is_right_is_answered() -> None:
    assert isinstance(make_listener().receive(hello()), Reply)


def test_the_secret_never_travels() -> None:
    dialler, listener = make_dialler(), make_listener()
    hello = dialler.start()
    challenge = listener.receive(hello).step
    proof = dialler.receive(challenge).step
    welcome = listener.receive(proof).step
    assert all(SECRET not in step for step in (hello, challenge, proof, welcome))


@pytest.mark.parametrize(
    ("dialler", "listener", "error", "why"),
    [
        (make_dialler(None), make_listener(), UnreachableError, "none is configured"),
        (make_dialler(b"other"), make_listener(), UnreachableError, "does not prove"),
        (make_dialler(), make_listener(None), RemoteProtocolError, "does not prove"),
        (make_dialler(remote=ALICE), make_listener(), UnreachableError, "is not here"),
        (make_dialler(local=STRANGER), make_listener(), UnreachableError, "may not dial"),
    ],
    ids=["no secret", "wrong secret", "impostor", "wrong actor", "wrong realm"],
)
def test_a_pair_that_does_not_fit_is_told_why(
    dialler: DiallerHandshake, listener: ListenerHandshake, error: type[Exception], why: str
) -> None:
    with pytest.raises(error, match=why):
        run(dialler, listener)
    assert dialler.state is State.FAILED


@pytest.mark.parametrize(
    ("dialler", "close_code", "code"),
    [
        (make_dialler(remote=ALICE), CloseCode.NOT_HERE, Code.NOT_FOUND),
        (make_dialler(local=STRANGER), CloseCode.FORBIDDEN, Code.PERMISSION_DENIED),
        (make_dialler(local=BOB), CloseCode.FORBIDDEN, Code.PERMISSION_DENIED),
        (make_dialler(b"other"), CloseCode.UNAUTHENTICATED, Code.UNAUTHENTICATED),
    ],
)
def test_a_refusal_names_itself_in_the_welcome_and_in_the_close(
    dialler: DiallerHandshake, close_code: CloseCode, code: Code
) -> None:
    listener = make_listener()
    outcome = listener.receive(dialler.start())
    if isinstance(outcome, Reply):
        outcome = listener.receive(dialler.receive(outcome.step).step)
    assert isinstance(outcome, Refused)
    assert outcome.code is close_code
    error = WireHandshake.FromString(outcome.step).welcome.error
    assert (error.code, error.message) == (code, outcome.why)
    assert listener.state is State.FAILED


def test_an_actor_of_an_allowed_realm_may_dial() -> None:
    listener = make_listener(allowed_realms=("elsewhere",))
    _, at_listener = run(make_dialler(local=STRANGER), listener)
    assert isinstance(at_listener, Accepted)
    assert at_listener.remote == STRANGER


def test_only_who_has_asked_for_a_wire_may_come() -> None:
    def listener() -> ListenerHandshake:
        return ListenerHandshake(local=BOB, nonce=b"l" * 32, secret=SECRET, asked=ALICE)

    assert isinstance(run(make_dialler(), listener())[1], Accepted)
    other = make_dialler(local=ActrId("acme", "chat", "carol"))
    with pytest.raises(UnreachableError, match=f"comes where {ALICE} has asked for a wire"):
        run(other, listener())


def test_a_recorded_handshake_is_of_no_use_to_another_listener() -> None:
    dialler, listener = make_dialler(), make_listener()
    hello = dialler.start()
    proof = dialler.receive(listener.receive(hello).step).step
    again = ListenerHandshake(local=BOB, nonce=b"m" * 32, secret=SECRET)
    again.receive(hello)
    outcome = again.receive(proof)
    assert isinstance(outcome, Refused)
    assert outcome.code is CloseCode.UNAUTHENTICATED


def test_a_proof_sent_back_is_no_welcome() -> None:
    dialler, listener = make_dialler(), make_listener()
    proof = dialler.receive(listener.receive(dialler.start()).step).step
    mac = WireHandshake.FromString(proof).proof.mac
    mirrored = WireHandshake(welcome=WireWelcome(mac=mac)).SerializeToString()
    with pytest.raises(RemoteProtocolError, match="does not prove"):
        dialler.receive(mirrored)


@pytest.mark.parametrize(
    "step",
    [
        b"\xff\xff\xff",
        b"",
        bytes(MAX_STEP_BYTES + 1),
        WireHandshake(proof=WireProof()).SerializeToString(),
        WireHandshake(challenge=WireChallenge(nonce=b"x" * 32)).SerializeToString(),
        hello(version=2),
        hello(nonce=b"short"),
        WireHandshake(hello={"version": 1, "nonce": b"x" * 32}).SerializeToString(),
    ],
    ids=["noise", "empty", "long", "early proof", "challenge", "version", "nonce", "no ids"],
)
def test_a_listener_refuses_a_first_step_that_is_no_hello(step: bytes) -> None:
    outcome = make_listener().receive(step)
    assert isinstance(outcome, Refused)
    assert outcome.code is CloseCode.BAD_MESSAGE


@pytest.mark.parametrize(
    "step",
    [
        b"\xff\xff\xff",
        b"",
        WireHandshake(welcome=WireWelcome(mac=b"early")).SerializeToString(),
        WireHandshake(challenge=WireChallenge(nonce=b"short")).SerializeToString(),
    ],
    ids=["noise", "empty", "early welcome", "nonce"],
)
def test_a_dialler_refuses_a_first_step_that_is_no_challenge(step: bytes) -> None:
    dialler = make_dialler()
    dialler.start()
    with pytest.raises(RemoteProtocolError):
        dialler.receive(step)
    assert dialler.state is State.FAILED


def test_nothing_follows_a_failure_but_failure() -> None:
    listener = make_listener()
    listener.receive(b"\xff")
    outcome = listener.receive(make_dialler().start())
    assert isinstance(outcome, Refused)


@given(st.lists(st.binary(max_size=200), max_size=4))
def test_a_listener_answers_any_bytes_and_accepts_none(steps: list[bytes]) -> None:
    listener = make_listener()
    for step in steps:
        assert not isinstance(listener.receive(step), Accepted)


@given(st.binary(min_size=1, max_size=64), st.integers(0, 2**16))
def test_a_flipped_byte_anywhere_in_the_proof_is_refused(noise: bytes, at: int) -> None:
    dialler, listener = make_dialler(), make_listener()
    proof = bytearray(dialler.receive(listener.receive(dialler.start()).step).step)
    index = at % len(proof)
    proof[index] ^= noise[0] or 1
    assert isinstance(listener.receive(bytes(proof)), Refused)


@pytest.mark.parametrize(
    ("said", "agreed"),
    [
        (0, WIRE_MESSAGE_BYTES),
        (1, WIRE_MESSAGE_BYTES),
        (40_000, 40_000),
        (MESSAGE_BYTES, MESSAGE_BYTES),
        (1 << 31, MESSAGE_BYTES),
    ],
    ids=["an older side says nothing", "too short", "shorter", "the same", "longer"],
)
def test_wire_messages_are_no_longer_than_both_sides_take(said: int, agreed: int) -> None:
    dialler, listener = make_dialler(), make_listener()
    first = WireHandshake.FromString(dialler.start())
    first.hello.wire_message_bytes = said
    challenge = listener.receive(first.SerializeToString())
    proof = dialler.receive(challenge.step)
    assert isinstance(proof, Reply)
    at_listener = listener.receive(proof.step)
    assert at_listener == Accepted(ALICE, at_listener.step, agreed)
    last = WireHandshake.FromString(at_listener.step)
    last.welcome.wire_message_bytes = said
    assert dialler.receive(last.SerializeToString()) == Accepted(BOB, b"", agreed)
