"""What waits to go to other replicas: packed into one batch for each in every turn."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from actr_signaling.protocol.relay import parcels
from actr_signaling.protocol.relay.parcels import Item

MAX_BATCH_BYTES = 512 * 1024
"""Of one publish, unless one item alone is larger."""
MAX_WAITING_BYTES = 32 * 1024 * 1024
"""Of relays for all replicas."""


@dataclass(frozen=True, slots=True)
class Batch:
    replica: str
    data: bytes


class Outbox:
    """Items by replica, in order; whoever adds relays asks before whether it :attr:`is_full`.

    Args:
        sender: This replica.
    """

    def __init__(self, sender: str) -> None:
        self._sender = sender
        self._waiting: dict[str, deque[bytes]] = {}
        self._bytes = 0

    @property
    def is_full(self) -> bool:
        """Whether a store that is slow has let too much pile up."""
        return self._bytes >= MAX_WAITING_BYTES

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, replica: str, item: Item) -> None:
        waiting = self._waiting.get(replica)
        if waiting is None:
            waiting = self._waiting[replica] = deque()
        packed = parcels.pack_item(item)
        waiting.append(packed)
        self._bytes += len(packed)

    def take(self) -> list[Batch]:
        """The next batch for each replica that something waits for."""
        batches: list[Batch] = []
        for replica, waiting in list(self._waiting.items()):
            items: list[bytes] = []
            size = 0
            while waiting and (not items or size + len(waiting[0]) <= MAX_BATCH_BYTES):
                items.append(waiting.popleft())
                size += len(items[-1])
            if not waiting:
                del self._waiting[replica]
            self._bytes -= size
            batches.append(Batch(replica, parcels.pack(self._sender, items)))
        return batches

    def clear(self) -> None:
        self._waiting.clear()
        self._bytes = 0
