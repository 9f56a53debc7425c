"""The seam between this replica and what is shared: who writes presence and carries relays.

Two forms have it: :mod:`actr_signaling.ledger.memory` for one process, and
:mod:`actr_signaling.ledger.redis` for replicas around Redis. One conformance suite holds for both.
Every method returns at once; what comes of it arrives at the sink, on the same loop.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from actr_signaling.protocol.presence.changes import Put, Removed
from actr_signaling.protocol.presence.records import Entry
from actr_signaling.protocol.presence.view import Reason
from actr_signaling.protocol.relay.parcels import Parcel
from actr_signaling.protocol.relay.routing import Undelivered


class LedgerSink(Protocol):
    """What a ledger reports to; all of it is synchronous and may not raise."""

    def changed(self, change: Put | Removed) -> None:
        """A versioned change, in version order, this replica's own included."""

    def restored(self, entries: Iterable[Entry], version: int, *, is_partial: bool) -> None:
        """Changes were missed; this is what is stored now."""

    def settled(self) -> None:
        """After a partial restore: all replicas have had the time to write their own."""

    def fenced(self, entry: Entry, epoch: int) -> None:
        """``entry`` was not written: the store knows ``epoch`` of the same id, which is newer."""

    def arrived(self, replica: str, parcel: Parcel) -> Undelivered | None:
        """A relay from ``replica``; None: handed to the target's connection."""

    def answered(self, number: int, reason: Undelivered | None) -> None:
        """The far replica's answer to a parcel; None: handed over."""

    def lost(self) -> None:
        """The way to the store and to other replicas broke: parcels in flight may be lost."""

    def own_entries(self) -> list[Entry]:
        """What this replica must find stored: granted ones with their epoch, others with 0."""


class Ledger(Protocol):
    """Writes presence; carries parcels. An async context manager."""

    @property
    def is_ready(self) -> bool:
        """Whether the shared store answers."""

    @property
    def is_full(self) -> bool:
        """Whether so much is on its way to other replicas that no relay may be added."""

    @property
    def is_shared(self) -> bool:
        """Whether there may be other replicas for peers to move to."""

    def register(self, entry: Entry, *, above: int) -> None:
        """Write ``entry`` under a new epoch higher than ``above``; ends in changed or fenced."""

    def renew(self, entry: Entry, *, is_changed: bool) -> None:
        """Renew the lease, if ``entry`` still is the newest; write its load if it changed."""

    def leave(self, entry: Entry, reason: Reason) -> None:
        """Delete exactly this session; of a newer one nothing is touched."""

    def send(self, replica: str, parcel: Parcel) -> None:
        """Carry a parcel to another replica, in order per replica."""

    async def flush(self) -> None:
        """Return when what was asked for until now is written, or cannot be."""
