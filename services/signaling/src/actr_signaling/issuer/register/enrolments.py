"""Shell: each certificate in one transaction: what is held, the decision, what follows from it.

Nothing is answered before it is on disk. So of many that come with one token one wins, and a token
that was answered for is used, whatever happens to the process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Protocol

import aiosqlite

from actr_signaling.issuer.protocol import enrolment, tokens
from actr_signaling.issuer.protocol.actors import Actor, State
from actr_signaling.issuer.protocol.causes import Cause, RefusalError
from actr_signaling.issuer.protocol.enrolment import READERS, Block, Held
from actr_signaling.issuer.protocol.grants import Grant
from actr_signaling.issuer.protocol.issuer_keys import IssuerKey, signers
from actr_signaling.issuer.protocol.requests import Enrol, Renew, Rotate
from actr_signaling.issuer.protocol.rules import Rule
from actr_signaling.issuer.protocol.subjects import ANY, Subject
from actr_signaling.issuer.register import audit, rows
from actr_signaling.issuer.register.database import Database
from actr_signaling.protocol.identity.keys import encode

MAX_FORMER = 16
"""Keys that an id had before, by rotation: an actor that changes its key without end fills no
register."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A certificate, and what the register keeps of it."""

    text: str
    serial: str
    expires_at: float
    kid: str


class Sign(Protocol):
    """Signs with the first of the issuer's keys whose private half is there."""

    def __call__(self, grant: Grant, key: bytes, by: Sequence[IssuerKey], now: float) -> Signed:
        """A certificate for ``key``.

        Raises:
            RefusalError: If there is no key to sign with.
        """


class Enrolments:
    """Enrols, renews, changes keys.

    Args:
        sign: Called within the transaction, so that no key is retired meanwhile.
        max_actors: Keys that the register takes.
        clock: Unix seconds; asked when the turn has come, for one may have waited.
    """

    def __init__(
        self, database: Database, sign: Sign, *, max_actors: int, clock: Callable[[], float]
    ) -> None:
        self._database = database
        self._sign = sign
        self._max_actors = max_actors
        self._clock = clock

    async def enrol(self, request: Enrol, rules: Sequence[Rule], address: str) -> Signed:
        """Enrol a key whose proofs are checked.

        Raises:
            RefusalError: If it is not allowed; nothing is changed then.
        """
        async with self._database.transaction() as tx:
            now = self._clock()
            held = await self._held(tx, request)
            made = enrolment.enrol(request, held, rules, now)
            if held.token is not None:
                await tx.execute(
                    "UPDATE tokens SET used_at = ?, used_by = ? WHERE id = ? AND used_at IS NULL",
                    (now, request.key, held.token.id),
                )
            signed = await self._put(tx, made.actor, now)
            await _believe(tx, request.key)
            if made.superseded is not None:
                await tx.execute(rows.PUT_ACTOR, rows.actor_values(made.superseded))
                await revoke_key(tx, made.superseded, now)
            by = made.actor.way if held.token is None else f"token {held.token.id}"
            await _note(
                tx, "enrolled", made.actor, address=address, detail=f"by {by}, {signed.kid}"
            )
            return signed

    async def renew(self, request: Renew, rules: Sequence[Rule], address: str) -> Signed:
        """Another certificate for an enrolled key.

        Raises:
            RefusalError: Likewise.
        """
        async with self._database.transaction() as tx:
            now = self._clock()
            actor = enrolment.renew(await _actor(tx, request.key), rules, now)
            signed = await self._put(tx, actor, now)
            await _note(tx, "renewed", actor, address=address, detail=signed.kid)
            return signed

    async def rotate(self, request: Rotate, rules: Sequence[Rule], address: str) -> Signed:
        """A certificate for a new key in the place of an enrolled one, which may not renew then.

        Raises:
            RefusalError: Likewise.
        """
        async with self._database.transaction() as tx:
            now = self._clock()
            own, new = await _actor(tx, request.key), await _actor(tx, request.new_key)
            made = enrolment.rotate(own, new, request.new_key, rules, now)
            assert made.superseded is not None
            await _forget_former(tx, made.actor, now)
            await tx.execute(rows.PUT_ACTOR, rows.actor_values(made.superseded))
            signed = await self._put(tx, made.actor, now)
            await _believe(tx, request.new_key)
            detail = f"was {encode(request.key)}, {signed.kid}"
            await _note(tx, "rotated", made.actor, address=address, detail=detail)
            return signed

    async def _held(self, tx: aiosqlite.Connection, request: Enrol) -> Held:
        found = None
        if request.token is not None:
            digest = tokens.digest_of(request.token)
            found = await _one(tx, "SELECT * FROM tokens WHERE digest = ?", (digest,))
        holder = await _one(
            tx,
            "SELECT * FROM actors WHERE subject = ? AND realm = ? AND state = ? AND key != ?",
            (str(request.subject), request.realm, State.ENROLLED, request.key),
        )
        own = await _actor(tx, request.key)
        is_full = False
        if own is None:
            [row] = await tx.execute_fetchall("SELECT count(*) FROM actors")
            is_full = row[0] >= self._max_actors
        return Held(
            own=own,
            holder=None if holder is None else rows.actor(holder),
            token=None if found is None else rows.token(found),
            blocks=await _blocks(tx, request.subject, request.realm),
            is_full=is_full,
        )

    async def _put(self, tx: aiosqlite.Connection, actor: Actor, now: float) -> Signed:
        keys = [rows.issuer_key(row) for row in await tx.execute_fetchall(
            "SELECT * FROM issuer_keys WHERE retired_at IS NULL AND withdrawn_at IS NULL"
        )]  # fmt: skip
        signed = self._sign(actor.grant(), actor.key, signers(keys, now), now)
        until = max(signed.expires_at, actor.expires_at)  # an earlier one may have a longer life
        put = replace(actor, serial=signed.serial, expires_at=until)
        await tx.execute(rows.PUT_ACTOR, rows.actor_values(put))
        await tx.execute(
            "UPDATE issuer_keys SET signed_until = max(signed_until, ?) WHERE kid = ?",
            (signed.expires_at, signed.kid),
        )
        return signed


