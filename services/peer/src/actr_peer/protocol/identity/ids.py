"""Sans-I/O: who an actor is (docs/protocol/identity.md).

Text form::

    manufacturer:name@instance:realm        acme:room@2:default

URI::

    actr://realm/manufacturer:name@instance     actr://default/acme:room@2
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from functools import total_ordering
from typing import Self

from actr.envelope_pb2 import ActrId as ActrIdMessage
from actr_peer.errors import ConfigError, RemoteProtocolError

# Ids become file names, Redis keys and log fields: a small alphabet keeps all of them plain.
MAX_PART_CHARACTERS = 63
PART = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_PART_CHARACTERS - 1}}}")
_TEXT = re.compile(
    rf"(?P<manufacturer>{PART.pattern}):(?P<name>{PART.pattern})"
    rf"@(?P<instance>{PART.pattern}):(?P<realm>{PART.pattern})"
)
_URI = re.compile(
    rf"actr://(?P<realm>{PART.pattern})/(?P<manufacturer>{PART.pattern}):(?P<name>{PART.pattern})"
    rf"@(?P<instance>{PART.pattern})"
)
_TYPE = re.compile(rf"{PART.pattern}:{PART.pattern}")


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class ActrId:
    """One actor: type (manufacturer and name), instance and realm.

    Ids are ordered by their text form; the smaller of two is the offerer of their link.
    """

    manufacturer: str
    name: str
    instance: str
    realm: str = "default"
    text: str = field(init=False, repr=False)
    """The text form; ids are compared and looked up by it."""

    def __post_init__(self) -> None:
        """Hold the parts to their form: what is written apart is no other id when it is joined.

        Raises:
            ConfigError: If one is not 1 to 63 letters, digits, dots, dashes or underscores.
        """
        for part in (self.manufacturer, self.name, self.instance, self.realm):
            if not (isinstance(part, str) and PART.fullmatch(part)):
                raise ConfigError(
                    f"actor id part {part!r}: write 1 to 63 letters, digits, '.', '-' or '_', the "
                    "first a letter or digit"
                )
        text = f"{self.manufacturer}:{self.name}@{self.instance}:{self.realm}"
        object.__setattr__(self, "text", text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ActrId) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    @property
    def actr_type(self) -> str:
        """``manufacturer:name``."""
        return f"{self.manufacturer}:{self.name}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text form.

        Raises:
            ConfigError: If ``text`` is not ``manufacturer:name@instance:realm``, each part
                1 to 63 letters, digits, dots, dashes or underscores.
        """
        match = _TEXT.fullmatch(text)
        if match is None:
            raise ConfigError(
                f"actor id {text!r}: write manufacturer:name@instance:realm, for example "
                "acme:room@2:default; parts are 1 to 63 letters, digits, '.', '-' or '_'"
            )
        return cls(**match.groupdict())

    @property
    def uri(self) -> str:
        """``actr://realm/manufacturer:name@instance``."""
        return f"actr://{self.realm}/{self.actr_type}@{self.instance}"

    @classmethod
    def parse_uri(cls, uri: str) -> Self:
        """Read the URI; it has one form: no escapes, no query, ``actr`` in small letters.

        Raises:
            ConfigError: If ``uri`` is not ``actr://realm/manufacturer:name@instance``.
        """
        match = _URI.fullmatch(uri)
        if match is None:
            raise ConfigError(
                f"actor URI {uri!r}: write actr://realm/manufacturer:name@instance, for example "
                "actr://default/acme:room@2; parts are 1 to 63 letters, digits, '.', '-' or '_'"
            )
        return cls(**match.groupdict())

    @classmethod
    def read(cls, text: str) -> Self:
        """Read either form, as people write them.

        Raises:
            ConfigError: If ``text`` is neither.
        """
        return cls.parse_uri(text) if text.startswith("actr://") else cls.parse(text)

    @classmethod
    def from_message(cls, message: ActrIdMessage) -> Self:
        """Read the protobuf form.

        Raises:
            RemoteProtocolError: If a part is missing or not of the alphabet.
        """
        try:
            return cls(message.manufacturer, message.name, message.instance, message.realm)
        except ConfigError as exc:
            text = "an actor id with a missing or malformed part"
            raise RemoteProtocolError(text) from exc

    def to_message(self) -> ActrIdMessage:
        return ActrIdMessage(
            manufacturer=self.manufacturer,
            name=self.name,
            instance=self.instance,
            realm=self.realm,
        )

    def __str__(self) -> str:
        return self.text

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, ActrId):
            return NotImplemented
        return self.text < other.text


@dataclass(frozen=True, slots=True)
class ActrType:
    """What several actors have in common: ``manufacturer:name``."""

    text: str

    def __str__(self) -> str:
        return self.text


class Place(Enum):
    """The two halves of the own process."""

    SELF = "self"
    """The workload."""
    SHELL = "shell"
    """The code around it."""


def parse_destination(text: str) -> ActrId | ActrType | Place:
    """Whom a text names: an id, its URI, an actor type, ``self`` or ``shell``.

    No text is two of them: the two words have no colon, a type has no ``@``.

    Raises:
        ConfigError: If it is none.
    """
    match = _TEXT.fullmatch(text)
    if match is not None:
        return ActrId(**match.groupdict())
    if text.startswith("actr://"):
        return ActrId.parse_uri(text)
    if text in ("self", "shell"):
        return Place(text)
    if _TYPE.fullmatch(text) is not None:
        return ActrType(text)
    raise ConfigError(
        f"destination {text!r}: write an actor id (acme:room@2:default), its URI "
        "(actr://default/acme:room@2), an actor type (acme:room), self, or shell"
    )
