"""Contracts written in a test: text in, what a plugin gets from the compiler out."""

from __future__ import annotations

import tempfile
from pathlib import Path

from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc

from actr import options_pb2
from actr_peer.cli.codegen.model import Contract, read

INCLUDES = (
    f"-I{Path(options_pb2.__file__).parent.parent}",
    f"-I{Path(protoc.__file__).parent / '_proto'}",
)


def compiled(sources: dict[str, str]) -> CodeGeneratorRequest:
    """Compile files, path to text; all of them are wanted."""
    with tempfile.TemporaryDirectory() as scratch:
        for path, text in sources.items():
            file = Path(scratch, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        out = Path(scratch, "descriptors.binpb")
        options = [f"--descriptor_set_out={out}", "--include_imports", "--include_source_info"]
        status = protoc.main(["protoc", f"-I{scratch}", *INCLUDES, *options, *sources])
        assert status == 0, "the test's own .proto does not compile"
        found = FileDescriptorSet.FromString(out.read_bytes())
    return CodeGeneratorRequest(file_to_generate=list(sources), proto_file=found.file)


def chat(method: str, *, service_option: str = "", request: str = "string room = 1;") -> str:
    """One file with one service of one method, for example ``rpc Say(Ask) returns (Reply);``."""
    return (
        'syntax = "proto3";\n'
        "package chat.v1;\n"
        'import "actr/options.proto";\n'
        "message Part {}\n"
        "enum Mood { CALM = 0; LOUD = 1; }\n"
        f"message Ask {{ {request} }}\n"
        "message Reply {}\n"
        f"service Chat {{ {service_option}\n"
        f"{method}\n"
        "}\n"
    )


def contract(text: str, path: str = "chat/v1/chat.proto") -> Contract:
    """Read the model of one file."""
    request = compiled({path: text})
    return read(request.proto_file, request.file_to_generate)
