"""What an issuer publishes, as a file or over HTTP: what it revoked, and its access rules."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from actr_peer.errors import ConfigError
from actr_peer.protocol.identity import keys, revoked
from actr_peer.protocol.rpc.access.published import read_published
from actr_signaling import errors as signaling_errors
from actr_signaling.protocol.access import documents, rules
from actr_signaling.protocol.client import trust
from actr_signaling.protocol.identity import ActrId as SignalingId
from tests.fuzz.engine import Target
from tests.fuzz.mutation import Form
from tests.fuzz.targets import known

YOU = SignalingId.parse(known.YOU.text)
RULE = {"effect": "allow", "callers": ["acme:guest@*"]}


def revoked_list(data: bytes) -> None:
    """Any text as such a list; both services take the same."""
    text = data.decode(errors="replace")
    theirs = None
    with suppress(signaling_errors.BadMessageError):
        theirs = trust.read_revoked(text.encode())
    try:
        ours = revoked.read_revoked(text)
    except ConfigError:
        assert theirs is None
        raise
    assert theirs is not None
    assert (ours.keys, ours.serials) == (theirs.keys, theirs.serials)


def _revoked() -> Iterable[bytes]:
    key = keys.encode(known.ISSUER_KEY)
    yield known.dumped({"revoked": [{"key": key, "at": known.NOW}, {"serial": "a"}], "version": 3})
    yield known.dumped({"revoked": []})


def access_file(data: bytes) -> None:
    """Any file of access rules."""
    _same(data)


def access_payload(data: bytes) -> None:
    """What an issuer may have signed as its rules; both services take the same."""
    _same(known.dumped({"access": known.signed_payload(data, documents.TYPE).decode()}))


def _same(data: bytes) -> None:
    text = data.decode(errors="replace")
    theirs = None
    with suppress(signaling_errors.ConfigError):
        theirs = documents.read_document(text.encode(), known.KEYS)
    try:
        read = read_published(text, known.KEYS)
        ours = read.rules_for(known.ME)
    except ConfigError:
        assert theirs is None
        raise
    assert theirs is not None
    assert (read.version, read.issued_at) == (theirs.version, theirs.issued_at)
    assert (ours is None) == (theirs.rules is None)
    if theirs.rules is not None:
        rules.lets(theirs.rules, YOU, {"role": ("operator", "other")}, YOU)


def _payload(listed: object, **other: object) -> bytes:
    return known.dumped({"iss": "i", "version": 7, "iat": known.NOW, "rules": listed, **other})


def _payloads() -> Iterable[bytes]:
    yield _payload(None)
    yield _payload([RULE])
    yield _payload([{**RULE, "targets": ["acme:room@*:default"], "methods": ["demo.Chat.*"]}])
    yield _payload([{**RULE, "effect": "deny", "claims": ["role=operator", "a"]}, RULE])


def _files() -> Iterable[bytes]:
    for each in _payloads():
        yield known.dumped({"access": known.signed_payload(each, documents.TYPE).decode()})


TARGETS = (
    Target(
        name="peer.revoked",
        run=revoked_list,
        seeds=_revoked,
        allowed=(ConfigError,),
        forms=(Form.JSON,),
        tokens=(b'"key"', b'"serial"', b'"revoked"', b"null", b"AAAA"),
    ),
    Target(
        name="peer.access-file",
        run=access_file,
        seeds=_files,
        allowed=(ConfigError,),
        forms=(Form.JSON, Form.TEXT),
        tokens=(b".", b"==", b"eyJ", b"bnVsbA"),
        steps=(8_000, 60),
    ),
    Target(
        name="peer.access-payload",
        run=access_payload,
        seeds=_payloads,
        allowed=(ConfigError,),
        forms=(Form.JSON,),
        tokens=(b'"*"', b'"streams"', b'"a/b"', b'":x"', b"true", b"-1", b'"a=b"', b"[]"),
        steps=(8_000, 60),
    ),
)