async def revoke_key(tx: aiosqlite.Connection, actor: Actor, now: float) -> None:
    """Have readers told until the last certificate of the key is over for all of them."""
    await tx.execute(
        "INSERT OR REPLACE INTO revoked (key, at, until) VALUES (?, ?, ?)",
        (actor.key, now, actor.expires_at + READERS),
    )
    await _count_revocation(tx)


async def _believe(tx: aiosqlite.Connection, key: bytes) -> None:
    """Have readers told no more that a key is revoked: it has its id again."""
    done = await tx.execute("DELETE FROM revoked WHERE key = ?", (key,))
    if done.rowcount:
        await _count_revocation(tx)


async def _count_revocation(tx: aiosqlite.Connection) -> None:
    await tx.execute("UPDATE meta SET value = value + 1 WHERE name = 'revocations'")


async def _forget_former(tx: aiosqlite.Connection, actor: Actor, now: float) -> None:
    """Let go of the oldest of an id's former keys, where there are as many as there may be.

    Raises:
        RefusalError: If its certificate may still be taken.
    """
    former = list(
        await tx.execute_fetchall(
            "SELECT key, expires_at FROM actors WHERE subject = ? AND realm = ? AND state = ? "
            "ORDER BY expires_at",
            (str(actor.subject), actor.realm, State.SUPERSEDED),
        )
    )
    over = [row for row in former if row["expires_at"] + READERS <= now]
    extra = len(former) - MAX_FORMER + 1
    if extra > len(over):
        left = former[0]["expires_at"] + READERS - now
        raise RefusalError(
            Cause.TOO_FAST, f"{actor.subject} changes its key too often", retry_after=left
        )
    await tx.executemany(
        "DELETE FROM actors WHERE key = ?", [(row["key"],) for row in over[: max(0, extra)]]
    )


async def _actor(tx: aiosqlite.Connection, key: bytes) -> Actor | None:
    row = await _one(tx, "SELECT * FROM actors WHERE key = ?", (key,))
    return None if row is None else rows.actor(row)


async def _blocks(tx: aiosqlite.Connection, subject: Subject, realm: str) -> list[Block]:
    """Those that may be about a subject: for an id a few by name, for a pattern all."""
    if subject.is_pattern:
        found = await tx.execute_fetchall("SELECT * FROM blocks WHERE realm = ?", (realm,))
        return [rows.block(row) for row in found]
    parts = product((subject.manufacturer, ANY), (subject.name, ANY), (subject.instance, ANY))
    patterns = [str(Subject(*each)) for each in parts]
    marks = ", ".join("?" * len(patterns))
    found = await tx.execute_fetchall(
        f"SELECT * FROM blocks WHERE realm = ? AND pattern IN ({marks})",  # noqa: S608 - marks only
        (realm, *patterns),
    )
    return [rows.block(row) for row in found]


async def _one(
    tx: aiosqlite.Connection, sql: str, values: tuple[object, ...]
) -> aiosqlite.Row | None:
    return next(iter(await tx.execute_fetchall(sql, values)), None)


async def _note(
    tx: aiosqlite.Connection, event: str, actor: Actor, *, address: str, detail: str
) -> None:
    entry = audit.Entry(
        at=actor.renewed_at,
        event=event,
        subject=str(actor.subject),
        realm=actor.realm,
        key=encode(actor.key),
        address=address,
        detail=detail,
    )
    await audit.append(tx, entry)
