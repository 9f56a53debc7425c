"""Who an actor is: its id; the key, the certificate and the signatures that prove it.

The names of ids are here; what proves one is asked for by its module, and loads its libraries only
when there is something to prove.
"""

from __future__ import annotations

from actr_peer.protocol.identity.ids import (
    MAX_PART_CHARACTERS,
    PART,
    ActrId,
    ActrType,
    Place,
    parse_destination,
)

__all__ = [
    "MAX_PART_CHARACTERS",
    "PART",
    "ActrId",
    "ActrType",
    "Place",
    "parse_destination",
]
