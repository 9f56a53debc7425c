"""Shell: the audit log: who was enrolled, renewed, refused, revoked, and by whom.

It is appended to only; the oldest goes where it is too old or there is too much. No token, secret,
proof or certificate is in it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import aiosqlite

from actr_signaling.issuer.register.database import Database

_MAX_DETAIL = 400
REFUSED_SHARE = 4
"""Refusals have this part of the lines: strangers make them, and the rest is to outlast them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line; empty is what does not apply."""

    at: float
    event: str
    """``enrolled``, ``renewed``, ``rotated``, ``refused``, ``revoked``, ``lifted``, ``token …``,
    ``key …``."""
    subject: str = ""
    realm: str = ""
    key: str = ""
    address: str = ""
    detail: str = ""


async def append(tx: aiosqlite.Connection, entry: Entry) -> None:
    """Write a line, within the transaction that does what it tells of."""
    await tx.execute(
        "INSERT INTO audit (at, event, subject, realm, key, address, detail) "
        "VALUES (:at, :event, :subject, :realm, :key, :address, :detail)",
        {**asdict(entry), "detail": entry.detail[:_MAX_DETAIL]},
    )


async def prune(tx: aiosqlite.Connection, *, before: float, max_rows: int) -> None:
    """Let go of what is older than ``before``, and of the oldest beyond ``max_rows``; of refusals
    beyond their share of that.
    """
    await tx.execute(
        "UPDATE meta SET value = coalesce((SELECT id FROM audit WHERE event = 'refused' "
        "ORDER BY id DESC LIMIT 1 OFFSET ?), value) WHERE name = 'refused_floor'",
        (max_rows // REFUSED_SHARE,),
    )
    await tx.execute(
        "DELETE FROM audit WHERE event = 'refused' "
        "AND id <= (SELECT value FROM meta WHERE name = 'refused_floor')"
    )
    [row] = await tx.execute_fetchall(
        "SELECT max((SELECT coalesce(max(id), 0) FROM audit WHERE at < ?), "
        "coalesce((SELECT id FROM audit ORDER BY id DESC LIMIT 1 OFFSET ?), 0))",
        (before, max_rows),
    )
    await tx.execute(
        "UPDATE meta SET value = ? WHERE name = 'audit_floor' AND value < ?", (row[0], row[0])
    )
    await tx.execute(
        "DELETE FROM audit WHERE id <= (SELECT value FROM meta WHERE name = 'audit_floor')"
    )


async def last(database: Database, count: int) -> list[Entry]:
    """The newest lines, oldest of them first."""
    rows = await database.read(
        "SELECT at, event, subject, realm, key, address, detail FROM audit "
        "ORDER BY id DESC LIMIT ?",
        (count,),
    )
    return [Entry(**dict(row)) for row in reversed(rows)]
