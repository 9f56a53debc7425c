"""``actr-issuer key new|list|retire``: the keys that certificates are signed with."""

from __future__ import annotations

import argparse
import time

from actr_signaling.issuer.cli.answers import Answer, opened, table, when
from actr_signaling.issuer.protocol.issuer_keys import IssuerKey
from actr_signaling.issuer.settings import Settings


async def new(options: argparse.Namespace, settings: Settings) -> Answer:
    ahead = settings.publish_ahead if options.ahead is None else options.ahead
    async with opened(settings, may_make=True) as at:
        key = await at.administration.new_key(ahead=ahead)
    return Answer(
        document=_document(key, key.created_at),
        lines=[key.kid],
        notes=[f"it is published now, and signs from {when(key.use_from)}"],
    )


async def listed(options: argparse.Namespace, settings: Settings) -> Answer:
    del options
    async with opened(settings) as at:
        keys, now = await at.administration.issuer_keys(), at.now
    head = ("KEY", "STATE", "MADE", "SIGNS FROM", "LAST CERTIFICATE UNTIL")
    body = [
        (
            one.kid,
            one.state(now).value,
            when(one.created_at),
            when(one.use_from),
            when(one.signed_until),
        )
        for one in keys
    ]
    return Answer(document={"keys": [_document(one, now) for one in keys]}, lines=table(head, body))


async def retire(options: argparse.Namespace, settings: Settings) -> Answer:
    async with opened(settings) as at:
        key = await at.administration.retire_key(options.kid, is_stolen=options.stolen)
    line = (
        f"{key.kid} is published no more: what it has signed is worth nothing"
        if options.stolen
        else f"{key.kid} signs no more; it is published until its last certificate is over"
    )
    return Answer(document=_document(key, time.time()), lines=[line])


def _document(key: IssuerKey, now: float) -> dict[str, object]:
    return {
        "kid": key.kid,
        "state": key.state(now).value,
        "created_at": key.created_at,
        "use_from": key.use_from,
        "retired_at": key.retired_at,
        "withdrawn_at": key.withdrawn_at,
        "signed_until": key.signed_until,
    }
