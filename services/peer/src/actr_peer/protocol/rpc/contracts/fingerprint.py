"""What two builds of one service must agree on, as one number (docs/codegen.md).

The canonical form is JSON in ASCII, keys sorted, without spaces. It holds the service's name, its
methods with kind and payload type, and every message and enum that they reach. Not in it:
comments, file names, the order of declarations, and options on which only the callee acts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import NamedTuple

from google.protobuf.descriptor import Descriptor, EnumDescriptor

from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.rpc.contracts.fields import cardinality, reachable, real_oneof, type_of


class Signature(NamedTuple):
    """What a caller relies on in one method."""

    name: str
    kind: str
    """``unary``, ``server_stream``, ``client_stream`` or ``bidi_stream``."""
    payload_type: PayloadType
    request: Descriptor
    reply: Descriptor


def canonical(service: str, methods: Iterable[Signature]) -> str:
    """Write the canonical form of the service with this full name."""
    ordered = sorted(methods, key=lambda method: method.name)
    messages, enums = reachable(*(m for method in ordered for m in (method.request, method.reply)))
    form = {
        "service": service,
        "methods": [
            [m.name, m.kind, m.payload_type.name, m.request.full_name, m.reply.full_name]
            for m in ordered
        ],
        "messages": {message.full_name: _fields(message) for message in messages},
        "enums": {enum.full_name: _values(enum) for enum in enums},
    }
    return json.dumps(form, sort_keys=True, separators=(",", ":"))


def fingerprint(service: str, methods: Iterable[Signature]) -> str:
    """SHA-256 of the canonical form, 64 hex digits."""
    return hashlib.sha256(canonical(service, methods).encode()).hexdigest()


def number_of(form: str) -> int:
    """The first eight bytes of the SHA-256 of a canonical form; what travels with each call."""
    return int.from_bytes(hashlib.sha256(form.encode()).digest()[:8], "big")


def _fields(message: Descriptor) -> list[list[int | str | None]]:
    """Number, name, cardinality, type and oneof of each field, by number."""
    fields = sorted(message.fields, key=lambda field: field.number)
    return [[f.number, f.name, cardinality(f), type_of(f), real_oneof(f)] for f in fields]


def _values(enum: EnumDescriptor) -> list[list[int | str]]:
    """Number and name of each value, by both: an enum may have two names for one number."""
    return [[number, name] for number, name in sorted((v.number, v.name) for v in enum.values)]
