"""Which changes of a method part a caller from its callee, and which do not."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from hypothesis import given
from hypothesis import strategies as st

from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.rpc.contracts import differences
from actr_peer.protocol.rpc.contracts.differences import Form, difference
from actr_peer.protocol.rpc.contracts.fingerprint import Signature, canonical
from peer_kit.contracts import compiled

BASE = """
syntax = "proto3";
package chat;
enum Mood { CALM = 0; LOUD = 1; }
message Line {
  string text = 1;
  Mood mood = 2;
  repeated Line answers = 3;
  sint32 shift = 4;
  oneof to { string one = 5; bool all = 6; }
  Part part = 7;
}
message Part { int32 size = 1; }
message Reply { uint64 number = 1; Part part = 2; }
"""


def form(
    text: str = BASE,
    *,
    kind: str = "unary",
    payload_type: PayloadType = PayloadType.RPC_RELIABLE,
) -> Form:
    pool = DescriptorPool()
    for file in compiled({"chat.proto": text}).proto_file:
        pool.AddSerializedFile(file.SerializeToString())
    line, reply = (pool.FindMessageTypeByName(f"chat.{name}") for name in ("Line", "Reply"))
    told: Form = json.loads(
        canonical("chat.Room", [Signature("Say", kind, payload_type, line, reply)])
    )
    return told


OWN = form()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("bool all = 6;", "bool all = 6; uint32 some = 8;"),
        ("  Mood mood = 2;\n", ""),
        ("string text = 1;", "string words = 1;"),
        ("Mood mood = 2;", "uint64 mood = 2;"),
        ("LOUD = 1;", "LOUD = 1; GLAD = 2;"),
        ("message Part { int32 size = 1; }", "message Part { int64 size = 1; bytes data = 2; }"),
        ("oneof to { string one = 5; bool all", "oneof who { string one = 5; bool some"),
    ],
    ids=[
        "a new field", "a field that is gone", "another name", "a type of the same form",
        "a new value", "a new field within", "another oneof's name",
    ],
)  # fmt: skip
def test_what_was_added_or_renamed_parts_nobody(old: str, new: str) -> None:
    assert old in BASE
    theirs = form(BASE.replace(old, new, 1))
    assert theirs != OWN
    assert difference(OWN, theirs) is None
    assert difference(theirs, OWN) is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("string text = 1;", "bytes text = 1;", "field 1 of chat.Line is string text on one side"),
        ("sint32 shift", "int32 shift", "field 4 of chat.Line is sint32 shift"),
        ("string text = 1;", "repeated string text = 1;", "and repeated string text on the other"),
        ("int32 size = 1;", "string size = 1;", "field 1 of chat.Part is int32 size"),
        ("uint64 number = 1;", "double number = 1;", "field 1 of chat.Reply is double number"),
        ("Part part = 7;", "string part = 7;", "field 7 of chat.Line is message chat.Part part"),
        ("{ string one = 5; bool all = 6; }", "{ string one = 5; } bool all = 6;", "oneof"),
    ],
)
def test_what_would_be_read_as_something_else_is_told(old: str, new: str, said: str) -> None:
    assert old in BASE
    theirs = form(BASE.replace(old, new, 1))
    assert said in str(difference(OWN, theirs))
    assert difference(theirs, OWN) is not None


def test_another_kind_or_payload_type_is_told_with_both() -> None:
    assert difference(OWN, form(kind="server_stream")) == "it is server_stream there and unary here"
    urgent = form(payload_type=PayloadType.RPC_SIGNAL)
    assert difference(OWN, urgent) == "it is RPC_SIGNAL there and RPC_RELIABLE here"


def test_what_the_reader_requires_has_to_be_known_to_the_writer() -> None:
    plain = 'syntax = "proto2"; package chat; message Line {} message Reply {}'
    asks = plain.replace("Line {", "Line { required int32 a = 1; ")
    answers = plain.replace("Reply {", "Reply { required int32 b = 1; ")
    assert difference(form(plain), form(asks)) == (
        "chat.Line.a is required by one side and unknown to the other"
    )
    assert difference(form(answers), form(plain)) == (
        "chat.Reply.b is required by one side and unknown to the other"
    )
    assert difference(form(asks), form(plain)) is None
    assert difference(form(plain), form(answers)) is None


def test_a_form_of_more_fields_than_there_can_be_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(differences, "MAX_FIELDS", 1)
    with pytest.raises(ValueError, match="more fields"):
        difference(OWN, OWN)


@pytest.mark.parametrize("oneof", [None, "o"])
def test_no_far_side_has_its_fields_looked_at_again_and_again(oneof: str | None) -> None:
    """One message of the own, which holds itself, meets each of a long row of others."""
    rest = [[number, "a", "single", "int32", oneof] for number in range(2, 300)]

    def row(*names: str) -> dict[str, Any]:
        messages = {
            name: [[1, "n", "single", f"message {names[(at + 1) % len(names)]}", None], *rest]
            for at, name in enumerate(names)
        }
        method = ["Say", "unary", "RPC_RELIABLE", names[0], names[0]]
        return {"service": "chat.Room", "methods": [method], "messages": messages}

    assert difference(row("T"), row("A", "B", "C")) is None
    with pytest.raises(ValueError, match="more fields"):
        difference(row("T"), row(*(f"T{number}" for number in range(200))))


def test_the_forms_of_two_methods_are_not_compared() -> None:
    for key, value in (("service", "chat.Hall"), ("methods", [["Sing", *OWN["methods"][0][1:]]])):
        with pytest.raises(ValueError, match="of another method"):
            difference(OWN, {**OWN, key: value})


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
)


@given(
    methods=st.lists(
        st.lists(JSON, min_size=4, max_size=4).map(lambda rest: [OWN["methods"][0][0], *rest]),
        min_size=1,
        max_size=1,
    )
    | JSON,
    messages=st.dictionaries(st.just("chat.Line") | st.just("chat.Reply"), JSON) | JSON,
)
def test_whatever_is_told_is_compared_or_refused(methods: Any, messages: Any) -> None:
    theirs = {"service": OWN["service"], "methods": methods, "messages": messages}
    with suppress(LookupError, TypeError, ValueError, AttributeError):
        assert isinstance(difference(OWN, theirs), str | None)
