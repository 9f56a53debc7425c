"""``actr access explain``: which rule, or which claim that the contract needs, decides whether a
caller may ask an actor for a method."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Final

import typer

from actr_peer.cli.contracts.methods import find_method, methods_of
from actr_peer.cli.options import AsJson, ConfigFile
from actr_peer.errors import ConfigError
from actr_peer.node.config.loading import load
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.rpc.access.patterns import MEDIA, STREAMS, Methods
from actr_peer.protocol.rpc.access.principals import Claims
from actr_peer.protocol.rpc.access.requirements import Requirement, missing, requirements
from actr_peer.protocol.rpc.access.rules import AccessRule, Decision, decide

app = typer.Typer()


@app.callback()
def _group() -> None:
    """Access: who may ask an actor for what ([[access]] of actr.toml, 'requires' of contracts)."""


@app.command()
def explain(
    caller: Annotated[str, typer.Argument(help="Who asks, as acme:ann@1:default.")],
    target: Annotated[str, typer.Argument(help="Whom, as acme:room@2:default.")],
    method: Annotated[
        str, typer.Argument(help="For what, as chat.Room/Say; or streams, or media.")
    ],
    *,
    module: Annotated[
        str | None,
        typer.Option(
            "--module", "-m", help="A module that 'actr gen' wrote: take the contract from it."
        ),
    ] = None,
    claim: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Of the caller's certificate; repeatable."),
    ] = None,
    config: ConfigFile = None,
    is_json: AsJson = False,
) -> None:
    """Say whether a caller may, and what decides: a rule of this configuration, or a claim.

    A rule decides by ids alone; what it allows may need a claim besides, as
    the contract says that --module names.
    """
    settings = load(config).settings
    who, whom = ActrId.read(caller), ActrId.read(target)
    asked = Methods(method).text
    if "*" in asked:
        raise ConfigError(f"method {method!r}: name one, as chat.Room/Say")
    rules = [AccessRule(**each.model_dump()).read(whom.realm) for each in settings.access]
    needed = requirements(_required(module, asked)) if module else ()
    claims = _claims(claim or ())
    verdict = _OWN if who == whom else _verdict(decide(rules, who, asked, claims), needed, claims)
    if is_json:
        print(json.dumps({**verdict, "requires": [str(each) for each in needed]}, indent=2))
        return
    may = "may" if verdict["is_allowed"] else "may not"
    print(f"{who} {may} ask {whom} for {asked}: {verdict['why']}")


_OWN: Final[Mapping[str, object]] = {
    "is_allowed": True,
    "rule": None,
    "lacks": None,
    "why": "an actor may ask itself for anything",
}


def _verdict(
    decision: Decision, needed: Sequence[Requirement], claims: Claims
) -> Mapping[str, object]:
    """What rules and contract make of it together: a claim opens nothing that a rule denies."""
    why = decision.why
    lacks = missing(needed, claims) if decision.is_allowed else None
    if lacks is not None:
        why = f"the contract requires the claim {lacks}; {_shown(claims)}"
    elif decision.is_allowed and needed:
        why += f"; and it has what the contract requires: {', '.join(map(str, needed))}"
    return {
        "is_allowed": decision.is_allowed and lacks is None,
        "rule": None if decision.rule is None else decision.rule + 1,
        "lacks": None if lacks is None else str(lacks),
        "why": why,
    }


def _required(module: str, asked: str) -> tuple[str, ...]:
    """The claims that a method needs; streams and media, which no contract has, need none.

    Raises:
        ConfigError: If the module has no such method.
    """
    if asked in (STREAMS, MEDIA):
        return ()
    return find_method(methods_of(module), asked, module).requires


def _claims(texts: Iterable[str]) -> Claims:
    """``role=operator`` as a certificate would have it; one name several times is a list.

    Raises:
        ConfigError: If one has no value.
    """
    claims: dict[str, tuple[str, ...]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise ConfigError(f"--claim {text!r}: write NAME=VALUE, for example role=operator")
        claims[name] = (*claims.get(name, ()), value)
    return claims


def _shown(claims: Claims) -> str:
    if not claims:
        return "none is given (--claim NAME=VALUE)"
    listed = (f"{name}={value}" for name, values in claims.items() for value in values)
    return f"given are {', '.join(listed)}"
