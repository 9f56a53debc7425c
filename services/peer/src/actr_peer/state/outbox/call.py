"""A durable call as the outbox keeps it, and what is told of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from actr_peer.errors import CallError
from actr_peer.protocol.mailbox.outbox.call import Call
from actr_peer.protocol.payload import PayloadType
from actr_peer.protocol.rpc.envelopes import Envelope

Encode = Callable[[int, int, int], bytes]
"""Makes the envelope from call number, low-water mark and store id."""
Saved = Callable[[CallError | None], None]
"""Hears that a call is on disk, or why it is not."""


def unheard(error: CallError | None) -> None:
    """Who hears of a commit that nobody waits for."""


@dataclass(slots=True, kw_only=True)
class DurableCall(Call):
    """A call, and what of it is in memory."""

    payload_type: PayloadType
    route_key: str
    is_tell: bool = False
    """Nobody will take the reply."""
    size: int = 0
    """Bytes of the envelope, about, before it is made."""
    envelope: bytes = b""
    """As sent, and to be sent again; until there is a reply."""
    reply: bytes | None = field(default=None, compare=False)
    """Until it is saved; after that it is read back from the table."""
    decoded: Envelope | None = field(default=None, compare=False, repr=False)
    """The reply as it was read when it came, for the one who waits for it; until it is saved."""
    contract: Any = field(default=None, compare=False, repr=False)
    """What it says of its contract, and what becomes of a refusal; None: it is of an earlier
    start."""
    saved: Saved = field(default=unheard, compare=False, repr=False)
    """Told once."""

    @property
    def is_unwanted(self) -> bool:
        """Whether nobody can ask for the reply once the process has ended: its caller wanted none,
        or left no key."""
        return self.is_tell or self.call_key == self.request_id
