"""What a verb answers, for people and for programs, and the register that it opens."""

from __future__ import annotations

import argparse
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from actr_signaling.errors import ConfigError
from actr_signaling.issuer.keys import KeyFiles, make_home
from actr_signaling.issuer.protocol.causes import RefusalError
from actr_signaling.issuer.protocol.grants import Claims, check_claims
from actr_signaling.issuer.protocol.issuer_keys import signers
from actr_signaling.issuer.register import access, upkeep
from actr_signaling.issuer.register.administration import Administration
from actr_signaling.issuer.register.database import Database
from actr_signaling.issuer.settings import KEYS_FOLDER, PREFIX, REGISTER_FILE, Settings
from actr_signaling.issuer.signing import Signer
from actr_signaling.issuer.watched import ACCESS_FILE, KEYS_FILE, REVOKED_FILE, PublicFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One verb's outcome."""

    document: object
    """For ``--json``."""
    lines: Sequence[str]
    """For people, or for a pipe: standard output."""
    notes: Sequence[str] = ()
    """Beside them: standard error."""


Verb = Callable[[argparse.Namespace, Settings], Awaitable[Answer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The register, for one verb."""

    administration: Administration
    database: Database
    now: float


@asynccontextmanager
async def opened(settings: Settings, *, may_make: bool = False) -> AsyncIterator[Opened]:
    """The register of ``home``; what the verb has changed is published at the end.

    Args:
        may_make: Whether there may be none yet.

    Raises:
        ConfigError: If there is none, or it cannot be used.
    """
    path = settings.home / REGISTER_FILE
    if not may_make and not path.exists():
        raise ConfigError(
            f"{path}: there is no register; {PREFIX}HOME says where one is, and 'actr-issuer "
            "serve' makes one"
        )
    make_home(settings.home)
    async with Database(path) as database:
        keys = KeyFiles(settings.home / KEYS_FOLDER)
        administration = Administration(database, keys, clock=time.time)
        yield Opened(administration=administration, database=database, now=time.time())
        public = PublicFiles(settings.public)
        public.write(KEYS_FILE, await upkeep.public_keys(database, time.time()))
        public.write(REVOKED_FILE, await upkeep.revocations(database, time.time()))
        by = signers(await administration.issuer_keys(), time.time())
        if by:  # else the first start makes one
            text = Signer(keys, settings.name).access(await access.kept(database), by, time.time())
            public.write(ACCESS_FILE, {"access": text})


def table(head: Sequence[str], body: Iterable[Sequence[str]]) -> list[str]:
    """Columns as wide as what is in them."""
    listed = [head, *body]
    widths = [max(len(row[column]) for row in listed) for column in range(len(head))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in listed
    ]


def when(at: float | None) -> str:
    """An instant for people; empty for none."""
    if not at:
        return ""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def claims_of(pairs: Sequence[str]) -> Claims:
    """``name=value``, where a name that comes twice is a list.

    Raises:
        ConfigError: If one is none.
    """
    found: dict[str, str | list[str]] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ConfigError(f"--claim {pair!r}: write name=value")
        before = found.get(name)
        if before is None:
            found[name] = value
        else:
            found[name] = [*([before] if isinstance(before, str) else before), value]
    try:
        return check_claims(found)
    except RefusalError as exc:
        raise ConfigError(exc.message) from exc


def claims_text(claims: Claims) -> str:
    return " ".join(
        f"{name}={value}"
        for name, one in claims.items()
        for value in ((one,) if isinstance(one, str) else one)
    )
