"""Sans-I/O: the two halves of a stream: credit, sequence, end (docs/protocol/streams.md).

A half is written at one side and read at the other::

    writer   WAITING ─ granted ─▶ OPEN ─ end ─▶ ENDED
                └─ end ─▶ HALF_CLOSED ─ granted ─▶ ENDED         the end waits for a listener

    reader   WAITING ─ grants ─▶ OPEN ─ end ─▶ HALF_CLOSED ─ all taken ─▶ ENDED

and FAILED from wherever it is not over (:mod:`~actr_peer.protocol.streams.states`). Items change no
state; whether one may be sent or has come in its turn is counted beside the state: a writer sends
while it has credit of both kinds, items and bytes, so that the last item may take the bytes below
zero, and no item is too long for the window.

Latency-first streams spend no credit and have no order: of theirs the oldest is dropped, and what
is older than its life is not handed over.
"""

from __future__ import annotations

from collections import deque

from actr_peer.errors import LimitError, PeerError, RemoteProtocolError
from actr_peer.protocol.streams.age import LIFETIME
from actr_peer.protocol.streams.chunks import NO_CREDIT, Chunk, Credit, Kind
from actr_peer.protocol.streams.states import OVER, TABLE, Input, Side, State

WINDOW = 64
"""Items that a reader holds, and so the credit that it grants at first."""
WINDOW_BYTES = 1024 * 1024
"""Bytes likewise. One item more may come while any of it is left."""
FIRST = Credit(WINDOW, WINDOW_BYTES)
"""What the reader of a named channel has granted without a word."""
MAX_CREDIT = 1 << 20
MAX_CREDIT_BYTES = 1 << 40
"""What a writer counts at most: a far side that grants without end gains nothing by it."""
GRANT_EVERY = WINDOW // 4
GRANT_EVERY_BYTES = WINDOW_BYTES // 2
"""Taken before the next grant: one message of credit for many of data."""


# Looked up once: they are on the path of every item.
_OPEN, _HALF_CLOSED, _ITEM = State.OPEN, State.HALF_CLOSED, Kind.ITEM


class WritingHalf:
    """What the sender of a half counts.

    Args:
        credit: What the far side takes without another word; None: it does not listen yet,
            so that not even the end may be sent.
        is_metered: Whether items spend credit: those of a latency-first stream do not.
    """

    __slots__ = (
        "_bytes",
        "_counts_bytes",
        "_first",
        "_granted",
        "_is_metered",
        "_items",
        "error",
        "may_send",
        "sent",
        "state",
    )

    def __init__(self, credit: Credit | None, *, is_metered: bool) -> None:
        self.state = State.WAITING
        self.may_send = False
        """Whether an item may leave now, of whatever size."""
        self.sent = 0
        """Items sent, and so the sequence number of the next."""
        self.error: PeerError | None = None
        self._is_metered = is_metered
        self._items = 0
        self._bytes = 0
        self._counts_bytes = True
        self._first = 0
        """Items of the first grant: the reader's window."""
        self._granted = 0
        """Items of all grants."""
        if credit is not None:
            self.state = State.OPEN
            self._add(credit)

    @property
    def taken(self) -> int:
        """Items that the reader has taken for certain: those for which it has granted others."""
        return min(self._granted - self._first, self.sent)

    def step(self, event: Input) -> bool:
        """Take one input; False if it comes too late to change anything."""
        state = TABLE.get((Side.WRITER, self.state, event))
        if state is None:
            return False
        self.state = state
        self._note()
        return True

    def __repr__(self) -> str:
        return f"<{self.state.name}: {self._items} items and {self._bytes} bytes may be sent>"

    def spend(self, size: int) -> None:
        """An item was taken by the lane; ``size`` is that of its whole message, in bytes."""
        self.sent += 1
        if self._is_metered:
            self._items -= 1
            self._bytes -= size
            if self._items <= 0 or self._bytes <= 0:
                self._note()

    def grant(self, credit: Credit) -> bool:
        """The far side takes more; True if the end waited for this and is to be said now."""
        if credit == NO_CREDIT:
            return False
        was = self.state
        if not self.step(Input.GRANT):
            return False
        self._add(credit)
        return was is State.HALF_CLOSED

    def end(self) -> bool:
        """End the half; True if that is to be said now, not later and not again."""
        return self.step(Input.END) and self.state is State.ENDED

    def fail(self, error: PeerError) -> bool:
        """The far side takes no more, or is gone; False if the half was over."""
        if not self.step(Input.FAIL):
            return False
        self.error = error
        return True

    def _add(self, credit: Credit) -> None:
        self._first = self._first or credit.items
        self._granted += credit.items
        self._items = min(self._items + credit.items, MAX_CREDIT)
        self._bytes = min(self._bytes + credit.size, MAX_CREDIT_BYTES)
        if credit.items and not credit.size:
            self._counts_bytes = False
        self._note()

    def _note(self) -> None:
        has_bytes = self._bytes > 0 or not self._counts_bytes
        self.may_send = self.state is _OPEN and self._items > 0 and has_bytes


