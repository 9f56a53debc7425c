"""What is required and what is offered, row by row; and every way to pretend, on two handshakes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actr.envelope_pb2 import WireHandshake
from actr_peer.errors import CertificateError, PeerError, RemoteProtocolError, UnreachableError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.websocket.handshake import (
    Accepted,
    DiallerHandshake,
    ListenerHandshake,
    Outcome,
    Refused,
    Reply,
)
from actr_peer.protocol.websocket.proofs import (
    CHECKS,
    RELAYED,
    WAYS,
    Certified,
    Check,
    Ends,
    Offer,
    Proofs,
    Requirement,
    Side,
    Way,
    bound_nonce,
    check_for,
    required,
)
from actr_peer.protocol.wire.close_codes import CloseCode
from peer_kit.vectors.identities import Issuer, key_of

ALICE = ActrId("acme", "chat", "alice")
BOB = ActrId("acme", "chat", "bob")
MALLORY = ActrId("acme", "chat", "mallory")
SECRET = b"a secret of the realm"
ISSUER = Issuer(now=1_800_000_000)
BOBS_KEY = key_of("bob").public_key().public_bytes_raw()
MALLORYS_KEY = key_of("mallory").public_key().public_bytes_raw()


def make_dialler(
    certified: Certified | None,
    *,
    secret: bytes | None = None,
    tls_key: bytes = BOBS_KEY,
    local: ActrId = ALICE,
) -> DiallerHandshake:
    dialler = DiallerHandshake(
        local=local, remote=BOB, nonce=b"d" * 32, secret=secret, certified=certified
    )
    if tls_key == RELAYED:
        dialler.relayed()
    elif tls_key:
        dialler.sealed(tls_key)
    return dialler


def make_listener(
    certified: Certified | None,
    *,
    secret: bytes | None = None,
    tls_key: bytes = BOBS_KEY,
    nonce: bytes = b"l" * 32,
) -> ListenerHandshake:
    return ListenerHandshake(
        local=BOB, nonce=nonce, secret=secret, certified=certified, tls_key=tls_key
    )


def run(dialler: DiallerHandshake, listener: ListenerHandshake) -> tuple[Outcome, Outcome]:
    """Both to the end; errors of the dialler are raised."""
    at_listener = listener.receive(dialler.start())
    at_dialler: Outcome = dialler.receive(at_listener.step)
    while isinstance(at_dialler, Reply):
        at_listener = listener.receive(at_dialler.step)
        at_dialler = dialler.receive(at_listener.step)
    return at_dialler, at_listener


# The tables


def test_every_requirement_has_a_row_for_every_offer_with_tls_and_without() -> None:
    assert set(CHECKS) == set(product(Requirement, Offer))
    for requires, offer in CHECKS:
        with_tls = check_for(requires, offer, is_sealed=True)
        without = check_for(requires, offer, is_sealed=False)
        has_mac, has_certificate = "MAC BOTH", "CERTIFICATE BOTH"
        match requires:
            case Requirement.NOTHING:
                assert with_tls is without is Check.NONE
            case Requirement.SECRET:
                wanted = Check.MAC if offer.name in has_mac.split() else Check.NO_MAC
                assert with_tls is without is wanted
            case Requirement.CERTIFICATE:
                is_there = offer.name in has_certificate.split()
                assert with_tls is (Check.SIGNATURE if is_there else Check.NO_CERTIFICATE)
                assert without is Check.NO_TLS


def test_who_requires_certificates_dials_nothing_but_tls_by_key() -> None:
    every = set(product(Requirement, (False, True), ("ws", "wss")))
    assert every - set(WAYS) == {(Requirement.CERTIFICATE, False, s) for s in ("ws", "wss")}
    for (requires, has_certificate, scheme), way in WAYS.items():
        if requires is Requirement.CERTIFICATE:
            assert way is (Way.BY_KEY if scheme == "wss" else Way.REFUSED)
        elif scheme == "ws":
            assert way is Way.PLAIN
        else:
            assert way is (Way.BY_KEY if has_certificate else Way.BY_NAME)


def test_a_side_requires_the_most_that_it_can_check() -> None:
    offered = ISSUER.certified(BOB, is_required=False)
    assert required(None, None) is Requirement.NOTHING
    assert required(b"", None) is Requirement.NOTHING
    assert required(SECRET, None) is Requirement.SECRET
    assert required(SECRET, offered) is Requirement.SECRET
    assert required(None, offered) is Requirement.NOTHING
    assert required(SECRET, ISSUER.certified(BOB)) is Requirement.CERTIFICATE


# Pairs


@pytest.mark.parametrize("secret", [None, SECRET])
def test_both_learn_who_the_other_is_and_with_which_claims(secret: bytes | None) -> None:
    dialler = make_dialler(ISSUER.certified(ALICE), secret=secret)
    listener = make_listener(ISSUER.certified(BOB), secret=secret)
    at_dialler, at_listener = run(dialler, listener)
    assert isinstance(at_dialler, Accepted)
    assert isinstance(at_listener, Accepted)
    assert (at_dialler.remote, at_listener.remote) == (BOB, ALICE)
    for outcome, name in ((at_dialler, "bob"), (at_listener, "alice")):
        assert outcome.certificate is not None
        assert outcome.certificate.subject == f"acme:chat@{name}"
        assert outcome.certificate.claims == {"role": "tester"}


def test_a_certificate_may_cover_more_than_one_actor() -> None:
    dialler = make_dialler(ISSUER.certified(ALICE, subject="acme:chat@*"))
    at_dialler, _ = run(dialler, make_listener(ISSUER.certified(BOB, subject="*:*@*")))
    assert isinstance(at_dialler, Accepted)


def test_while_certificates_are_not_required_the_secret_decides_and_old_peers_come_in() -> None:
    half = ISSUER.certified(BOB, is_required=False)
    for certified in (None, ISSUER.certified(ALICE, is_required=False)):
        dialler = make_dialler(certified, secret=SECRET, tls_key=b"")
        at_dialler, at_listener = run(dialler, make_listener(half, secret=SECRET, tls_key=b""))
        assert at_dialler == Accepted(BOB, b"", at_dialler.message_bytes)  # type: ignore[union-attr]
        assert isinstance(at_listener, Accepted)
        assert at_listener.certificate is None
    dialler = make_dialler(ISSUER.certified(ALICE, is_required=False), secret=SECRET)
    assert isinstance(run(dialler, make_listener(ISSUER.certified(BOB)))[0], Accepted)


@pytest.mark.parametrize(
    ("dialler", "listener", "error", "why"),
    [
        pytest.param(
            make_dialler(None, secret=SECRET, tls_key=b""),
            make_listener(ISSUER.certified(BOB), secret=SECRET),
            UnreachableError,
            "shows no certificate",
            id="a secret is not enough for the listener",
        ),
        pytest.param(
            make_dialler(ISSUER.certified(ALICE), secret=SECRET),
            make_listener(None, secret=SECRET, tls_key=b""),
            RemoteProtocolError,
            "shows no certificate",
            id="a secret is not enough for the dialler",
        ),
        pytest.param(
            make_dialler(ISSUER.certified(ALICE), tls_key=b""),
            make_listener(ISSUER.certified(BOB)),
            RemoteProtocolError,
            "in TLS only",
            id="the dialler has no TLS",
        ),
        pytest.param(
            make_dialler(ISSUER.certified(ALICE)),
            make_listener(ISSUER.certified(BOB), tls_key=b""),
            UnreachableError,
            "in TLS only",
            id="the listener has no TLS",
        ),
        pytest.param(
            make_dialler(ISSUER.certified(ALICE, begins=-5000)),
            make_listener(ISSUER.certified(BOB)),
            UnreachableError,
            "ended at",
            id="an expired certificate",
        ),
        pytest.param(
            make_dialler(ISSUER.certified(ALICE)),
            make_listener(ISSUER.certified(BOB, begins=-5000)),
            CertificateError,
            "ended at",
            id="an expired certificate of the listener",
        ),
        pytest.param(
            make_dialler(ISSUER.certified(ALICE, begins=5000)),
            make_listener(ISSUER.certified(BOB)),
            UnreachableError,
            "begins at",
            id="a certificate of the future",
        ),
        pytest.param(
            make_dialler(Issuer("other", now=ISSUER.now).certified(ALICE)),
            make_listener(ISSUER.certified(BOB)),
            UnreachableError,
            "not among those known",
            id="a foreign issuer",
        ),
        pytest.param(
            make_dialler(ISSUER.certified(ALICE, subject="acme:room@*")),
            make_listener(ISSUER.certified(BOB)),
            UnreachableError,
            "a certificate of acme:room",
            id="a pattern that does not cover the dialler",
        ),
        pytest.param(
            make_dialler(ISSUER.certified(ALICE)),
            make_listener(ISSUER.certified(MALLORY), tls_key=MALLORYS_KEY),
            RemoteProtocolError,
            "a certificate of acme:chat@mallory",
            id="a listener with its own certificate as another",
        ),
        pytest.param(
            make_dialler(ISSUER.certified(ALICE, key=key_of("mallory"))),
            make_listener(ISSUER.certified(BOB)),
            UnreachableError,
            "the key of its certificate",
            id="a stolen certificate without its key",
        ),
        pytest.param(
            make_dialler(ISSUER.certified(ALICE), tls_key=MALLORYS_KEY),
            make_listener(ISSUER.certified(BOB), tls_key=MALLORYS_KEY),
            RemoteProtocolError,
            "somebody is between",
            id="a listener with a stolen certificate and TLS of its own",
        ),
        pytest.param(
            make_dialler(ISSUER.certified(ALICE)),
            make_listener(ISSUER.certified(BOB, key=key_of("mallory"))),
            RemoteProtocolError,
            "the key of its certificate",
            id="a listener that cannot sign for its certificate",
        ),
    ],
)
def test_a_pair_that_does_not_fit_is_told_why(
    dialler: DiallerHandshake, listener: ListenerHandshake, error: type[Exception], why: str
) -> None:
    with pytest.raises(error, match=why):
        run(dialler, listener)


def test_the_code_says_that_it_is_about_who_one_is() -> None:
    for certified in (None, ISSUER.certified(ALICE, key=key_of("mallory"))):
        dialler, listener = make_dialler(certified), make_listener(ISSUER.certified(BOB))
        outcome = listener.receive(dialler.start())
        if isinstance(outcome, Reply):
            outcome = listener.receive(dialler.receive(outcome.step).step)
        assert isinstance(outcome, Refused)
        assert outcome.code is CloseCode.UNAUTHENTICATED


# Who is between


def test_who_ends_tls_with_a_key_of_its_own_is_told_from_the_listener() -> None:
    """It passes the steps on as they are; and the dialler has not even to look at its key."""
    dialler = make_dialler(ISSUER.certified(ALICE), tls_key=MALLORYS_KEY)
    listener = make_listener(ISSUER.certified(BOB))
    challenge = listener.receive(dialler.start())
    with pytest.raises(RemoteProtocolError, match="somebody is between"):
        dialler.receive(challenge.step)
    careless = Proofs(Side.DIALLER, None, ISSUER.certified(ALICE), MALLORYS_KEY)
    ends = Ends(ALICE, BOB, b"d" * 32 + b"l" * 32, MALLORYS_KEY)
    proof = WireHandshake()
    _, proof.proof.signature = careless.prove(ends)
    outcome = listener.receive(proof.SerializeToString())
    assert isinstance(outcome, Refused)
    assert "key of its certificate" in outcome.why


def test_a_proof_is_good_for_one_listener_and_one_time() -> None:
    dialler, listener = make_dialler(ISSUER.certified(ALICE)), make_listener(ISSUER.certified(BOB))
    hello = dialler.start()
    proof = dialler.receive(listener.receive(hello).step).step
    again = make_listener(ISSUER.certified(BOB), nonce=b"m" * 32)
    again.receive(hello)
    assert isinstance(again.receive(proof), Refused)


def test_a_signature_sent_back_is_no_welcome() -> None:
    """One actor's certificate covers both ids here, so that only the label tells the sides."""
    one = ISSUER.certified(BOB, subject="*:*@*")
    dialler = make_dialler(one)
    proof = dialler.receive(make_listener(one).receive(dialler.start()).step)
    mirrored = WireHandshake()
    mirrored.welcome.signature = WireHandshake.FromString(proof.step).proof.signature
    with pytest.raises(RemoteProtocolError, match="key of its certificate"):
        dialler.receive(mirrored.SerializeToString())


