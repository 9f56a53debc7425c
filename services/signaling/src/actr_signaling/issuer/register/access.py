"""Shell: the access rules in the register: the newest, and its version, which never falls."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from actr_signaling.issuer.register import audit
from actr_signaling.issuer.register.database import Database

Written = list[Mapping[str, object]]
"""Rules as somebody wrote them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    version: int
    """0: none was ever set."""
    at: float
    rules: Written | None
    """None: there are none, and everybody may ask."""


async def kept(database: Database) -> Kept:
    """The rules of now."""
    found = await database.read("SELECT value FROM meta WHERE name = 'access'")
    if not found:
        return Kept(version=0, at=0.0, rules=None)
    return Kept(**json.loads(found[0]["value"]))


async def keep(
    database: Database, rules: Written | None, *, now: float, by: str = "command line"
) -> Kept:
    """Have other rules from now on.

    The version is at least the time, so that it rises also where a register was lost.

    Raises:
        RefusalError: If the register cannot be written.
    """
    async with database.transaction() as tx:
        found = await tx.execute_fetchall("SELECT value FROM meta WHERE name = 'access'")
        before = json.loads(next(iter(found))["value"])["version"] if found else 0
        new = Kept(version=max(before + 1, int(now)), at=now, rules=rules)
        value = json.dumps({"version": new.version, "at": new.at, "rules": new.rules})
        await tx.execute("INSERT OR REPLACE INTO meta VALUES ('access', ?)", (value,))
        count = "none" if rules is None else f"{len(rules)} rules"
        detail = f"{by}: version {new.version}, {count}"
        await audit.append(tx, audit.Entry(at=now, event="access set", detail=detail))
    return new
