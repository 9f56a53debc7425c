"""The issuer: what anybody may post to it."""

from __future__ import annotations

from collections.abc import Iterable

from actr_peer.protocol.identity import asking
from actr_signaling.issuer.protocol import requests, rules
from actr_signaling.issuer.protocol.causes import RefusalError
from actr_signaling.issuer.protocol.nonces import RANDOM_BYTES, Nonces
from actr_signaling.issuer.protocol.proofs import (
    check_enrol,
    check_mac,
    check_renew,
    check_rotate,
)
from tests.fuzz.engine import Target
from tests.fuzz.mutation import Form
from tests.fuzz.targets import known

NONCE = Nonces(known.SECRET * 2).make(bytes(RANDOM_BYTES), float(known.NOW))
RULES = rules.parse(
    {
        "rule": [
            {"pattern": "acme:secret@*", "allow": False},
            {"pattern": "acme:*@*", "patterns": True, "claims": {"role": "guest"}},
        ]
    }
)


def posted(data: bytes) -> None:
    """One body, to each of the three pages that take one."""
    refused: RefusalError | None = None
    for read in (_enrol, _renew, _rotate):
        try:
            read(data)
        except RefusalError as error:
            refused = error
    if refused is not None:
        raise refused


def _enrol(data: bytes) -> None:
    request = requests.enrol(data)
    Nonces(known.SECRET * 2).take(request.nonce, float(known.NOW))
    check_enrol(request)
    if request.token is None:
        check_mac(request, known.SECRET)
    rules.decide(RULES, request.subject, request.realm)


def _renew(data: bytes) -> None:
    request = requests.renew(data)
    Nonces(known.SECRET * 2).take(request.nonce, float(known.NOW))
    check_renew(request)


def _rotate(data: bytes) -> None:
    request = requests.rotate(data)
    Nonces(known.SECRET * 2).take(request.nonce, float(known.NOW))
    check_rotate(request)


def _bodies() -> Iterable[bytes]:
    yield asking.enrol(known.OTHER, known.YOU, NONCE, token="actr_join_x")
    yield asking.enrol(known.OTHER, known.YOU, NONCE, secret=known.SECRET)
    yield asking.renew(known.OTHER, NONCE)
    yield asking.rotate(known.OTHER, known.ACTOR, NONCE)
    yield b"{}"


TARGETS = (
    Target(
        name="issuer.posted",
        run=posted,
        seeds=_bodies,
        allowed=(RefusalError,),
        forms=(Form.JSON,),
        tokens=(b'"*:*@*"', b'"mac"', b'"token"', b'"acme:secret@1"', b"A" * 43, b'"realm":'),
        steps=(12_000, 120),
    ),
)
