"""Shell: what the operator does to the register: tokens, revocations, the issuer's keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from secrets import token_bytes, token_hex

import aiosqlite

from actr_signaling.issuer.keys import KeyFiles
from actr_signaling.issuer.protocol import actors, tokens
from actr_signaling.issuer.protocol.actors import Actor
from actr_signaling.issuer.protocol.causes import Cause, RefusalError
from actr_signaling.issuer.protocol.enrolment import Block
from actr_signaling.issuer.protocol.grants import Grant
from actr_signaling.issuer.protocol.issuer_keys import (
    IssuerKey,
    State,
    published,
    signers,
    would_leave_none,
)
from actr_signaling.issuer.protocol.subjects import Subject
from actr_signaling.issuer.protocol.tokens import Token
from actr_signaling.issuer.register import audit, rows
from actr_signaling.issuer.register.database import Database
from actr_signaling.issuer.register.enrolments import revoke_key
from actr_signaling.protocol.identity.keys import MAX_KEYS, encode

MAX_TOKENS = 10_000
"""In the register; the oldest that is of no use goes where there are more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """What came of one."""

    keys: tuple[Actor, ...]
    """Revoked by it."""
    wider: tuple[Actor, ...] = ()
    """Not revoked: their pattern holds more than what was revoked."""