PARTS: dict[str, Callable[[Ends], Ends]] = {
    "dialler": lambda ends: ends._replace(dialler=MALLORY),
    "listener": lambda ends: ends._replace(listener=MALLORY),
    "the dialler's nonce": lambda ends: ends._replace(nonces=b"x" + ends.nonces[1:]),
    "the listener's nonce": lambda ends: ends._replace(nonces=ends.nonces[:-1] + b"x"),
    "nonces the other way round": lambda ends: ends._replace(
        nonces=ends.nonces[32:] + ends.nonces[:32]
    ),
    "the key of TLS": lambda ends: ends._replace(tls_key=MALLORYS_KEY),
    "no TLS": lambda ends: ends._replace(tls_key=b""),
}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("side", Side)
def test_a_signature_over_anything_else_is_none(side: Side, part: str) -> None:
    names = {Side.DIALLER: ALICE, Side.LISTENER: BOB}
    other = Side.LISTENER if side is Side.DIALLER else Side.DIALLER
    ends = Ends(ALICE, BOB, b"d" * 32 + b"l" * 32, BOBS_KEY)
    signer = Proofs(side, None, ISSUER.certified(names[side]), BOBS_KEY)
    checker = Proofs(other, None, ISSUER.certified(names[other]), BOBS_KEY)
    checker.examine(signer.shown, names[side])
    checker.check(names[side], ends, *signer.prove(ends))
    with pytest.raises(RemoteProtocolError):
        checker.check(names[side], ends, *signer.prove(PARTS[part](ends)))


