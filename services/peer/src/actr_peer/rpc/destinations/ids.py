"""Whom a program means by an id, a text or a URI."""

from __future__ import annotations

from actr_peer.errors import ConfigError
from actr_peer.protocol.identity import ActrId, Place, parse_destination


def id_of(remote: object, own: ActrId | None = None) -> ActrId:
    """An actor's id, from itself, its text form, its URI, or ``self`` where ``own`` is given.

    Raises:
        ConfigError: If ``remote`` is none of them: a type may be many actors, the shell is none.
    """
    if isinstance(remote, ActrId):
        return remote
    target = parse_destination(remote) if isinstance(remote, str) else None
    if isinstance(target, ActrId):
        return target
    if target is Place.SELF and own is not None:
        return own
    raise ConfigError(
        f"{remote!r} is no actor id: give an ActrId, its text form or its URI; discover() finds "
        "the actors of a type"
    )
