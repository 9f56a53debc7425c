"""Sans-I/O: who a caller of the gateway is, and which methods of whom it may call.

A caller shows a token; the rules know only its SHA-256, so that who reads them can call nobody.
They are read as an actor's own (docs/access.md): whom none allows is refused, and one that denies
wins over all that allow.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Self

from actr_peer.errors import CallError, Code, ConfigError
from actr_peer.protocol.identity import ActrId, ActrType, Place, parse_destination
from actr_peer.protocol.rpc.access.patterns import ANY, Callers, Methods

ANONYMOUS: Final = "anonymous"
"""Who shows no token; ``*`` does not mean it."""
MAX_CALLERS: Final = 256
"""Each token is compared with all of them."""
MAX_RULES: Final = 256
MAX_TOKEN_CHARS: Final = 4096

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_BEARER = re.compile(r"[Bb]earer +([\x21-\x7e]+)")


@dataclass(frozen=True, slots=True)
class GatewayRule:
    """One ``[[access]]`` table of a gateway's rules."""

    allows: bool
    callers: tuple[str, ...]
    actors: tuple[Callers, ...]
    methods: tuple[Methods, ...]
    realm: str
    """The gateway's own."""

    def means(self, caller: str, to: ActrId | ActrType, method: str) -> bool:
        """Whether it is about this call.

        A call to a type may come to any actor of it: what allows it must mean all of them in the
        gateway's realm, what denies it any, in whichever realm.
        """
        return self.is_for(caller, method) and any(self._is_actor(each, to) for each in self.actors)

    def is_for(self, caller: str, method: str) -> bool:
        """Whether it is about this method of some actor, for this caller."""
        known = ANY in self.callers and caller != ANONYMOUS
        return (known or caller in self.callers) and any(
            each.means(method) for each in self.methods
        )

    def _is_actor(self, pattern: Callers, to: ActrId | ActrType) -> bool:
        if isinstance(to, ActrId):
            return pattern.means(to)
        manufacturer, _, name = to.text.partition(":")
        is_type = pattern.manufacturer in (ANY, manufacturer) and pattern.name in (ANY, name)
        is_of_all = pattern.instance == ANY and pattern.realm in (ANY, self.realm)
        return is_type and (is_of_all or not self.allows)


@dataclass(frozen=True, slots=True)
class GatewayRules:
    """What a file of rules says; one that says nothing lets nobody in."""

    callers: Mapping[str, bytes] = field(default_factory=lambda: MappingProxyType({}))
    """Name to SHA-256 of the token."""
    rules: tuple[GatewayRule, ...] = ()
    services: Mapping[str, ActrId | ActrType] = field(default_factory=lambda: MappingProxyType({}))
    """Whom a request means that names only the service."""

    @classmethod
    def read(cls, document: Mapping[str, Any], realm: str) -> Self:
        """Read the tables of a file.

        Args:
            realm: Of actors whose pattern names none.

        Raises:
            ConfigError: If one of them cannot be used; the text says which, and what is allowed.
        """
        _only(document, {"caller", "access", "services"}, "the rules")
        callers: dict[str, bytes] = {}
        for table in _tables(document, "caller", MAX_CALLERS):
            name, digest = _caller(table)
            if name in callers or digest in callers.values():
                raise ConfigError(f"caller {name!r}: the name or the token stands twice")
            callers[name] = digest
        known = {*callers, ANONYMOUS, ANY}
        rules = tuple(_rule(each, known, realm) for each in _tables(document, "access", MAX_RULES))
        services = document.get("services", {})
        if not isinstance(services, dict):
            raise ConfigError('services: write a table, as "chat.Room" = "acme:room"')
        found = {name: _destination(name, text) for name, text in services.items()}
        return cls(MappingProxyType(callers), rules, MappingProxyType(found))

    def caller_of(self, authorization: str | None) -> str:
        """Who shows this ``Authorization`` header.

        Raises:
            CallError: UNAUTHENTICATED, if it holds no token, or one that nobody has.
        """
        if authorization is None:
            return ANONYMOUS
        match = _BEARER.fullmatch(authorization) if len(authorization) <= MAX_TOKEN_CHARS else None
        shown = hashlib.sha256((match[1] if match else "").encode()).digest()
        found = ""
        for name, digest in self.callers.items():  # all of them: the time tells nothing
            if hmac.compare_digest(shown, digest):
                found = name
        if match is None or not found:
            raise CallError(Code.UNAUTHENTICATED, "this token is nobody's: write Bearer and one")
        return found

    def allows(self, caller: str, to: ActrId | ActrType, method: str) -> bool:
        """Whether a caller may ask ``to`` for a method, by its route key."""
        found = [rule for rule in self.rules if rule.means(caller, to, method)]
        return bool(found) and all(rule.allows for rule in found)

    def may_ask_any(self, caller: str, method: str) -> bool:
        """Whether there is anybody whom a caller may ask for a method: else nobody looks."""
        return any(rule.allows and rule.is_for(caller, method) for rule in self.rules)