def test_nothing_passes_that_was_not_examined_first() -> None:
    checker = Proofs(Side.LISTENER, SECRET, ISSUER.certified(BOB), BOBS_KEY)
    signer = Proofs(Side.DIALLER, SECRET, ISSUER.certified(ALICE), BOBS_KEY)
    ends = Ends(ALICE, BOB, bytes(64), BOBS_KEY)
    with pytest.raises(RemoteProtocolError):
        checker.check(ALICE, ends, *signer.prove(ends))


# Any change of any step


def changed(step: bytes, at: int, cut: int, put: bytes) -> bytes:
    index = at % (len(step) + 1)
    return step[:index] + put + step[index + cut :]


CHANGE = {
    "which": st.integers(0, 3),
    "at": st.integers(0, 2000),
    "cut": st.integers(0, 3),
    "put": st.binary(max_size=4),
}


@settings(max_examples=1500, deadline=None)
@given(**CHANGE)
def test_no_changed_step_makes_anybody_somebody_else(
    which: int, at: int, cut: int, put: bytes
) -> None:
    """Both still end with the other's true name and certificate, or do not accept."""
    dialler, listener = make_dialler(ISSUER.certified(ALICE)), make_listener(ISSUER.certified(BOB))
    ends: list[tuple[Outcome, str]] = []
    step = dialler.start()
    with suppress(PeerError):
        for number, side in enumerate((listener, dialler, listener, dialler)):
            given_ = changed(step, at, cut, put) if number == which else step
            outcome = side.receive(given_)
            ends.append((outcome, "alice" if side is listener else "bob"))
            step = outcome.step
    for outcome, name in ends:
        if isinstance(outcome, Accepted):
            assert outcome.remote.instance == name
            assert outcome.certificate is not None
            assert outcome.certificate.subject == f"acme:chat@{name}"


