"""Rows of the register as the values that the rules are about, and back."""

from __future__ import annotations

import json

import aiosqlite

from actr_signaling.issuer.protocol.actors import Actor, State, Way
from actr_signaling.issuer.protocol.enrolment import Block
from actr_signaling.issuer.protocol.grants import Claims, check_claims
from actr_signaling.issuer.protocol.issuer_keys import IssuerKey
from actr_signaling.issuer.protocol.subjects import Subject
from actr_signaling.issuer.protocol.tokens import Token

PUT_ACTOR = """
    INSERT OR REPLACE INTO actors (key, subject, realm, claims, life, way, state, enrolled_at,
    renewed_at, serial, expires_at, revoked_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
INSERT_JOIN = """
    INSERT INTO tokens (id, digest, pattern, realm, claims, life, created_at, expires_at, used_at,
    used_by, revoked_at, note, patterns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
INSERT_KEY = """
    INSERT INTO issuer_keys (kid, public, created_at, use_from, retired_at, withdrawn_at,
    signed_until) VALUES (?, ?, ?, ?, ?, ?, ?)
"""


def actor(row: aiosqlite.Row) -> Actor:
    return Actor(
        key=row["key"],
        subject=Subject.parse(row["subject"]),
        realm=row["realm"],
        claims=_claims(row["claims"]),
        life=row["life"],
        way=Way(row["way"]),
        state=State(row["state"]),
        enrolled_at=row["enrolled_at"],
        renewed_at=row["renewed_at"],
        serial=row["serial"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
    )


def actor_values(one: Actor) -> tuple[object, ...]:
    """For :data:`PUT_ACTOR`."""
    return (
        one.key, str(one.subject), one.realm, json.dumps(one.claims), one.life, one.way, one.state,
        one.enrolled_at, one.renewed_at, one.serial, one.expires_at, one.revoked_at,
    )  # fmt: skip


def token(row: aiosqlite.Row) -> Token:
    return Token(
        id=row["id"],
        digest=row["digest"],
        pattern=Subject.parse(row["pattern"]),
        realm=row["realm"],
        claims=_claims(row["claims"]),
        life=row["life"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        used_at=row["used_at"],
        used_by=row["used_by"],
        revoked_at=row["revoked_at"],
        note=row["note"],
        patterns=bool(row["patterns"]),
    )


def token_values(one: Token) -> tuple[object, ...]:
    """For :data:`INSERT_JOIN`."""
    return (
        one.id, one.digest, str(one.pattern), one.realm, json.dumps(one.claims), one.life,
        one.created_at, one.expires_at, one.used_at, one.used_by, one.revoked_at, one.note,
        one.patterns,
    )  # fmt: skip


def issuer_key(row: aiosqlite.Row) -> IssuerKey:
    return IssuerKey(
        kid=row["kid"],
        public=row["public"],
        created_at=row["created_at"],
        use_from=row["use_from"],
        retired_at=row["retired_at"],
        withdrawn_at=row["withdrawn_at"],
        signed_until=row["signed_until"],
    )


def issuer_key_values(one: IssuerKey) -> tuple[object, ...]:
    """For :data:`INSERT_KEY`."""
    return (
        one.kid, one.public, one.created_at, one.use_from, one.retired_at, one.withdrawn_at,
        one.signed_until,
    )  # fmt: skip


def block(row: aiosqlite.Row) -> Block:
    return Block(pattern=Subject.parse(row["pattern"]), realm=row["realm"], at=row["at"])


def _claims(text: str) -> Claims:
    return check_claims(json.loads(text))
