"""Whether messages and enums of two contracts read each other's bytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto

from actr_peer.cli.codegen.compatibility.changes import Changes, Rule
from actr_peer.protocol.rpc.contracts.fields import (
    TYPE_NAMES,
    cardinality,
    real_oneof,
    share_form,
    type_of,
)


class Shapes:
    """Compares types by structure; each pair once, so that recursive types end."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._seen: set[tuple[str, str]] = set()

    def compare_messages(self, old: Descriptor, new: Descriptor) -> None:
        """Compare fields by number, and the types of fields likewise."""
        if self._is_seen(old.full_name, new.full_name):
            return
        old_fields = {field.number: field for field in old.fields}
        new_fields = {field.number: field for field in new.fields}
        old_reserved, new_reserved = _reserved(old), _reserved(new)
        for number, field in old_fields.items():
            if number in new_fields:
                self._field(field, new_fields[number])
            elif field.is_required:
                self._changes.add_breaking(
                    Rule.FIELD_REQUIRED, field.full_name, "removed, and old peers need it"
                )
            elif not _holds(new_reserved, number):
                text = f"removed; write `reserved {number};` so that it cannot come back as another"
                self._changes.add_breaking(Rule.FIELD_REMOVED, field.full_name, text)
        for number in new_fields.keys() - old_fields.keys():
            field = new_fields[number]
            if _holds(old_reserved, number):
                text = f"number {number} was reserved: old data may hold another field there"
                self._changes.add_breaking(Rule.RESERVED_REUSED, field.full_name, text)
            if field.is_required:
                self._changes.add_breaking(
                    Rule.FIELD_REQUIRED, field.full_name, "new, and old peers do not send it"
                )
        self._oneofs(old_fields, new_fields)

    def _field(self, old: FieldDescriptor, new: FieldDescriptor) -> None:
        where = old.full_name
        if old.name != new.name:
            self._changes.add_note(
                Rule.FIELD_NAME, where, f"is {new.name} now: its JSON form changes"
            )
        before, after = cardinality(old), cardinality(new)
        if before != after:
            rule = Rule.FIELD_CARDINALITY if "repeated" in (before, after) else Rule.FIELD_REQUIRED
            self._changes.add_breaking(rule, where, f"{before} became {after}")
        if old.message_type is not None and new.message_type is not None and old.type == new.type:
            self.compare_messages(old.message_type, new.message_type)
            return
        if old.enum_type is not None and new.enum_type is not None:
            self.compare_enums(old.enum_type, new.enum_type)
        elif old.type != new.type:
            self._type(old, new)
        elif not old.is_repeated and old.default_value != new.default_value:
            text = f"default {old.default_value!r} became {new.default_value!r}"
            self._changes.add_note(Rule.FIELD_DEFAULT, where, text)

    def _type(self, old: FieldDescriptor, new: FieldDescriptor) -> None:
        text = f"{type_of(old)} became {type_of(new)}"
        if share_form(TYPE_NAMES[old.type], TYPE_NAMES[new.type]):
            text += ": read on both sides, but values that do not fit are cut"
            self._changes.add_note(Rule.FIELD_TYPE, old.full_name, text)
        else:
            self._changes.add_breaking(Rule.FIELD_TYPE, old.full_name, text)

    def _oneofs(
        self, old: Mapping[int, FieldDescriptor], new: Mapping[int, FieldDescriptor]
    ) -> None:
        """A field that now shares a oneof with an old one, or no longer does, is lost at times."""
        common = sorted(old.keys() & new.keys())
        for number in common:
            others = [other for other in common if other != number]
            before = [n for n in others if _share_oneof(old[number], old[n])]
            after = [n for n in others if _share_oneof(new[number], new[n])]
            if before != after:
                text = f"shares a oneof with {_numbers(after)}, before with {_numbers(before)}"
                self._changes.add_breaking(Rule.ONEOF, old[number].full_name, text)

    def compare_enums(self, old: EnumDescriptor, new: EnumDescriptor) -> None:
        """Compare values by number."""
        if self._is_seen(old.full_name, new.full_name):
            return
        old_reserved, new_reserved = _reserved(old), _reserved(new)
        before, after = _names_by_number(old), _names_by_number(new)
        for number, names in before.items():
            where = f"{old.full_name}.{min(names)}"
            if number not in after:
                if not _holds(new_reserved, number):
                    text = f"removed; write `reserved {number};`"
                    self._changes.add_breaking(Rule.VALUE_REMOVED, where, text)
            elif not names <= after[number]:
                text = f"is {min(after[number])} now: its JSON form changes"
                self._changes.add_note(Rule.VALUE_NAME, where, text)
        for number in after.keys() - before.keys():
            where = f"{new.full_name}.{min(after[number])}"
            if _holds(old_reserved, number):
                self._changes.add_breaking(
                    Rule.RESERVED_REUSED, where, f"number {number} was reserved"
                )
            elif old.is_closed:
                self._changes.add_note(
                    Rule.VALUE_ADDED, where, "old peers take it for an unknown field"
                )

    def _is_seen(self, old: str, new: str) -> bool:
        if (old, new) in self._seen:
            return True
        self._seen.add((old, new))
        return False


def _reserved(declared: Descriptor | EnumDescriptor) -> list[range]:
    if isinstance(declared, EnumDescriptor):
        enum = EnumDescriptorProto()
        declared.CopyToProto(enum)
        # An enum's range ends with its last number, a message's after it (descriptor.proto).
        return [range(reserved.start, reserved.end + 1) for reserved in enum.reserved_range]
    message = DescriptorProto()
    declared.CopyToProto(message)
    return [range(reserved.start, reserved.end) for reserved in message.reserved_range]


def _holds(ranges: Iterable[range], number: int) -> bool:
    return any(number in reserved for reserved in ranges)


def _names_by_number(enum: EnumDescriptor) -> dict[int, set[str]]:
    names: dict[int, set[str]] = {}
    for value in enum.values:
        names.setdefault(value.number, set()).add(value.name)
    return names


def _share_oneof(one: FieldDescriptor, other: FieldDescriptor) -> bool:
    oneof = real_oneof(one)
    return oneof is not None and oneof == real_oneof(other)


def _numbers(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers)) or "none"
