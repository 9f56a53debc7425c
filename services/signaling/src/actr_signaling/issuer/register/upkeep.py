"""Shell: what the register says to all, and how it stays small."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from actr_signaling.issuer.keys import KeyFiles
from actr_signaling.issuer.protocol.actors import State
from actr_signaling.issuer.protocol.issuer_keys import IssuerKey, published
from actr_signaling.issuer.protocol.issuer_keys import State as KeyState
from actr_signaling.issuer.register import audit, rows
from actr_signaling.issuer.register.database import Database
from actr_signaling.protocol.identity.keys import encode, to_jwk

DAY = 86_400.0
KEY_DAYS = 30.0
"""For which a key that is gone is still listed, its private half with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long and how much is kept."""

    forget_days: float
    audit_days: float
    audit_rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    alive: int
    """Enrolled keys whose last certificate is not over."""
    enrolled: int
    revoked: int
    """Keys that are told of as revoked, now."""
    waiting_tokens: int


async def public_keys(database: Database, now: float) -> dict[str, object]:
    """The public key set (RFC 7517) by which certificates are to be believed."""
    found = await database.read("SELECT * FROM issuer_keys")
    keys = published([rows.issuer_key(row) for row in found], now)
    return {"keys": [_jwk(key) for key in keys]}


async def revocations(database: Database, now: float) -> dict[str, object]:
    """Keys of which no certificate is to be believed, though one may still be alive."""
    listed = await database.read(
        "SELECT key, at FROM revoked WHERE until > ? ORDER BY at, key", (now,)
    )
    return {
        "revoked": [{"key": encode(one["key"]), "at": int(one["at"])} for one in listed],
        "version": await revocations_version(database),
    }


async def revocations_version(database: Database) -> int:
    """A number that grows with each key that is revoked, or is believed again."""
    [row] = await database.read("SELECT value FROM meta WHERE name = 'revocations'")
    version: int = row[0]
    return version


async def counts(database: Database, now: float) -> Counts:
    [row] = await database.read(
        "SELECT (SELECT count(*) FROM actors WHERE expires_at > ? AND state = ?), "
        "(SELECT count(*) FROM actors WHERE state = ?), "
        "(SELECT count(*) FROM revoked WHERE until > ?), "
        "(SELECT count(*) FROM tokens WHERE used_at IS NULL AND revoked_at IS NULL "
        "AND expires_at > ?)",
        (now, State.ENROLLED, State.ENROLLED, now, now),
    )
    return Counts(alive=row[0], enrolled=row[1], revoked=row[2], waiting_tokens=row[3])


async def beat(database: Database, now: float) -> None:
    """Write something, to see that it can be done.

    Raises:
        RefusalError: If it cannot.
    """
    async with database.transaction() as tx:
        await tx.execute("UPDATE meta SET value = ? WHERE name = 'beat'", (now,))


async def prune(database: Database, keys: KeyFiles, limits: Limits, now: float) -> None:
    """Let go of what nobody needs any more."""
    forget = now - limits.forget_days * DAY
    async with database.transaction() as tx:
        await tx.execute("DELETE FROM actors WHERE expires_at < ?", (forget,))
        await tx.execute("DELETE FROM revoked WHERE until <= ?", (now,))
        await tx.execute(
            "DELETE FROM tokens WHERE max(expires_at, coalesce(used_at, 0)) < ? OR revoked_at < ?",
            (now - DAY, now - DAY),
        )
        await audit.prune(tx, before=now - limits.audit_days * DAY, max_rows=limits.audit_rows)
        found = await tx.execute_fetchall("SELECT * FROM issuer_keys")
        gone = _long_gone([rows.issuer_key(row) for row in found], now)
        await tx.executemany("DELETE FROM issuer_keys WHERE kid = ?", [(kid,) for kid in gone])
    for kid in gone:
        keys.remove(kid)


def _long_gone(keys: Sequence[IssuerKey], now: float) -> list[str]:
    return [
        key.kid
        for key in keys
        if key.state(now) is KeyState.GONE
        and key.state(now - KEY_DAYS * DAY) is KeyState.GONE
        and max(key.retired_at or 0, key.withdrawn_at or 0) < now - KEY_DAYS * DAY
    ]


def _jwk(key: IssuerKey) -> dict[str, str]:
    return {**to_jwk(key.public), "kid": key.kid}
