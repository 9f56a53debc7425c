"""Fields of messages, said the same way for every syntax and edition."""

from __future__ import annotations

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

TYPE_NAMES: dict[int, str] = {
    getattr(FieldDescriptor, name): name.removeprefix("TYPE_").lower()
    for name in dir(FieldDescriptor)
    if name.startswith("TYPE_")
}


_SAME_FORM = (
    frozenset({"int32", "uint32", "int64", "uint64", "bool", "enum"}),
    frozenset({"sint32", "sint64"}),
    frozenset({"fixed32", "sfixed32"}),
    frozenset({"fixed64", "sfixed64"}),
)
"""Types that share a form on the wire (protobuf.dev, "Updating A Message Type")."""


def share_form(one: str, other: str) -> bool:
    """Whether two types, each without the name of what it holds, read each other's bytes."""
    return one == other or any({one, other} <= form for form in _SAME_FORM)


def is_scalar(field: FieldDescriptor) -> bool:
    """Whether the field holds one number, bool, string, bytes or enum value."""
    return field.message_type is None and not field.is_repeated


def cardinality(field: FieldDescriptor) -> str:
    """``repeated``, ``required``, or ``single``: presence does not show on the wire."""
    if field.is_repeated:
        return "repeated"
    return "required" if field.is_required else "single"


def type_of(field: FieldDescriptor) -> str:
    """``uint64``, or the full name behind ``message``, ``group`` or ``enum``."""
    name = TYPE_NAMES[field.type]
    held = field.message_type or field.enum_type
    return name if held is None else f"{name} {held.full_name}"


def real_oneof(field: FieldDescriptor) -> str | None:
    """The oneof that the author wrote; None for the one behind a proto3 ``optional``."""
    oneof = field.containing_oneof
    if oneof is None or (len(oneof.fields) == 1 and oneof.name == f"_{field.name}"):
        return None
    return oneof.name


def reachable(*roots: Descriptor) -> tuple[list[Descriptor], list[EnumDescriptor]]:
    """Every message and enum that the roots hold at any depth, each list by full name."""
    messages: dict[str, Descriptor] = {}
    enums: dict[str, EnumDescriptor] = {}
    waiting = list(roots)
    while waiting:
        message = waiting.pop()
        if message.full_name in messages:
            continue
        messages[message.full_name] = message
        for field in message.fields:
            if field.message_type is not None:
                waiting.append(field.message_type)
            if field.enum_type is not None:
                enums[field.enum_type.full_name] = field.enum_type
    return [messages[name] for name in sorted(messages)], [enums[name] for name in sorted(enums)]
