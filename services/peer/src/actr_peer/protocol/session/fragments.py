"""Sans-I/O: messages longer than one frame are cut up, and put together again within bounds.

Fragments have consecutive sequence numbers, so ``seq - index`` names their message. Reliable
lanes put them together in order (:class:`Joiner`); the latency-first lane takes them in any
order, and forgets the unfinished (:class:`Reassembler`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf

from actr_peer.errors import LimitError, RemoteProtocolError
from actr_peer.protocol.session.frames import (
    FRAGMENT_BYTES,
    MAX_FRAGMENTS,
    Data,
    data_head,
    fragment_head,
)

PART_COST = 128
"""Bytes that keeping a fragment takes beside its payload, about: of many short ones, all."""
MAX_PARTS = 16 * 1024
"""Fragments of unfinished messages of the latency-first lane: of 16 MiB there are 1033."""


def frame_count(size: int) -> int:
    """Frames that a message of ``size`` bytes takes."""
    return max(1, -(-size // FRAGMENT_BYTES))


def cut(message: bytes, seq: int, flag: int = 0) -> Iterator[tuple[bytes, bytes | memoryview]]:
    """Yield head and payload of each frame of ``message``, the first one numbered ``seq``.

    Payloads of fragments are views of ``message``: nothing is copied. ``flag`` as for
    :func:`~actr_peer.protocol.session.frames.data_head`.

    Raises:
        LimitError: If the message needs more fragments than a count can say.
    """
    size = len(message)
    if size <= FRAGMENT_BYTES:
        yield data_head(seq, size, flag), message
        return
    count = frame_count(size)
    if count > MAX_FRAGMENTS:
        raise LimitError("fragments of a message", limit=MAX_FRAGMENTS, asked=count)
    view = memoryview(message)
    for index in range(count):
        part = view[index * FRAGMENT_BYTES : (index + 1) * FRAGMENT_BYTES]
        yield fragment_head(seq + index, len(part), index, count, flag=flag), part


class Joiner:
    """One message at a time from fragments that come in order, each once.

    Args:
        max_bytes: Longest message.
    """

    __slots__ = ("_count", "_parts", "_taken", "held_bytes", "max_bytes", "since")

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.held_bytes = 0
        self.since = inf
        """When the unfinished message began, seconds; inf: there is none."""
        self._parts: list[bytes] = []
        self._taken = 0
        """Fragments that have come."""
        self._count = 1

    @property
    def is_empty(self) -> bool:
        return not self._parts

    @property
    def all_bytes(self) -> int:
        """What is held, with what holding it costs."""
        return self.held_bytes + PART_COST * len(self._parts)

    def add(self, frame: Data, now: float = 0.0, *, fragments: int = 1) -> bytes | None:
        """Take the next frame of the lane; return the message that it completes.

        Args:
            frame: Which stands for ``fragments``.
            now: Seconds.

        Raises:
            RemoteProtocolError: If it is not the fragment that must come now.
            LimitError: If the message becomes longer than ``max_bytes``.
        """
        parts, taken, payload = self._parts, self._taken, frame.payload
        if frame.part != taken or (taken and frame.parts != self._count):
            raise RemoteProtocolError(
                f"fragment {frame.part} of {frame.parts} after {taken} of {self._count}"
            )
        size = self.held_bytes + len(payload)
        if size > self.max_bytes:
            raise LimitError("bytes of a message", limit=self.max_bytes, asked=size)
        taken += fragments
        if taken < frame.parts:
            if not parts:
                self.since = now
            self._count = frame.parts
            self._taken = taken
            self.held_bytes = size
            # Its wire message may be far longer than what is kept of it.
            parts.append(bytes(payload))
            return None
        if not parts:
            return bytes(payload)
        message = b"".join((*parts, payload))
        self.clear()
        return message

    def clear(self) -> None:
        """Forget what was held."""
        self._parts = []
        self._taken = 0
        self._count = 1
        self.held_bytes = 0
        self.since = inf


@dataclass(slots=True)
class _Partial:
    count: int
    started_at: float
    size: int = 0
    parts: dict[int, bytes] = field(default_factory=dict)
    """Keys are indexes."""


class Reassembler:
    """Messages from fragments that may come out of order, twice, or never.

    It owns no clock: the caller passes ``now`` and calls :meth:`expire`. What is over a bound
    pushes out the oldest unfinished message, for here late is worthless.

    Args:
        max_bytes: Bytes held for unfinished messages, over all of them.
        max_messages: Unfinished messages at a time.
        max_parts: Fragments of them.
        max_age: Seconds that an unfinished message may wait for its other fragments.
    """

    def __init__(
        self,
        *,
        max_bytes: int,
        max_messages: int = 64,
        max_parts: int = MAX_PARTS,
        max_age: float = 10.0,
    ) -> None:
        self.max_bytes = max_bytes
        self.max_messages = max_messages
        self.max_parts = max_parts
        self.max_age = max_age
        self.held_bytes = 0
        self.held_parts = 0
        self.given_up = 0
        """Messages that were never finished."""
        self._partials: dict[int, _Partial] = {}
        """Keys are the sequence numbers of first fragments; oldest first."""

    @property
    def is_empty(self) -> bool:
        return not self._partials

    @property
    def since(self) -> float:
        """When the oldest unfinished message began, seconds; inf: there is none."""
        oldest = next(iter(self._partials.values()), None)
        return inf if oldest is None else oldest.started_at

    @property
    def all_bytes(self) -> int:
        """What is held, with what holding it costs."""
        return self.held_bytes + PART_COST * self.held_parts

    def add(self, frame: Data, now: float) -> bytes | None:
        """Take one fragment; return the message that it completes.

        Raises:
            RemoteProtocolError: If it contradicts an earlier fragment.
        """
        key = frame.seq - frame.part
        partial = self._partials.get(key)
        if partial is None:
            if len(self._partials) >= self.max_messages:
                self._give_up(next(iter(self._partials)))
            partial = self._partials[key] = _Partial(frame.parts, now)
        elif partial.count != frame.parts:
            raise RemoteProtocolError(f"message {key} of {partial.count} and {frame.parts} parts")
        elif frame.part in partial.parts:
            return None
        partial.parts[frame.part] = bytes(frame.payload)
        partial.size += len(frame.payload)
        self.held_bytes += len(frame.payload)
        self.held_parts += 1
        if len(partial.parts) == partial.count:
            self._drop(key)
            return b"".join(partial.parts[index] for index in range(partial.count))
        while self.held_bytes > self.max_bytes or self.held_parts > self.max_parts:
            self._give_up(next(iter(self._partials)))
        return None

    def expire(self, now: float) -> None:
        """Forget unfinished messages older than ``max_age``."""
        for key, partial in tuple(self._partials.items()):
            if now - partial.started_at > self.max_age:
                self._give_up(key)

    def clear(self) -> None:
        """Forget everything."""
        self._partials.clear()
        self.held_bytes = self.held_parts = 0

    def _give_up(self, key: int) -> None:
        self.given_up += 1
        self._drop(key)

    def _drop(self, key: int) -> None:
        partial = self._partials.pop(key)
        self.held_bytes -= partial.size
        self.held_parts -= len(partial.parts)
