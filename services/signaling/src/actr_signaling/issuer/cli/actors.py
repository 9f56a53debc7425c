"""``actr-issuer list`` and ``revoke``: the keys that are enrolled."""

from __future__ import annotations

import argparse

from actr_signaling.errors import ConfigError
from actr_signaling.issuer.cli.answers import Answer, claims_text, opened, table, when
from actr_signaling.issuer.protocol.actors import Actor, State
from actr_signaling.issuer.protocol.subjects import Subject, check_realm
from actr_signaling.issuer.settings import Settings
from actr_signaling.protocol.identity.keys import KEY_BYTES, decode, encode


async def listed(options: argparse.Namespace, settings: Settings) -> Answer:
    pattern = Subject.parse(options.pattern)
    async with opened(settings) as at:
        known, now = await at.administration.actors(), at.now
        blocks = await at.administration.blocks()
    actors = [
        one
        for one in known
        if pattern.covers(one.subject)
        and options.realm in (None, one.realm)
        and (not options.alive or (one.state is State.ENROLLED and one.expires_at > now))
    ]
    shown = [one for one in blocks if options.realm in (None, one.realm)]
    head = ("ID", "REALM", "STATE", "CERTIFICATE UNTIL", "BY", "CLAIMS", "KEY")
    body = [
        (
            str(one.subject),
            one.realm,
            one.state.value,
            when(one.expires_at) if one.expires_at > now else "over",
            one.way.value,
            claims_text(one.claims),
            encode(one.key),
        )
        for one in actors
    ]
    barred = [f"revoked: {one.pattern} in realm {one.realm}, {when(one.at)}" for one in shown]
    return Answer(
        document={
            "actors": [_document(one, now) for one in actors],
            "revoked_ids": [
                {"pattern": str(one.pattern), "realm": one.realm, "at": one.at} for one in shown
            ],
        },
        lines=[*table(head, body), *barred],
    )


async def revoke(options: argparse.Namespace, settings: Settings) -> Answer:
    key = _key(options.what)
    if key is not None:
        if options.lift:
            raise ConfigError("a key that was revoked stays so: make a new one, and enrol it")
        async with opened(settings) as at:
            done = await at.administration.revoke_key(key)
    else:
        pattern, realm = Subject.parse(options.what), check_realm(options.realm)
        async with opened(settings) as at:
            if options.lift:
                await at.administration.lift(pattern, realm)
                line = f"{pattern} in realm {realm} may be enrolled again"
                return Answer(document={"lifted": str(pattern), "realm": realm}, lines=[line])
            done = await at.administration.revoke_ids(pattern, realm)
    return Answer(
        document={
            "revoked": [_document(one, at.now) for one in done.keys],
            "wider": [_document(one, at.now) for one in done.wider],
        },
        lines=[f"revoked {one.subject} {encode(one.key)}" for one in done.keys]
        or ["no key was enrolled for it; the realm's secret enrols none"],
        notes=[
            f"not revoked, for it holds more ids: {one.subject} {encode(one.key)}"
            for one in done.wider
        ],
    )


def _key(text: str) -> bytes | None:
    """None: it is an id or a pattern, which have other characters."""
    try:
        key = decode(text)
    except ValueError:
        return None
    return key if len(key) == KEY_BYTES else None


def _document(one: Actor, now: float) -> dict[str, object]:
    return {
        "id": str(one.subject),
        "realm": one.realm,
        "key": encode(one.key),
        "state": one.state.value,
        "alive": one.state is State.ENROLLED and one.expires_at > now,
        "claims": dict(one.claims),
        "way": one.way.value,
        "enrolled_at": one.enrolled_at,
        "renewed_at": one.renewed_at,
        "expires_at": one.expires_at,
        "revoked_at": one.revoked_at,
        "serial": one.serial,
    }
