"""The service's constants are the bounds of ``proto/vectors/bounds.json``."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from actr_signaling import secret_files
from actr_signaling.protocol import identity
from actr_signaling.protocol.client import messages, proofs, registers, replies, trust
from actr_signaling.protocol.client.limits import Terms
from actr_signaling.protocol.identity import certificates, keys
from actr_signaling.protocol.websocket import frames, request
from actr_signaling.web import websocket
from signaling_kit.vectors import Vector, vectors

HELD: Mapping[str, Mapping[str, float]] = {
    "ids": {
        "part": identity.MAX_PART_CHARACTERS,
        "id_text": 4 * identity.MAX_PART_CHARACTERS + 3,
        "secret": secret_files.MIN_SECRET_BYTES,
    },
    "certificates": {
        "certificate": certificates.MAX_CERTIFICATE_BYTES,
        "life": certificates.MAX_LIFE,
        "leeway": certificates.LEEWAY,
        "claims": certificates.MAX_CLAIMS,
        "claim": certificates.MAX_CLAIM_CHARACTERS,
        "claim_values": certificates.MAX_CLAIM_VALUES,
        "issuer_keys": keys.MAX_KEYS,
        "issuer_keys_file": keys.MAX_KEYS_CHARACTERS,
        "revoked": trust.MAX_REVOKED,
        "revoked_file": trust.MAX_REVOKED_BYTES,
    },
    "signaling": {
        "message": messages.MAX_MESSAGE_BYTES,
        "sdp": messages.MAX_SDP_CHARACTERS,
        "candidate": messages.MAX_CANDIDATE_CHARACTERS,
        "text": registers.MAX_TEXT_CHARACTERS,
        "services": registers.MAX_SERVICES,
        "metadata_entries": registers.MAX_METADATA_ENTRIES,
        "metadata_entry": registers.MAX_METADATA_ENTRY_BYTES,
        "found": messages.MAX_FOUND,
        "nonce": proofs.NONCE_BYTES,
        "listing": replies.MAX_LISTING_BYTES,
    },
    "signaling_service": {
        "service_name": identity.MAX_SERVICE_CHARACTERS,
        "relayed_tracks": messages.MAX_TRACKS,
        "allowed_realms": registers.MAX_ALLOWED_REALMS,
        "proof": registers.MAX_PROOF_BYTES,
        "default_found": messages.DEFAULT_FOUND,
        "fragments": frames.MAX_FRAGMENTS,
        "frames_before_proof": Terms().greeting_frames,
        "subscriptions": Terms().max_watches,
        "json_values": messages.MAX_JSON_VALUES,
    },
    "http": {
        "head": request.MAX_HEAD_BYTES,
        "headers": request.MAX_HEADERS,
        "discarded": websocket.LINGER_BYTES,
    },
}


@pytest.mark.parametrize(
    "listed",
    [
        vectors("bounds", "ids"),
        vectors("bounds", "certificates"),
        vectors("bounds", "signaling"),
        vectors("bounds", "signaling_service"),
        vectors("bounds", "http"),
    ],
    ids=list(HELD),
)
def test_each_bound_is_the_service_s(listed: list[Vector], request: pytest.FixtureRequest) -> None:
    held = HELD[request.node.callspec.id]
    assert {row["name"]: row["value"] for row in listed} == held
