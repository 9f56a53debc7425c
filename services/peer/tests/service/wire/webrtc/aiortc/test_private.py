"""Every private part of aiortc and aioice that ``wire/webrtc/aiortc`` relies on is where it was.

A version that moves one fails here, by name, and not somewhere in a connection.
"""

from __future__ import annotations

import inspect
import re

import aioice
import pytest
from aioice import ice
from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSctpTransport,
    rtcsctptransport,
)
from aiortc.codecs import get_encoder
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcsctptransport import DataChunk

from actr_peer.wire.private import check
from actr_peer.wire.webrtc.aiortc import private
from actr_peer.wire.webrtc.aiortc.sctp.lane_queue import OutboundChunk

pytestmark = pytest.mark.service

SCTP = [
    "_advertised_rwnd",
    "_association_state",
    "_cwnd",
    "_data_channel_queue",
    "_data_channels",
    "_fast_recovery_exit",
    "_flight_size",
    "_forward_tsn_chunk",
    "_last_received_tsn",
    "_local_port",
    "_local_tsn",
    "_local_verification_tag",
    "_outbound_queue",
    "_outbound_stream_seq",
    "_reconfig_deferred",
    "_reconfig_queue",
    "_remote_max_message_size",
    "_remote_port",
    "_remote_verification_tag",
    "_rto",
    "_rttvar",
    "_sack_duplicates",
    "_sack_misordered",
    "_sack_needed",
    "_sent_queue",
    "_srtt",
    "_t3_handle",
]
SENDER = [
    "_enabled",
    "_rtx_ssrc",
    "_ssrc",
    "_RTCRtpSender__cname",
    "_RTCRtpSender__mid",
    "_RTCRtpSender__packet_count",
    "_RTCRtpSender__rtp_exited",
    "_RTCRtpSender__rtp_header_extensions_map",
    "_RTCRtpSender__rtp_started",
    "_RTCRtpSender__rtcp_exited",
    "_RTCRtpSender__rtcp_started",
    "_RTCRtpSender__rtt",
    "_RTCRtpSender__stats",
    "_track_id",
]
DTLS = [
    "_RTCDtlsTransport__tx_bytes",
    "_RTCDtlsTransport__tx_packets",
    "_rtp_router",
    "_state",
    "_tx_srtp",
]
RECEIVER = [
    "_enabled",
    "_RTCRtpReceiver__codecs",
    "_RTCRtpReceiver__kind",
    "_RTCRtpReceiver__remote_bitrate_estimator",
    "_RTCRtpReceiver__remote_streams",
    "_RTCRtpReceiver__rtcp_ssrc",
    "_RTCRtpReceiver__rtcp_task",
    "_RTCRtpReceiver__rtx_ssrc",
    "_RTCRtpReceiver__started",
]
TRANSCEIVER = ["_codecs", "_get_mline_index", "_offerDirection"]
AGENT = [
    "_check_list",
    "_closing",
    "_local_candidates",
    "_local_candidates_end",
    "_local_candidates_start",
    "_nominated",
    "_protocols",
    "_query_consent_task",
    "_remote_candidates",
    "_transport_policy",
    "stun_server",
    "turn_password",
    "turn_server",
    "turn_ssl",
    "turn_transport",
    "turn_username",
]


@pytest.mark.parametrize(
    ("owner", "name"), [(owner, name) for owner, names in private.METHODS.items() for name in names]
)
def test_a_method_that_is_called_or_replaced_is_there(owner: type, name: str) -> None:
    assert callable(getattr(owner, name))


def test_the_libraries_that_are_installed_are_those_that_are_wanted() -> None:
    check(private.WANTED, private.METHODS)


@pytest.mark.parametrize(
    "name",
    [
        "_abort",
        "_data_channel_flush",
        "_handle_data",
        "_receive",
        "_send",
        "_send_chunk",
        "_send_sack",
    ],
)
def test_what_is_run_or_replaced_as_a_coroutine_is_one(name: str) -> None:
    assert inspect.iscoroutinefunction(getattr(RTCSctpTransport, name))