class Administration:
    """One operator's hand on the register.

    Args:
        clock: Unix seconds.
        by: Who does it, as the audit log names it.
    """

    def __init__(
        self,
        database: Database,
        keys: KeyFiles,
        *,
        clock: Callable[[], float],
        by: str = "command line",
    ) -> None:
        self._database = database
        self._keys = keys
        self._clock = clock
        self._by = by

    async def new_token(
        self, grant: Grant, *, lasts: float, note: str = "", patterns: bool = False
    ) -> tuple[str, Token]:
        """Make a join token; the text is nowhere but in what this returns.

        Args:
            grant: What it may enrol; the subject may be a pattern.
            lasts: Seconds from now.
            patterns: Whether it enrols a pattern within the grant's, too, and not only one id.

        Raises:
            RefusalError: If there are too many that wait.
        """
        text = tokens.PREFIX + encode(token_bytes(32))
        async with self._database.transaction() as tx:
            now = self._clock()
            token = Token(
                id=token_hex(4),
                digest=tokens.digest_of(text),
                pattern=grant.subject,
                realm=grant.realm,
                claims=grant.claims,
                life=grant.life,
                created_at=now,
                expires_at=now + lasts,
                note=note,
                patterns=patterns,
            )
            [row] = await tx.execute_fetchall("SELECT count(*) FROM tokens")
            if row[0] >= MAX_TOKENS:
                raise RefusalError(
                    Cause.FULL, f"there are {MAX_TOKENS} tokens: revoke some, they go in a day"
                )
            await tx.execute(rows.INSERT_JOIN, rows.token_values(token))
            of = token.pattern, token.realm
            await self._note(tx, "token made", now, of=of, detail=token.id)
        return text, token

    async def tokens(self) -> list[Token]:
        """All, oldest first."""
        found = await self._database.read("SELECT * FROM tokens ORDER BY created_at, id")
        return [rows.token(row) for row in found]

    async def revoke_token(self, id: str) -> Token:
        """Have it enrol nobody.

        Raises:
            RefusalError: If there is none of that id, or it was used already.
        """
        async with self._database.transaction() as tx:
            now = self._clock()
            found = list(await tx.execute_fetchall("SELECT * FROM tokens WHERE id = ?", (id,)))
            if not found:
                raise RefusalError(
                    Cause.TOKEN_UNKNOWN, f"there is no token {id!r}: see 'actr-issuer token list'"
                )
            token = rows.token(found[0])
            if token.state(now) is tokens.State.USED:
                raise RefusalError(
                    Cause.TOKEN_USED, f"token {id} was used: revoke the key that has used it"
                )
            tokens.handle(token, tokens.Event.REVOKE, now)
            await tx.execute(
                "UPDATE tokens SET revoked_at = coalesce(revoked_at, ?) WHERE id = ?", (now, id)
            )
            await self._note(tx, "token revoked", now, of=(token.pattern, token.realm), detail=id)
            return replace(token, revoked_at=now)

    async def actors(self) -> list[Actor]:
        """All keys, by id."""
        found = await self._database.read("SELECT * FROM actors ORDER BY realm, subject, key")
        return [rows.actor(row) for row in found]

    async def revoke_key(self, key: bytes) -> Revocation:
        """Revoke one key for good; its id stays free for another.

        Raises:
            RefusalError: If no such key was enrolled.
        """
        async with self._database.transaction() as tx:
            found = await tx.execute_fetchall("SELECT * FROM actors WHERE key = ?", (key,))
            known = [rows.actor(one) for one in found]
            actors.handle(known[0] if known else None, actors.Event.REVOKE)
            return Revocation(keys=(await self._revoke(tx, known[0], self._clock()),))

    async def revoke_ids(self, pattern: Subject, realm: str) -> Revocation:
        """Revoke every key whose ids are all of ``pattern``, and bar those ids to the secret."""
        async with self._database.transaction() as tx:
            now = self._clock()
            await tx.execute(
                "INSERT OR REPLACE INTO blocks (pattern, realm, at) VALUES (?, ?, ?)",
                (str(pattern), realm, now),
            )
            await self._note(tx, "revoked", now, of=(pattern, realm), detail="ids")
            found = await tx.execute_fetchall(
                "SELECT * FROM actors WHERE realm = ? AND state != ?",
                (realm, actors.State.REVOKED),
            )
            known = [rows.actor(row) for row in found]
            mine = [one for one in known if pattern.covers(one.subject)]
            wider = [
                one
                for one in known
                if pattern.meets(one.subject)
                and not pattern.covers(one.subject)
                and one.state is actors.State.ENROLLED
            ]
            done = [await self._revoke(tx, one, now) for one in mine]
            return Revocation(keys=tuple(done), wider=tuple(wider))

    async def lift(self, pattern: Subject, realm: str) -> None:
        """Let the secret enrol ids again that were revoked; keys stay revoked.

        Raises:
            RefusalError: If just this was not revoked.
        """
        async with self._database.transaction() as tx:
            which = str(pattern), realm
            done = await tx.execute("DELETE FROM blocks WHERE pattern = ? AND realm = ?", which)
            if not done.rowcount:
                raise RefusalError(
                    Cause.RULE,
                    f"{pattern} in realm {realm} is not revoked, as it stands: "
                    "see 'actr-issuer list'",
                )
            await self._note(tx, "lifted", self._clock(), of=(pattern, realm))

    async def blocks(self) -> list[Block]:
        """Ids that are revoked."""
        found = await self._database.read("SELECT * FROM blocks ORDER BY realm, pattern")
        return [rows.block(row) for row in found]

    async def issuer_keys(self) -> list[IssuerKey]:
        """All that the register knows, oldest first."""
        found = await self._database.read("SELECT * FROM issuer_keys ORDER BY created_at, kid")
        return [rows.issuer_key(row) for row in found]

    async def ensure_key(self) -> None:
        """Make the first key, where none signs or will."""
        async with self._database.transaction() as tx:
            now = self._clock()
            keys = await self._all_keys(tx)
            if not any(key.state(now) in (State.SIGNING, State.PUBLISHED) for key in keys):
                await self._new_key(tx, now, use_from=now)

    async def new_key(self, *, ahead: float) -> IssuerKey:
        """Make a key that is published now and signs after ``ahead`` seconds.

        Raises:
            RefusalError: If so many are published that readers would soon take no more.
        """
        async with self._database.transaction() as tx:
            now = self._clock()
            if len(published(await self._all_keys(tx), now)) >= MAX_KEYS // 2:
                raise RefusalError(
                    Cause.FULL, f"{MAX_KEYS // 2} issuer keys are published: retire some first"
                )
            return await self._new_key(tx, now, use_from=now + ahead)

    async def retire_key(self, kid: str, *, is_stolen: bool) -> IssuerKey:
        """Have a key sign no more.

        Args:
            is_stolen: Publish it no more either, at once: what it has signed is worth nothing. If
                no other signs, a new one does at once.

        Raises:
            RefusalError: If there is no such key, or none would be left.
        """
        async with self._database.transaction() as tx:
            now = self._clock()
            keys = await self._all_keys(tx)
            found = next((key for key in keys if key.kid == kid), None)
            if found is None:
                raise RefusalError(
                    Cause.UNKNOWN_KEY, f"there is no issuer key {kid!r}: see 'actr-issuer key list'"
                )
            if not is_stolen and would_leave_none(keys, kid, now):
                raise RefusalError(
                    Cause.UNREADY,
                    f"only {kid} signs now: make another with 'actr-issuer key new', and retire "
                    "this one when that one signs",
                )
            column = "withdrawn_at" if is_stolen else "retired_at"
            await tx.execute(
                f"UPDATE issuer_keys SET {column} = coalesce({column}, ?) "  # noqa: S608 - ours
                "WHERE kid = ?",
                (now, kid),
            )
            await self._note(tx, f"key {'withdrawn' if is_stolen else 'retired'}", now, detail=kid)
            left = await self._all_keys(tx)
            if not signers(left, now):
                await self._new_key(tx, now, use_from=now)
            return next(key for key in left if key.kid == kid)

    async def _new_key(self, tx: aiosqlite.Connection, now: float, *, use_from: float) -> IssuerKey:
        kid, public = self._keys.make()
        key = IssuerKey(kid=kid, public=public, created_at=now, use_from=use_from)
        await tx.execute(rows.INSERT_KEY, rows.issuer_key_values(key))
        await self._note(tx, "key made", now, detail=kid)
        return key

    async def _all_keys(self, tx: aiosqlite.Connection) -> Sequence[IssuerKey]:
        found = await tx.execute_fetchall("SELECT * FROM issuer_keys ORDER BY created_at, kid")
        return [rows.issuer_key(row) for row in found]

    async def _revoke(self, tx: aiosqlite.Connection, actor: Actor, now: float) -> Actor:
        state = actors.handle(actor, actors.Event.REVOKE)
        revoked = replace(actor, state=state, revoked_at=actor.revoked_at or now)
        await tx.execute(rows.PUT_ACTOR, rows.actor_values(revoked))
        await revoke_key(tx, revoked, now)
        key = encode(actor.key)
        await self._note(tx, "revoked", now, of=(actor.subject, actor.realm), key=key)
        return revoked

    async def _note(
        self,
        tx: aiosqlite.Connection,
        event: str,
        now: float,
        *,
        of: tuple[Subject, str] | None = None,
        detail: str = "",
        key: str = "",
    ) -> None:
        entry = audit.Entry(
            at=now,
            event=event,
            subject="" if of is None else str(of[0]),
            realm="" if of is None else of[1],
            key=key,
            address=self._by,
            detail=detail,
        )
        await audit.append(tx, entry)
