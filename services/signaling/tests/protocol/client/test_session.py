from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr import signaling_pb2 as pb
from actr_signaling.errors import (
    Close,
    ForbiddenError,
    RefusedError,
    SignalingError,
    TooFastError,
    UnauthenticatedError,
)
from actr_signaling.protocol.client import messages
from actr_signaling.protocol.client.effects import (
    Effects,
    End,
    Enrol,
    Forward,
    Leave,
    Recertify,
    Renew,
    Send,
)
from actr_signaling.protocol.client.limits import Terms
from actr_signaling.protocol.client.proofs import proof
from actr_signaling.protocol.client.session import Session, State
from actr_signaling.protocol.client.trust import Challenge, Revoked, Trust, Why
from actr_signaling.protocol.presence.discovery import Query
from actr_signaling.protocol.presence.records import Load, Registration
from actr_signaling.protocol.presence.view import Reason
from signaling_kit.certified import NOW, Holder, Issuer
from signaling_kit.client import actor

WHO = actor("a")
SECRET = b"a secret of some length"
TERMS = Terms(authenticate=5, enrol=5, lease=30, heartbeat=10, max_watches=3, max_contacts=3)
MESSAGES: tuple[messages.Message, ...] = (
    messages.Authenticate(WHO, b""),
    messages.Register(Registration(id=WHO)),
    messages.Heartbeat(Load(3, 0.5)),
    messages.Subscribe("acme:b"),
    messages.Unsubscribe("acme:b"),
    messages.Discover(Query("acme:b", "", "", "", 16)),
    messages.Relay(actor("b"), b""),
    messages.Unregister(),
)
KNOWN = {State.PROVEN, State.ENROLLING, State.REGISTERED}
MAY: dict[type, set[State]] = {
    messages.Authenticate: {State.GREETED},
    messages.Register: {State.PROVEN, State.REGISTERED},
    messages.Heartbeat: KNOWN,
    messages.Subscribe: KNOWN,
    messages.Unsubscribe: KNOWN,
    messages.Discover: KNOWN,
    messages.Relay: {State.REGISTERED},
    messages.Unregister: KNOWN,
}


def make(secret_of: Callable[[str], bytes | None] | None = None, terms: Terms = TERMS) -> Session:
    challenge = Challenge(server_id="s1", nonce=b"n" * 32, trust=Trust(secret_of=secret_of))
    return Session(challenge, terms, 0.0)


def in_state(state: State, *, terms: Terms = TERMS) -> Session:
    made = make(terms=terms)
    if state is not State.GREETED:
        made.receive(MESSAGES[0], 1, 0.0)
    if state in (State.ENROLLING, State.REGISTERED):
        made.receive(MESSAGES[1], 2, 0.0)
    if state is State.REGISTERED:
        made.registered(7, 0.0)
    if state is State.CLOSED:
        made.close()
    assert made.state is state
    return made


def sent(effects: Effects) -> list[Any]:
    """Bodies of what is sent."""
    wires = [pb.ServerMessage.FromString(e.data) for e in effects if isinstance(e, Send)]
    return [getattr(wire, wire.WhichOneof("body") or "") for wire in wires]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("state", list(State), ids=lambda s: s.name)
def test_every_message_in_every_state_is_a_step_or_an_error_that_changes_nothing(
    state: State, message: messages.Message
) -> None:
    made = in_state(state)
    if state in MAY[type(message)]:
        assert made.receive(message, 9, 1.0)
        return
    with pytest.raises(SignalingError):
        made.receive(message, 9, 1.0)
    assert made.state is state


@given(st.lists(st.one_of(st.sampled_from(MESSAGES), st.sampled_from(["registered", "expire"]))))
def test_no_sequence_relays_before_the_registration_is_confirmed(inputs: list[Any]) -> None:
    made = make()
    confirmed = False
    now = 0.0
    for item in inputs:
        now += 1.0
        effects: Effects = ()
        if item == "registered":
            made.registered(7, now)
            confirmed = confirmed or made.state is State.REGISTERED
        elif item == "expire":
            effects = made.expire(now)
        else:
            try:
                effects = made.receive(item, 1, now)
            except SignalingError:
                continue
        if any(isinstance(effect, Forward) for effect in effects):
            assert confirmed
        if any(isinstance(effect, End) for effect in effects):
            assert effects[-1] == next(e for e in effects if isinstance(e, End))
            assert made.state is State.CLOSED


def test_a_right_proof_is_taken() -> None:
    made = make({"default": SECRET}.get)
    mac = proof(SECRET, server_id="s1", nonce=b"n" * 32, id=WHO)
    (effect,) = made.receive(messages.Authenticate(WHO, mac), 1, 0.0)
    assert sent((effect,)) == [pb.Authenticated()]
    assert made.id == WHO


