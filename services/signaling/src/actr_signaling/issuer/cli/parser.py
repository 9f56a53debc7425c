"""The command line of ``actr-issuer``."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import actr_signaling
from actr_signaling.issuer.cli import access, actors, keys, looking, rules, tokens
from actr_signaling.issuer.cli.answers import Verb
from actr_signaling.issuer.register.administration import MAX_TOKENS
from actr_signaling.program import Parser, add_announcing

if TYPE_CHECKING:
    Verbs = argparse._SubParsersAction[Parser]  # generic to type checkers only
_JSON = "one JSON document on standard output"
_KEY = re.compile(r"-(?!-[a-z-]+$)[A-Za-z0-9_-]{15}(?:[A-Za-z0-9_-]{27})?")
"""A key, or its name, that begins with a hyphen: one in 64 does."""


def keys_last(given: Sequence[str]) -> list[str]:
    """The same, with keys that look like options behind a ``--``, where they are none."""
    keys = [each for each in given if _KEY.fullmatch(each)]
    if not keys or "--" in given:
        return list(given)
    return [*(each for each in given if each not in keys), "--", *keys]


def arguments() -> Parser:
    """``verb`` in the namespace is what to do; None: serve."""
    parser = Parser(
        prog="actr-issuer",
        description="Certifies the keys of actors. Settings: ACTR_ISSUER__… environment variables. "
        "All verbs but serve and health work on the register's file, beside a running issuer.",
    )
    parser.add_argument(
        "--version", action="version", version=f"%(prog)s {actr_signaling.__version__}"
    )
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    serving = verbs.add_parser("serve", help="run the issuer", description="Run the issuer.")
    add_announcing(serving)
    serving.set_defaults(verb=None, json=False)
    _token(verbs)
    _actors(verbs)
    _rules(verbs)
    _access(verbs)
    _key(verbs)
    audit = _verb(verbs, "audit", looking.log, "what was enrolled, renewed, refused, revoked")
    audit.add_argument(
        "--last", type=_count, default=50, metavar="N", help="so many lines, the newest (50)"
    )
    _verb(verbs, "health", looking.health, "whether the issuer here could sign now")
    return parser


def _token(verbs: Verbs) -> None:
    group = verbs.add_parser("token", help="join tokens: new, list, revoke")
    under = group.add_subparsers(metavar="VERB", required=True)
    new = _verb(under, "new", tokens.new, "make a token that enrols one key, once")
    new.add_argument("pattern", nargs="?", default="*:*@*", help="id or pattern (any id)")
    new.add_argument("--realm", default="default", help="(default)")
    new.add_argument(
        "--patterns", action="store_true", help="may enrol a pattern: all ids of it, at once"
    )
    new.add_argument(
        "--claim", action="append", default=[], metavar="NAME=VALUE", help="may come several times"
    )
    new.add_argument(
        "--lasts",
        type=_seconds,
        default=tokens.LASTS,
        metavar="SECONDS",
        help="the token may be used so long (3600)",
    )
    new.add_argument("--life", type=int, metavar="SECONDS", help="of each certificate")
    new.add_argument("--note", default="", type=_note, help="for 'token list'")
    _verb(under, "list", tokens.listed, f"tokens of the last day, at most {MAX_TOKENS}")
    revoke = _verb(under, "revoke", tokens.revoke, "have a token enrol nobody")
    revoke.add_argument("id", help="as 'token list' shows it")


def _actors(verbs: Verbs) -> None:
    listed = _verb(verbs, "list", actors.listed, "keys that are enrolled, ids that are revoked")
    listed.add_argument("pattern", nargs="?", default="*:*@*", help="of this id or pattern (any)")
    listed.add_argument("--realm", help="of this realm only")
    listed.add_argument("--alive", action="store_true", help="with a certificate, now")
    revoke = _verb(verbs, "revoke", actors.revoke, "revoke a key, or all keys of an id or pattern")
    revoke.add_argument("what", help="a key as 'list' shows it, an id, or a pattern")
    revoke.add_argument("--realm", default="default", help="of the id or pattern (default)")
    revoke.add_argument(
        "--lift", action="store_true", help="let the id or pattern be enrolled again"
    )


def _rules(verbs: Verbs) -> None:
    shown = _verb(verbs, "rules", rules.rules, "what the realm's secret may enrol")
    shown.add_argument("--file", type=Path, help="read this file, to see whether it is right")
    shown.add_argument("--id", help="say which rule decides for this id or pattern")
    shown.add_argument("--realm", default="default", help="of the id (default)")


def _access(verbs: Verbs) -> None:
    group = verbs.add_parser("access", help="access rules for all actors: set, show, clear")
    under = group.add_subparsers(metavar="VERB", required=True)
    put = _verb(under, "set", access.put, "have the [[access]] tables of a file, and no others")
    put.add_argument("file", type=Path, help="TOML")
    _verb(under, "show", access.show, "the rules of now")
    _verb(under, "clear", access.clear, "have no rules: everybody may ask for everything")


def _key(verbs: Verbs) -> None:
    group = verbs.add_parser("key", help="the issuer's own keys: new, list, retire")
    under = group.add_subparsers(metavar="VERB", required=True)
    new = _verb(under, "new", keys.new, "make a key, published at once and used later")
    new.add_argument(
        "--ahead", type=_seconds, metavar="SECONDS", help="before it signs (PUBLISH_AHEAD)"
    )
    _verb(under, "list", keys.listed, "all keys, and what each does")
    retire = _verb(under, "retire", keys.retire, "have a key sign no more")
    retire.add_argument("kid", help="as 'key list' shows it")
    retire.add_argument(
        "--stolen", action="store_true", help="publish it no more either: actors must renew now"
    )


def _verb(under: Verbs, name: str, verb: Verb, says: str) -> Parser:
    added = under.add_parser(name, help=says, description=says[0].upper() + says[1:] + ".")
    added.add_argument("--json", action="store_true", help=_JSON)
    added.set_defaults(verb=verb)
    return added


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value <= tokens.MAX_LASTS:
        raise argparse.ArgumentTypeError(f"0 to {tokens.MAX_LASTS:.0f} seconds")
    return value


def _count(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 1_000_000:
        raise argparse.ArgumentTypeError("1 to 1000000 lines")
    return value


def _note(text: str) -> str:
    if len(text) > 200 or not (text.isprintable() or not text):
        raise argparse.ArgumentTypeError("at most 200 printable characters")
    return text
