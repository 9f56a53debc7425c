"""protoc-gen-actr: a CodeGeneratorRequest on stdin, a CodeGeneratorResponse on stdout.

protoc, grpcio-tools and buf run it as ``protoc-gen-actr`` (docs/codegen.md).
"""

from __future__ import annotations

import sys

from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest
from google.protobuf.message import DecodeError

# Before a request is parsed: options that are not loaded then are unknown fields.
from actr import options_pb2 as options_pb2
from actr_peer.cli.codegen.generate import generate


def main() -> None:
    """Answer one request; faults in the contract go into the response, as protoc wants it."""
    if sys.stdin.isatty():
        sys.exit("protoc-gen-actr is run by protoc or buf; to generate by hand: actr gen FILE...")
    try:
        request = CodeGeneratorRequest.FromString(sys.stdin.buffer.read())
    except DecodeError as error:
        sys.exit(f"protoc-gen-actr: standard input holds no CodeGeneratorRequest: {error}")
    sys.stdout.buffer.write(generate(request).SerializeToString())


if __name__ == "__main__":
    main()