@dataclass(frozen=True, slots=True)
class NoRules(GatewayRules):
    """A gateway for this machine alone: who reaches it may call everybody, as ``actr call`` may."""

    def caller_of(self, authorization: str | None) -> str:
        return ANONYMOUS

    def allows(self, caller: str, to: ActrId | ActrType, method: str) -> bool:
        return True

    def may_ask_any(self, caller: str, method: str) -> bool:
        return True


def refused(caller: str, to: ActrId | ActrType | str, method: str) -> CallError:
    """Why a call is not made: who shows no token is asked for one."""
    if caller == ANONYMOUS:
        return CallError(Code.UNAUTHENTICATED, f"{method} of {to} needs a token")
    return CallError(Code.PERMISSION_DENIED, f"{caller} may not ask {to} for {method}")


def _tables(document: Mapping[str, Any], key: str, most: int) -> list[dict[str, Any]]:
    tables = document.get(key, [])
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in tables):
        raise ConfigError(f"{key}: write each as a table [[{key}]]")
    if len(tables) > most:
        raise ConfigError(f"{key}: {len(tables)} of them are over the limit of {most}")
    return tables


def _only(table: Mapping[str, Any], allowed: set[str], where: str) -> None:
    unknown = sorted(set(table) - allowed)
    if unknown:
        raise ConfigError(f"{where}: no key {unknown[0]!r}; there are {', '.join(sorted(allowed))}")


def _caller(table: dict[str, Any]) -> tuple[str, bytes]:
    _only(table, {"name", "sha256"}, "[[caller]]")
    name, digest = table.get("name"), table.get("sha256")
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name == ANONYMOUS:
        raise ConfigError(
            f"caller {name!r}: write 1 to 63 letters, digits, '.', '-' or '_', and not {ANONYMOUS}"
        )
    if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
        raise ConfigError(
            f"caller {name!r}: sha256 is that of its token, 64 hex digits in small letters"
        )
    return name, bytes.fromhex(digest)


def _rule(table: dict[str, Any], known: set[str], realm: str) -> GatewayRule:
    _only(table, {"effect", "callers", "actors", "methods"}, "[[access]]")
    effect = table.get("effect")
    if effect not in ("allow", "deny"):
        raise ConfigError(f"access: effect {effect!r}: write allow or deny")
    callers = _texts(table, "callers")
    stranger = next((each for each in callers if each not in known), None)
    if stranger is not None:
        raise ConfigError(f"access: no caller {stranger!r}; there are {', '.join(sorted(known))}")
    return GatewayRule(
        effect == "allow",
        callers,
        tuple(Callers.parse(text, realm=realm) for text in _texts(table, "actors")),
        tuple(map(Methods, _texts(table, "methods"))),
        realm,
    )


def _texts(table: dict[str, Any], key: str) -> tuple[str, ...]:
    texts = table.get(key)
    if not isinstance(texts, list) or not texts or not all(isinstance(each, str) for each in texts):
        raise ConfigError(f"access: {key} {texts!r}: write a list of at least one text")
    return tuple(texts)


def _destination(service: str, text: object) -> ActrId | ActrType:
    to = parse_destination(text) if isinstance(text, str) else None
    if to is None or isinstance(to, Place):
        raise ConfigError(f"services: {service} = {text!r}: write an actor, or a type as acme:room")
    return to
