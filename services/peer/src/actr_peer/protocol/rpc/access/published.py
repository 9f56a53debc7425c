"""Sans-I/O: an issuer's access rules as it publishes them: one JWS, signed with an issuer's key.

Who carries it cannot change it. Its version never falls: an older one is known as such by whoever
has seen a newer (docs/issuer.md).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from actr_peer.errors import ConfigError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.certificates import key_name, signed_payload
from actr_peer.protocol.identity.keys import decode, is_key
from actr_peer.protocol.rpc.access.patterns import ANY, Callers
from actr_peer.protocol.rpc.access.rules import MAX_RULES, AccessRule, Rule

TYPE: Final = "actr-access+jwt"
MAX_PUBLISHED_BYTES: Final = 1024 * 1024
MAX_PATTERNS: Final = 64
"""Of one list of one rule."""
MAX_CLAIMS: Final = 16
_END_OF_TIME: Final = 2**53
_KEYS = {"effect", "callers", "claims", "targets", "methods"}


@dataclass(frozen=True, slots=True)
class Published:
    """What an issuer says of access."""

    version: int
    """Higher than that of all before it."""
    issued_at: int
    """Unix seconds by the issuer's clock: when it was signed, anew each minute."""
    tables: Sequence[Mapping[str, Any]] | None
    """The rules, as they were written; None: there are none, and everybody may ask."""

    def rules_for(self, own: ActrId) -> tuple[Rule, ...] | None:
        """Those that are about what ``own`` is asked for; None: there are no rules.

        Raises:
            ConfigError: If one is none.
        """
        if self.tables is None:
            return None
        found = []
        for number, table in enumerate(self.tables, 1):
            targets = [Callers.parse(text, realm=ANY) for text in table.get("targets", ["*:*@*"])]
            said = AccessRule(
                table["effect"],
                table["callers"],
                table.get("methods", (ANY,)),
                table.get("claims", ()),
            ).read(own.realm, place=f"rule {number} of the issuer")
            if any(target.means(own) for target in targets):
                found.append(said)
        return tuple(found)


def read_published(text: str, keys: Mapping[str, bytes]) -> Published:
    """Read ``{"access": JWS}``.

    Args:
        keys: Raw public keys of the issuers that are believed, by their names.

    Raises:
        ConfigError: If it is no such text, or none of the keys has signed it.
    """
    tree = _json(text)
    said = tree.get("access") if isinstance(tree, dict) else None
    if len(text) > MAX_PUBLISHED_BYTES or not isinstance(said, str):
        raise ConfigError("access rules of the issuer: write what it has at /v1/access")
    match _json(_payload(said, keys)):
        case {"version": int(version), "iat": int(issued_at), "rules": None | list() as tables} if (
            0 <= version < _END_OF_TIME and 0 <= issued_at < _END_OF_TIME and _are_tables(tables)
        ):
            return Published(version, issued_at, tables)
    raise ConfigError("access rules of the issuer: they are not as they must be")


def _are_tables(tables: list[object] | None) -> bool:
    return tables is None or (len(tables) <= MAX_RULES and all(map(_is_table, tables)))


def _is_table(table: object) -> bool:
    return (
        isinstance(table, dict)
        and {"effect", "callers"} <= set(table) <= _KEYS
        and isinstance(table["effect"], str)
        and all(_is_list(name, value) for name, value in table.items() if name != "effect")
    )


def _is_list(name: str, value: object) -> bool:
    least, most = (0, MAX_CLAIMS) if name == "claims" else (1, MAX_PATTERNS)
    return (
        isinstance(value, list)
        and least <= len(value) <= most
        and all(isinstance(each, str) for each in value)
    )


def _payload(text: str, keys: Mapping[str, bytes]) -> bytes:
    """What was signed, if the holder of one of the keys signed it."""
    try:
        name = key_name(decode(text.partition(".")[0]), TYPE)
    except ValueError:
        name = None
    if name is None:
        raise ConfigError(f"access rules of the issuer: no JWS of alg EdDSA, typ {TYPE}, a kid")
    public = keys.get(name)
    if public is None or not is_key(public):
        raise ConfigError(f"access rules of the issuer: signed with {name}, which is not known")
    payload = signed_payload(text, public)
    if payload is None:
        raise ConfigError("access rules of the issuer: it did not sign them as they are")
    return payload


def _json(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
