"""A contract as .proto-like text, and as one JSON document."""

from __future__ import annotations

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from actr.services.reflection_pb2 import MethodDescription, ServiceDescription
from actr_peer.cli.contracts.asked import Contract
from actr_peer.cli.contracts.shown import document_of, message_lines, text_of
from actr_peer.protocol.payload import PayloadType
from actr_peer.service import Method, MethodKind
from peer_kit.contracts import compiled

SOURCE = """
syntax = "proto3";
package chat;
import "google/protobuf/timestamp.proto";
enum Mood { CALM = 0; LOUD = 1; }
message Line {
  message Part { bytes data = 1; }
  string text = 1;
  optional Mood mood = 2;
  repeated Part parts = 3;
  map<string, Part> named = 4;
  oneof to { string one = 5; bool all = 6; }
  uint64 number = 7;
  google.protobuf.Timestamp at = 8;
}
"""
TEXT = """// fingerprint aa
service chat.Room {
  rpc Say(stream chat.Line) returns (chat.Line);  // STREAM_RELIABLE, conflict_key sender, \
max_failures 2, handler_timeout 1.5 s, requires role=operator, idempotent
}

message chat.Line {
  string text = 1;
  optional chat.Mood mood = 2;
  repeated chat.Line.Part parts = 3;
  map<string, chat.Line.Part> named = 4;
  oneof to {
    string one = 5;
    bool all = 6;
  }
  uint64 number = 7;
  google.protobuf.Timestamp at = 8;
}

message chat.Line.Part {
  bytes data = 1;
}

enum chat.Mood {
  CALM = 0;
  LOUD = 1;
}"""


def room() -> Contract:
    pool = DescriptorPool()
    for file in compiled({"chat.proto": SOURCE}).proto_file:
        pool.AddSerializedFile(file.SerializeToString())
    line = GetMessageClass(pool.FindMessageTypeByName("chat.Line"))
    method = Method(
        route_key="chat.Room.Say",
        handler="say",
        kind=MethodKind.CLIENT_STREAM,
        payload_type=PayloadType.STREAM_RELIABLE,
        request=line,
        reply=line,
        conflict_key="sender",
        max_failures=2,
        handler_timeout=1.5,
        requires=("role=operator",),
        is_idempotent=True,
    )
    service = ServiceDescription(
        name="chat.Room", fingerprint="aa", methods=[MethodDescription(name="Say")]
    )
    return Contract(services=(service,), methods={method.route_key: method}, pool=pool)


def test_a_contract_is_shown_as_it_is_written() -> None:
    contract = room()
    assert "\n\n".join(text_of(contract.services, contract)) == TEXT


def test_the_document_has_services_messages_and_enums() -> None:
    contract = room()
    document = document_of(contract.services, contract)
    (method,) = document["services"][0]["methods"]
    assert method["route_key"] == "chat.Room.Say"
    assert (method["kind"], method["payload_type"]) == ("client_stream", "STREAM_RELIABLE")
    names = [message["name"] for message in document["messages"]]
    assert names == ["chat.Line", "chat.Line.Part", "google.protobuf.Timestamp"]
    mood = document["messages"][0]["fields"][1]
    assert (mood["type"], mood["cardinality"], mood["oneof"]) == ("enum chat.Mood", "single", None)
    assert document["enums"] == [{"name": "chat.Mood", "values": {"CALM": 0, "LOUD": 1}}]


def test_a_map_without_a_key_is_shown_as_what_it_is() -> None:
    """The library takes it, and an actor may tell whatever the library takes."""
    file = FileDescriptorProto(name="odd.proto", package="odd", syntax="proto3")
    message = file.message_type.add(name="Line")
    entry = message.nested_type.add(name="Entry")
    entry.options.map_entry = True
    for number, name in enumerate(("k", "v"), 1):
        entry.field.add(name=name, number=number, type=FieldDescriptorProto.TYPE_STRING, label=1)
    message.field.add(
        name="odd",
        number=1,
        label=FieldDescriptorProto.LABEL_REPEATED,
        type=FieldDescriptorProto.TYPE_MESSAGE,
        type_name=".odd.Line.Entry",
    )
    pool = DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    lines = [*message_lines(pool.FindMessageTypeByName("odd.Line"))]
    assert lines[1] == "  repeated odd.Line.Entry odd = 1;"
