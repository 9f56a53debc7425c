"""Ids and their order, as ``proto/vectors/ids.json`` has them."""

from __future__ import annotations

from typing import Any

import pytest

from actr.envelope_pb2 import ActrId as ActrIdMessage
from actr_peer.errors import ConfigError, RemoteProtocolError
from actr_peer.protocol.identity import ActrId, ActrType, Place, parse_destination
from peer_kit.vectors import Vector, each

ROOM = ActrId("acme", "room", "1")


@each("ids", "texts")
def test_an_id_has_one_text_and_one_message(vector: Vector) -> None:
    actr_id = ActrId.parse(vector["text"])
    parts = vector["manufacturer"], vector["name"], vector["instance"], vector["realm"]
    assert (actr_id.manufacturer, actr_id.name, actr_id.instance, actr_id.realm) == parts
    assert (str(actr_id), actr_id.actr_type) == (vector["text"], vector["type"])
    assert actr_id.to_message().SerializeToString().hex() == vector["message"]
    message = ActrIdMessage.FromString(bytes.fromhex(vector["message"]))
    assert ActrId.from_message(message) == actr_id


@each("ids", "malformed_texts")
def test_a_text_that_is_no_id_is_refused(vector: Vector) -> None:
    with pytest.raises(ConfigError):
        ActrId.parse(vector["text"])


@each("ids", "uris")
def test_an_id_has_one_uri(vector: Vector) -> None:
    assert ActrId.parse_uri(vector["uri"]).text == vector["text"]
    assert ActrId.parse(vector["text"]).uri == vector["uri"]
    assert ActrId.read(vector["uri"]) == ActrId.read(vector["text"])


@each("ids", "malformed_uris")
def test_what_is_no_uri_of_an_actor_is_refused(vector: Vector) -> None:
    with pytest.raises(ConfigError, match="actor URI"):
        ActrId.parse_uri(vector["uri"])


@each("ids", "destinations")
def test_a_destination_is_an_id_a_type_or_a_half_of_the_own_process(vector: Vector) -> None:
    kinds = {"id": ActrId, "type": ActrType, "place": Place}
    target = parse_destination(vector["text"])
    assert isinstance(target, kinds[vector["kind"]])
    assert (target.value if isinstance(target, Place) else str(target)) == vector["names"]


@each("ids", "malformed_destinations")
def test_a_text_that_names_nobody_is_refused(vector: Vector) -> None:
    with pytest.raises(ConfigError):
        parse_destination(vector["text"])


@each("ids", "messages")
def test_what_protobuf_allows_is_read_as_the_same_id(vector: Vector) -> None:
    message = ActrIdMessage.FromString(bytes.fromhex(vector["message"]))
    assert ActrId.from_message(message).text == vector["text"]


@each("ids", "malformed_messages")
def test_a_message_that_is_no_id_is_refused(vector: Vector) -> None:
    message = ActrIdMessage.FromString(bytes.fromhex(vector["message"]))
    with pytest.raises(RemoteProtocolError):
        ActrId.from_message(message)


@each("ids", "order")
def test_the_smaller_id_is_the_one_whose_text_comes_first(vector: Vector) -> None:
    smaller, larger = ActrId.parse(vector["smaller"]), ActrId.parse(vector["larger"])
    assert smaller < larger
    assert not larger < smaller


def test_ids_are_ordered_and_equal_by_their_text() -> None:
    assert sorted([ActrId("acme", "room", "2"), ROOM]) == [ROOM, ActrId("acme", "room", "2")]
    assert ActrId.parse(str(ROOM)) == ROOM
    assert hash(ActrId.parse(str(ROOM))) == hash(ROOM)
    assert str(ROOM) != ROOM


def test_an_id_has_no_order_with_what_is_none() -> None:
    with pytest.raises(TypeError):
        assert ROOM < "acme:room@1:default"  # type: ignore[operator]


@pytest.mark.parametrize(
    "parts",
    [
        ("", "room", "1"),
        ("acme:x", "room", "1"),
        ("acme", "room@1", "1"),
        ("acme", "room", 1),
        ("acme", "room", "1", "default\n"),
        ("acme", "r" * 64, "1"),
    ],
)
def test_an_id_of_parts_that_no_text_could_have_is_not_made(parts: tuple[Any, ...]) -> None:
    with pytest.raises(ConfigError, match="actor id part"):
        ActrId(*parts)
