"""Names of schemas, as protobuf-es 2.17 gives them to the same files."""

from __future__ import annotations

import pytest

from actr_peer.cli.codegen.generate import generate
from peer_kit.contracts import compiled


@pytest.mark.parametrize(
    ("declared", "request_type", "schema"),
    [
        ("message A { message B {} }", "A.B", "A_BSchema"),
        ("message Table {} message TableSchema {}", "Table", "TableSchema$"),
        ("message Table {} message TableSchema {}", "TableSchema", "TableSchemaSchema"),
        ("message A { message B {} } message A_B {}", "A.B", "A_BSchema"),
        ("message A { message B {} } message A_B {}", "A_B", "A_BSchema$"),
        ("message T {} message TSchema {} enum TSchema_ { Z = 0; }", "T", "TSchema$"),
        ("message A_B_C {} message A_B { message C {} } message A { message B { message C {} } }",
         "A.B.C", "A_B_CSchema$1"),
        ("message A { map<string, A> b = 1; } message A_BEntry {}", "A_BEntry", "A_BEntrySchema"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("package", ["", "package a.b;"])
def test_schemas_are_named_as_protobuf_es_names_them(
    declared: str, request_type: str, schema: str, package: str
) -> None:
    text = f'syntax = "proto3"; {package} {declared} service S {{ rpc R({request_type}) '
    request = compiled({"a.proto": f"{text} returns ({request_type}); }}"})
    request.parameter = "lang=ts"
    (file,) = generate(request).file
    assert f"request: protobuf.codec(a_pb.{schema})," in file.content
