"""A CodeGeneratorRequest to a CodeGeneratorResponse; pure."""

from __future__ import annotations

from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse
from google.protobuf.descriptor_pb2 import Edition

from actr_peer.cli.codegen import names
from actr_peer.cli.codegen.model import read
from actr_peer.cli.codegen.render import render


def generate(request: CodeGeneratorRequest) -> CodeGeneratorResponse:
    """Write one module per wanted file with services, or say everything that is wrong."""
    response = CodeGeneratorResponse(
        supported_features=CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL
        | CodeGeneratorResponse.FEATURE_SUPPORTS_EDITIONS,
        minimum_edition=Edition.EDITION_PROTO2,
        maximum_edition=Edition.EDITION_2024,
    )
    if request.parameter:
        response.error = (
            f"parameter {request.parameter!r}: protoc-gen-actr takes none; "
            "drop it from --actr_opt, --actr_out or buf.gen.yaml"
        )
        return response
    contract = read(request.proto_file, request.file_to_generate)
    if contract.problems:
        response.error = "\n".join(map(str, contract.problems))
        return response
    for file in contract.files:
        response.file.add(name=names.actr_file(file.path), content=render(file))
    return response
