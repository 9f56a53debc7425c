from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from actr_peer import System
from actr_peer.errors import UnreachableError
from actr_peer.node.process.metrics.actor import ACTOR
from actr_peer.node.process.status import status, wire_in_use
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.signaling.presence import SignalingState
from lab.quiet import Quiet
from peer_kit.signaling import config

NOWHERE = "ws://127.0.0.1:9/v1/ws"


async def test_a_node_can_be_looked_at_before_it_starts() -> None:
    node = System(config("room", NOWHERE)).attach(Quiet())
    view = node.view()
    assert (view.id, view.is_ended, view.signaling) == (node.id, False, SignalingState.CONNECTING)
    assert (view.links, view.mailbox.depth, view.outbox.open) == ((), 0, 0)
    assert [presence.id for presence in view.actors] == [node.id]
    assert view.incarnation
    with pytest.raises(FrozenInstanceError):
        view.server_id = "other"  # type: ignore[misc]


async def test_there_is_no_wire_to_an_actor_without_a_link() -> None:
    view = System(config("room", NOWHERE)).attach(Quiet()).view()
    other = ActrId("acme", "other", "1")
    assert view.link(other) is None
    assert wire_in_use(view, other) == "no wire"


async def test_the_status_document_has_all_that_a_view_shows() -> None:
    node = System(config("room", NOWHERE)).attach(Quiet())
    document = status(node.view())
    assert document["incarnation"] == f"{node.view().incarnation:016x}"
    assert document["streams"] == {
        "open": 0, "running": 0, "waiting": 0,
        "unknown": 0, "refused": 0, "stale": 0, "dropped": 0, "broken": 0, "stalls": 0,
    }  # fmt: skip
    assert document["identity"] == {"by": "development"}
    assert document["mailbox"]["depth"] == document["mailbox"]["pushed_back"] == 0
    assert document["outbox"] == {"path": "", "open": 0, "trouble": ""}


async def test_wires_of_all_kinds_that_were_not_believed_are_counted_together() -> None:
    node = System(config("room", NOWHERE)).attach(Quiet())
    network = node.assembly.network
    network.websocket.refused["mac"] += 1
    network.relayed.refused["mac"] += 2
    assert node.view().refused == {"wire mac": 3}
    (family,) = (each for each in ACTOR if each.name == "actr_refused_total")
    (sample,) = family.of(node.view()).samples
    assert (sample.labels, sample.value) == ({"what": "wire", "cause": "mac"}, 3)


async def test_signaling_cannot_be_asked_before_the_start() -> None:
    node = System(config("room", NOWHERE)).attach(Quiet())
    with pytest.raises(UnreachableError, match="has not started"):
        await node.ref.discover("room")
    with pytest.raises(UnreachableError, match="has not started"):
        await node.ref.subscribe()


async def test_a_node_that_was_closed_before_its_start_has_ended() -> None:
    node = System(config("room", NOWHERE)).attach(Quiet())
    await node.close()
    assert node.view().is_ended
