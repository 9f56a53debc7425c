"""Sans-I/O: whether a key gets a certificate, from what the register holds at this instant.

The register calls these within one transaction and writes what they return, or nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from actr_signaling.issuer.protocol import actors, tokens
from actr_signaling.issuer.protocol.actors import Actor, Event, Way
from actr_signaling.issuer.protocol.causes import Cause, RefusalError
from actr_signaling.issuer.protocol.grants import Grant
from actr_signaling.issuer.protocol.requests import Enrol
from actr_signaling.issuer.protocol.rules import Rule, Taken, decide
from actr_signaling.issuer.protocol.subjects import Subject
from actr_signaling.issuer.protocol.tokens import Token
from actr_signaling.protocol.identity.certificates import LEEWAY

READERS = 2 * LEEWAY
"""Seconds behind a certificate's end for which a reader may take it: its clock may be behind by
the leeway that it grants."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Ids that were revoked: the secret enrols none of them, and no token from before does."""

    pattern: Subject
    realm: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What the register holds that a request to enrol is decided by."""

    own: Actor | None = None
    """The key of the request."""
    holder: Actor | None = None
    """Another key that has the id."""
    token: Token | None = None
    blocks: Sequence[Block] = ()
    is_full: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """What is to be written: the key, and the one that lost the id to it."""

    actor: Actor
    superseded: Actor | None = None


def enrol(request: Enrol, held: Held, rules: Sequence[Rule], now: float) -> Enrolled:
    """Enrol a key whose proofs are checked.

    Args:
        rules: For who comes with the realm's secret.

    Raises:
        RefusalError: If the token or the rules do not allow it, the key or the id was revoked, or
            another key has the id.
    """
    if request.token is not None:
        grant = tokens.redeem(held.token, request.subject, request.realm, request.key, now)
        assert held.token is not None  # else it was refused
        since, taken, way = held.token.created_at, Taken.ALWAYS, Way.TOKEN
    else:
        rule = decide(rules, request.subject, request.realm)
        grant = rule.grant(request.subject, request.realm)
        since, taken, way = 0.0, rule.taken, Way.SECRET
    state = actors.handle(held.own, _event(request, held))
    _see_one_id(held.own, grant, now)
    _see_blocks(held.blocks, grant, since)
    superseded = _supersede(held.holder, taken, now)
    if held.own is None and held.is_full:
        raise RefusalError(
            Cause.FULL, "the register has as many keys as it may: raise ACTR_ISSUER__MAX_ACTORS"
        )
    actor = Actor(
        key=request.key,
        subject=grant.subject,
        realm=grant.realm,
        claims=grant.claims,
        life=grant.life,
        way=way,
        state=state,
        enrolled_at=now if held.own is None else held.own.enrolled_at,
        renewed_at=now,
        expires_at=0.0 if held.own is None else held.own.expires_at,
    )
    return Enrolled(actor=actor, superseded=superseded)


def renew(own: Actor | None, rules: Sequence[Rule], now: float) -> Actor:
    """Another certificate for an enrolled key; who came by the secret keeps to today's rules.

    Raises:
        RefusalError: If it is not enrolled, or was revoked, or no rule allows it any more.
    """
    state = actors.handle(own, Event.RENEW)
    assert own is not None  # else it was refused
    return replace(_of_today(own, rules), state=state, renewed_at=now)


def rotate(
    own: Actor | None, new: Actor | None, new_key: bytes, rules: Sequence[Rule], now: float
) -> Enrolled:
    """Put a new key in the place of one that is enrolled; the rules hold as for a renewal.

    Raises:
        RefusalError: If the old key may not renew, or the new one may not enrol.
    """
    actors.handle(own, Event.RENEW)
    assert own is not None
    state = actors.handle(new, Event.ENROL)
    _see_one_id(new, own.grant(), now)
    superseded = replace(own, state=actors.handle(own, Event.SUPERSEDE))
    actor = replace(
        _of_today(own, rules), key=new_key, state=state, way=_inherited(own), renewed_at=now
    )
    until = 0.0 if new is None else new.expires_at
    return Enrolled(actor=replace(actor, serial="", expires_at=until), superseded=superseded)


def _event(request: Enrol, held: Held) -> Event:
    """What asking again by a token is, whose answer may have been lost: no second enrolment.

    Raises:
        RefusalError: If the token would be used for a second id.
    """
    if held.token is None or held.token.used_by != request.key:
        return Event.ENROL
    if held.own is not None and (held.own.subject, held.own.realm) != (
        request.subject,
        request.realm,
    ):
        raise RefusalError(
            Cause.TOKEN_USED, f"this token has enrolled {held.own.subject}: ask for a new one"
        )
    return Event.RENEW


def _of_today(own: Actor, rules: Sequence[Rule]) -> Actor:
    """What the rules of today give who came by the secret; others keep what they have.

    Raises:
        RefusalError: If no rule allows it any more.
    """
    if own.way is not Way.SECRET:
        return own
    rule = decide(rules, own.subject, own.realm)
    return replace(own, claims=rule.claims, life=rule.life)


def _see_one_id(known: Actor | None, grant: Grant, now: float) -> None:
    """See that a key gets no second id while its certificate for the first may be taken: whoever
    revokes the first, or takes it over, finds the key by it.

    Raises:
        RefusalError: If it would.
    """
    if known is None or (known.subject, known.realm) == (grant.subject, grant.realm):
        return
    left = known.expires_at + READERS - now
    if left > 0:
        raise RefusalError(
            Cause.TAKEN,
            f"this key has a certificate for {known.subject} in realm {known.realm}: "
            f"{grant.subject} needs a key of its own, or {left:.0f} s",
            retry_after=left,
        )


def _inherited(own: Actor) -> Way:
    """Rules go on to hold for who came by the secret, whatever its key is now."""
    return Way.SECRET if own.way is Way.SECRET else Way.KEY


def _see_blocks(blocks: Sequence[Block], grant: Grant, since: float) -> None:
    for block in blocks:
        if block.realm == grant.realm and block.pattern.meets(grant.subject) and block.at >= since:
            raise RefusalError(
                Cause.REVOKED,
                f"{block.pattern} in realm {block.realm} was revoked: a token that is made now "
                "enrols it again",
            )


def _supersede(holder: Actor | None, taken: Taken, now: float) -> Actor | None:
    if holder is None:
        return None
    is_alive = now < holder.expires_at
    if taken is Taken.NEVER or (taken is Taken.EXPIRED and is_alive):
        until = f"in {holder.expires_at - now:.0f} s, or " if taken is Taken.EXPIRED else ""
        raise RefusalError(
            Cause.TAKEN,
            f"another key has {holder.subject}: {until}when that one is revoked, or by a token",
            retry_after=holder.expires_at - now if taken is Taken.EXPIRED else None,
        )
    return replace(holder, state=actors.handle(holder, Event.SUPERSEDE))
