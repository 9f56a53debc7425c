"""Metrics of links and their wires."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from actr_peer.node.observe.view import NodeView
from actr_peer.node.process.metrics.family import Family, Values, by_key, one
from actr_peer.transport.link_view import KindView


def _kinds(view: NodeView) -> Iterator[KindView]:
    return (wire for link in view.links for wire in link.wires)


def _wires(view: NodeView) -> Values:
    count = Counter((wire.kind.value, wire.state.name.lower()) for wire in _kinds(view))
    return count.items()


def _relayed(view: NodeView) -> Values:
    return by_key(Counter(wire.kind.value for wire in _kinds(view) if wire.is_relayed))


def _active(view: NodeView) -> Values:
    return by_key(Counter(link.active.value for link in view.links if link.active is not None))


def _round_trips(view: NodeView) -> Values:
    longest: dict[str, float] = {}
    for wire in _kinds(view):
        if wire.rtt is not None:
            longest[wire.kind.value] = max(wire.rtt, longest.get(wire.kind.value, 0.0))
    return by_key(longest)


def _changes(view: NodeView) -> Values:
    changes = view.past.changes.items()
    return (((kind.value, state.name.lower()), count) for (kind, state), count in changes)


LINKS: Final = (
    Family(
        "actr_links",
        "gauge",
        "Remotes that there is a link to",
        (),
        lambda view: one(len(view.links)),
    ),
    Family(
        "actr_links_broken",
        "gauge",
        "Links that have lost every wire that worked, and wait for another",
        (),
        lambda view: one(view.past.broken),
    ),
    Family(
        "actr_links_ended_total",
        "counter",
        "Links that are gone, by the class of the error that ended them",
        ("cause",),
        lambda view: by_key(view.past.ended),
    ),
    Family(
        "actr_link_gap_seconds",
        "histogram",
        "For which a link had no wire that works, from the loss of its last to the next",
        (),
        lambda view: (((), view.past.gaps),),
    ),
    Family(
        "actr_wires", "gauge", "Kinds of wire of all links, by state", ("kind", "state"), _wires
    ),
    Family(
        "actr_wires_active",
        "gauge",
        "Links whose new messages take this kind of wire",
        ("kind",),
        _active,
    ),
    Family("actr_wires_relayed", "gauge", "Wires with a TURN server between", ("kind",), _relayed),
    Family(
        "actr_wire_round_trip_seconds",
        "gauge",
        "Smoothed round trip of the slowest wire of a kind",
        ("kind",),
        _round_trips,
    ),
    Family(
        "actr_wire_changes_total",
        "counter",
        "Changes of wires into a state",
        ("kind", "state"),
        _changes,
    ),
)
