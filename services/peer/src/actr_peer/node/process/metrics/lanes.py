"""Metrics of lanes: what went by those of links that are gone is in their sums, so that no counter
falls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from actr_peer.node.observe.view import NodeView
from actr_peer.node.process.metrics.family import Family, Values
from actr_peer.transport.link_view import LaneView, every_lane

_LANE = ("lane",)
_WAY = ("lane", "direction")


def _lanes(view: NodeView) -> Iterator[tuple[str, LaneView]]:
    """Each lane with its name, over all links."""
    for lanes in (view.past.lanes, *(link.lanes for link in view.links)):
        yield from every_lane(lanes)


def _summed(read: Callable[[LaneView], int]) -> Callable[[NodeView], Values]:
    def values(view: NodeView) -> Values:
        summed: dict[str, int] = {}
        for lane, counted in _lanes(view):
            summed[lane] = summed.get(lane, 0) + read(counted)
        return (((lane,), count) for lane, count in summed.items())

    return values


def _both(
    sent: Callable[[LaneView], int], received: Callable[[LaneView], int]
) -> Callable[[NodeView], Values]:
    def values(view: NodeView) -> Values:
        for direction, read in (("sent", sent), ("received", received)):
            for (lane,), count in _summed(read)(view):
                yield (lane, direction), count

    return values


LANES: Final = (
    Family(
        "actr_lane_messages_total",
        "counter",
        "Messages accepted for sending, and delivered",
        _WAY,
        _both(lambda lane: lane.sent, lambda lane: lane.received),
    ),
    Family(
        "actr_lane_frames_sent_total",
        "counter",
        "Frames sent for the first time",
        _LANE,
        _summed(lambda lane: lane.frames),
    ),
    Family(
        "actr_lane_frames_resent_total",
        "counter",
        "Frames sent again",
        _LANE,
        _summed(lambda lane: lane.resent),
    ),
    Family(
        "actr_lane_frames_duplicate_total",
        "counter",
        "Frames that had come before",
        _LANE,
        _summed(lambda lane: lane.duplicates),
    ),
    Family(
        "actr_lane_messages_dropped_total",
        "counter",
        "Messages dropped for age or number, latency-first only",
        _LANE,
        _summed(lambda lane: lane.dropped),
    ),
    Family(
        "actr_lane_messages_unfinished_total",
        "counter",
        "Messages of which a part never came, latency-first only",
        _LANE,
        _summed(lambda lane: lane.unfinished),
    ),
    Family(
        "actr_lane_queued_frames",
        "gauge",
        "Frames that wait for their first sending (latency-first: messages)",
        _LANE,
        _summed(lambda lane: lane.queued),
    ),
    Family(
        "actr_lane_held_bytes",
        "gauge",
        "Held until the far side acknowledges; held back, or of unfinished messages",
        _WAY,
        _both(lambda lane: lane.sending_bytes, lambda lane: lane.receiving_bytes),
    ),
)
