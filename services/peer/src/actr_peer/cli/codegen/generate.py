"""A CodeGeneratorRequest to a CodeGeneratorResponse; pure."""

from __future__ import annotations

from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse
from google.protobuf.descriptor_pb2 import Edition

from actr_peer.cli.codegen import names, typescript
from actr_peer.cli.codegen import render as python
from actr_peer.cli.codegen.model import read
from actr_peer.cli.codegen.names import Language

_LANGUAGES = {"": Language.PYTHON} | {f"lang={each.value}": each for each in Language}
"""By the parameter that says so."""


def generate(request: CodeGeneratorRequest) -> CodeGeneratorResponse:
    """Write one module per wanted file with services, or say everything that is wrong."""
    response = CodeGeneratorResponse(
        supported_features=CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL
        | CodeGeneratorResponse.FEATURE_SUPPORTS_EDITIONS,
        minimum_edition=Edition.EDITION_PROTO2,
        maximum_edition=Edition.EDITION_2024,
    )
    language = _LANGUAGES.get(request.parameter)
    if language is None:
        response.error = (
            f"parameter {request.parameter!r}: protoc-gen-actr takes lang=python, which is the "
            "default, and lang=ts; change it in --actr_opt, --actr_out or buf.gen.yaml"
        )
        return response
    contract = read(request.proto_file, request.file_to_generate, language)
    if contract.problems:
        response.error = "\n".join(map(str, contract.problems))
        return response
    render = typescript.render if language is Language.TYPESCRIPT else python.render
    for file in contract.files:
        response.file.add(name=names.actr_file(file.path, language), content=render(file))
    return response
