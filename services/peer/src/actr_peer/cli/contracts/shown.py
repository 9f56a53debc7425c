"""A contract as .proto-like text, and as one JSON document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from actr.services.reflection_pb2 import ServiceDescription
from actr_peer.cli.contracts.asked import Contract
from actr_peer.protocol.rpc.contracts.fields import (
    TYPE_NAMES,
    cardinality,
    reachable,
    real_oneof,
    type_of,
)
from actr_peer.service import Method

WELL_KNOWN: Final = "google.protobuf."
"""What everybody has: shown by its name alone."""


def text_of(services: Iterable[ServiceDescription], contract: Contract) -> Iterator[str]:
    """Each service, then the messages and enums that they reach, a block each."""
    services = list(services)
    for service in services:
        yield "\n".join(_service(service, contract))
    messages, enums = _held(services, contract)
    for message in messages:
        if not message.full_name.startswith(WELL_KNOWN):
            yield "\n".join(message_lines(message))
    for enum in enums:
        if not enum.full_name.startswith(WELL_KNOWN):
            yield "\n".join(enum_lines(enum))


def _service(service: ServiceDescription, contract: Contract) -> Iterator[str]:
    if service.fingerprint:
        yield f"// fingerprint {service.fingerprint}"
    yield f"service {service.name} {{"
    for method in _methods(service, contract):
        yield f"  {method_line(method)}"
    yield "}"


def method_line(method: Method[Any, Any]) -> str:
    """``rpc Say(chat.Line) returns (chat.Receipt);`` with its payload type and its options."""
    kind = method.kind
    request = ("stream " if kind.requests_stream else "") + method.request.DESCRIPTOR.full_name
    reply = ("stream " if kind.replies_stream else "") + method.reply.DESCRIPTOR.full_name
    notes = [method.payload_type.name]
    notes += [f"conflict_key {method.conflict_key}"] if method.conflict_key else []
    notes += [f"max_failures {method.max_failures}"] if method.max_failures else []
    if method.handler_timeout is not None:
        notes.append(f"handler_timeout {method.handler_timeout:g} s")
    notes += [f"requires {claim}" for claim in method.requires]
    notes += ["idempotent"] if method.is_idempotent else []
    name = method.route_key.rpartition(".")[2]
    return f"rpc {name}({request}) returns ({reply});  // {', '.join(notes)}"


def message_lines(message: Descriptor) -> Iterator[str]:
    """One message, its nested types by their full names."""
    yield f"message {message.full_name} {{"
    oneof = ""
    for field in sorted(message.fields, key=lambda field: field.number):
        now = real_oneof(field) or ""
        if oneof and now != oneof:
            yield "  }"
        if now and now != oneof:
            yield f"  oneof {now} {{"
        oneof = now
        yield f"  {'  ' if now else ''}{_field(field)}"
    if oneof:
        yield "  }"
    yield "}"


def enum_lines(enum: EnumDescriptor) -> Iterator[str]:
    yield f"enum {enum.full_name} {{"
    for value in enum.values:
        yield f"  {value.name} = {value.number};"
    yield "}"


def _field(field: FieldDescriptor) -> str:
    if (entry := _map_entry(field)) is not None:
        key, value = entry
        return f"map<{_type(key)}, {_type(value)}> {field.name} = {field.number};"
    prefix = ""
    if field.is_repeated or field.is_required:
        prefix = cardinality(field) + " "
    elif field.containing_oneof is not None and real_oneof(field) is None:
        prefix = "optional "
    return f"{prefix}{_type(field)} {field.name} = {field.number};"


def _map_entry(field: FieldDescriptor) -> tuple[FieldDescriptor, FieldDescriptor] | None:
    """Key and value of a map; None: it is none, whatever an actor says of it."""
    held = field.message_type
    if held is None or not held.GetOptions().map_entry:
        return None
    key, value = held.fields_by_name.get("key"), held.fields_by_name.get("value")
    return None if key is None or value is None else (key, value)


def _type(field: FieldDescriptor) -> str:
    held = field.message_type or field.enum_type
    return TYPE_NAMES[field.type] if held is None else str(held.full_name)


def document_of(services: Iterable[ServiceDescription], contract: Contract) -> dict[str, Any]:
    """The same for programs."""
    services = list(services)
    messages, enums = _held(services, contract)
    return {
        "services": [
            {
                "name": service.name,
                "fingerprint": service.fingerprint,
                "methods": [_method_row(method) for method in _methods(service, contract)],
            }
            for service in services
        ],
        "messages": [_message_row(message) for message in messages],
        "enums": [
            {"name": enum.full_name, "values": {value.name: value.number for value in enum.values}}
            for enum in enums
        ],
    }


def _method_row(method: Method[Any, Any]) -> Mapping[str, object]:
    return {
        "name": method.route_key.rpartition(".")[2],
        "route_key": method.route_key,
        "kind": method.kind.value,
        "payload_type": method.payload_type.name,
        "request": method.request.DESCRIPTOR.full_name,
        "reply": method.reply.DESCRIPTOR.full_name,
        "conflict_key": method.conflict_key,
        "max_failures": method.max_failures,
        "handler_timeout_s": method.handler_timeout,
        "requires": list(method.requires),
        "is_idempotent": method.is_idempotent,
    }


def _message_row(message: Descriptor) -> Mapping[str, object]:
    return {
        "name": message.full_name,
        "fields": [
            {
                "number": field.number,
                "name": field.name,
                "json_name": field.json_name,
                "type": type_of(field),
                "cardinality": cardinality(field),
                "oneof": real_oneof(field),
            }
            for field in sorted(message.fields, key=lambda field: field.number)
        ],
    }


def _methods(service: ServiceDescription, contract: Contract) -> list[Method[Any, Any]]:
    return [contract.methods[f"{service.name}.{method.name}"] for method in service.methods]


def _held(
    services: Iterable[ServiceDescription], contract: Contract
) -> tuple[list[Descriptor], list[EnumDescriptor]]:
    """Messages and enums that the services reach, without those that stand for maps."""
    roots = [
        message.DESCRIPTOR
        for service in services
        for method in _methods(service, contract)
        for message in (method.request, method.reply)
    ]
    messages, enums = reachable(*roots)
    return [message for message in messages if not message.GetOptions().map_entry], enums
