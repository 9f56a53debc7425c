"""Every metric of a peer, as docs/metrics.md has them; a test compares the two.

Each reads a :class:`~actr_peer.node.observe.view.NodeView` when it is asked: nothing is counted a
second time for them. No label tells of another actor by its id: that is for ``actr ps``.
"""

from __future__ import annotations

from typing import Final

from actr_peer.node.process.metrics.actor import ACTOR
from actr_peer.node.process.metrics.family import Family
from actr_peer.node.process.metrics.lanes import LANES
from actr_peer.node.process.metrics.links import LINKS
from actr_peer.node.process.metrics.streams import STREAMS

FAMILIES: Final[tuple[Family, ...]] = (*ACTOR, *LINKS, *LANES, *STREAMS)
