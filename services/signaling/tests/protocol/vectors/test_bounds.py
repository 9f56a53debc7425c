"""The service's constants are the bounds of ``proto/vectors/bounds.json``."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from actr_signaling import settings
from actr_signaling.protocol import identity
from actr_signaling.protocol.client import messages, proofs, replies
from actr_signaling.protocol.client.limits import Terms
from actr_signaling.protocol.websocket import frames, request_head
from actr_signaling.web import websocket
from signaling_kit.vectors import Vector, vectors

HELD: Mapping[str, Mapping[str, int]] = {
    "ids": {
        "part": identity.MAX_PART_CHARACTERS,
        "id_text": 4 * identity.MAX_PART_CHARACTERS + 3,
        "secret": settings.MIN_SECRET_BYTES,
    },
    "signaling": {
        "message": messages.MAX_MESSAGE_BYTES,
        "sdp": messages.MAX_SDP_CHARACTERS,
        "candidate": messages.MAX_CANDIDATE_CHARACTERS,
        "text": messages.MAX_TEXT_CHARACTERS,
        "services": messages.MAX_SERVICES,
        "metadata_entries": messages.MAX_METADATA_ENTRIES,
        "metadata_entry": messages.MAX_METADATA_ENTRY_BYTES,
        "found": messages.MAX_FOUND,
        "nonce": proofs.NONCE_BYTES,
        "listing": replies.MAX_LISTING_BYTES,
    },
    "signaling_service": {
        "service_name": identity.MAX_SERVICE_CHARACTERS,
        "relayed_tracks": messages.MAX_TRACKS,
        "allowed_realms": messages.MAX_ALLOWED_REALMS,
        "proof": messages.MAX_PROOF_BYTES,
        "default_found": messages.DEFAULT_FOUND,
        "fragments": frames.MAX_FRAGMENTS,
        "frames_before_proof": Terms().greeting_frames,
        "subscriptions": Terms().max_watches,
        "json_values": messages.MAX_JSON_VALUES,
    },
    "http": {
        "head": request_head.MAX_HEAD_BYTES,
        "headers": request_head.MAX_HEADERS,
        "discarded": websocket.LINGER_BYTES,
    },
}


@pytest.mark.parametrize(
    "listed",
    [
        vectors("bounds", "ids"),
        vectors("bounds", "signaling"),
        vectors("bounds", "signaling_service"),
        vectors("bounds", "http"),
    ],
    ids=list(HELD),
)
def test_each_bound_is_the_service_s(listed: list[Vector], request: pytest.FixtureRequest) -> None:
    held = HELD[request.node.callspec.id]
    assert {row["name"]: row["value"] for row in listed} == held