@pytest.mark.parametrize(
    ("who", "mac"),
    [
        (WHO, b""),
        (WHO, b"x" * 32),
        (WHO, proof(b"another secret!!", server_id="s1", nonce=b"n" * 32, id=WHO)),
        (WHO, proof(SECRET, server_id="s2", nonce=b"n" * 32, id=WHO)),
        (WHO, proof(SECRET, server_id="s1", nonce=b"m" * 32, id=WHO)),
        (WHO, proof(SECRET, server_id="s1", nonce=b"n" * 32, id=actor("b"))),
        (
            actor("acme:a@1:other"),
            proof(b"", server_id="s1", nonce=b"n" * 32, id=actor("acme:a@1:other")),
        ),
    ],
    ids=["none", "noise", "secret", "server", "nonce", "identity", "unknown realm"],
)
def test_a_wrong_proof_is_refused(who: Any, mac: bytes) -> None:
    made = make({"default": SECRET}.get)
    with pytest.raises(UnauthenticatedError):
        made.receive(messages.Authenticate(who, mac), 1, 0.0)
    assert made.state is State.GREETED


def test_only_the_proven_identity_registers() -> None:
    made = in_state(State.PROVEN)
    with pytest.raises(ForbiddenError):
        made.receive(messages.Register(Registration(id=actor("b"))), 2, 0.0)


def test_a_second_authenticate_without_a_certificate_is_refused_and_ends_nothing() -> None:
    with pytest.raises(RefusedError):
        in_state(State.REGISTERED).receive(MESSAGES[0], 2, 0.0)


def test_a_relay_before_registration_is_refused_and_the_connection_stays() -> None:
    with pytest.raises(RefusedError) as refused:
        in_state(State.PROVEN).receive(messages.Relay(actor("b"), b""), 2, 0.0)
    assert refused.value.code is Close.FORBIDDEN


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (State.GREETED, Close.UNAUTHENTICATED),
        (State.PROVEN, Close.TIMED_OUT),
        (State.ENROLLING, Close.RESTART),
        (State.REGISTERED, Close.TIMED_OUT),
    ],
    ids=lambda value: value.name,
)
def test_each_state_has_a_deadline_with_its_own_code(state: State, code: Close) -> None:
    made = in_state(state)
    assert made.expire(made.deadline - 0.1) == ()
    (end,) = made.expire(made.deadline)
    assert isinstance(end, End)
    assert end.code is code
    assert made.expire(made.deadline + 100) == ()


def test_a_heartbeat_moves_the_deadline_and_keeps_the_load() -> None:
    made = in_state(State.REGISTERED)
    (renew,) = made.receive(messages.Heartbeat(Load(9, 0.1)), 5, 20.0)
    assert renew == Renew(Load(9, 0.1), 5)
    assert made.deadline == 50.0
    (renew,) = made.receive(messages.Heartbeat(None), 6, 21.0)
    assert renew == Renew(Load(9, 0.1), 6)


def test_heartbeats_beyond_their_rate_are_too_fast_and_renew_nothing() -> None:
    terms = Terms(heartbeats_per_second=2, heartbeats_burst=3, lease=30)
    made = in_state(State.REGISTERED, terms=terms)
    for backlog in range(3):
        made.receive(messages.Heartbeat(Load(backlog)), 5, 10.0)
    with pytest.raises(TooFastError, match="over 2 heartbeats a second"):
        made.receive(messages.Heartbeat(Load(9)), 6, 11.0 - 0.6)
    assert (made.load, made.deadline) == (Load(2), 40.0)
    made.receive(messages.Heartbeat(Load(9)), 6, 11.0)


@given(st.floats(0.05, 300.0))
def test_who_beats_as_it_was_asked_to_is_never_too_fast(heartbeat: float) -> None:
    # The service varies what it asks for by a fifth, and a client what it does by another.
    made = in_state(State.REGISTERED, terms=Terms(heartbeat=heartbeat, lease=1_000))
    for number in range(200):
        made.receive(messages.Heartbeat(None), 5, number * heartbeat * 0.8 * 0.8)


def test_a_heartbeat_does_not_prolong_a_registration_that_hangs() -> None:
    made = in_state(State.ENROLLING)
    made.receive(messages.Heartbeat(None), 5, 4.0)
    assert made.deadline == 5.0


def test_a_registration_is_answered_once() -> None:
    made = in_state(State.ENROLLING)
    assert made.registered(7, 1.0) == (2, 30.0)
    assert made.registered(7, 2.0) == (0, 30.0)
    assert made.epoch == 7


