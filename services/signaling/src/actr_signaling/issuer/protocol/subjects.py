"""Sans-I/O: whom a certificate is for: ``manufacturer:name@instance``, each part or ``*``."""

from __future__ import annotations

from dataclasses import dataclass

from actr_signaling.issuer.protocol.causes import Cause, RefusalError
from actr_signaling.protocol.identity import PART

ANY = "*"


@dataclass(frozen=True, slots=True)
class Subject:
    """An id without its realm, or a pattern of such ids.

    A part is fixed or ``*``, which stands for any whole part; there is nothing between.
    """

    manufacturer: str
    name: str
    instance: str

    @staticmethod
    def parse(text: str) -> Subject:
        """Read the text form.

        Raises:
            RefusalError: If a part is missing, or is neither of an id nor ``*``.
        """
        left, at, instance = text.partition("@")
        manufacturer, colon, name = left.partition(":")
        parts = (manufacturer, name, instance)
        if not at or not colon or not all(part == ANY or PART.fullmatch(part) for part in parts):
            raise RefusalError(
                Cause.MALFORMED,
                f"{text[:200]!r} is no id and no pattern: write manufacturer:name@instance, each "
                "part whole or *, and the realm apart from it",
            )
        return Subject(*parts)

    @property
    def is_pattern(self) -> bool:
        return ANY in (self.manufacturer, self.name, self.instance)

    def covers(self, other: Subject) -> bool:
        """Whether each id that ``other`` stands for is one of this."""
        pairs = (
            (self.manufacturer, other.manufacturer),
            (self.name, other.name),
            (self.instance, other.instance),
        )
        return all(mine in (ANY, theirs) for mine, theirs in pairs)

    def meets(self, other: Subject) -> bool:
        """Whether some id is of both."""
        pairs = (
            (self.manufacturer, other.manufacturer),
            (self.name, other.name),
            (self.instance, other.instance),
        )
        return all(ANY in pair or pair[0] == pair[1] for pair in pairs)

    def __str__(self) -> str:
        return f"{self.manufacturer}:{self.name}@{self.instance}"


def check_realm(text: str) -> str:
    """A realm is exact everywhere.

    Raises:
        RefusalError: If it is none.
    """
    if PART.fullmatch(text) is None:
        raise RefusalError(
            Cause.MALFORMED, f"{text[:64]!r} is no realm: 1 to 63 letters, digits, '.', '-' or '_'"
        )
    return text
