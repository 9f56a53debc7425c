"""The model as TypeScript text: the golden file, and names that cannot meet.

After a change on purpose, write the golden file anew as ``test_render.py`` says, with
``--actr_opt=lang=ts``. That it compiles, and does what it says, browser/tests/service shows.
"""

from __future__ import annotations

import pytest
from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest

from actr_peer.cli.codegen.compiler import messages_alone
from actr_peer.cli.codegen.generate import generate
from peer_kit import TESTS
from peer_kit.contracts import chat, compiled

GOLDEN = TESTS / "golden"
ONE = 'syntax = "proto3"; package {0}; message A {{}}'


def asked(sources: dict[str, str]) -> CodeGeneratorRequest:
    request = compiled(sources)
    request.parameter = "lang=ts"
    return request


def generated(sources: dict[str, str]) -> str:
    """The text of the only module."""
    response = generate(asked(sources))
    assert response.error == ""
    (file,) = response.file
    return file.content


def test_the_text_is_the_golden_file() -> None:
    paths = sorted(GOLDEN.rglob("*.proto"))
    sources = {path.relative_to(GOLDEN).as_posix(): path.read_text() for path in paths}
    assert generated(sources) == (GOLDEN / "everything_actr.ts").read_text()


def test_what_python_refuses_is_refused_for_typescript_too() -> None:
    wrong = {"chat.proto": chat("rpc Tell(Ask) returns (Reply);")}
    for_python, for_typescript = generate(compiled(wrong)), generate(asked(wrong))
    assert "'tell' is an attribute of the base classes" in for_typescript.error
    assert for_typescript.error == for_python.error
    assert len(for_typescript.file) == 0


@pytest.mark.parametrize("method", ["Caller", "Constructor", "Then"])
def test_names_that_objects_of_javascript_have_are_refused_for_it_alone(method: str) -> None:
    source = {"chat.proto": chat(f"rpc {method}(Ask) returns (Reply);")}
    assert generate(compiled(source)).error == ""
    error = generate(asked(source)).error
    assert error.startswith(f"chat.proto:9: service chat.v1.Chat, method {method}: its name in Ty")


def test_a_comment_cannot_end_the_one_that_it_is_in() -> None:
    text = generated({"chat.proto": chat("// a */ b\nrpc Say(Ask) returns (Reply);")})
    assert " * a *\\/ b\n" in text


def test_files_of_one_name_and_names_that_read_alike_are_told_apart() -> None:
    service = (
        'syntax = "proto3"; import "a/b/c.proto"; import "a/b_c/c.proto"; import "x/c.proto";'
        "service S { rpc R(a.b.A) returns (a.bc.A); rpc T(x.A) returns (x.A); }"
    )
    text = generated(
        {
            "a/b/c.proto": ONE.format("a.b"),
            "a/b_c/c.proto": ONE.format("a.bc"),
            "x/c.proto": ONE.format("x"),
            "deep/er/s.proto": service,
        }
    )
    assert 'import * as a_dot_b_dot_c_pb from "../../a/b/c_pb.js";' in text
    assert 'import * as a_dot_b__c_dot_c_pb from "../../a/b_c/c_pb.js";' in text
    assert 'import * as x_dot_c_pb from "../../x/c_pb.js";' in text


def test_messages_are_asked_for_without_the_import_of_lanes() -> None:
    third = 'syntax = "proto3"; message T {}'
    first = (
        'syntax = "proto3"; import public "third.proto"; import "actr/options.proto";'
        'import public "second.proto";'
        "service S { rpc R(T) returns (T) { option (actr.payload_type) = RPC_SIGNAL; } }"
    )
    request = compiled(
        {"third.proto": third, "second.proto": 'syntax = "proto3";', "first.proto": first}
    )
    alone = messages_alone(request)
    files = {file.name: file for file in alone.proto_file}
    assert "actr/options.proto" not in files
    kept = files["first.proto"]
    assert list(kept.dependency) == ["third.proto", "second.proto"]
    assert [kept.dependency[at] for at in kept.public_dependency] == ["third.proto", "second.proto"]
    assert not kept.service[0].method[0].HasField("options")
    assert alone.file_to_generate == request.file_to_generate


def test_two_methods_that_would_have_one_name_are_refused_for_typescript_alone() -> None:
    source = {
        "chat.proto": chat("rpc URLGet(Ask) returns (Reply);\nrpc uRLGet(Ask) returns (Reply);")
    }
    assert generate(compiled(source)).error == ""
    assert generate(asked(source)).error == (
        "chat.proto:10: service chat.v1.Chat, method uRLGet: its name in TypeScript is 'uRLGet', "
        "as that of URLGet; rename one"
    )


def test_a_type_of_the_options_that_a_message_refers_to_comes_along() -> None:
    first = (
        'syntax = "proto2"; import "actr/options.proto";'
        "message A { message B { optional actr.PayloadType lane = 1; } }"
        "service S { rpc R(A) returns (A) { option (actr.payload_type) = RPC_SIGNAL; } }"
    )
    alone = messages_alone(compiled({"first.proto": first}))
    files = {file.name: file for file in alone.proto_file}
    assert "actr/options.proto" in files
    assert list(files["first.proto"].dependency) == ["actr/options.proto"]
    assert list(alone.file_to_generate) == ["first.proto", "actr/options.proto"]
