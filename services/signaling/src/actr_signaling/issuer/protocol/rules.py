"""Sans-I/O: what the secret of a realm may enrol, rule after rule; the first that fits decides.

::

    [[rule]]
    pattern = "acme:room@*"        # ids that it is about
    realm = "default"              # or "*", any: the default
    claims = {role = "room"}       # what certificates say of them
    life = 900                     # seconds of a certificate
    patterns = false               # whether a pattern may be enrolled, too
    taken = "expired"              # another key for an id: "never", "expired", "always"

    [[rule]]
    pattern = "acme:admin@*"
    allow = false
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from actr_signaling.issuer.protocol.causes import Cause, RefusalError
from actr_signaling.issuer.protocol.grants import (
    DEFAULT_LIFE,
    Claims,
    Grant,
    check_claims,
    check_life,
)
from actr_signaling.issuer.protocol.subjects import ANY, Subject, check_realm

MAX_RULES = 1024


class Taken(StrEnum):
    """When the secret may enrol another key for an id that one has."""

    NEVER = "never"
    """Not before the old key is revoked."""
    EXPIRED = "expired"
    """When the last certificate of the old key is over."""
    ALWAYS = "always"
    """At once: whoever has the secret may take any id from its actor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule; ``index`` counts from 1 as a reader of the file does, 0 is the default rule."""

    index: int
    pattern: Subject
    realm: str = ANY
    claims: Claims = field(default_factory=dict)
    life: int = DEFAULT_LIFE
    patterns: bool = False
    taken: Taken = Taken.EXPIRED
    allow: bool = True

    def fits(self, subject: Subject, realm: str) -> bool:
        return self.realm in (ANY, realm) and self.pattern.covers(subject)

    def bars(self, subject: Subject, realm: str) -> bool:
        """Whether it forbids some of what ``subject`` stands for."""
        return not self.allow and self.realm in (ANY, realm) and self.pattern.meets(subject)

    def grant(self, subject: Subject, realm: str) -> Grant:
        return Grant(subject=subject, realm=realm, claims=self.claims, life=self.life)


def default_rules(*, life: int = DEFAULT_LIFE, taken: Taken = Taken.EXPIRED) -> tuple[Rule, ...]:
    """Where there is no file: each id, as the secret allowed before there were certificates."""
    return (Rule(index=0, pattern=Subject(ANY, ANY, ANY), life=life, taken=taken),)


def decide(rules: Sequence[Rule], subject: Subject, realm: str) -> Rule:
    """The rule by which the secret may enrol ``subject``.

    A pattern meets a rule that forbids already where they have one id in common: else it would
    hold what the rule is there to keep.

    Raises:
        RefusalError: If none fits, or the first that does forbids it.
    """
    for rule in rules:
        if rule.bars(subject, realm):
            break
        if rule.fits(subject, realm):
            if subject.is_pattern and not rule.patterns:
                raise RefusalError(
                    Cause.RULE,
                    f"rule {rule.index} lets the realm's secret enrol ids, and {subject} is a "
                    "pattern: enrol it by a token, or set patterns = true there",
                )
            return rule
    else:
        raise RefusalError(
            Cause.RULE, f"no rule lets the secret of realm {realm} enrol {subject}: use a token"
        )
    raise RefusalError(
        Cause.RULE, f"rule {rule.index} forbids {subject} to the realm's secret: use a token"
    )


def parse(document: Mapping[str, object], *, life: int = DEFAULT_LIFE) -> tuple[Rule, ...]:
    """Read a file of rules.

    Args:
        document: As TOML gives it.
        life: Of certificates, where a rule says none.

    Raises:
        RefusalError: On the first mistake; it names the rule.
    """
    listed = document.get("rule", [])
    if set(document) - {"rule"} or not isinstance(listed, list) or len(listed) > MAX_RULES:
        raise RefusalError(
            Cause.MALFORMED, f"rules are [[rule]] tables, at most {MAX_RULES}, and nothing else"
        )
    return tuple(_rule(index, one, life) for index, one in enumerate(listed, start=1))


def _rule(index: int, table: object, life: int) -> Rule:
    known = {"pattern", "realm", "claims", "life", "patterns", "taken", "allow"}
    try:
        if not isinstance(table, Mapping) or "pattern" not in table:
            raise RefusalError(Cause.MALFORMED, "it has no pattern")
        if unknown := sorted(str(key) for key in set(table) - known):
            raise RefusalError(
                Cause.MALFORMED, f"unknown key {unknown[0]}; known are {', '.join(sorted(known))}"
            )
        realm = str(table.get("realm", ANY))
        return Rule(
            index=index,
            pattern=Subject.parse(str(table["pattern"])),
            realm=realm if realm == ANY else check_realm(realm),
            claims=check_claims(table.get("claims", {})),
            life=check_life(table.get("life", life)),
            patterns=_flag(table, "patterns", default=False),
            taken=_taken(table.get("taken", Taken.EXPIRED)),
            allow=_flag(table, "allow", default=True),
        )
    except RefusalError as exc:
        raise RefusalError(Cause.MALFORMED, f"rule {index}: {exc.message}") from exc


def _flag(table: Mapping[str, object], name: str, *, default: bool) -> bool:
    value = table.get(name, default)
    if not isinstance(value, bool):
        raise RefusalError(Cause.MALFORMED, f"{name} is true or false")
    return value


def _taken(value: object) -> Taken:
    try:
        return Taken(str(value))
    except ValueError as exc:
        listed = ", ".join(Taken)
        raise RefusalError(Cause.MALFORMED, f"taken is one of {listed}") from exc
