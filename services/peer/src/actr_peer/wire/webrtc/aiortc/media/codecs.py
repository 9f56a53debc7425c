"""Which media sections this side can use: what aiortc would find out half-way through."""

from __future__ import annotations

from collections.abc import Sequence

from aiortc.codecs import CODECS, is_rtx
from aiortc.rtcpeerconnection import filter_preferred_codecs, find_common_codecs
from aiortc.rtcrtpparameters import RTCRtpCodecCapability
from aiortc.sdp import SessionDescription

from actr_peer.protocol.webrtc.descriptions import Section


def takes(section: Section, preferred: Sequence[RTCRtpCodecCapability] = ()) -> bool:
    """Whether aiortc can read ``section``, and has one of its codecs.

    Args:
        preferred: What of our codecs may be used there; empty: all.
    """
    if not section.protocol.endswith("RTP/SAVPF"):
        return False
    try:
        (media,) = SessionDescription.parse("v=0\r\n" + section.text()).media
        common = find_common_codecs(CODECS[section.kind], media.rtp.codecs)
        common = filter_preferred_codecs(common, list(preferred))
    except Exception:  # noqa: BLE001  boundary: it raises nearly anything on what the far side wrote
        return False
    return any(not is_rtx(codec) for codec in common)
