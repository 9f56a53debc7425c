"""Sans-I/O: which actors and methods a rule means (docs/access.md)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self

from actr_peer.errors import ConfigError
from actr_peer.protocol.identity import PART, ActrId

ANY: Final = "*"
STREAMS: Final = "streams"
"""Stream channels that a caller opens by their id, without a method."""
MEDIA: Final = "media"
"""Tracks that a caller publishes."""

_PART = rf"(?:{PART.pattern}|\*)"
_CALLERS = re.compile(
    rf"(?P<manufacturer>{_PART}):(?P<name>{_PART})@(?P<instance>{_PART})(?::(?P<realm>{_PART}))?"
)
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_METHODS = re.compile(rf"\*|{STREAMS}|{MEDIA}|(?:{_NAME}\.)*{_NAME}[./](?:{_NAME}|\*)")


@dataclass(frozen=True, slots=True)
class Callers:
    """A pattern of ids: each part is one of the alphabet, or ``*`` for any."""

    manufacturer: str
    name: str
    instance: str
    realm: str

    @classmethod
    def parse(cls, text: str, *, realm: str) -> Self:
        """Read ``manufacturer:name@instance`` or ``manufacturer:name@instance:realm``.

        Args:
            realm: What is meant where the text names none.

        Raises:
            ConfigError: If it is neither.
        """
        match = _CALLERS.fullmatch(text)
        if match is None:
            raise ConfigError(
                f"callers {text!r}: write manufacturer:name@instance, with ':realm' behind it for "
                "another realm; each part may be *, for example acme:room@* or *:*@*"
            )
        parts = match.groupdict()
        return cls(parts["manufacturer"], parts["name"], parts["instance"], parts["realm"] or realm)

    def means(self, caller: ActrId) -> bool:
        return (
            self.manufacturer in (ANY, caller.manufacturer)
            and self.name in (ANY, caller.name)
            and self.instance in (ANY, caller.instance)
            and self.realm in (ANY, caller.realm)
        )

    def __str__(self) -> str:
        return f"{self.manufacturer}:{self.name}@{self.instance}:{self.realm}"


@dataclass(frozen=True, slots=True)
class Methods:
    """A pattern of what is asked: ``*``, ``chat.Room.*``, ``chat.Room.Say``, ``streams``,
    ``media``; a slash before the method, as ``actr call`` has it, is as good as a dot."""

    text: str

    def __post_init__(self) -> None:
        """Hold the text to its form.

        Raises:
            ConfigError: If it is of none.
        """
        if _METHODS.fullmatch(self.text) is None:
            raise ConfigError(
                f"methods {self.text!r}: write a method as chat.Room.Say, all below a name as "
                f"chat.Room.* or chat.*, {STREAMS}, {MEDIA}, or *"
            )
        object.__setattr__(self, "text", self.text.replace("/", "."))

    def means(self, method: str) -> bool:
        """Whether it means this route key, or one of the two words.

        A star behind a name means all below that name, so no word: words have no dot.
        """
        text = self.text
        if text.endswith(".*"):
            return method.startswith(text[:-1])
        return text in (ANY, method)

    def __str__(self) -> str:
        return self.text
