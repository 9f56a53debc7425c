"""Old contract and new contract: what breaks, what is worth a note, what is neither."""

from __future__ import annotations

import pytest

from actr_peer.cli.codegen.compatibility.changes import Severity
from actr_peer.cli.codegen.compatibility.services import compare
from actr_peer.errors import ConfigError
from peer_kit.contracts import compiled

BASE = """
syntax = "proto2";
package chat;
import "actr/options.proto";
enum Mood { CALM = 0; LOUD = 1; reserved 9; }
message Line {
  optional string text = 1;
  optional int32 number = 2;
  optional Mood mood = 3;
  repeated Line answers = 4;
  optional sint32 depth = 5 [default = 1];
  oneof how { string well = 6; string badly = 7; }
  reserved 20 to 29;
}
message Reply { required bool ok = 1; optional Line line = 2; }
message Twin { required bool ok = 1; optional Line line = 2; }
service Chat {
  rpc Say(Line) returns (Reply);
  rpc Listen(Line) returns (stream Reply);
}
"""


def changes(old: str, new: str) -> list[tuple[str, str, str]]:
    """Severity, rule and place of what one replacement in the base changes."""
    assert old in BASE
    after = BASE.replace(old, new, 1)
    found = compare(compiled({"chat.proto": BASE}), compiled({"chat.proto": after}))
    return [(change.severity.value, change.rule.value, change.where) for change in found]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("rpc Say", "// Says.\n  rpc Say", id="a comment"),
        pytest.param(
            "optional int32 number = 2;",
            "optional int32 number = 2; optional bool x = 8;",
            id="a new field",
        ),
        pytest.param(
            "optional Line line = 2; }\nmessage Twin",
            "reserved 2; }\nmessage Twin",
            id="a removed field whose number is reserved",
        ),
        pytest.param("message Twin", "message Other {} message Twin", id="a new message"),
        pytest.param("int32 number", "int32 number", id="nothing at all"),
    ],
)
def test_is_no_change(old: str, new: str) -> None:
    assert changes(old, new) == []


@pytest.mark.parametrize(
    ("old", "new", "rule", "where"),
    [
        ("service Chat", "service Talk", "service-removed", "chat.Chat"),
        ("rpc Say", "rpc Speak", "method-removed", "chat.Chat.Say"),
        ("returns (stream Reply)", "returns (Reply)", "method-kind", "chat.Chat.Listen"),
        (
            "rpc Say(Line) returns (Reply);",
            "rpc Say(Line) returns (Reply) { option (actr.payload_type) = RPC_SIGNAL; }",
            "lane",
            "chat.Chat.Say",
        ),
        (
            "service Chat {",
            "service Chat { option (actr.default_payload_type) = STREAM_LATENCY_FIRST;",
            "lane",
            "chat.Chat.Listen",
        ),
        ("optional string text = 1;", "", "field-removed", "chat.Line.text"),
        ("optional string text = 1;", "reserved 30;", "field-removed", "chat.Line.text"),
        ("string text", "bytes text", "field-type", "chat.Line.text"),
        ("optional int32 number", "optional sint32 number", "field-type", "chat.Line.number"),
        ("optional int32 number", "optional fixed32 number", "field-type", "chat.Line.number"),
        ("optional Mood mood", "optional string mood", "field-type", "chat.Line.mood"),
        ("optional int32 number", "repeated int32 number", "field-cardinality", "chat.Line.number"),
        (
            "required bool ok = 1; optional Line line = 2; }\nmessage",
            "optional bool ok = 1; optional Line line = 2; }\nmessage",
            "field-required",
            "chat.Reply.ok",
        ),
        (
            "required bool ok = 1; optional Line line = 2; }\nmessage",
            "optional Line line = 2; reserved 1; }\nmessage",
            "field-required",
            "chat.Reply.ok",
        ),
        (
            "optional int32 number = 2;",
            "optional int32 number = 2; required bool x = 8;",
            "field-required",
            "chat.Line.x",
        ),
        ("reserved 20 to 29;", "optional bool x = 25;", "reserved-reused", "chat.Line.x"),
        ("LOUD = 1; ", "", "value-removed", "chat.Mood.LOUD"),
        ("reserved 9;", "WILD = 9;", "reserved-reused", "chat.Mood.WILD"),
    ],
)
def test_breaks_peers_of_the_old_contract(old: str, new: str, rule: str, where: str) -> None:
    assert ("breaking", rule, where) in changes(old, new)


