"""What this replica counts, as text for Prometheus: no library, for there are few numbers."""

from __future__ import annotations

from collections.abc import Iterator

from actr_signaling.hub.hub import Hub

FORM = "text/plain; version=0.0.4"


def page(hub: Hub) -> str:
    return "".join(f"{line}\n" for line in _lines(hub))


def _lines(hub: Hub) -> Iterator[str]:
    yield "# TYPE actr_signaling_connections gauge"
    yield f"actr_signaling_connections {hub.connections}"
    yield "# TYPE actr_signaling_registered gauge"
    yield f"actr_signaling_registered {len(hub.here)}"
    yield "# TYPE actr_signaling_actors gauge"
    yield f"actr_signaling_actors {len(hub.presence)}"
    yield "# HELP actr_signaling_refused_total Proofs that were not believed, or no more."
    yield "# TYPE actr_signaling_refused_total counter"
    for cause, count in sorted(hub.refused.items()):
        yield f'actr_signaling_refused_total{{cause="{cause}"}} {count}'
    yield "# HELP actr_signaling_kept_apart_total Not shown or not relayed, by the access rules."
    yield "# TYPE actr_signaling_kept_apart_total counter"
    for what, count in sorted(hub.meetings.refused.items()):
        yield f'actr_signaling_kept_apart_total{{what="{what}"}} {count}'
    wires = hub.wires
    yield "# TYPE actr_signaling_wires gauge"
    yield f"actr_signaling_wires {len(wires.table)}"
    yield "# HELP actr_signaling_wires_opened_total Wires between actors that went through here."
    yield "# TYPE actr_signaling_wires_opened_total counter"
    yield f"actr_signaling_wires_opened_total {wires.table.opened}"
    yield "# TYPE actr_signaling_wires_bytes_total counter"
    yield f"actr_signaling_wires_bytes_total {wires.passed_bytes}"
    yield "# TYPE actr_signaling_wires_refused_total counter"
    for why, count in sorted(wires.table.refused.items()):
        yield f'actr_signaling_wires_refused_total{{cause="{why.value}"}} {count}'
