"""Sans-I/O: the claims that a method needs of its caller (``requires``, docs/access.md)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Self

from actr_peer.errors import ConfigError
from actr_peer.protocol.rpc.access.principals import Claims, Principal

MAX_REQUIRED: Final = 16
"""Of one method: a certificate has no more claims."""
_TEXT = re.compile(r"(?P<name>[A-Za-z0-9_.-]{1,64})(?:=(?P<value>[^,]{1,256}))?")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One claim: any value of it, or this one."""

    name: str
    value: str | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``operator`` or ``role=operator``.

        Raises:
            ConfigError: If it is neither.
        """
        match = _TEXT.fullmatch(text)
        if match is None or not text.isprintable():
            raise ConfigError(
                f"requires {text!r}: write the name of a claim, as operator, or name=value, as "
                "role=operator; for several, the option several times"
            )
        return cls(match["name"], match["value"])

    def is_met(self, claims: Claims) -> bool:
        found = claims.get(self.name)
        if found is None or self.value is None:
            return found is not None
        return self.value == found or (isinstance(found, tuple) and self.value in found)

    def __str__(self) -> str:
        return self.name if self.value is None else f"{self.name}={self.value}"


def requirements(texts: Iterable[str]) -> tuple[Requirement, ...]:
    """Read all of a method.

    Raises:
        ConfigError: If one is none, or there are too many.
    """
    read = tuple(map(Requirement.parse, texts))
    if len(read) > MAX_REQUIRED:
        raise ConfigError(f"requires {len(read)} claims; at most {MAX_REQUIRED} can be needed")
    return read


def missing(needed: Sequence[Requirement], claims: Claims) -> Requirement | None:
    """The first that claims do not meet; None: they meet all."""
    for each in needed:
        if not each.is_met(claims):
            return each
    return None


def sentence(need: Requirement, caller: Principal) -> str:
    """Why a caller without ``need`` is refused, as a sentence goes on after *for it needs*."""
    if caller.is_verified:
        return f"the claim {need}, which the certificate of {caller} does not have"
    return (
        f"the claim {need}, which only certificates have, and here nobody shows one (realm.trust "
        f"is {caller.trust.value}): give both actors an issuer (docs/access.md)"
    )
