"""Sans-I/O: who an actor is: ``manufacturer:name@instance:realm`` (docs/protocol/identity.md)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

from actr import envelope_pb2
from actr_signaling.errors import BadMessageError

# Ids become Redis keys and log fields: a small alphabet keeps all of them plain.
MAX_PART_CHARACTERS = 63
MAX_ID_BYTES = 4 * (2 + MAX_PART_CHARACTERS)
"""Of a serialized id, by whoever writes it as protobuf does."""
PART = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_PART_CHARACTERS - 1}}}")
TYPE = re.compile(rf"{PART.pattern}:{PART.pattern}")
SERVICE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
MAX_SERVICE_CHARACTERS = 256


@dataclass(frozen=True, slots=True)
class ActrId:
    """One actor; its parts are valid when it was made by :meth:`check` or :meth:`parse`."""

    manufacturer: str
    name: str
    instance: str
    realm: str
    text: str = field(init=False, compare=False, repr=False)
    """``manufacturer:name@instance:realm``, the key of the actor everywhere."""

    def __post_init__(self) -> None:
        text = f"{self.manufacturer}:{self.name}@{self.instance}:{self.realm}"
        object.__setattr__(self, "text", text)

    @property
    def actr_type(self) -> str:
        """``manufacturer:name``."""
        return f"{self.manufacturer}:{self.name}"

    @staticmethod
    def check(wire: envelope_pb2.ActrId) -> ActrId:
        """Take an id from the wire.

        Raises:
            BadMessageError: If a part is empty, too long or holds other characters.
        """
        return _checked(wire.manufacturer, wire.name, wire.instance, wire.realm)

    @staticmethod
    def parse(text: str) -> ActrId:
        """Read the text form.

        Raises:
            BadMessageError: If it is not ``manufacturer:name@instance:realm``.
        """
        left, _, right = text.partition("@")
        manufacturer, _, name = left.partition(":")
        instance, _, realm = right.partition(":")
        wire = envelope_pb2.ActrId(
            manufacturer=manufacturer, name=name, instance=instance, realm=realm
        )
        return ActrId.check(wire)

    def to_wire(self) -> envelope_pb2.ActrId:
        return envelope_pb2.ActrId(
            manufacturer=self.manufacturer,
            name=self.name,
            instance=self.instance,
            realm=self.realm,
        )

    def __str__(self) -> str:
        return self.text


@lru_cache(maxsize=8192)  # ids come again with every relay
def _checked(manufacturer: str, name: str, instance: str, realm: str) -> ActrId:
    for part in (manufacturer, name, instance, realm):
        if PART.fullmatch(part) is None:
            raise BadMessageError(
                f"actor id part {part[:64]!r}: 1 to 63 letters, digits, '.', '-' or '_'"
            )
    return ActrId(manufacturer, name, instance, realm)


@lru_cache(maxsize=8192)  # as above
def read_id(data: bytes) -> ActrId | None:
    """Take a serialized id, of at most :data:`MAX_ID_BYTES`; None: nobody can have it.

    Raises:
        DecodeError: If the bytes are no message.
    """
    try:
        return ActrId.check(envelope_pb2.ActrId.FromString(data))
    except BadMessageError:
        return None
