"""WebRTC lost, WebSocket carries on, WebRTC comes back."""

from __future__ import annotations

from integration_kit.drivers import Composed, udp_dropped
from integration_kit.engine import eventually


def test_traffic_moves_to_websocket_while_udp_is_dropped_and_returns_after(
    system: Composed,
) -> None:
    one, other = system.peers()[:2]
    before = system.counts()
    with udp_dropped(one, other):
        eventually(
            f"{one.id} reaches {other.id} over WebSocket while UDP between them is dropped",
            lambda: one.in_use(other) == other.in_use(one) == "websocket",
            within=30,
        )
        rounds = one.exchange()[other.id]["rounds"]
        eventually(
            "rounds between the two go on while UDP is dropped",
            lambda: one.exchange()[other.id]["rounds"] >= rounds + 3,
            within=60,
        )
    eventually(
        f"the link between {one.id} and {other.id} is back on WebRTC once UDP passes again",
        lambda: one.in_use(other) == other.in_use(one) == "webrtc",
        within=60,
    )
    system.assert_nothing_lost(before)