def test_a_confirmation_after_the_end_changes_nothing() -> None:
    made = in_state(State.ENROLLING)
    made.close()
    made.registered(7, 1.0)
    assert made.state is State.CLOSED


def test_a_replaced_session_is_told_and_closed_once() -> None:
    made = in_state(State.REGISTERED)
    effects = made.replaced(9)
    assert sent(effects) == [pb.Replaced(epoch=9)]
    assert effects[-1] == End(Close.REPLACED, "a newer session has this identity")
    assert made.replaced(10) == ()


def test_a_session_whose_identity_is_held_is_told_and_closed_once() -> None:
    made = in_state(State.ENROLLING)
    effects = made.occupied()
    text = f"another process holds the identity {made.id}"
    assert sent(effects) == [pb.SignalingError(code=Close.REPLACED, message=text)]
    assert effects[-1] == End(Close.REPLACED, text)
    assert made.occupied()[1:] == ()


def test_unregister_leaves_answers_and_closes_in_this_order() -> None:
    effects = in_state(State.REGISTERED).receive(messages.Unregister(), 4, 0.0)
    assert [type(effect).__name__ for effect in effects] == ["Leave", "Send", "End"]
    assert isinstance(effects[-1], End)
    assert effects[-1].code is Close.NORMAL


def test_subscriptions_are_bounded_and_the_same_one_counts_once() -> None:
    made = in_state(State.REGISTERED)
    for actr_type in ("a:1", "a:2", "a:3", "a:3"):
        made.receive(messages.Subscribe(actr_type), 4, 0.0)
    with pytest.raises(RefusedError) as refused:
        made.receive(messages.Subscribe("a:4"), 5, 0.0)
    assert refused.value.code is Close.TOO_FAST
    made.receive(messages.Unsubscribe("a:1"), 6, 0.0)
    made.receive(messages.Subscribe("a:4"), 7, 0.0)


def test_contacts_are_bounded_and_the_oldest_goes_first() -> None:
    made = in_state(State.REGISTERED)
    for source in ("1", "2", "3", "1", "4"):
        made.meet(source)
    assert list(made.contacts) == ["3", "1", "4"]


@pytest.mark.parametrize("size", [1, 1_000], ids=["many messages", "many bytes"])
def test_too_many_messages_or_bytes_are_too_fast(size: int) -> None:
    terms = Terms(
        messages_per_second=10, messages_burst=20, bytes_per_second=1_000, bytes_burst=10_000
    )
    made = in_state(State.PROVEN, terms=terms)
    taken = 10 if size > 1 else 20
    for _ in range(taken):
        made.admit(size, 0.0)
    with pytest.raises(TooFastError):
        made.admit(size, 0.0)
    made.admit(size, 1.0)


def test_a_connection_that_was_silent_for_long_sends_no_more_than_its_burst_at_once() -> None:
    made = in_state(State.PROVEN, terms=Terms(messages_per_second=10, messages_burst=20))
    for _ in range(20):
        made.admit(1, 1_000.0)
    with pytest.raises(TooFastError):
        made.admit(1, 1_000.0)


def test_who_has_proven_nothing_may_send_only_a_few_frames() -> None:
    made = make(terms=Terms(greeting_frames=3))
    for _ in range(3):
        made.admit(0, 0.0)
    with pytest.raises(TooFastError):
        made.admit(0, 100.0)


def test_registering_again_and_again_is_refused_and_changes_nothing() -> None:
    made = in_state(State.REGISTERED, terms=Terms(registers_per_second=1, registers_burst=3))
    registration = made.registration
    assert registration is not None
    for _ in range(2):
        made.receive(messages.Register(registration), 4, 0.0)
        made.registered(9, 0.0)
    with pytest.raises(RefusedError) as refused:
        made.receive(messages.Register(replace(registration, incarnation=5)), 5, 0.0)
    assert refused.value.code is Close.TOO_FAST
    assert (made.state, made.registration) == (State.REGISTERED, registration)
    made.receive(messages.Register(registration), 6, 1.0)


# With certificates

ISSUER = Issuer()
ROOM = ISSUER.enrol("room")


class Certified:
    """A session that asks for certificates, on clocks that the test sets."""

    def __init__(self, holder: Holder = ROOM) -> None:
        self.trust = Trust(issuer_keys=ISSUER.keys)
        self.session = Session(
            Challenge(server_id="s1", nonce=b"n" * 32, trust=self.trust), TERMS, 0.0
        )
        self.prove(holder, 0.0)

    def prove(self, holder: Holder, now: float) -> Effects:
        proof = holder.authenticate("s1", b"n" * 32)
        return self.say(pb.ClientMessage(authenticate=proof), now)

    def register(self, holder: Holder, now: float = 0.0) -> Effects:
        effects = self.say(pb.ClientMessage(register=holder.register(incarnation=7)), now)
        self.session.registered(5, now)
        return effects

    def say(self, message: pb.ClientMessage, now: float) -> Effects:
        return self.session.receive(messages.read(message), 1, now, unix=NOW + now)

    def beat(self, now: float) -> None:
        self.say(pb.ClientMessage(heartbeat=pb.Heartbeat()), now)


