"""Requests, responses and the like, as ``proto/vectors/envelopes.json`` has them."""

from __future__ import annotations

import pytest

from actr_peer.errors import RemoteProtocolError
from actr_peer.protocol.rpc.bounds import request_id_of
from actr_peer.protocol.rpc.envelopes import decode_envelope
from peer_kit.vectors import Vector, each
from peer_kit.vectors.envelopes import fields_of, write


@each("envelopes", "messages")
def test_an_envelope_is_these_fields_and_these_bytes(vector: Vector) -> None:
    assert fields_of(decode_envelope(bytes.fromhex(vector["hex"]))) == vector["fields"]
    assert write(vector["fields"]).hex() == vector["hex"]


@each("envelopes", "malformed")
def test_a_malformed_envelope_is_refused_and_its_caller_told_where_it_can_be(
    vector: Vector,
) -> None:
    data = bytes.fromhex(vector["hex"])
    with pytest.raises(RemoteProtocolError, match=vector["error"]):
        decode_envelope(data)
    assert request_id_of(data) == vector["answered"]
