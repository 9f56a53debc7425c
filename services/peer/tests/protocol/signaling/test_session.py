"""The client's machine, spoken to by a service written here by hand."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr import signaling_pb2 as pb
from actr_peer.errors import BusyError, ConfigError, LimitError, RemoteProtocolError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.signaling import messages, requests
from actr_peer.protocol.signaling.presence import Load, PresenceEvent, Registration
from actr_peer.protocol.signaling.proofs import Proofs
from actr_peer.protocol.signaling.refusals import undelivered
from actr_peer.protocol.signaling.session import (
    MAX_OPEN,
    Answered,
    ClientSession,
    Enrolled,
    Final,
    Freshened,
    Greeted,
    Lost,
    Move,
    Send,
    State,
    Told,
)
from actr_peer.protocol.webrtc.negotiation import Bye, IceServer, NegotiateMessage, Offer
from peer_kit.signaling.holders import Authority, Holder

ALICE = ActrId("acme", "chat", "alice")
BOB = ActrId("acme", "chat", "bob")
REGISTRATION = Registration(id=ALICE, incarnation=1)
ICE = pb.IceServer(urls=["stun:s"])

HELLO = pb.ServerMessage(hello=pb.ServerHello(nonce=b"n" * 32, server_id="s"))
AUTHENTICATED = pb.ServerMessage(reply_to=1, authenticated=pb.Authenticated())
REGISTERED = pb.ServerMessage(
    reply_to=2,
    registered=pb.Registered(epoch=4, heartbeat_interval_ms=10_000, ice_servers=[ICE]),
)
SERVER_MESSAGES = [
    HELLO,
    AUTHENTICATED,
    REGISTERED,
    pb.ServerMessage(reply_to=3, receipt=pb.Receipt()),
    pb.ServerMessage(reply_to=3, undelivered=pb.Undelivered()),
    pb.ServerMessage(reply_to=3, snapshot=pb.PresenceSnapshot()),
    pb.ServerMessage(reply_to=3, discovered=pb.Discovered()),
    pb.ServerMessage(reply_to=3, done=pb.Done()),
    pb.ServerMessage(reply_to=3, heartbeat_ack=pb.HeartbeatAck()),
    pb.ServerMessage(presence=pb.PresenceEvent(presence=pb.Presence(id=BOB.to_message()))),
    pb.ServerMessage(error=pb.SignalingError(code=4400, message="no")),
    pb.ServerMessage(goaway=pb.GoAway(reconnect_after_ms=100)),
    pb.ServerMessage(replaced=pb.Replaced()),
    pb.ServerMessage(),
]


def say(session: ClientSession, message: pb.ServerMessage) -> tuple[object, ...]:
    return session.receive(message.SerializeToString())


def sent(effects: tuple[object, ...]) -> list[pb.ClientMessage]:
    return [
        pb.ClientMessage.FromString(effect.data) for effect in effects if isinstance(effect, Send)
    ]


def registered(*subscriptions: str, secret: bytes | None = None) -> ClientSession:
    session = ClientSession(REGISTRATION, Proofs(secret), subscriptions)
    for message in (HELLO, AUTHENTICATED, REGISTERED):
        say(session, message)
    assert session.state is State.REGISTERED
    return session


def test_it_proves_registers_and_subscribes_in_that_order() -> None:
    session = ClientSession(REGISTRATION, Proofs(b"secret"), ["acme:chat", ""])
    (proof,) = sent(say(session, HELLO))
    text = b"actr/signaling/v1" + b"s" + b"n" * 32 + str(ALICE).encode()
    assert proof.authenticate.mac == hmac.digest(b"secret", text, hashlib.sha256)
    assert proof.authenticate.id == ALICE.to_message()
    (register,) = sent(say(session, AUTHENTICATED))
    assert register.register.id == ALICE.to_message()
    enrolled, *rest = say(session, REGISTERED)
    assert enrolled == Enrolled(4, 10.0, (IceServer(urls=("stun:s",)),))
    assert [message.subscribe.actr_type for message in sent(tuple(rest))] == ["acme:chat", ""]
    ids = [proof.id, register.id, *(message.id for message in sent(tuple(rest)))]
    assert ids == [1, 2, 3, 4]


def test_without_a_secret_the_proof_is_empty() -> None:
    (proof,) = sent(say(ClientSession(REGISTRATION, Proofs()), HELLO))
    assert proof.authenticate.mac == b""


def test_a_proof_that_is_required_and_cannot_be_given_is_final() -> None:
    session = ClientSession(REGISTRATION, Proofs())
    hello = pb.ServerMessage(hello=pb.ServerHello(nonce=bytes(32), proof_required=True))
    with pytest.raises(RemoteProtocolError):
        say(session, hello)
    ending = session.lost(1000, "")
    assert isinstance(ending, Final)
    assert isinstance(ending.error, ConfigError)


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        (requests.Relay(BOB, NegotiateMessage("c", 1, Bye("x"))), {"receipt": pb.Receipt()}),
        (
            requests.Relay(BOB, NegotiateMessage("c", 1, Bye("x"))),
            {"undelivered": pb.Undelivered()},
        ),
        (requests.Discover(service="a.B"), {"discovered": pb.Discovered()}),
        (requests.Unsubscribe(""), {"done": pb.Done()}),
        (requests.Unregister(), {"receipt": pb.Receipt()}),
        (requests.Subscribe(""), {"error": pb.SignalingError(code=4429)}),
    ],
)
def test_an_answer_comes_with_the_number_of_its_request(
    request_: requests.Request, reply: dict[str, object]
) -> None:
    session = registered()
    number, _ = session.ask(request_)
    message = pb.ServerMessage(reply_to=number, **reply)  # type: ignore[arg-type]
    (answer,) = say(session, message)
    assert isinstance(answer, Answered)
    assert answer.number == number
    assert say(session, message) == (), "answered twice"


def test_a_snapshot_is_told_before_it_is_answered() -> None:
    session = registered()
    number, _ = session.ask(requests.Subscribe("a:b"))
    snapshot = pb.PresenceSnapshot(actr_type="a:b", version=3)
    told, answered = say(session, pb.ServerMessage(reply_to=number, snapshot=snapshot))
    assert told == Told(messages.Snapshot("a:b", 3, ()))
    assert isinstance(answered, Answered)


def test_an_answer_that_nobody_waits_for_is_dropped() -> None:
    session = registered()
    number, _ = session.ask(requests.Discover(service="a.B"))
    session.forget(number)
    assert say(session, pb.ServerMessage(reply_to=number, discovered=pb.Discovered())) == ()


def test_an_answer_of_the_wrong_kind_is_a_violation() -> None:
    session = registered()
    number, _ = session.ask(requests.Discover(service="a.B"))
    with pytest.raises(RemoteProtocolError, match="Receipt in answer to Discover"):
        say(session, pb.ServerMessage(reply_to=number, receipt=pb.Receipt()))


def test_fresh_ice_servers_come_with_a_heartbeat() -> None:
    session = registered()
    number = pb.ClientMessage.FromString(session.beat(Load())).id
    ack = pb.HeartbeatAck(ice_servers=[ICE])
    (fresh,) = say(session, pb.ServerMessage(reply_to=number, heartbeat_ack=ack))
    assert fresh == Freshened((IceServer(urls=("stun:s",)),))


def test_requests_are_bounded_in_bytes_and_number() -> None:
    session = ClientSession(REGISTRATION, Proofs())
    hello = pb.ServerHello(nonce=b"n" * 32, server_id="s", max_message_bytes=1000)
    say(session, pb.ServerMessage(hello=hello))
    say(session, AUTHENTICATED)
    say(session, REGISTERED)
    with pytest.raises(LimitError):
        session.ask(requests.Relay(BOB, NegotiateMessage("c", 1, Offer("x" * 1000))))
    for _ in range(MAX_OPEN):
        session.ask(requests.Unregister())
    with pytest.raises(LimitError):
        session.ask(requests.Unregister())
    assert pb.ClientMessage.FromString(session.beat(Load())).WhichOneof("body") == "heartbeat"


def test_a_replacement_by_an_older_registration_is_none() -> None:
    session = registered()  # with epoch 4
    for epoch in (0, 3, 4):
        assert say(session, pb.ServerMessage(replaced=pb.Replaced(epoch=epoch))) == ()
    assert isinstance(session.lost(4409, "replaced"), Lost)


@pytest.mark.parametrize(("asked", "kept"), [(0, 1.0), (2**32 - 1, 60.0), (5000, 5.0)])
def test_the_pace_of_heartbeats_is_bounded(asked: int, kept: float) -> None:
    session = ClientSession(REGISTRATION, Proofs())
    say(session, HELLO)
    say(session, AUTHENTICATED)
    registration = pb.Registered(epoch=1, heartbeat_interval_ms=asked)
    (enrolled,) = say(session, pb.ServerMessage(reply_to=2, registered=registration))
    assert isinstance(enrolled, Enrolled)
    assert enrolled.heartbeat == kept


def test_a_service_is_left_once_and_soon_whatever_it_says() -> None:
    session = registered()
    for effects in ((Move(30.0),), ()):
        goaway = pb.GoAway(reconnect_after_ms=2**32 - 1)
        assert say(session, pb.ServerMessage(goaway=goaway)) == effects


@pytest.mark.parametrize(
    ("code", "error"), [(4401, ConfigError), (4403, ConfigError), (4409, BusyError)]
)
def test_refusals_of_the_identity_are_final(code: int, error: type[Exception]) -> None:
    ending = registered().lost(code, "because")
    assert isinstance(ending, Final)
    assert type(ending.error) is error


@pytest.mark.parametrize("code", [None, 1000, 1006, 1011, 1013, 4400, 4408, 4413, 4429])
def test_any_other_end_is_tried_again(code: int | None) -> None:
    ending = registered().lost(code, "because")
    assert isinstance(ending, Lost)
    assert not ending.is_planned


def test_a_restart_and_a_goaway_are_planned() -> None:
    assert registered().lost(1012, "restart") == Lost("1012 restart", is_planned=True)
    session = registered()
    assert say(session, pb.ServerMessage(goaway=pb.GoAway(reconnect_after_ms=250))) == (Move(0.25),)
    ending = session.lost(1000, "")
    assert isinstance(ending, Lost)
    assert ending.is_planned


def test_word_of_a_replacement_is_final_whatever_the_close_says() -> None:
    session = registered()
    assert say(session, pb.ServerMessage(replaced=pb.Replaced(epoch=9))) == ()
    ending = session.lost(None, "reset")
    assert isinstance(ending, Final)
    assert isinstance(ending.error, BusyError)


@pytest.mark.parametrize(
    ("code", "ends"), [(4401, Final), (4403, Final), (4400, Final), (4409, Final), (4429, Lost)]
)
@pytest.mark.parametrize("steps", [1, 2])
def test_a_refused_proof_or_registration_ends_the_session(
    code: int, ends: type, steps: int
) -> None:
    session = ClientSession(REGISTRATION, Proofs())
    for message in (HELLO, AUTHENTICATED)[:steps]:
        say(session, message)
    with pytest.raises(RemoteProtocolError):
        say(session, pb.ServerMessage(reply_to=steps, error=pb.SignalingError(code=code)))
    assert type(session.lost(None, "")) is ends


@pytest.mark.parametrize("takes_over", [True, False])
def test_a_session_asks_for_a_free_identity_where_it_is_to_take_none(takes_over: bool) -> None:
    session = ClientSession(replace(REGISTRATION, takes_over=takes_over), Proofs())
    say(session, HELLO)
    (sent,) = say(session, AUTHENTICATED)
    assert isinstance(sent, Send)
    register = pb.ClientMessage.FromString(sent.data).register
    assert register.only_if_free is not takes_over


def test_an_identity_that_another_process_holds_is_busy() -> None:
    session = ClientSession(REGISTRATION, Proofs())
    for message in (HELLO, AUTHENTICATED):
        say(session, message)
    with pytest.raises(RemoteProtocolError):
        say(session, pb.ServerMessage(reply_to=2, error=pb.SignalingError(code=4409)))
    ending = session.lost(4409, "")
    assert isinstance(ending, Final)
    assert isinstance(ending.error, BusyError)
    assert f"another process has the identity {REGISTRATION.id}: stop that" in str(ending.error)


@pytest.mark.parametrize("took_over", [True, False])
def test_an_identity_that_was_taken_from_another_process_is_told(took_over: bool) -> None:
    session = ClientSession(REGISTRATION, Proofs())
    for message in (HELLO, AUTHENTICATED):
        say(session, message)
    body = pb.Registered(epoch=1, heartbeat_interval_ms=9500, took_over=took_over)
    enrolled = say(session, pb.ServerMessage(reply_to=2, registered=body))[0]
    assert isinstance(enrolled, Enrolled)
    assert enrolled.took_over is took_over


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize(
    "message", SERVER_MESSAGES, ids=[str(item.WhichOneof("body")) for item in SERVER_MESSAGES]
)
def test_every_message_has_a_meaning_in_every_state_or_is_a_violation(
    state: State, message: pb.ServerMessage
) -> None:
    session = ClientSession(REGISTRATION, Proofs())
    session.state = state
    try:
        effects = say(session, message)
    except RemoteProtocolError:
        assert session.state is state
    else:
        assert isinstance(effects, tuple)
        if state is State.ENDED:
            assert effects == ()


def test_what_nobody_asked_for_is_told() -> None:
    session = registered()
    event = pb.PresenceEvent(presence=pb.Presence(id=BOB.to_message()), version=2)
    (told,) = say(session, pb.ServerMessage(presence=event))
    assert isinstance(told, Told)
    assert isinstance(told.body, PresenceEvent)
    relayed = pb.Relayed(
        **{"from": BOB.to_message()}, negotiate=pb.Negotiate(bye=pb.Bye(reason="r"))
    )
    (told,) = say(session, pb.ServerMessage(relayed=relayed))
    assert isinstance(told, Told)
    assert isinstance(told.body, messages.Relayed)


@given(st.lists(st.sampled_from(SERVER_MESSAGES) | st.just("ask"), max_size=40))
def test_any_service_at_all_leaves_a_known_state_and_bounded_requests(
    script: list[pb.ServerMessage | str],
) -> None:
    session = ClientSession(REGISTRATION, Proofs(), ["a:b"])
    asked: set[int] = set()
    answered: list[int] = []
    for item in script:
        if isinstance(item, str):
            asked.add(session.ask(requests.Discover(service="a.B"))[0])
            continue
        try:
            effects = say(session, item)
        except RemoteProtocolError:
            session.lost(None, "")
            break
        answered += [effect.number for effect in effects if isinstance(effect, Answered)]
    assert len(answered) == len(set(answered)), "an answer was given twice"
    assert session.state in State


def test_a_service_that_takes_too_little_for_the_greeting_is_refused() -> None:
    session = ClientSession(REGISTRATION, Proofs())
    hello = pb.ServerHello(nonce=b"n" * 32, server_id="s", max_message_bytes=1)
    with pytest.raises(RemoteProtocolError, match="takes too little"):
        say(session, pb.ServerMessage(hello=hello))


@pytest.mark.parametrize("reason", messages.WhyUndelivered)
def test_every_reason_why_a_relay_did_not_arrive_has_its_words(
    reason: messages.WhyUndelivered,
) -> None:
    assert str(BOB) in str(undelivered(BOB, reason))


def test_a_greeting_with_a_name_that_is_too_long_is_refused() -> None:
    hello = pb.ServerHello(nonce=b"n" * 32, server_id="n" * (messages.MAX_TEXT + 1))
    with pytest.raises(RemoteProtocolError, match="too long"):
        say(ClientSession(REGISTRATION, Proofs()), pb.ServerMessage(hello=hello))


@pytest.mark.parametrize("size", [0, 1, 31, 33, 256])
def test_a_greeting_whose_nonce_is_not_32_bytes_is_refused(size: int) -> None:
    # With a nonce of any length its end could be read as the begin of an id: another's proof.
    hello = pb.ServerHello(nonce=bytes(size), server_id="s")
    with pytest.raises(RemoteProtocolError, match=f"a nonce of {size} bytes"):
        say(ClientSession(REGISTRATION, Proofs()), pb.ServerMessage(hello=hello))


# With a certificate

AUTHORITY = Authority(lambda: 1_800_000_000)


def greeting(**said: object) -> pb.ServerMessage:
    hello = pb.ServerHello(nonce=b"n" * 32, server_id="s", time_ms=1_800_000_000_500, **said)  # type: ignore[arg-type]
    return pb.ServerMessage(hello=hello)


def certified(**said: object) -> tuple[ClientSession, Holder]:
    """Registered at a service that greets so."""
    holder = AUTHORITY.enrol(ALICE)
    session = ClientSession(REGISTRATION, Proofs(None, holder))
    for message in (greeting(**said), AUTHENTICATED, REGISTERED):
        say(session, message)
    assert session.state is State.REGISTERED
    return session, holder


def test_it_says_what_time_the_service_has_shows_its_certificate_and_signs_what_it_registers() -> (
    None
):
    holder = AUTHORITY.enrol(ALICE)
    session = ClientSession(REGISTRATION, Proofs(None, holder))
    greeted, *effects = say(session, greeting(certificate_required=True))
    assert greeted == Greeted(1_800_000_000.5)
    (proof,) = sent(tuple(effects))
    assert proof.authenticate.certificate == holder.certificate.encode()
    (register,) = sent(say(session, AUTHENTICATED))
    assert register.register.signed.certificate == holder.certificate.encode()


def test_a_certificate_that_is_asked_for_and_is_not_there_is_final() -> None:
    session = ClientSession(REGISTRATION, Proofs(b"secret"))
    with pytest.raises(RemoteProtocolError):
        say(session, greeting(certificate_required=True))
    ending = session.lost(1000, "")
    assert isinstance(ending, Final)
    assert isinstance(ending.error, ConfigError)
    assert "identity.issuer_url" in str(ending.error)


def test_a_renewed_certificate_is_proven_once_on_the_same_connection() -> None:
    session, holder = certified()
    assert session.renew() is None
    AUTHORITY.renew(holder)
    data = session.renew()
    assert data is not None
    proof = pb.ClientMessage.FromString(data)
    assert proof.authenticate.certificate == holder.certificate.encode()
    assert session.renew() is None
    answer = pb.ServerMessage(reply_to=proof.id, authenticated=pb.Authenticated())
    assert say(session, answer) == (Answered(proof.id, messages.Authenticated()),)
    assert session.renew() is None


@pytest.mark.parametrize(("code", "again"), [(4401, True), (4400, False)])
def test_a_renewed_certificate_that_is_refused_is_shown_again_if_that_may_help(
    code: int, again: bool
) -> None:
    session, holder = certified()
    AUTHORITY.renew(holder)
    proof = pb.ClientMessage.FromString(session.renew() or b"")
    error = pb.SignalingError(code=code, message="no")
    say(session, pb.ServerMessage(reply_to=proof.id, error=error))
    assert session.state is State.REGISTERED
    assert (session.renew() is not None) is again


def test_nothing_is_renewed_where_there_is_nothing_or_nobody_to_show_it() -> None:
    assert ClientSession(REGISTRATION, Proofs(None, AUTHORITY.enrol(ALICE))).renew() is None
    session, holder = certified()
    holder.certificate = ""
    assert session.renew() is None
    holder = AUTHORITY.enrol(ALICE)
    older = ClientSession(REGISTRATION, Proofs(None, holder))
    for message in (HELLO, AUTHENTICATED, REGISTERED):
        say(older, message)
    AUTHORITY.renew(holder)
    assert older.renew() is None, "it would close with 4400"


def test_who_is_refused_with_a_certificate_is_told_to_look_at_that() -> None:
    session, _ = certified()
    ending = session.lost(4401, "the certificate has ended")
    assert isinstance(ending, Final)
    assert "look at its certificate" in str(ending.error)
