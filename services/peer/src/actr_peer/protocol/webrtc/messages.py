"""Sans-I/O: the negotiation steps of ``actr/signaling.proto`` to dataclasses and back."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import assert_never

from actr import signaling_pb2 as pb
from actr_peer.errors import LimitError, RemoteProtocolError
from actr_peer.protocol.identity.certificates import MAX_CERTIFICATE_BYTES
from actr_peer.protocol.identity.signatures import SIGNATURE_BYTES
from actr_peer.protocol.webrtc.candidates import MAX_SDP_CHARACTERS
from actr_peer.protocol.webrtc.negotiation import (
    Answer,
    Body,
    Bye,
    Candidate,
    Join,
    NegotiateMessage,
    Offer,
    Proof,
    RequestCause,
    RequestOffer,
)

MAX_STATEMENT_BYTES = 2048
"""Two ids, a connection id and numbers."""
MAX_REASON_CHARACTERS = 256
"""Of a bye: signaling carries no longer one."""

_CAUSES = {
    RequestCause.CONNECT: pb.RequestOffer.CONNECT,
    RequestCause.TRACKS: pb.RequestOffer.TRACKS,
    RequestCause.NETWORK_CHANGED: pb.RequestOffer.NETWORK_CHANGED,
}


def pack_negotiate(message: NegotiateMessage) -> pb.Negotiate:
    """Return the protobuf form; the reason of a bye is cut.

    Raises:
        LimitError: If a description is longer than signaling carries.
    """
    packed = pb.Negotiate(connection_id=message.connection_id, exchange=message.exchange)
    match message.body:
        case Offer(sdp, track_ids):
            packed.offer.CopyFrom(_description(sdp, track_ids))
        case Answer(sdp, track_ids):
            packed.answer.CopyFrom(_description(sdp, track_ids))
        case Candidate(candidate, mid, index):
            packed.candidate.CopyFrom(
                pb.IceCandidate(candidate=candidate, sdp_mid=mid, sdp_m_line_index=index)
            )
        case RequestOffer(cause, tracks):
            packed.request_offer.CopyFrom(pb.RequestOffer(cause=_CAUSES[cause], tracks=tracks))
        case Bye(reason):
            packed.bye.CopyFrom(pb.Bye(reason=reason[:MAX_REASON_CHARACTERS]))
        case Join():
            packed.wire.SetInParent()
        case _:
            assert_never(message.body)
    if message.proof is not None:
        packed.statement = message.proof.statement
        packed.certificate = message.proof.certificate
        packed.signature = message.proof.signature
    return packed


def _description(sdp: str, track_ids: Mapping[str, str]) -> pb.SessionDescription:
    if len(sdp) > MAX_SDP_CHARACTERS:
        raise LimitError("characters of SDP", limit=MAX_SDP_CHARACTERS, asked=len(sdp))
    return pb.SessionDescription(sdp=sdp, track_ids=track_ids)


def unpack_negotiate(packed: pb.Negotiate) -> NegotiateMessage:
    """Read the protobuf form.

    Raises:
        RemoteProtocolError: If it has no body that this version knows, or too long a proof.
    """
    body: Body
    match packed.WhichOneof("body"):
        case "offer":
            body = Offer(packed.offer.sdp, MappingProxyType(dict(packed.offer.track_ids)))
        case "answer":
            body = Answer(packed.answer.sdp, MappingProxyType(dict(packed.answer.track_ids)))
        case "candidate":
            candidate = packed.candidate
            body = Candidate(candidate.candidate, candidate.sdp_mid, candidate.sdp_m_line_index)
        case "request_offer":
            try:
                cause = RequestCause(packed.request_offer.cause)
            except ValueError as exc:
                why = f"a request for an offer with cause {packed.request_offer.cause}"
                raise RemoteProtocolError(why) from exc
            body = RequestOffer(cause, MappingProxyType(dict(packed.request_offer.tracks)))
        case "bye":
            body = Bye(packed.bye.reason)
        case "wire":
            body = Join()
        case None:
            raise RemoteProtocolError("a negotiation step without a body")
        case kind:
            assert_never(kind)
    return NegotiateMessage(packed.connection_id, packed.exchange, body, _proof(packed))


def _proof(packed: pb.Negotiate) -> Proof | None:
    """What was signed of a description; None: nothing was."""
    proof = Proof(packed.statement, packed.certificate, packed.signature)
    if not (proof.statement or proof.certificate or proof.signature):
        return None
    if (
        len(proof.statement) > MAX_STATEMENT_BYTES
        or len(proof.certificate) > MAX_CERTIFICATE_BYTES
        or len(proof.signature) > SIGNATURE_BYTES
    ):
        raise RemoteProtocolError("a description with too long a proof")
    return proof