def test_the_sending_of_sctp_never_suspends() -> None:
    """``run_now`` relies on it: all that it awaits on the way down is these."""
    for method in (RTCDtlsTransport._send_data, RTCDtlsTransport._write_ssl):
        assert "asyncio.sleep" not in inspect.getsource(method)
    assert "sendto" in inspect.getsource(ice.StunProtocol.send_data)


@pytest.mark.parametrize("name", ["host_addresses", "relayed_candidate"])
def test_a_function_of_aioice_is_there(name: str) -> None:
    known = {"host_addresses": ice.get_host_addresses, "relayed_candidate": ice.relayed_candidate}
    assert callable(known[name])


def test_the_signatures_of_what_is_called_have_not_changed() -> None:
    assert list(inspect.signature(RTCSctpTransport._send).parameters) == [
        "self",
        "stream_id",
        "pp_id",
        "user_data",
        "expiry",
        "max_retransmits",
        "ordered",
    ]
    assert list(inspect.signature(ice.relayed_candidate).parameters) == [
        "component",
        "hide_related_address",
        "protocol_factory",
        "turn_server",
        "turn_username",
        "turn_password",
        "turn_ssl",
        "turn_transport",
    ]
    assert list(inspect.signature(aioice.Connection.get_component_candidates).parameters) == [
        "self",
        "component",
        "addresses",
        "timeout",
    ]


async def test_every_attribute_is_where_it_was() -> None:
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        pc.createDataChannel("x", negotiated=True, id=0)
        section = pc.addTransceiver("video", "sendonly")
        assert pc.sctp is not None
        agent = pc.sctp.transport.transport.iceGatherer._connection
        assert pc.sctp.transport.transport._connection is agent
        owners = [
            (pc.sctp.transport, DTLS),
            (pc.sctp, SCTP),
            (section.sender, SENDER),
            (section.receiver, RECEIVER),
            (section, TRANSCEIVER),
            (agent, AGENT),
            (pc, ["_RTCPeerConnection__certificates"]),
        ]
        missing = [
            f"{type(owner).__name__}.{name}"
            for owner, names in owners
            for name in names
            if not hasattr(owner, name)
        ]
        assert missing == []
        assert {"senders", "ssrc_table"} <= vars(pc.sctp.transport._rtp_router).keys()
        assert "_cwnd" in vars(pc.sctp), "upgrade() takes it out of the instance"
    finally:
        await pc.close()


def test_a_chunk_of_ours_has_what_a_chunk_of_aiortc_has() -> None:
    made = inspect.getsource(RTCSctpTransport._send)
    given = set(re.findall(r"chunk\.(\w+) = ", made))
    ours = OutboundChunk(3, 1, (0, 0, 53), b"x", None)
    assert given == {name for name in given if hasattr(ours, name)}
    theirs = DataChunk()
    theirs.flags, theirs.tsn, theirs.protocol, theirs.user_data = 3, 1, 53, b"x"
    assert bytes(ours) == bytes(theirs)


async def test_the_queues_of_sctp_hold_what_ours_hold() -> None:
    source = inspect.getsource(RTCSctpTransport)
    assert "self._data_channel_queue.append((channel, pp_id, user_data))" in source
    assert "chunk = self._outbound_queue.popleft()" in source
    assert "for channel, _, _ in self._data_channel_queue" in source
    assert rtcsctptransport.LOCAL_MAX_MESSAGE_SIZE == 256 * 1024
    assert rtcsctptransport.WEBRTC_BINARY == 53


@pytest.mark.parametrize("codec", ["VP8", "H264", "opus", "PCMU", "PCMA", "G722"])
def test_encoded_samples_of_every_codec_can_be_packed(codec: str) -> None:
    kind = "video" if codec in ("VP8", "H264") else "audio"
    names = {each.name: each for each in RTCRtpSender.getCapabilities(kind).codecs}
    assert hasattr(get_encoder(names[codec]), "pack")
