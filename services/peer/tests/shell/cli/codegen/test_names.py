"""Names in a .proto file to names in Python."""

from __future__ import annotations

import pytest

from actr_peer.cli.codegen import names


@pytest.mark.parametrize(
    ("name", "handler"),
    [
        ("Say", "say"),
        ("SayHello", "say_hello"),
        ("GetHTTPInfo", "get_http_info"),
        ("GetX509Cert", "get_x509_cert"),
        ("SayV2", "say_v2"),
        ("already_snake", "already_snake"),
        ("URL", "url"),
    ],
)
def test_methods_become_snake_case(name: str, handler: str) -> None:
    assert names.snake_case(name) == handler


@pytest.mark.parametrize(
    ("service", "stem"),
    [
        ("Chat", "Chat"),
        ("ChatService", "Chat"),
        ("Service", "Service"),
        ("chat_room", "ChatRoom"),
        ("HTTPService", "HTTP"),
    ],
)
def test_a_service_gives_its_classes_one_stem(service: str, stem: str) -> None:
    assert names.class_stem(service) == stem


@pytest.mark.parametrize(
    ("path", "module", "file"),
    [
        ("chat.proto", "chat_pb2", "chat_actr.py"),
        ("a/v1/chat.proto", "a.v1.chat_pb2", "a/v1/chat_actr.py"),
        ("a/chat.v1.proto", "a.chat.v1_pb2", "a/chat/v1_actr.py"),
        ("a/chat-room.proto", "a.chat_room_pb2", "a/chat_room_actr.py"),
    ],
)
def test_modules_are_named_as_protocs_own(path: str, module: str, file: str) -> None:
    assert names.pb2_module(path) == module
    assert names.actr_file(path) == file


@pytest.mark.parametrize("dotted", ["import.chat_pb2", "1st.chat_pb2", "Outer.None", "a b"])
def test_what_python_cannot_import_is_known(dotted: str) -> None:
    assert not names.is_importable(dotted)


def test_an_ordinary_name_has_no_fault() -> None:
    assert names.handler_fault("say_hello") is None
    assert names.handler_fault("match") is None, "soft keywords are fine as attributes"
