"""Methods by the names that people write, and requests from JSON."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.any_pb2 import Any as PackedAny
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.struct_pb2 import Value
from google.protobuf.timestamp_pb2 import Timestamp

from actr.demo.chat_actr import ChatService
from actr.demo.chat_pb2 import SayRequest
from actr_peer.cli.contracts.methods import (
    find_method,
    methods_of,
    parse_request,
    read_requests,
    reply_text,
)
from actr_peer.errors import ConfigError, RemoteProtocolError
from actr_peer.service import Method
from peer_kit.contracts import compiled

KNOWN = methods_of("actr.demo.chat_actr")


@pytest.mark.parametrize("name", ["demo.Chat.Say", "demo.Chat/Say", "Chat.Say", "Chat/Say", "Say"])
def test_a_method_is_found_by_its_route_key_or_a_unique_end_of_it(name: str) -> None:
    assert find_method(KNOWN, name, "actr.demo.chat_actr") is ChatService.SAY


@pytest.mark.parametrize("name", ["demo.Chat.Kik", "Chat/Kik", "Kik"])
def test_a_method_that_is_not_there_is_told_with_the_nearest(name: str) -> None:
    with pytest.raises(ConfigError, match=r"did you mean demo\.Chat\.Kick\?"):
        find_method(KNOWN, name, "actr.demo.chat_actr")


def test_a_method_that_is_near_to_none_is_told_with_all_that_there_are() -> None:
    with pytest.raises(ConfigError, match=r"there are demo\.Chat\.Say, "):
        find_method(KNOWN, "Whatever", "actr.demo.chat_actr")


def test_an_end_of_two_methods_is_not_enough() -> None:
    known = {"a.One.Say": ChatService.SAY, "a.Two.Say": ChatService.SAY}
    with pytest.raises(ConfigError, match=r"is one of a\.One\.Say, a\.Two\.Say"):
        find_method(known, "Say", "acme:room@1:default")


def test_a_whole_name_that_is_the_end_of_another_is_enough() -> None:
    known = {"a.One.Say": ChatService.SAY, "One.Say": ChatService.KICK}
    assert find_method(known, "One.Say", "acme:room@1:default") is ChatService.KICK


def test_a_request_is_read_from_json() -> None:
    request = parse_request(ChatService.SAY, '{"author": "ann", "text": "hello"}')
    assert request == SayRequest(author="ann", text="hello")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"auther": "ann"}', "no field 'auther', did you mean author.*SayRequest has author, tex"),
        ("hello", "SayRequest has author, text"),
        ("[]", "no JSON object; demo.SayRequest has author, text"),
        ('{"author": 3}', "author.*SayRequest has author, text"),
        ("[" * 5000, "SayRequest has author, text"),
    ],
    ids=["unknown field", "no JSON", "a list", "another type", "very deep"],
)
def test_a_request_that_is_none_is_refused_with_the_fields_there_are(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as raised:
        parse_request(ChatService.SAY, text)
    assert len(str(raised.value)) < 500


def test_a_wrong_field_of_a_message_within_is_told_with_the_fields_of_that_one() -> None:
    with pytest.raises(ConfigError, match=r"demo\.FileHeader has no field 'nam'.*has name, sizeB"):
        parse_request(ChatService.UPLOAD, '{"header": {"nam": "x"}}')


def test_a_wrong_value_of_an_enum_is_told_with_the_nearest() -> None:
    pool = DescriptorPool()
    source = 'syntax = "proto3"; enum Mood { CALM = 0; LOUD = 1; } message Line { Mood mood = 1; }'
    for file in compiled({"line.proto": source}).proto_file:
        pool.AddSerializedFile(file.SerializeToString())
    line = GetMessageClass(pool.FindMessageTypeByName("Line"))
    method: Method[Any, Any] = replace(ChatService.SAY, request=line)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"Mood has no .LUD.; did you mean LOUD\?"):
        parse_request(method, '{"mood": "LUD"}', pool)


def test_a_file_holds_requests_one_behind_the_other(tmp_path: Path) -> None:
    file = tmp_path / "requests.json"
    file.write_text('{"a": 1}\n{"b":\n 2}{"c": 3}\n\n', encoding="utf-8")
    assert list(read_requests(f"@{file}")) == ['{"a": 1}', '{"b":\n 2}', '{"c": 3}']


def test_an_argument_that_names_no_file_is_the_request_itself() -> None:
    assert list(read_requests('{"a": 1}')) == ['{"a": 1}']


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "No such file"), (b"\xff", "cannot read"), (b'{}\n{"a"', "no JSON object at line 2")],
    ids=["not there", "no text", "no JSON"],
)
def test_a_file_that_holds_no_requests_is_refused(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    file = tmp_path / "requests.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        list(read_requests(f"@{file}"))


def test_a_reply_is_a_line_of_ascii_with_all_its_fields() -> None:
    text = reply_text(SayRequest(author="é\x1b[31m\n"))
    assert text == '{"author": "\\u00e9\\u001b[31m\\n", "text": ""}'


@pytest.mark.parametrize(
    "reply",
    [
        Timestamp(seconds=1 << 62),
        PackedAny(type_url="type.googleapis.com/no.Such", value=b"x"),
        PackedAny(type_url="type.googleapis.com/demo.SayRequest", value=b"\xff"),
        Value(number_value=float("nan")),
    ],
    ids=["no time", "an unknown type", "no message", "no number"],
)
def test_a_reply_that_json_cannot_say_is_told_as_the_far_sides(reply: Message) -> None:
    name = reply.DESCRIPTOR.full_name
    with pytest.raises(RemoteProtocolError, match=f"a {name} came that JSON cannot say: "):
        reply_text(reply)


def test_a_reply_with_a_field_of_the_librarys_own_name_is_told_too() -> None:
    source = 'syntax = "proto3"; package odd; message Line { int32 DESCRIPTOR = 1; }'
    pool = DescriptorPool()
    for file in compiled({"odd.proto": source}).proto_file:
        pool.AddSerializedFile(file.SerializeToString())
    line = GetMessageClass(pool.FindMessageTypeByName("odd.Line"))
    with pytest.raises(RemoteProtocolError, match=r"a odd\.Line came that JSON cannot say"):
        reply_text(line())
