"""One WebRTC wire, without a connection below it."""

from __future__ import annotations

from actr_peer.protocol.wire.life import WEBRTC
from actr_peer.wire.webrtc.wire import ACTS


def test_each_act_of_a_wire_s_life_has_who_does_it() -> None:
    assert {act for _, acts in WEBRTC.values() for act in acts} == set(ACTS)
