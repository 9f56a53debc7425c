"""Ids, types and names of services, as ``proto/vectors/ids.json`` has them."""

from __future__ import annotations

import pytest

from actr import envelope_pb2, signaling_pb2
from actr_signaling.errors import BadMessageError, RefusedError
from actr_signaling.protocol.client import messages
from actr_signaling.protocol.identity import ActrId
from signaling_kit.vectors import Vector, each


@each("ids", "texts")
def test_an_id_has_one_text_and_one_message(vector: Vector) -> None:
    id = ActrId.parse(vector["text"])
    parts = vector["manufacturer"], vector["name"], vector["instance"], vector["realm"]
    assert (id.manufacturer, id.name, id.instance, id.realm) == parts
    assert (str(id), id.actr_type) == (vector["text"], vector["type"])
    assert id.to_wire().SerializeToString().hex() == vector["message"]
    wire = envelope_pb2.ActrId.FromString(bytes.fromhex(vector["message"]))
    assert ActrId.check(wire) == id


@each("ids", "malformed_texts")
def test_a_text_that_is_no_id_is_refused(vector: Vector) -> None:
    with pytest.raises(BadMessageError):
        ActrId.parse(vector["text"])


@each("ids", "messages")
def test_what_protobuf_allows_is_read_as_the_same_id(vector: Vector) -> None:
    wire = envelope_pb2.ActrId.FromString(bytes.fromhex(vector["message"]))
    assert ActrId.check(wire).text == vector["text"]


@each("ids", "malformed_messages")
def test_a_message_that_is_no_id_is_refused(vector: Vector) -> None:
    wire = envelope_pb2.ActrId.FromString(bytes.fromhex(vector["message"]))
    with pytest.raises(BadMessageError):
        ActrId.check(wire)


@each("ids", "types")
def test_one_subscribes_to_types_and_to_nothing_else(vector: Vector) -> None:
    wire = signaling_pb2.ClientMessage()
    wire.subscribe.actr_type = vector["text"]
    if vector["is_valid"]:
        assert messages.read(wire) == messages.Subscribe(vector["text"])
    else:
        with pytest.raises(RefusedError):
            messages.read(wire)


@each("ids", "services")
def test_one_discovers_by_names_of_services_and_by_nothing_else(vector: Vector) -> None:
    wire = signaling_pb2.ClientMessage()
    wire.discover.service = vector["text"]
    if vector["is_valid"]:
        messages.read(wire)
    else:
        with pytest.raises(RefusedError):
            messages.read(wire)
