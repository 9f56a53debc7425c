"""What the store is asked to do: script calls, in order, each with who takes its answer."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from actr_signaling.ledger.redis import answers, scripts
from actr_signaling.ledger.redis.line import Command
from actr_signaling.protocol.presence import stored
from actr_signaling.protocol.presence.records import Entry
from actr_signaling.protocol.presence.view import Reason

Argument = str | bytes | int


@dataclass(frozen=True, slots=True)
class Order:
    """One command, and who takes its answer."""

    command: Command
    answered: Callable[[Any], None]


class Orders:
    """A queue of commands. It is bounded by the sessions of this replica and their rates.

    Args:
        prefix: Of all keys.
        lease: Seconds for which an entry outlives its replica.
        wake: Called when something was added.
    """

    def __init__(self, *, prefix: str, lease: float, wake: Callable[[], None]) -> None:
        self._prefix = prefix
        self._keys = tuple(f"{prefix}:{name}" for name in ("records", "leases", "state"))
        self._lease_ms = max(100, round(lease * 1000))
        self._wake = wake
        self._waiting: deque[Order] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, command: Command, answered: Callable[[Any], None] | None = None) -> None:
        self._waiting.append(Order(command, answered or _ignore))
        self._wake()

    def take(self, most: int) -> list[Order]:
        return [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]

    def clear(self) -> None:
        self._waiting.clear()

    def register(self, entry: Entry, *, above: int) -> None:
        """Store ``entry`` under a new epoch above all that is known."""
        tail = stored.pack_tail(entry)
        self.add(self._call(scripts.REGISTER, entry.text, above, self._lease_ms, tail))

    def hold(self, entry: Entry, *, fenced: Callable[[int], None]) -> None:
        """Keep ``entry`` stored under its epoch; ``fenced`` is told a newer one."""

        def answered(answer: object) -> None:
            known = answers.number(answer)
            if known > entry.epoch:
                fenced(known)

        tail = stored.pack_tail(entry)
        call = self._call(scripts.HOLD, entry.text, entry.epoch, self._lease_ms, tail)
        self.add(call, answered)

    def leave(self, entry: Entry, reason: Reason, *, done: Callable[[], None]) -> None:
        """Delete exactly this session."""
        arguments = entry.text, entry.epoch, reason.value, scripts.FENCE_MS
        self.add(self._call(scripts.LEAVE, *arguments), lambda _: done())

    def sweep_command(self, run_id: bytes, *, most: int) -> Command:
        """Notice lost data; end at most so many entries that are overdue."""
        return self._call(
            scripts.SWEEP,
            run_id,
            secrets.token_hex(8),
            most,
            Reason.EXPIRED.value,
            scripts.FENCE_MS,
            scripts.KEEP_MS,
        )

    def snapshot_command(self) -> Command:
        return self._call(scripts.SNAPSHOT)

    def _call(self, script: str, *arguments: Argument) -> Command:
        name = scripts.digest(script)
        return ("EVALSHA", name, len(self._keys), *self._keys, self._prefix, *arguments)


def _ignore(answer: object) -> None:
    del answer