@settings(max_examples=300, deadline=None)
@given(steps=st.lists(st.binary(max_size=200), max_size=4))
def test_bytes_make_no_listener_with_a_certificate_accept(steps: list[bytes]) -> None:
    listener = make_listener(ISSUER.certified(BOB))
    for step in steps:
        assert not isinstance(listener.receive(step), Accepted)


# A proof that goes with the hello


def test_a_proof_for_the_nonce_of_tls_waits_for_no_challenge() -> None:
    dialler = make_dialler(ISSUER.certified(ALICE), tls_key=b"")
    listener = make_listener(ISSUER.certified(BOB), nonce=bound_nonce(b"this TLS"))
    hello, proof = dialler.start(), dialler.sealed(BOBS_KEY, b"this TLS")
    challenge, welcome = listener.receive(hello), listener.receive(proof)
    assert isinstance(welcome, Accepted)
    assert welcome.remote == ALICE
    assert dialler.receive(challenge.step) == Reply(b"")
    assert isinstance(dialler.receive(welcome.step), Accepted)


def test_a_proof_for_another_tls_is_none() -> None:
    dialler = make_dialler(ISSUER.certified(ALICE), tls_key=b"")
    listener = make_listener(ISSUER.certified(BOB), nonce=bound_nonce(b"this TLS"))
    hello, proof = dialler.start(), dialler.sealed(BOBS_KEY, b"another TLS")
    assert isinstance(listener.receive(hello), Reply)
    outcome = listener.receive(proof)
    assert isinstance(outcome, Refused)
    assert outcome.code is CloseCode.UNAUTHENTICATED


