"""A node that was made and never started."""

from __future__ import annotations

import pytest

from actr_peer import ActrId, Node, NodeConfig


def test_what_a_ref_does_is_not_done_by_the_node_and_the_error_says_who_does_it() -> None:
    node = Node(
        NodeConfig(id=ActrId("acme", "room", "1"), signaling_url="ws://127.0.0.1:1/v1/ws"), ()
    )
    with pytest.raises(AttributeError, match=r"a Node has no 'publish': node\.ref has it"):
        _ = node.publish  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match=r"a Node has no 'anything'$"):
        _ = node.anything  # type: ignore[attr-defined]
