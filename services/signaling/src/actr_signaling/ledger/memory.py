"""The ledger of a single process: everything is true at once, and nothing is shared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Self

from actr_signaling.ledger.base import LedgerSink
from actr_signaling.protocol.presence.changes import Put, Removed
from actr_signaling.protocol.presence.records import Entry
from actr_signaling.protocol.presence.view import Reason
from actr_signaling.protocol.relay.parcels import Parcel
from actr_signaling.protocol.relay.routing import Undelivered


class MemoryLedger:
    """Assigns epochs and versions by itself.

    Args:
        sink: Told of every change before the call that made it returns.
        wall_clock: Unix time in microseconds: epochs and versions start there, so that they
            rise over a restart too, and rise by themselves when it stands still.
    """

    def __init__(self, sink: LedgerSink, *, wall_clock: Callable[[], int]) -> None:
        self._sink = sink
        self._wall_clock = wall_clock
        self._version = 0
        self._current: dict[str, Entry] = {}

    @property
    def is_ready(self) -> bool:
        return True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._current.clear()

    @property
    def is_shared(self) -> bool:
        return False

    @property
    def is_full(self) -> bool:
        return False

    def register(self, entry: Entry, *, above: int) -> None:
        epoch = max(self._wall_clock(), above + 1)
        self._put(replace(entry, epoch=epoch))

    def renew(self, entry: Entry, *, is_changed: bool) -> None:
        current = self._current.get(entry.text)
        if is_changed and current is not None and current.session == entry.session:
            self._put(entry)

    def leave(self, entry: Entry, reason: Reason) -> None:
        current = self._current.get(entry.text)
        if current is None or current.session != entry.session:
            return
        del self._current[entry.text]
        self._sink.changed(Removed(entry.text, current.epoch, reason, self._next_version()))

    def send(self, replica: str, parcel: Parcel) -> None:
        del replica  # there is no other
        self._sink.answered(parcel.number, Undelivered.OFFLINE)

    async def flush(self) -> None:
        return

    def _put(self, entry: Entry) -> None:
        self._current[entry.text] = entry
        self._sink.changed(Put(entry, self._next_version()))

    def _next_version(self) -> int:
        # By two: the end of a replaced start takes the number between.
        self._version = max(self._wall_clock(), self._version + 2)
        return self._version
