"""Certificates and issuers' keys, as ``proto/vectors/certificates.json`` has them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from actr_peer.errors import CertificateError, ConfigError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.certificates import (
    Certificate,
    read_certificate,
    verify_certificate,
)
from actr_peer.protocol.identity.keys import key_id, read_keys, write_keys
from actr_peer.protocol.identity.revoked import read_revoked
from peer_kit.vectors import Vector, each


def keys_of(vector: Vector) -> Mapping[str, bytes]:
    return {name: bytes.fromhex(key) for name, key in vector["keys"].items()}


@each("certificates", "accepted")
def test_what_is_taken_says_this(vector: Vector) -> None:
    data = vector["certificate"].encode("utf-8")
    read = verify_certificate(data, keys_of(vector), now=vector["now"])
    names = ["issuer", "subject", "realm", "issued_at", "not_before", "expires_at", "serial"]
    assert {name: getattr(read, name) for name in names} == {name: vector[name] for name in names}
    assert read.key.hex() == vector["key"]
    said = {name: list(v) if isinstance(v, tuple) else v for name, v in read.claims.items()}
    assert said == vector["claims"]
    assert read.text == vector["certificate"]


@each("certificates", "refused")
def test_what_is_refused_is_refused_for_this_fault(vector: Vector) -> None:
    data = vector["certificate"].encode("utf-8")
    with pytest.raises(CertificateError) as refused:
        verify_certificate(data, keys_of(vector), now=vector["now"])
    assert refused.value.fault.value == vector["fault"]


@each("certificates", "accepted")
def test_an_actor_reads_its_own_certificate_without_a_key(vector: Vector) -> None:
    data = vector["certificate"].encode("utf-8")
    keys, now = keys_of(vector), vector["now"]
    assert read_certificate(data) == verify_certificate(data, keys, now=now)


@each("certificates", "covers")
def test_a_certificate_covers_the_ids_of_its_pattern(vector: Vector) -> None:
    certificate = Certificate(
        issuer="issuer.example",
        subject=vector["subject"],
        realm=vector["realm"],
        key=bytes(32),
        claims={},
        issued_at=0,
        not_before=0,
        expires_at=1,
        serial="c1",
        text="",
    )
    assert certificate.covers(ActrId.parse(vector["id"])) == vector["covers"]


@each("certificates", "issuer_keys")
def test_a_file_of_issuer_keys_is_read(vector: Vector) -> None:
    assert read_keys(vector["text"]) == keys_of(vector)


@each("certificates", "malformed_issuer_keys")
def test_what_is_no_file_of_issuer_keys_is_refused(vector: Vector) -> None:
    with pytest.raises(ConfigError, match="issuer keys"):
        read_keys(vector["text"])


@each("certificates", "key_names")
def test_a_key_is_called_by_its_hash(vector: Vector) -> None:
    key = bytes.fromhex(vector["key"])
    assert key_id(key) == vector["kid"]
    assert read_keys(write_keys([key])) == {vector["kid"]: key}


@each("certificates", "revoked")
def test_what_an_issuer_has_revoked_is_read(vector: Vector) -> None:
    read = read_revoked(vector["text"])
    assert read.keys == set(map(bytes.fromhex, vector["keys"]))
    assert read.serials == set(vector["serials"])


@each("certificates", "no_revoked")
def test_what_is_no_list_of_what_is_revoked_is_refused(vector: Vector) -> None:
    with pytest.raises(ConfigError, match="revoked"):
        read_revoked(vector["text"])
