"""``actr-issuer token new|list|revoke``."""

from __future__ import annotations

import argparse

from actr_signaling.issuer.cli.answers import Answer, claims_of, claims_text, opened, table, when
from actr_signaling.issuer.protocol.grants import Grant, check_life
from actr_signaling.issuer.protocol.subjects import Subject, check_realm
from actr_signaling.issuer.protocol.tokens import Token
from actr_signaling.issuer.settings import Settings

LASTS = 3600.0
MAX_LASTS = 30 * 86_400.0


async def new(options: argparse.Namespace, settings: Settings) -> Answer:
    grant = Grant(
        subject=Subject.parse(options.pattern),
        realm=check_realm(options.realm),
        claims=claims_of(options.claim),
        life=check_life(settings.life if options.life is None else options.life),
    )
    async with opened(settings, may_make=True) as at:
        text, token = await at.administration.new_token(
            grant, lasts=options.lasts, note=options.note, patterns=options.patterns
        )
    what = "key for one id or pattern of" if token.patterns else "key for one id of"
    return Answer(
        document={"token": text, **_document(token, token.created_at)},
        lines=[text],
        notes=[
            f"token {token.id} enrols one {what} {token.pattern} in realm {token.realm}, "
            f"once, until {when(token.expires_at)}; it is shown this once"
        ],
    )


async def listed(options: argparse.Namespace, settings: Settings) -> Answer:
    del options
    async with opened(settings) as at:
        tokens, now = await at.administration.tokens(), at.now
    head = ("TOKEN", "STATE", "FOR", "REALM", "CLAIMS", "MADE", "EXPIRES", "NOTE")
    body = [
        (
            one.id,
            one.state(now).name.lower(),
            str(one.pattern),
            one.realm,
            claims_text(one.claims),
            when(one.created_at),
            when(one.expires_at),
            one.note,
        )
        for one in tokens
    ]
    return Answer(
        document={"tokens": [_document(one, now) for one in tokens]}, lines=table(head, body)
    )


async def revoke(options: argparse.Namespace, settings: Settings) -> Answer:
    async with opened(settings) as at:
        token = await at.administration.revoke_token(options.id)
    return Answer(document=_document(token, at.now), lines=[f"token {token.id} enrols nobody"])


def _document(token: Token, now: float) -> dict[str, object]:
    return {
        "id": token.id,
        "state": token.state(now).name.lower(),
        "pattern": str(token.pattern),
        "patterns": token.patterns,
        "realm": token.realm,
        "claims": dict(token.claims),
        "life": token.life,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "used_at": token.used_at,
        "revoked_at": token.revoked_at,
        "note": token.note,
    }
