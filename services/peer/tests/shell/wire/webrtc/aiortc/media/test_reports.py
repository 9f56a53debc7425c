from __future__ import annotations

import pytest
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import RtcpSdesPacket, RtcpSenderInfo, RtcpSrPacket

from actr_peer.protocol.media.packets import PacketWriter
from actr_peer.wire.webrtc.aiortc.media.reports import OwnReports, SenderClock

OPUS = RTCRtpCodecParameters("audio/opus", 48_000)
NOW = 1_800_000_000.25


def writer(ssrc: int = 5) -> PacketWriter:
    return PacketWriter(ssrc, sequence=0)


async def test_what_one_side_reports_the_other_knows() -> None:
    reports, clock = OwnReports(), SenderClock()
    reports.note(960, NOW, 48_000)
    made = reports.make(writer(), "name")
    assert made is not None
    report, described = made.packets
    assert isinstance(report, RtcpSrPacket)
    assert isinstance(described, RtcpSdesPacket)
    assert made.middle == (report.sender_info.ntp_timestamp >> 16) & 0xFFFFFFFF
    clock.report(report)
    assert clock.when(5, 960 + 48_000, OPUS) == pytest.approx(NOW + 1, abs=1e-5)
    assert clock.when(5, 0, OPUS) == pytest.approx(NOW - 0.02, abs=1e-5)
    assert clock.when(6, 960, OPUS) is None, "another source has not reported"


async def test_nothing_is_told_of_a_track_before_its_first_sample() -> None:
    reports = OwnReports()
    assert reports.make(writer(), None) is None
    reports.note(7, NOW, 48_000)
    assert reports.make(writer(), None) is not None
    reports.begin()
    assert reports.make(writer(), None) is None, "what was known is of the track before"


async def test_the_first_sample_is_told_at_once_and_then_in_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("actr_peer.wire.webrtc.aiortc.media.reports.REPORT_SECONDS", (60, 60))
    reports = OwnReports()
    reports.note(0, NOW, 48_000)
    await reports.due()
    monkeypatch.setattr("actr_peer.wire.webrtc.aiortc.media.reports.REPORT_SECONDS", (0, 0))
    reports.note(960, NOW, 48_000)
    await reports.due()


def test_a_report_without_a_time_says_nothing() -> None:
    clock = SenderClock()
    info = RtcpSenderInfo(ntp_timestamp=0, rtp_timestamp=0, packet_count=0, octet_count=0)
    clock.report(RtcpSrPacket(ssrc=5, sender_info=info))
    assert clock.when(5, 0, OPUS) is None
