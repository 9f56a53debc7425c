"""Sans-I/O: an issuer's access rules, and whether they let one actor ask another for anything.

::

    [[access]]
    effect = "allow"                  # or "deny", which wins over all that allow
    callers = ["acme:console@*"]      # of the target's realm; with ":realm" behind it of another
    claims = ["role=operator"]        # that the caller's certificate must have; without: none
    targets = ["acme:room@*"]         # without: everybody; with ":realm" behind it in one realm
    methods = ["demo.Chat.*"]         # or "streams", "media"; without: all

Which method is asked for only its actor sees. What can be said here is whether anything is left.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from actr_signaling.errors import ConfigError
from actr_signaling.protocol.identity import PART, ActrId

MAX_RULES: Final = 256
MAX_PATTERNS: Final = 64
"""Of one list of one rule."""
MAX_CLAIMS: Final = 16
ANY: Final = "*"
Claims = Mapping[str, str | tuple[str, ...]]

_PART = rf"(?:{PART.pattern}|\*)"
_IDS = re.compile(rf"({_PART}):({_PART})@({_PART})(?::({_PART}))?")
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_METHODS = re.compile(rf"\*|streams|media|(?:{_NAME}\.)*{_NAME}\.(?:{_NAME}|\*)")
_CLAIM = re.compile(r"([A-Za-z0-9_.-]{1,64})(?:=([^,]{1,256}))?")
_KEYS = {"effect", "callers", "claims", "targets", "methods"}


@dataclass(frozen=True, slots=True)
class Ids:
    """A pattern of ids: each part whole, or ``*``; an empty realm is said by the place."""

    manufacturer: str
    name: str
    instance: str
    realm: str

    def means(self, who: ActrId, *, realm: str) -> bool:
        """Whether it means an id.

        Args:
            realm: What an empty one stands for, which may be ``*``.
        """
        return (
            self.manufacturer in (ANY, who.manufacturer)
            and self.name in (ANY, who.name)
            and self.instance in (ANY, who.instance)
            and (self.realm or realm) in (ANY, who.realm)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One table, as it was written and as it is looked at."""

    allows: bool
    callers: tuple[Ids, ...]
    claims: tuple[tuple[str, str | None], ...]
    targets: tuple[Ids, ...]
    methods: tuple[str, ...]

    def is_of(self, caller: ActrId, claims: Claims, target: ActrId) -> bool:
        """Whether it is about what ``caller`` asks ``target`` for."""
        return (
            any(each.means(caller, realm=target.realm) for each in self.callers)
            and any(each.means(target, realm=ANY) for each in self.targets)
            and all(_has(claims, *each) for each in self.claims)
        )


def lets(rules: Sequence[Rule], caller: ActrId, claims: Claims, target: ActrId) -> bool:
    """Whether ``caller`` may ask ``target`` for anything; an actor may always ask itself."""
    if caller == target:
        return True
    found = [rule for rule in rules if rule.is_of(caller, claims, target)]
    denied = [method for rule in found if not rule.allows for method in rule.methods]
    return any(
        not any(_holds(wide, method) for wide in denied)
        for rule in found
        if rule.allows
        for method in rule.methods
    )


def parse(listed: object) -> tuple[Rule, ...]:
    """Read rules, as TOML or JSON gives them.

    Raises:
        ConfigError: With the first mistake, and the number of its rule from 1.
    """
    if not isinstance(listed, list) or len(listed) > MAX_RULES:
        raise ConfigError(f"access rules are [[access]] tables, at most {MAX_RULES}")
    rules = []
    for number, table in enumerate(listed, 1):
        try:
            rules.append(_rule(table))
        except ConfigError as exc:
            raise ConfigError(f"access rule {number}: {exc}") from exc
    return tuple(rules)


def _rule(table: object) -> Rule:
    if not isinstance(table, Mapping) or (unknown := sorted(set(table) - _KEYS)):
        known = ", ".join(sorted(_KEYS))
        what = "it is no table" if not isinstance(table, Mapping) else f"unknown key {unknown[0]}"
        raise ConfigError(f"{what}; known are {known}")
    if table.get("effect") not in ("allow", "deny"):
        raise ConfigError(f"effect {table.get('effect')!r}: write allow or deny")
    return Rule(
        allows=table["effect"] == "allow",
        callers=tuple(map(_ids, _texts(table, "callers", None))),
        claims=tuple(map(_claim, _texts(table, "claims", [], most=MAX_CLAIMS))),
        targets=tuple(map(_ids, _texts(table, "targets", ["*:*@*"]))),
        methods=tuple(map(_method, _texts(table, "methods", [ANY]))),
    )


def _texts(
    table: Mapping[str, object], name: str, default: list[str] | None, most: int = MAX_PATTERNS
) -> list[str]:
    found = table.get(name, default)
    if (
        not isinstance(found, list)
        or not all(isinstance(each, str) for each in found)
        or (not found and default != [])
        or len(found) > most
    ):
        raise ConfigError(f"{name}: write a list of 1 to {most} texts")
    return found


def _ids(text: str) -> Ids:
    match = _IDS.fullmatch(text)
    if match is None:
        raise ConfigError(
            f"{text[:200]!r}: write manufacturer:name@instance, with ':realm' behind it for one "
            "realm; each part may be *"
        )
    return Ids(match[1], match[2], match[3], match[4] or "")


def _method(text: str) -> str:
    dotted = text.replace("/", ".")
    if _METHODS.fullmatch(dotted) is None:
        raise ConfigError(
            f"methods {text[:200]!r}: write a method as chat.Room.Say, all below a name as "
            "chat.Room.*, streams, media, or *"
        )
    return dotted


def _claim(text: str) -> tuple[str, str | None]:
    match = _CLAIM.fullmatch(text)
    if match is None or not text.isprintable():
        raise ConfigError(f"claims {text[:200]!r}: write a name, or name=value")
    return match[1], match[2]


def _has(claims: Claims, name: str, value: str | None) -> bool:
    found = claims.get(name)
    if found is None or value is None:
        return found is not None
    return value == found or (isinstance(found, tuple) and value in found)


def _holds(wide: str, method: str) -> bool:
    """Whether all that ``method`` means, ``wide`` means too."""
    if wide.endswith(".*"):
        return method.startswith(wide[:-1])
    return wide in (ANY, method)
