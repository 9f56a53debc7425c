"""The peer's constants are the bounds of ``proto/vectors/bounds.json``."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from actr_peer.node.config.reading import MIN_SECRET_BYTES
from actr_peer.protocol import identity, payload
from actr_peer.protocol.identity import certificates, keys, revoked
from actr_peer.protocol.rpc import bounds, call_errors, envelopes
from actr_peer.protocol.session import frames, lanes, latency, receiver, sender, session
from actr_peer.protocol.session.wires import ends
from actr_peer.protocol.signaling import messages, reading
from actr_peer.protocol.streams import halves as streams
from actr_peer.protocol.webrtc import candidates, descriptions
from actr_peer.protocol.websocket import door, handshake, lane_frames, upgrade
from actr_peer.protocol.websocket import frames as odd_frames
from actr_peer.transport import channels
from actr_peer.transport import stream_reader as open_streams
from actr_peer.wire.signaling import client, connection
from actr_peer.wire.webrtc import source, wires
from actr_peer.wire.webrtc.aiortc import bounds as data_channels
from actr_peer.wire.webrtc.aiortc.media import sections
from actr_peer.wire.websocket import arrivals
from actr_peer.wire.websocket import wire as websocket_wire
from peer_kit.vectors import Vector, vectors

LATENCY_FIRST = payload.TRAFFIC[payload.PayloadType.STREAM_LATENCY_FIRST]

HELD: Mapping[str, Mapping[str, float]] = {
    "ids": {
        "part": identity.MAX_PART_CHARACTERS,
        "id_text": 4 * identity.MAX_PART_CHARACTERS + 3,
        "secret": MIN_SECRET_BYTES,
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
        "revoked": revoked.MAX_REVOKED,
        "revoked_file": revoked.MAX_REVOKED_BYTES,
    },
    "signaling": {
        "message": messages.MAX_RELAYED_BYTES,
        "sdp": candidates.MAX_SDP_CHARACTERS,
        "candidate": candidates.MAX_CANDIDATE_CHARACTERS,
        "text": reading.MAX_TEXT,
        "services": reading.MAX_SERVICES,
        "metadata_entries": reading.MAX_METADATA_ENTRIES,
        "metadata_entry": reading.MAX_METADATA_ENTRY_BYTES,
        "found": client.MAX_FOUND,
        "nonce": messages.NONCE_BYTES,
        "listing": connection.MAX_MESSAGE_BYTES,
    },
    "http": {
        "head": upgrade.MAX_HEAD_BYTES,
        "headers": upgrade.MAX_HEADERS,
        "discarded": arrivals.MAX_DISCARDED_BYTES,
    },
    "session": {
        "version": frames.VERSION,
        "lanes": frames.LANES,
        "wire_message": payload.WIRE_MESSAGE_BYTES,
        "wire_message_websocket": payload.MAX_WIRE_MESSAGE_BYTES[payload.WireKind.WEBSOCKET],
        "fragment": frames.FRAGMENT_BYTES,
        "fragments": frames.MAX_FRAGMENTS,
        "message": payload.MAX_MESSAGE_BYTES,
        "acks": session.MAX_ACKS,
        "words": ends.MAX_WORDS,
        "ungreeted": ends.MAX_UNGREETED,
        "ungreeted_bytes": ends.MAX_UNGREETED_BYTES,
        "window_frames": sender.WINDOW_FRAMES,
        "window_bytes": sender.WINDOW_BYTES,
        "held": lanes.HELD_BYTES,
        "latency_window": latency.WINDOW,
        "hello_every": 1000 * ends.HELLO_EVERY,
        "ack_every": receiver.ACK_EVERY,
        "ack_within": 1000 * receiver.ACK_WITHIN,
        "lifetime": 1000 * (LATENCY_FIRST.lifetime or 0),
    },
    "websocket": {
        "version": handshake.VERSION,
        "data": lane_frames.MAX_DATA_BYTES,
        "pieces": lane_frames.MAX_PIECES,
        "step": lane_frames.MAX_STEP_BYTES,
        "nonce": handshake.NONCE_BYTES,
        "before_handshake": odd_frames.MAX_BEFORE_HANDSHAKE,
        "handshake": 1000 * websocket_wire.HANDSHAKE_SECONDS,
        "places": door.PLACES,
        "places_of_address": door.SHARE,
        "key": upgrade.KEY_BYTES,
    },
    "webrtc": {
        "message": data_channels.MAX_MESSAGE_BYTES,
        "sections": candidates.MAX_SECTIONS,
        "candidates": candidates.MAX_PER_DESCRIPTION,
        "trickled": candidates.MAX_TRICKLED,
        "early": candidates.MAX_EARLY,
        "connection_id": wires.MAX_ID_CHARACTERS,
        "mid": descriptions.MAX_MID_CHARACTERS,
        "track_id": source.MAX_TRACK_ID_CHARACTERS,
        "tracks": sections.MAX_TRACKS,
    },
    "envelopes": {
        "id": bounds.MAX_ID_CHARS,
        "route_key": bounds.MAX_ROUTE_CHARS,
        "metadata_entries": bounds.MAX_METADATA_ENTRIES,
        "metadata": bounds.MAX_METADATA_BYTES,
        "call_chain": bounds.MAX_CALL_CHAIN,
        "traceparent": bounds.MAX_TRACEPARENT_CHARS,
        "tracestate": bounds.MAX_TRACESTATE_CHARS,
        "call_number": bounds.MAX_CALL_NUMBER.bit_length(),
        "timeout": envelopes.MAX_TIMEOUT,
        "fields": bounds.MAX_FIELDS,
        "unknown": bounds.MAX_UNKNOWN_BYTES,
        "error": bounds.MAX_ERROR_BYTES,
        "error_text": call_errors.MAX_ERROR_CHARS,
        "error_details": call_errors.MAX_DETAILS_BYTES,
        "error_domain": call_errors.MAX_DOMAIN_CHARS,
    },
    "streams": {
        "window": streams.WINDOW,
        "window_bytes": streams.WINDOW_BYTES,
        "grant_every": streams.GRANT_EVERY,
        "grant_every_bytes": streams.GRANT_EVERY_BYTES,
        "halves": channels.MAX_STREAMS_PER_REMOTE,
        "late": 1000 * open_streams.LINGER,
    },
}


@pytest.mark.parametrize(
    "listed",
    [
        vectors("bounds", "ids"),
        vectors("bounds", "certificates"),
        vectors("bounds", "signaling"),
        vectors("bounds", "http"),
        vectors("bounds", "session"),
        vectors("bounds", "websocket"),
        vectors("bounds", "webrtc"),
        vectors("bounds", "envelopes"),
        vectors("bounds", "streams"),
    ],
    ids=list(HELD),
)
def test_each_bound_is_the_peer_s(listed: list[Vector], request: pytest.FixtureRequest) -> None:
    held = HELD[request.node.callspec.id]
    assert {row["name"]: row["value"] for row in listed} == held