@pytest.mark.parametrize(
    ("old", "new", "rule", "where"),
    [
        (
            "rpc Say(Line) returns (Reply);",
            'rpc Say(Line) returns (Reply) { option (actr.conflict_key) = "text"; }',
            "order",
            "chat.Chat.Say",
        ),
        (
            "rpc Say(Line) returns (Reply);",
            "rpc Say(Line) returns (Reply) { option (actr.max_failures) = 2; }",
            "failures",
            "chat.Chat.Say",
        ),
        (
            "rpc Say(Line) returns (Reply);",
            "rpc Say(Line) returns (Reply) { option (actr.handler_timeout_ms) = 2; }",
            "timeout",
            "chat.Chat.Say",
        ),
        (
            "rpc Say(Line) returns (Reply);",
            'rpc Say(Line) returns (Reply) { option (actr.requires) = "operator"; }',
            "claims",
            "chat.Chat.Say",
        ),
        (
            "rpc Say(Line) returns (Reply);",
            "rpc Say(Line) returns (Reply) { option idempotency_level = IDEMPOTENT; }",
            "idempotency",
            "chat.Chat.Say",
        ),
        ("rpc Say(Line)", "rpc New(Line) returns (Reply); rpc Say(Line)", "added", "chat.Chat.New"),
        ("service Chat", "service New {} service Chat", "added", "chat.New"),
        (
            "rpc Say(Line) returns (Reply)",
            "rpc Say(Line) returns (Twin)",
            "type-name",
            "chat.Chat.Say",
        ),
        ("string text = 1", "string said = 1", "field-name", "chat.Line.text"),
        ("optional int32 number", "optional int64 number", "field-type", "chat.Line.number"),
        ("optional Mood mood", "optional uint32 mood", "field-type", "chat.Line.mood"),
        ("[default = 1]", "[default = 2]", "field-default", "chat.Line.depth"),
        ("LOUD = 1;", "NOISY = 1;", "value-name", "chat.Mood.LOUD"),
        ("LOUD = 1;", "LOUD = 1; WILD = 2;", "value-added", "chat.Mood.WILD"),
    ],
)
def test_is_worth_a_note(old: str, new: str, rule: str, where: str) -> None:
    assert changes(old, new) == [("note", rule, where)]


def test_fields_that_come_to_share_a_oneof_break() -> None:
    found = changes(
        "oneof how { string well = 6; string badly = 7; }",
        "oneof how { string well = 6; } optional string badly = 7;",
    )
    assert found == [
        ("breaking", "oneof", "chat.Line.badly"),
        ("breaking", "oneof", "chat.Line.well"),
    ]


def test_a_field_alone_in_a_new_oneof_does_not_break() -> None:
    old = "optional int32 number = 2;"
    assert changes(old, "oneof new { int32 number = 2; bool other = 8; }") == []


def test_a_type_with_another_name_is_compared_by_shape() -> None:
    bad = BASE.replace("message Twin { required bool ok", "message Twin { required string ok")
    found = compare(
        compiled({"chat.proto": bad}),
        compiled({"chat.proto": bad.replace("returns (Reply)", "returns (Twin)", 1)}),
    )
    assert [(c.severity, c.rule.value, c.where) for c in found] == [
        (Severity.BREAKING, "field-type", "chat.Reply.ok"),
        (Severity.NOTE, "type-name", "chat.Chat.Say"),
    ]


def test_a_lane_change_names_both_lanes() -> None:
    new = BASE.replace(
        "(stream Reply);", "(stream Reply) { option (actr.payload_type) = STREAM_LATENCY_FIRST; }"
    )
    (change,) = compare(compiled({"chat.proto": BASE}), compiled({"chat.proto": new}))
    assert change.text == "STREAM_RELIABLE became STREAM_LATENCY_FIRST"


def test_a_contract_that_would_not_be_generated_is_not_compared() -> None:
    bad = BASE.replace("rpc Say", "rpc Import")
    with pytest.raises(ConfigError, match="method Import"):
        compare(compiled({"chat.proto": BASE}), compiled({"chat.proto": bad}))
