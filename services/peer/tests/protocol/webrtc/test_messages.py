from __future__ import annotations

import pytest

from actr import signaling_pb2 as pb
from actr_peer.errors import LimitError, RemoteProtocolError
from actr_peer.protocol.webrtc.candidates import MAX_SDP_CHARACTERS
from actr_peer.protocol.webrtc.messages import (
    MAX_REASON_CHARACTERS,
    pack_negotiate,
    unpack_negotiate,
)
from actr_peer.protocol.webrtc.negotiation import (
    Answer,
    Body,
    Bye,
    Candidate,
    Join,
    NegotiateMessage,
    Offer,
    RequestCause,
    RequestOffer,
)


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


BODIES = [
    Offer("v=0", {"0": "cam"}),
    Answer("v=0", {"1": "mic"}),
    Candidate("candidate", "0", 1),
    *(RequestOffer(cause, {"cam": "video"}) for cause in RequestCause),
    Bye("because"),
    Join(),
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: type(body).__name__)
def test_a_step_comes_back_as_it_was_packed(body: Body) -> None:
    message = NegotiateMessage("c1", 7, body)
    assert unpack_negotiate(pack_negotiate(message)) == message


def test_a_step_of_a_later_version_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="without a body"):
        unpack_negotiate(pb.Negotiate(connection_id="c1"))
    strange = pb.Negotiate(request_offer=pb.RequestOffer(cause=9))  # type: ignore[arg-type]
    with pytest.raises(RemoteProtocolError, match="cause 9"):
        unpack_negotiate(strange)
