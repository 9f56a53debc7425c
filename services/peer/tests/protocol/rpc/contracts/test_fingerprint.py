"""What changes a service's fingerprint, and what does not."""

from __future__ import annotations

import hashlib

import pytest

from actr_peer.cli.codegen.model import read
from actr_peer.protocol.rpc.contracts.fingerprint import number_of
from peer_kit.contracts import compiled

BASE = """
syntax = "proto3";
package chat.v1;
import "actr/options.proto";
enum Mood { CALM = 0; LOUD = 1; }
message Line { string text = 1; Mood mood = 2; repeated Line answers = 3; }
message Ask { Line line = 1; map<string, bytes> table = 2; }
message Reply { oneof how { string well = 1; int32 badly = 2; } }
service Chat {
  rpc Say(Ask) returns (Reply);
  rpc Listen(Ask) returns (stream Reply);
}
"""

CANONICAL = (
    '{"enums":{"chat.v1.Mood":[[0,"CALM"],[1,"LOUD"]]},'
    '"messages":{'
    '"chat.v1.Ask":[[1,"line","single","message chat.v1.Line",null],'
    '[2,"table","repeated","message chat.v1.Ask.TableEntry",null]],'
    '"chat.v1.Ask.TableEntry":[[1,"key","single","string",null],[2,"value","single","bytes",null]],'
    '"chat.v1.Line":[[1,"text","single","string",null],'
    '[2,"mood","single","enum chat.v1.Mood",null],'
    '[3,"answers","repeated","message chat.v1.Line",null]],'
    '"chat.v1.Reply":[[1,"well","single","string","how"],[2,"badly","single","int32","how"]]},'
    '"methods":[["Listen","server_stream","STREAM_RELIABLE","chat.v1.Ask","chat.v1.Reply"],'
    '["Say","unary","RPC_RELIABLE","chat.v1.Ask","chat.v1.Reply"]],'
    '"service":"chat.v1.Chat"}'
)


def fingerprint(text: str, path: str = "chat.proto") -> str:
    request = compiled({path: text})
    return read(request.proto_file, {path}).files[0].services[0].fingerprint


def test_it_is_the_hash_of_the_documented_form() -> None:
    assert fingerprint(BASE) == hashlib.sha256(CANONICAL.encode()).hexdigest()


def test_the_number_that_travels_is_the_first_eight_bytes_of_the_hash() -> None:
    assert f"{number_of(CANONICAL):016x}" == fingerprint(BASE)[:16]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("package chat.v1;", "package chat.v2;", id="the package"),
        pytest.param("rpc Say", "rpc Tell2", id="a method's name"),
        pytest.param("(stream Reply)", "(Reply)", id="a method's kind"),
        pytest.param(
            "(stream Reply);",
            "(stream Reply) { option (actr.payload_type) = STREAM_LATENCY_FIRST; }",
            id="a method's lane",
        ),
        pytest.param("string text = 1", "bytes text = 1", id="a field's type"),
        pytest.param("string text = 1", "string said = 1", id="a field's name"),
        pytest.param("string text = 1", "repeated string text = 1", id="a field's cardinality"),
        pytest.param("LOUD = 1", "LOUD = 2", id="a value's number"),
        pytest.param("int32 badly = 2;", "} int32 badly = 2; oneof x { bool y = 3;", id="a oneof"),
    ],
)
def test_it_changes_with(old: str, new: str) -> None:
    assert fingerprint(BASE.replace(old, new, 1)) != fingerprint(BASE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("enum Mood", "// New.\nenum Mood", id="a comment"),
        pytest.param(
            "  rpc Say(Ask) returns (Reply);\n  rpc Listen(Ask) returns (stream Reply);",
            "  rpc Listen(Ask) returns (stream Reply);\n  rpc Say(Ask) returns (Reply);",
            id="the order of methods",
        ),
        pytest.param(
            "string text = 1; Mood mood = 2;", "Mood mood = 2; string text = 1;", id="fields"
        ),
        pytest.param("string text = 1", "optional string text = 1", id="presence"),
        pytest.param("service Chat", "message Unused {} service Chat", id="an unused message"),
        pytest.param(
            "rpc Say(Ask) returns (Reply);",
            'rpc Say(Ask) returns (Reply) { option (actr.conflict_key) = "sender"; }',
            id="an option on which the callee acts",
        ),
        pytest.param(
            "rpc Say(Ask) returns (Reply);",
            "rpc Say(Ask) returns (Reply) { option (actr.payload_type) = RPC_RELIABLE; }",
            id="a default that is written out",
        ),
    ],
)
def test_it_stays_with_another(old: str, new: str) -> None:
    assert fingerprint(BASE.replace(old, new, 1)) == fingerprint(BASE)


def test_it_stays_in_another_file() -> None:
    assert fingerprint(BASE, "somewhere/else.proto") == fingerprint(BASE)


def test_it_is_the_same_for_the_same_shape_in_an_edition() -> None:
    edition = BASE.replace(
        'syntax = "proto3";', 'edition = "2023";\noption features.field_presence = IMPLICIT;'
    )
    assert fingerprint(edition) == fingerprint(BASE)
