from __future__ import annotations

import pytest

from actr_peer.errors import LimitError
from actr_peer.protocol.webrtc.candidates import MAX_SDP_CHARACTERS
from actr_peer.protocol.webrtc.messages import (
    MAX_REASON_CHARACTERS,
    pack_negotiate,
    unpack_negotiate,
)
from actr_peer.protocol.webrtc.negotiation import Answer, Bye, NegotiateMessage, Offer


@pytest.mark.parametrize("kind", [Offer, Answer])
def test_a_description_that_signaling_does_not_carry_is_not_sent(kind: type[Offer]) -> None:
    longest = NegotiateMessage("c1", 1, kind("v" * MAX_SDP_CHARACTERS))
    assert unpack_negotiate(pack_negotiate(longest)) == longest
    with pytest.raises(LimitError, match="characters of SDP"):
        pack_negotiate(NegotiateMessage("c1", 1, kind("v" * (MAX_SDP_CHARACTERS + 1))))


def test_a_long_reason_of_a_bye_is_cut() -> None:
    packed = pack_negotiate(NegotiateMessage("c1", 1, Bye("because " * 100)))
    body = unpack_negotiate(packed).body
    assert isinstance(body, Bye)
    assert len(body.reason) == MAX_REASON_CHARACTERS