class ReadingHalf:
    """What the receiver of a half holds, counts and demands.

    An error is due after the items that came before it. Of a metered half every item must come
    in its turn and inside what was granted, and the end must count them all.
    """

    __slots__ = (
        "_bytes",
        "_count",
        "_items",
        "_taken",
        "_taken_bytes",
        "dropped",
        "error",
        "held",
        "held_bytes",
        "is_metered",
        "received",
        "stale",
        "state",
    )

    def __init__(self, *, is_metered: bool) -> None:
        self.state = State.WAITING
        self.is_metered = is_metered
        self.held: deque[Chunk] = deque()
        """Items that came and were not taken, oldest first."""
        self.held_bytes = 0
        self.received = 0
        self.dropped = 0
        """Of a latency-first half: items that a slow consumer lost."""
        self.stale = 0
        """Likewise: items that were too old when their turn came."""
        self.error: Exception | None = None
        self._count: int | None = None
        """Items that the far side has sent in all, once it says so."""
        self._items = 0
        self._bytes = 0
        """Granted and not used."""
        self._taken = 0
        self._taken_bytes = 0
        """Taken and not granted anew."""

    def step(self, event: Input) -> bool:
        """Take one input; False if it comes too late to change anything."""
        state = TABLE.get((Side.READER, self.state, event))
        if state is None:
            return False
        self.state = state
        return True

    def listen(self) -> Credit:
        """Take items from now on; returns the first grant, which the far side must hear of."""
        if self.step(Input.GRANT):
            self._items += WINDOW
            self._bytes += WINDOW_BYTES
        return FIRST

    def receive(self, chunk: Chunk) -> None:
        """Take an item, the end, or the error of the far half.

        Raises:
            RemoteProtocolError: If it may not come now; the half has failed with this.
            LimitError: If it is more than was granted; likewise.
        """
        if chunk.kind is _ITEM:
            if (
                self.state is _OPEN
                and self.is_metered
                and chunk.sequence == self.received
                and self._items > 0
                and self._bytes > 0
            ):  # nearly always
                size = chunk.size
                self._items -= 1
                self._bytes -= size
                self.received += 1
                self.held.append(chunk)
                self.held_bytes += size
            else:
                self._take_in(chunk)
        elif chunk.error is not None:
            self.fail(chunk.error)
        elif self.state is State.WAITING:
            self._break(f"channel {chunk.channel_id} ended before it was granted anything")
        elif self.is_metered and chunk.sequence != self.received:
            self._break(
                f"channel {chunk.channel_id} ended after {chunk.sequence} items, "
                f"of which {self.received} came"
            )
        elif self.step(Input.END):
            self._count = chunk.sequence
            self._settle()

    def take(self) -> Chunk:
        """The oldest item that is held.

        Raises:
            IndexError: If none is.
        """
        chunk = self.held.popleft()
        self.held_bytes -= chunk.size
        self._taken += 1
        self._taken_bytes += chunk.size
        if self.state is _HALF_CLOSED:
            self._settle()
        return chunk

    def drop_stale(self, now: float) -> None:
        """Of a latency-first half: drop the oldest items while they are past their life.

        What has no age, from a writer that says none, stays.
        """
        held = self.held
        while held and now - held[0].born_at > LIFETIME:
            self.take()
            self.stale += 1

    def due(self) -> Credit | None:
        """The grant that is to be said now: one for a part of the window, not one an item."""
        if self._taken < GRANT_EVERY and self._taken_bytes < GRANT_EVERY_BYTES:
            return None
        credit = Credit(self._taken, self._taken_bytes)
        self._taken = self._taken_bytes = 0
        if not self.is_metered or self.state is not State.OPEN:
            return None
        self._items += credit.items
        self._bytes += credit.size
        return credit

    @property
    def is_short(self) -> bool:
        """Whether a latency-first end has come before all of its items."""
        return self.state is State.HALF_CLOSED and self._count is not None

    def give_up_on_late(self) -> None:
        """What the end has overtaken comes no more."""
        self._count = None
        self._settle()

    def fail(self, error: Exception) -> bool:
        """End with ``error`` after what is held; False if the half was over."""
        if not self.step(Input.FAIL):
            return False
        self.error = error
        return True

    def give_up(self, error: Exception) -> None:
        """End with ``error`` at once: what is held is dropped."""
        self.held.clear()
        self.held_bytes = 0
        if not self.fail(error):
            self.error = error

    def close(self) -> bool:
        """Drop what is held and take no more; True if the far side must hear of it."""
        self.held.clear()
        self.held_bytes = 0
        must_tell = self.state in (State.WAITING, State.OPEN)
        self.step(Input.CLOSE)
        return must_tell

    def _take_in(self, chunk: Chunk) -> None:
        if self.state is State.WAITING:
            self._break(f"channel {chunk.channel_id}: an item before anything was granted")
        elif self.state in OVER:
            return
        elif not self.is_metered:
            self._make_room(chunk.size)
            self._hold(chunk)
        elif chunk.sequence != self.received:
            self._break(
                f"channel {chunk.channel_id}: item {chunk.sequence} came, {self.received} was due"
            )
        elif self._items <= 0:
            self._refuse("items held for one stream", WINDOW, WINDOW + 1)
        else:
            self._refuse("bytes held for one stream", WINDOW_BYTES, self.held_bytes + chunk.size)

    def _hold(self, chunk: Chunk) -> None:
        self.received += 1
        self.held.append(chunk)
        self.held_bytes += chunk.size
        if self.state is _HALF_CLOSED:
            self._settle()

    def _make_room(self, size: int) -> None:
        """Drop the oldest items for a new one, which itself is always taken."""
        while self.held and (len(self.held) >= WINDOW or self.held_bytes + size > WINDOW_BYTES):
            self.held_bytes -= self.held.popleft().size
            self.dropped += 1

    def _settle(self) -> None:
        if self._count is not None and self.received >= self._count:
            self._count = None
        if self._count is None and not self.held:
            self.step(Input.DRAINED)

    def _break(self, text: str) -> None:
        error = RemoteProtocolError(text)
        self.fail(error)
        raise error

    def _refuse(self, what: str, limit: int, asked: int) -> None:
        error = LimitError(what, limit=limit, asked=asked)
        self.fail(error)
        raise error
