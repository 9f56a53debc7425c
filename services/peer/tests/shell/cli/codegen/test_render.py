"""The model as Python text.

After a change on purpose, write the golden file anew from ``services/peer/tests/golden``::

    protoc -I. -I../../../../proto --actr_out=. everything.proto

with ``python -m grpc_tools.protoc`` for protoc.
"""

from __future__ import annotations

import ast

import pytest
from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse

from actr_peer.cli.codegen.generate import generate
from peer_kit import TESTS
from peer_kit.contracts import chat, compiled

GOLDEN = TESTS / "golden"


def generated(sources: dict[str, str]) -> str:
    """The text of the only module."""
    response = generate(compiled(sources))
    assert response.error == ""
    (file,) = response.file
    return file.content


def test_the_text_is_the_golden_file() -> None:
    paths = sorted(GOLDEN.rglob("*.proto"))
    sources = {path.relative_to(GOLDEN).as_posix(): path.read_text() for path in paths}
    assert generated(sources) == (GOLDEN / "everything_actr.py").read_text()


def test_files_without_services_give_no_module() -> None:
    response = generate(compiled({"a.proto": 'syntax = "proto3"; message A {}'}))
    assert (response.error, len(response.file)) == ("", 0)


def test_a_fault_anywhere_gives_no_module_at_all() -> None:
    bad = chat("rpc Say(Ask) returns (Reply) { option (actr.payload_type) = STREAM_RELIABLE; }")
    good = 'syntax = "proto3"; message A {} service B { rpc C(A) returns (A); }'
    response = generate(compiled({"good.proto": good, "bad.proto": bad}))
    assert response.error.startswith("bad.proto:9: service chat.v1.Chat, method Say: ")
    assert len(response.file) == 0


def test_other_parameters_are_refused() -> None:
    response = generate(CodeGeneratorRequest(parameter="paths=source_relative"))
    assert "'paths=source_relative': protoc-gen-actr takes lang=python" in response.error


def test_python_is_what_is_written_where_nothing_is_said() -> None:
    request = compiled({"chat.proto": chat("rpc Say(Ask) returns (Reply);")})
    said = CodeGeneratorRequest()
    said.CopyFrom(request)
    said.parameter = "lang=python"
    assert generate(said) == generate(request)


def test_optional_fields_and_editions_are_announced() -> None:
    response = generate(CodeGeneratorRequest())
    features = response.supported_features
    assert features & CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL
    assert features & CodeGeneratorResponse.FEATURE_SUPPORTS_EDITIONS


@pytest.mark.parametrize(
    "comment",
    ['"', '"""', 'ends with "', "\\", '\\"""', '""""""', "a\\nb \\x \\u1234", "für – 東京 \u202e"],
)
def test_any_comment_is_a_docstring_that_says_the_same(comment: str) -> None:
    module = ast.parse(
        generated({"chat.proto": chat(f"//{comment}\nrpc Say(Ask) returns (Reply);")})
    )
    client = next(n for n in module.body if getattr(n, "name", "") == "ChatClient")
    assert isinstance(client, ast.ClassDef)
    (say,) = (n for n in client.body if isinstance(n, ast.AsyncFunctionDef))
    assert ast.get_docstring(say) == f"{comment.strip()}\n\nPayload type ``RPC_RELIABLE``."


NAMES = [
    "Abstractmethod",
    "Bool",
    "CallOptions",
    "Chat_pb2",
    "Classvar",
    "Context",
    "Float",
    "Mapping",
    "Object",
    "Property",
    "Request",
    "Staticmethod",
    "Str",
    "Super",
    "Timeout",
    "Type",
]
"""Methods whose names, or those of their rows, are names that generated code could use."""


def test_no_name_of_a_method_hides_what_the_module_uses() -> None:
    methods = "\n".join(f"rpc {name}(Ask) returns (Reply);" for name in NAMES)
    tree = ast.parse(generated({"chat.proto": chat(methods)}))
    of_module = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        and getattr(node, "module", "") != "__future__"
        for alias in node.names
    }
    assert all(name.startswith("_") for name in of_module)
    service = next(n for n in tree.body if getattr(n, "name", "") == "ChatService")
    assert isinstance(service, ast.ClassDef)
    own = {node.name for node in service.body if isinstance(node, ast.AsyncFunctionDef)}
    assert len(own) == len(NAMES)
    used = {node.id for node in ast.walk(service) if isinstance(node, ast.Name)}
    rows = {name.upper() for name in own} | {"METHODS", "SERVICE_NAME", "FINGERPRINT"}
    assert used - of_module - rows == set(), "a class uses what is private, and its own rows"