def test_a_listener_that_has_not_taken_the_proof_gets_one_for_its_own_nonce() -> None:
    dialler, listener = make_dialler(ISSUER.certified(ALICE)), make_listener(ISSUER.certified(BOB))
    assert dialler.sealed(BOBS_KEY, b"this TLS")
    at_dialler, at_listener = run(dialler, listener)
    assert isinstance(at_dialler, Accepted)
    assert isinstance(at_listener, Accepted)


def test_the_realm_secret_has_no_part_in_a_proof_for_who_has_shown_nothing() -> None:
    dialler = make_dialler(ISSUER.certified(ALICE), secret=SECRET, tls_key=b"")
    dialler.start()
    early = WireHandshake.FromString(dialler.sealed(BOBS_KEY, b"this TLS")).proof
    assert (early.mac, len(early.signature)) == (b"", 64)


def test_a_listener_that_takes_the_proof_has_to_prove_itself_as_any() -> None:
    dialler = make_dialler(ISSUER.certified(ALICE), tls_key=b"")
    mallory = ISSUER.certified(BOB, key=key_of("mallory"))
    listener = make_listener(mallory, nonce=bound_nonce(b"this TLS"))
    hello, proof = dialler.start(), dialler.sealed(BOBS_KEY, b"this TLS")
    challenge, welcome = listener.receive(hello), listener.receive(proof)
    dialler.receive(challenge.step)
    with pytest.raises(RemoteProtocolError, match="does not prove"):
        dialler.receive(welcome.step)


def test_without_tls_there_is_no_nonce_of_it() -> None:
    assert bound_nonce(b"") == b""
    assert make_dialler(ISSUER.certified(ALICE), tls_key=b"").sealed(BOBS_KEY) == b""


@pytest.mark.parametrize("secret", [None, SECRET])
def test_on_a_relayed_wire_each_proves_itself_and_no_proof_is_for_another_kind_of_wire(
    secret: bytes | None,
) -> None:
    """There is no key of TLS to compare: what is signed are the nonces, which are keys."""
    ends = make_dialler(ISSUER.certified(ALICE), secret=secret, tls_key=RELAYED)
    listener = make_listener(ISSUER.certified(BOB), secret=secret, tls_key=RELAYED)
    at_dialler, at_listener = run(ends, listener)
    assert isinstance(at_dialler, Accepted)
    assert isinstance(at_listener, Accepted)
    for dials, listens in ((RELAYED, BOBS_KEY), (BOBS_KEY, RELAYED)):
        dialler = make_dialler(ISSUER.certified(ALICE), secret=secret, tls_key=dials)
        listener = make_listener(ISSUER.certified(BOB), secret=secret, tls_key=listens)
        with pytest.raises(UnreachableError, match="does not prove that it has the key"):
            run(dialler, listener)
