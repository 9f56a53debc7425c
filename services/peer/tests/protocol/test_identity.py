"""Who an actor is; the grammar of ids is in ``vectors/test_ids.py``."""

from __future__ import annotations

import pytest

from actr_peer.protocol.identity import ActrId

ROOM = ActrId("acme", "room", "1")


def test_ids_are_ordered_and_equal_by_their_text() -> None:
    assert sorted([ActrId("acme", "room", "2"), ROOM]) == [ROOM, ActrId("acme", "room", "2")]
    assert ActrId.parse(str(ROOM)) == ROOM
    assert hash(ActrId.parse(str(ROOM))) == hash(ROOM)
    assert str(ROOM) != ROOM


def test_an_id_has_no_order_with_what_is_none() -> None:
    with pytest.raises(TypeError):
        assert ROOM < "acme:room@1:default"  # type: ignore[operator]
