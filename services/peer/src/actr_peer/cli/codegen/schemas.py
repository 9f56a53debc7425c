"""What protobuf-es calls the schema of a message, where names collide too.

It gives all types of a file their names in one pass, in a fixed order; who comes to a name that is
taken gets ``$`` behind it, then ``$1`` (``allNames`` in @bufbuild/protoplugin).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count

from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    FieldDescriptor,
    FileDescriptor,
    ServiceDescriptor,
)

_Declared = Descriptor | EnumDescriptor | FieldDescriptor | ServiceDescriptor


def schema_name(message: Descriptor) -> str:
    """``Outer_InnerSchema`` for a nested message, ``TableSchema$`` where that is taken."""
    file: FileDescriptor = message.file
    declared = [*_declared(file)]
    taken: set[str] = set()
    for each in declared:
        if isinstance(each, (Descriptor, EnumDescriptor)):
            _free(_identifier(each, file.package), taken)
    _free("file_" + re.sub(r"[^a-zA-Z0-9_]+", "_", file.name.removesuffix(".proto")), taken)
    found: dict[str, str] = {}
    for each in declared:
        end = "Schema" if isinstance(each, (Descriptor, EnumDescriptor)) else ""
        found[each.full_name] = _free(_identifier(each, file.package) + end, taken)
    return found[message.full_name]


def _declared(file: FileDescriptor) -> Iterator[_Declared]:
    for message in file.message_types_by_name.values():
        yield from _within(message)
    yield from file.enum_types_by_name.values()
    yield from file.services_by_name.values()
    yield from file.extensions_by_name.values()


def _within(message: Descriptor) -> Iterator[_Declared]:
    yield message
    for nested in message.nested_types:
        if not nested.GetOptions().map_entry:
            yield from _within(nested)
    yield from message.enum_types
    yield from message.extensions


def _identifier(declared: _Declared, package: str) -> str:
    name: str = declared.full_name
    return name[len(package) + 1 if package else 0 :].replace(".", "_")


def _free(name: str, taken: set[str]) -> str:
    salted = (name + ("", "$")[n] if n < 2 else f"{name}${n - 1}" for n in count())
    free = next(each for each in salted if each not in taken)
    taken.add(free)
    return free
