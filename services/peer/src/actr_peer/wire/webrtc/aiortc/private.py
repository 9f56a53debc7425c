"""What of aiortc and aioice this folder relies on beyond their interface.

Attributes of instances are watched by ``test_private.py`` of the tests.
"""

from __future__ import annotations

from collections.abc import Mapping

import aioice
from aioice.ice import StunProtocol
from aiortc import RTCCertificate, RTCPeerConnection, RTCRtpReceiver, RTCRtpSender, RTCSctpTransport
from aiortc.rtcdtlstransport import RTCDtlsTransport, RtpRouter
from aiortc.rtcrtpreceiver import StreamStatistics

WANTED: Mapping[str, str] = {"aiortc": "1.16", "aioice": "0.13"}
METHODS: Mapping[type, list[str]] = {
    RTCPeerConnection: ["_RTCPeerConnection__connect", "_RTCPeerConnection__createTransceiver"],
    RTCSctpTransport: [
        "_abort",
        "_data_channel_close",
        "_data_channel_closed",
        "_data_channel_flush",
        "_flight_size_increase",
        "_get_inbound_stream",
        "_handle_data",
        "_maybe_abandon",
        "_receive",
        "_receive_chunk",
        "_receive_data_chunk",
        "_receive_forward_tsn_chunk",
        "_receive_sack_chunk",
        "_reset_deferred_streams",
        "_send",
        "_send_chunk",
        "_send_sack",
        "_set_state",
        "_t3_expired",
        "_t3_start",
        "_transmit",
        "_transmit_reconfig",
        "_update_advanced_peer_ack_point",
        "_update_rto",
    ],
    RTCDtlsTransport: [
        "_handle_rtcp_data",
        "_handle_rtp_data",
        "_register_rtp_receiver",
        "_send_data",
        "_send_rtp",
        "_setup_srtp",
    ],
    RtpRouter: ["register_sender", "route_rtp", "unregister_sender"],
    RTCRtpSender: [
        "_handle_rtcp_packet",
        "_retransmit",
        "_run_rtcp",
        "_run_rtp",
        "_send_keyframe",
        "_send_rtcp",
    ],
    RTCRtpReceiver: [
        "_handle_disconnect",
        "_handle_rtp_packet",
        "_run_rtcp",
        "_send_rtcp",
        "_send_rtcp_nack",
        "_send_rtcp_pli",
        "receive",
    ],
    aioice.Connection: [
        "_pair_remote_candidate",
        "add_remote_candidate",
        "build_request",
        "check_incoming",
        "data_received",
        "gather_candidates",
        "get_component_candidates",
        "query_consent",
        "sort_check_list",
    ],
    RTCCertificate: ["_create_ssl_context", "generateCertificate", "getFingerprints"],
    StreamStatistics: ["add"],
    StunProtocol: ["datagram_received"],
}
