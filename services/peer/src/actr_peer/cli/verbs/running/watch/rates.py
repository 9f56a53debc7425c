"""What an actor does in a second: two of its status documents, compared; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from actr_peer.node.observe.durations import BOUNDS, OK

Status: TypeAlias = Mapping[str, Any]
"""As ``actr ps --json`` has it."""
_MS: Final = 1000
_BUCKETS: Final = len(BOUNDS) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Calls that ended between two looks."""

    calls_in: float
    """A second: of others, and of the actor's own process, to it."""
    calls_out: float
    """A second: of the actor to others."""
    failed: float
    """A second: of both, that ended in another code than OK."""
    p50_ms: float | None
    """Of handlers, from the buckets of the metrics; None: none has ended."""
    p99_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One actor at one moment."""

    id: str
    pid: int
    signaling: str
    rates: Rates | None
    """None: it was seen once, and in this life of its process no earlier."""
    links: int
    """Remotes that a wire leads to."""
    wires: Mapping[str, int]
    """Those that work, by kind."""
    depth: int
    """Requests queued or running."""
    dead: int
    """Dead letters that are kept."""
    streams: int
    """Halves that are open."""


def row_of(now: Status, before: Status | None, seconds: float) -> Row:
    """One actor, from its status and the one of ``seconds`` earlier.

    Raises:
        LookupError, TypeError, ValueError: If that is no status of an actor.
    """
    ready = [wire for wire in now["wires"] if wire["state"] == "ready"]
    is_same = before is not None and before["incarnation"] == now["incarnation"]
    return Row(
        id=str(now["id"]),
        pid=int(now["pid"]),
        signaling=str(now["signaling"]),
        rates=_rates(now, before, seconds) if before is not None and is_same else None,
        links=len({wire["remote"] for wire in ready}),
        wires=Counter(str(wire["kind"]) for wire in ready),
        depth=int(now["mailbox"]["depth"]),
        dead=int(now["mailbox"]["dead"]),
        streams=int(now["streams"]["open"]),
    )


def _rates(now: Status, before: Status, seconds: float) -> Rates:
    past = {_name(each): each for each in before["calls"]}
    ended: Counter[str] = Counter()
    failed, buckets = 0, [0] * _BUCKETS
    for each in now["calls"]:
        earlier = past.get(_name(each))
        count = each["count"] - (earlier["count"] if earlier else 0)
        ended[each["side"]] += count
        failed += count if each["code"] != OK else 0
        if each["side"] == "server":
            was = earlier["buckets"] if earlier else [0] * _BUCKETS
            buckets = [
                all_of + more - less
                for all_of, more, less in zip(buckets, each["buckets"], was, strict=True)
            ]
    return Rates(
        calls_in=ended["server"] / seconds,
        calls_out=ended["client"] / seconds,
        failed=failed / seconds,
        p50_ms=quantile(buckets, 0.50),
        p99_ms=quantile(buckets, 0.99),
    )


def _name(calls: Mapping[str, Any]) -> tuple[str, str, str]:
    return calls["side"], calls["method"], calls["code"]


def quantile(buckets: Sequence[int], share: float) -> float | None:
    """Milliseconds within which ``share`` of what is counted ended, by a straight line through its
    bucket, as Prometheus has it; what is above the last bound counts as that. None: nothing is."""
    rank, below, lower = share * sum(buckets), 0, 0.0
    if not rank:
        return None
    for count, upper in zip(buckets, BOUNDS, strict=False):
        if count and below + count >= rank:
            return (lower + (upper - lower) * (rank - below) / count) * _MS
        below, lower = below + count, upper
    return BOUNDS[-1] * _MS
