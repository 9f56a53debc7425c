"""The model as Python text.

After a change on purpose, write the golden file anew from ``services/peer/tests/golden``::

    protoc -I. -I../../../../proto --actr_out=. everything.proto

with ``python -m grpc_tools.protoc`` for protoc.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse
from proto_sources import chat, compiled

from actr_peer.codegen.generate import generate

GOLDEN = Path(__file__).parent.parent / "golden"


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


def test_parameters_are_refused() -> None:
    response = generate(CodeGeneratorRequest(parameter="paths=source_relative"))
    assert "'paths=source_relative': protoc-gen-actr takes none" in response.error


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
