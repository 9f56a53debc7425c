from __future__ import annotations

from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtp import HeaderExtensions, HeaderExtensionsMap, RtpPacket, wrap_rtx
from hypothesis import given
from hypothesis import strategies as st

from actr_peer.protocol.media.packets import HISTORY_PACKETS, PacketWriter, repeating

KNOWN = HeaderExtensionsMap()
KNOWN.configure(
    RTCRtpParameters(
        headerExtensions=[
            RTCRtpHeaderExtensionParameters(1, "urn:ietf:params:rtp-hdrext:sdes:mid"),
            RTCRtpHeaderExtensionParameters(
                2, "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
            ),
        ]
    )
)
EXTENDED = KNOWN.set(HeaderExtensions(mid="0", abs_send_time=77))


def writer(sequence: int = 65_534) -> PacketWriter:
    made = PacketWriter(0xDEADBEEF, sequence=sequence)
    made.payload_type = 97
    return made


@given(
    st.binary(max_size=50),
    st.integers(0, 2**32 - 1),
    st.booleans(),
    st.sampled_from([(0, b""), EXTENDED]),
)
def test_another_reader_of_rtp_reads_what_was_written(
    payload: bytes, timestamp: int, is_last: bool, extended: tuple[int, bytes]
) -> None:
    packets = writer()
    packets.extend(*extended)
    read = RtpPacket.parse(packets.write(payload, timestamp, is_last=is_last), KNOWN)
    assert (read.payload, read.timestamp, read.marker) == (payload, timestamp, is_last)
    assert (read.ssrc, read.payload_type, read.sequence_number) == (0xDEADBEEF, 97, 65_534)
    known = (None, None) if extended == (0, b"") else ("0", 77)
    assert (read.extensions.mid, read.extensions.abs_send_time) == known
    assert packets.last == 65_534


@given(st.sampled_from([(0, b""), EXTENDED]), st.booleans())
def test_a_packet_is_repeated_as_another_writer_does(
    extended: tuple[int, bytes], is_last: bool
) -> None:
    packets = writer()
    packets.extend(*extended)
    packet = packets.write(b"picture", 9000, is_last=is_last)
    theirs = wrap_rtx(RtpPacket.parse(packet, KNOWN), payload_type=98, sequence_number=5, ssrc=6)
    assert repeating(packet, 98, sequence=5, ssrc=6) == theirs.serialize(KNOWN)


def test_extensions_come_before_the_payload_in_a_packet_and_in_its_repetition() -> None:
    packets = writer()
    packets.extend(*EXTENDED)
    packet = packets.write(b"picture", 9000, is_last=True)
    again = repeating(packet, 98, sequence=5, ssrc=6)
    assert RtpPacket.parse(again, KNOWN).extensions.mid == "0"
    assert again.endswith(b"\xff\xfepicture")
    packets.extend(0, b"")
    plain = packets.write(b"picture", 9000, is_last=False)
    assert len(plain) == 12 + 7
    assert repeating(plain, 98, sequence=5, ssrc=6).endswith(b"\xff\xffpicture")


def test_numbers_wrap_and_all_is_counted() -> None:
    packets = writer()
    for size in range(4):
        packets.write(bytes(size), 0, is_last=False)
    assert (packets.sequence, packets.last, packets.packets, packets.octets) == (2, 1, 4, 6)


def test_the_last_packets_are_found_and_no_others() -> None:
    packets = writer(0)
    assert packets.find(0) is None
    for _ in range(HISTORY_PACKETS + 3):
        packets.write(b"x", 0, is_last=False)
    assert packets.find(2) is None, "its place is taken by a later one"
    assert packets.find(3) is not None
    assert packets.find(packets.last) is not None
    assert packets.find(packets.sequence) is None
    packets.forget()
    assert packets.find(packets.last) is None
