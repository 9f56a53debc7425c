"""What arrives from Redis: changes in version order, and batches of other replicas."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import structlog

from actr_signaling.errors import BadMessageError
from actr_signaling.ledger.base import LedgerSink
from actr_signaling.ledger.redis.answers import StoreError
from actr_signaling.ledger.redis.outbox import Batch, Outbox
from actr_signaling.protocol.presence import stored
from actr_signaling.protocol.presence.records import Entry
from actr_signaling.protocol.relay import parcels
from actr_signaling.protocol.relay.parcels import Answer, Parcel
from actr_signaling.protocol.relay.routing import Undelivered

log = structlog.get_logger()

MAX_HELD_BACK = 65_536
"""Changes kept while the whole state is being fetched."""


class Inbox:
    """Feeds the sink; notices a gap in the versions.

    Args:
        sink: The hub.
        outbox: Takes the answers to parcels.
        missed: Called when a change was missed; :meth:`take_state` must follow.
    """

    def __init__(self, sink: LedgerSink, outbox: Outbox, missed: Callable[[], None]) -> None:
        self.version = 0
        self._sink = sink
        self._outbox = outbox
        self._missed = missed
        self._held_back: list[bytes] | None = None

    def hold_back(self) -> None:
        """Keep changes from now on until the whole state is here."""
        if self._held_back is None:
            self._held_back = []

    def take_state(self, version: int, entries: Iterable[Entry], *, is_partial: bool) -> None:
        """Take the whole state, then the changes kept that are newer."""
        held_back, self._held_back = self._held_back or [], None
        self.version = version
        self._sink.restored(entries, version, is_partial=is_partial)
        for data in held_back:
            self.change(data)

    def change(self, data: bytes) -> None:
        """Take one published change."""
        if self._held_back is not None:
            if len(self._held_back) >= MAX_HELD_BACK:
                raise StoreError("too many changes at once")
            self._held_back.append(data)
            return
        try:
            previous, change = stored.unpack_change(data)
        except BadMessageError as exc:
            log.error("published change skipped", why=exc.message)
            self._missed()
            return
        if change.version <= self.version:
            return
        if previous != self.version:
            self._missed()
            return
        self.version = change.version
        self._sink.changed(change)

    def batch(self, data: bytes) -> None:
        """Take one batch: hand parcels over and answer them; take answers."""
        if not data:
            return  # this replica's own sign of life
        try:
            replica, items = parcels.unpack(data)
            for item in items:
                if isinstance(item, Parcel):
                    reason = self._sink.arrived(replica, item)
                    self._outbox.add(replica, Answer(item.number, reason))
                else:
                    self._sink.answered(item.number, item.reason)
        except BadMessageError as exc:
            log.error("batch skipped", why=exc.message)

    def nobody_heard(self, batch: Batch, reason: Undelivered) -> None:
        """No replica listens where a batch went: its parcels are undelivered now."""
        _, items = parcels.unpack(batch.data)
        for item in items:
            if isinstance(item, Parcel):
                self._sink.answered(item.number, reason)
