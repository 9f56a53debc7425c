"""Sans-I/O: whether a caller may ask for a method, and which rule says so (docs/access.md).

Without rules everybody may who can reach the actor. With any rule at all, a caller whom none
allows is refused, and a rule that denies wins over all that allow, whatever their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

from actr_peer.errors import ConfigError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.rpc.access.patterns import ANY, Callers, Methods
from actr_peer.protocol.rpc.access.principals import NO_CLAIMS, Claims
from actr_peer.protocol.rpc.access.requirements import Requirement, missing, requirements

MAX_RULES: Final = 256
"""Each is looked at with each request."""


class Effect(Enum):
    ALLOW = "allow"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Rule:
    """One ``[[access]]`` table."""

    effect: Effect
    callers: tuple[Callers, ...]
    methods: tuple[Methods, ...]
    claims: tuple[Requirement, ...] = ()
    """Of the callers that it is about: they have all of them."""
    place: str = ""
    """Which rule it is, where that is not its number among the actor's own."""

    def means(self, caller: ActrId, method: str, claims: Claims = NO_CLAIMS) -> bool:
        return (
            any(each.means(caller) for each in self.callers)
            and any(each.means(method) for each in self.methods)
            and missing(self.claims, claims) is None
        )

    def __str__(self) -> str:
        callers, methods = (", ".join(map(str, each)) for each in (self.callers, self.methods))
        having = f" with {', '.join(map(str, self.claims))}" if self.claims else ""
        return f"{self.effect.value} {callers}{having} {methods}"


@dataclass(frozen=True, slots=True)
class AccessRule:
    """The same as people write it: ``AccessRule("deny", ["acme:guest@*"], ["chat.Room.Kick"])``."""

    effect: Literal["allow", "deny"]
    callers: Sequence[str]
    """``manufacturer:name@instance`` with ``:realm`` behind it for another realm than the
    actor's own; each part may be ``*``."""
    methods: Sequence[str] = (ANY,)
    """``chat.Room.Say``, ``chat.Room.*``, ``streams``, ``media``; ``*`` is all."""
    claims: Sequence[str] = ()
    """``operator``, ``role=operator``: of the callers that it is about, all of them."""

    def read(self, realm: str, *, place: str = "") -> Rule:
        """Read it for an actor of ``realm``.

        Raises:
            ConfigError: If it has a word that is none, or names no caller or no method.
        """
        if self.effect not in {each.value for each in Effect}:
            raise ConfigError(f"effect {self.effect!r}: write allow or deny")
        for name, texts in (("callers", self.callers), ("methods", self.methods)):
            if isinstance(texts, str) or not texts:
                raise ConfigError(f"{name} {texts!r}: write a list of at least one pattern")
        return Rule(
            Effect(self.effect),
            tuple(Callers.parse(text, realm=realm) for text in self.callers),
            tuple(map(Methods, self.methods)),
            requirements(self.claims),
            place,
        )


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether, and why."""

    is_allowed: bool
    rule: int | None
    """Which of the rules decides, from 0; None: none of them does."""
    why: str
    """As a sentence goes on after *because*."""


def decide(
    rules: Sequence[Rule], caller: ActrId, method: str, claims: Claims = NO_CLAIMS
) -> Decision:
    """Say whether ``caller`` may ask for ``method``.

    Args:
        claims: Of the caller's certificate.
        method: A route key, ``package.Service.Method``; or one of the words ``streams`` and
            ``media``.
    """
    if not rules:
        return Decision(is_allowed=True, rule=None, why="there are no rules")
    found = [number for number, rule in enumerate(rules) if rule.means(caller, method, claims)]
    denying = [number for number in found if rules[number].effect is Effect.DENY]
    if found:
        number = (denying or found)[0]
        return Decision(
            is_allowed=not denying,
            rule=number,
            why=f"{rules[number].place or f'access rule {number + 1}'} says: {rules[number]}",
        )
    return Decision(is_allowed=False, rule=None, why="no access rule allows it")
