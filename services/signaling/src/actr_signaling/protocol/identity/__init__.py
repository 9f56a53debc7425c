"""Who an actor is: its id; the key, the certificate and the signatures that prove it.

The names of ids are here; what proves one is asked for by its module.
"""

from __future__ import annotations

from actr_signaling.protocol.identity.ids import (
    MAX_PART_CHARACTERS,
    MAX_SERVICE_CHARACTERS,
    PART,
    SERVICE,
    TYPE,
    ActrId,
)

__all__ = [
    "MAX_PART_CHARACTERS",
    "MAX_SERVICE_CHARACTERS",
    "PART",
    "SERVICE",
    "TYPE",
    "ActrId",
]
