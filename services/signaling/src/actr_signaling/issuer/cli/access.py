"""``actr-issuer access set|show|clear``: who may ask whom for what, as signaling has it."""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Mapping
from pathlib import Path

from actr_signaling.errors import ConfigError
from actr_signaling.issuer.cli.answers import Answer, opened, table, when
from actr_signaling.issuer.register import access
from actr_signaling.issuer.register.access import Kept, Written
from actr_signaling.issuer.settings import Settings
from actr_signaling.protocol.access.documents import MAX_DOCUMENT_BYTES
from actr_signaling.protocol.access.rules import parse

_SAFE_BYTES = MAX_DOCUMENT_BYTES // 4
"""Of the file: the document has it in base64, and as JSON."""


async def put(options: argparse.Namespace, settings: Settings) -> Answer:
    rules = read(options.file)
    async with opened(settings, may_make=True) as at:
        await at.administration.ensure_key()
        new = await access.keep(at.database, rules, now=at.now)
    said = f"version {new.version}: {len(rules)} rules hold for all who take them"
    return Answer(document=_document(new), lines=[said])


async def clear(options: argparse.Namespace, settings: Settings) -> Answer:
    del options
    async with opened(settings, may_make=True) as at:
        await at.administration.ensure_key()
        new = await access.keep(at.database, None, now=at.now)
    said = f"version {new.version}: this issuer has no access rules, and lets everybody"
    return Answer(document=_document(new), lines=[said])


async def show(options: argparse.Namespace, settings: Settings) -> Answer:
    del options
    async with opened(settings) as at:
        now = await access.kept(at.database)
    if now.rules is None:
        text = "this issuer has no access rules, and lets everybody"
        return Answer(document=_document(now), lines=[text])
    head = ("RULE", "EFFECT", "CALLERS", "CLAIMS", "TARGETS", "METHODS")
    body = [
        (
            str(number),
            str(rule["effect"]),
            *(_listed(rule.get(name, "")) for name in ("callers", "claims", "targets", "methods")),
        )
        for number, rule in enumerate(now.rules, 1)
    ]
    note = f"version {now.version}, set {when(now.at)}"
    return Answer(document=_document(now), lines=table(head, body), notes=[note])


def read(path: Path) -> Written:
    """The rules of a TOML file.

    Raises:
        ConfigError: With the first mistake.
    """
    try:
        data = path.read_bytes()
        if len(data) > _SAFE_BYTES:
            raise ConfigError(f"{path}: access rules have at most {_SAFE_BYTES} bytes")
        document = tomllib.loads(data.decode())
    except OSError as exc:
        raise ConfigError(f"{path}: {exc.strerror}; the access rules are to be there") from exc
    except (ValueError, RecursionError) as exc:
        raise ConfigError(f"{path}: that is no TOML: {exc}") from exc
    listed: Written = document.get("access", [])
    if set(document) - {"access"}:
        raise ConfigError(f"{path}: access rules are [[access]] tables, and nothing else")
    try:
        parse(listed)
    except ConfigError as exc:
        raise ConfigError(f"{path}: {exc}") from exc
    return listed


def _listed(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _document(kept: Kept) -> Mapping[str, object]:
    return {"version": kept.version, "at": kept.at, "rules": kept.rules}
