"""An actor that tells a contract as no generator writes one: HOSTILE says which."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

from google.protobuf.descriptor_pb2 import FileDescriptorProto
from wide_actor import Wide

from actr.services.reflection_pb2 import (
    DescribeRequest,
    Description,
    MethodDescription,
    ServiceDescription,
)
from actr_peer.node.contract.reflection import ReflectionHere

SCRIPT = "<img src=x onerror=\"document.title='owned'\">"
BACKWARDS = "\u202ednuora yaw rehto eht"
STRING, MESSAGE, OPTIONAL = 9, 11, 1


def _file(first: str) -> Description:
    """A message that holds itself, with a field of this name."""
    file = FileDescriptorProto(name="hostile.proto", package="hostile", syntax="proto3")
    add = file.message_type.add(name="Deep").field.add
    add(name=first, number=1, type=STRING, label=OPTIONAL, json_name=SCRIPT)
    add(name="constructor", number=2, type=MESSAGE, label=OPTIONAL, type_name=".hostile.Deep")
    add(name="n" * 200, number=3, type=STRING, label=OPTIONAL)
    return Description(file=file.SerializeToString())


def _service(*names: str, request: str = "hostile.Deep") -> Description:
    methods = [MethodDescription(name=name, request=request, reply=request) for name in names]
    return Description(service=ServiceDescription(name=SCRIPT, methods=methods))


def _words() -> list[Description]:
    match os.environ["HOSTILE"]:
        case "names":
            return [_service(SCRIPT, BACKWARDS, "m" * 256), _file("__proto__")]
        case "file":
            return [_service("M"), _file(SCRIPT)]
        case "bytes":
            return [Description(file=b"\xff" * 100)]
    return [Description(file=bytes(5_000_000))]


async def _describe(
    self: ReflectionHere, request: DescribeRequest, ctx: object, /
) -> AsyncIterator[Description]:
    for word in _words():
        yield word


ReflectionHere.describe = _describe  # type: ignore[method-assign]


class Hostile(Wide):
    """Serves what it does not tell."""