def test_a_session_ends_when_its_certificate_ends() -> None:
    made = Certified()
    made.register(ROOM)
    for now in range(0, 960, 20):
        made.beat(now)
        assert made.session.expire(now) == ()
    made.beat(950)
    assert made.session.deadline == 960, "900 seconds, and what clocks may differ"
    (end,) = made.session.expire(960)
    assert isinstance(end, End)
    assert (end.code, end.cause) == (Close.UNAUTHENTICATED, Why.ENDED)
    assert "renewed" in end.message


@pytest.mark.parametrize("is_registered", [True, False])
def test_a_renewed_certificate_goes_on_with_the_same_session(is_registered: bool) -> None:
    made = Certified()
    if is_registered:
        made.register(ROOM)
    newer = ISSUER.renew(ROOM, now=NOW + 600)
    effects = made.prove(newer, 600)
    assert sent(effects) == [pb.Authenticated()]
    if is_registered:
        (registration,) = [e.registration for e in effects if isinstance(e, Recertify)]
        assert registration.signed is not None
        assert registration.signed.certificate == newer.certificate
        assert made.session.registration is registration
        assert made.session.state is State.REGISTERED
    made.beat(1550)
    assert made.session.expire(1559) == ()
    assert made.session.expire(1560) != ()


def test_a_renewed_certificate_that_is_none_leaves_the_session_with_the_old_one() -> None:
    made = Certified()
    with pytest.raises(RefusedError) as refused:
        made.prove(Issuer(9).renew(ROOM, now=NOW + 600), 600)
    assert (refused.value.code, refused.value.cause) == (
        Close.UNAUTHENTICATED,
        "unknown issuer key",
    )
    made.beat(950)
    assert made.session.deadline == 960


@pytest.mark.parametrize(
    "other", [ISSUER.enrol("mallory"), ISSUER.enrol("room")], ids=["another id", "another key"]
)
def test_nobody_becomes_another_on_a_connection(other: Holder) -> None:
    made = Certified()
    with pytest.raises(ForbiddenError) as refused:
        made.prove(other, 1)
    assert refused.value.cause == Why.OTHER


def test_who_proved_a_certificate_does_not_go_on_with_a_secret() -> None:
    made = Certified()
    made.trust.__init__(  # type: ignore[misc]
        secret_of=lambda realm: SECRET, issuer_keys=ISSUER.keys, accepts_secrets=True
    )
    mac = proof(SECRET, server_id="s1", nonce=b"n" * 32, id=ROOM.id)
    with pytest.raises(ForbiddenError):
        made.say(pb.ClientMessage(authenticate=pb.Authenticate(id=ROOM.id.to_wire(), mac=mac)), 1)


def test_certificates_are_renewed_no_faster_than_registrations() -> None:
    made = Certified()
    for _ in range(20):
        made.prove(ROOM, 0)
    with pytest.raises(RefusedError) as refused:
        made.prove(ROOM, 0)
    assert refused.value.code is Close.TOO_FAST
    with pytest.raises(RefusedError):
        made.register(ROOM, 0)


def test_what_is_registered_must_be_signed_with_the_proven_key() -> None:
    (enrol,) = Certified().register(ROOM)
    assert isinstance(enrol, Enrol)
    assert enrol.registration.signed is not None
    with pytest.raises(UnauthenticatedError):
        Certified().register(ISSUER.enrol("room"))
    made = Certified()
    with pytest.raises(UnauthenticatedError):
        made.say(pb.ClientMessage(register=pb.Register(id=ROOM.id.to_wire())), 0)


def test_who_was_revoked_has_to_go_and_leaves_nothing() -> None:
    made = Certified()
    made.register(ROOM)
    assert made.session.examine_again() == ()
    made.trust.revoked = Revoked(keys=frozenset({ROOM.public}))
    leave, told, end = made.session.examine_again()
    assert leave == Leave(Reason.KICKED)
    assert sent((told,))[0].code == Close.FORBIDDEN
    assert isinstance(end, End)
    assert (end.code, end.cause) == (Close.FORBIDDEN, Why.REVOKED)
    assert made.session.examine_again() == (), "once"
    assert make().examine_again() == ()
