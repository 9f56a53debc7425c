"""Descriptions, candidates and datagrams: what anybody on the way can make of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aioice import stun

from actr_peer.errors import LimitError, RemoteProtocolError
from actr_peer.protocol.media.assembly import Assembler
from actr_peer.protocol.media.frames import is_keyframe, vp8_size
from actr_peer.protocol.webrtc.candidates import AddressRule, CandidateInbox, clean
from actr_peer.protocol.webrtc.checks import REQUEST, Known, is_sealed, sealed
from actr_peer.protocol.webrtc.descriptions import answered, offered, parse, refusing
from actr_peer.protocol.webrtc.negotiation import Candidate, IceServer
from actr_peer.wire.webrtc.aiortc.dtls import records
from actr_peer.wire.webrtc.aiortc.ice import GuardedStun, usable_servers
from actr_peer.wire.webrtc.aiortc.media.codecs import takes
from tests.fuzz.engine import Target
from tests.fuzz.mutation import Form, apart, series
from tests.fuzz.targets import known

TRANSPORT = (
    "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789abcdef012345\r\na=setup:actpass\r\n"
    "a=fingerprint:sha-256 " + ":".join(["AB"] * 32) + "\r\n"
    "a=candidate:1 1 udp 2130706431 10.0.0.1 9 typ host\r\n"
    "a=candidate:2 1 udp 1 127.0.0.1 9 typ srflx raddr 0.0.0.0 rport 0\r\na=end-of-candidates\r\n"
)
DATA = (
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\n"
    "a=sctp-port:5000\r\na=max-message-size:262144\r\n"
)
VIDEO = (
    "m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=sendonly\r\n"
    "a=msid:stream camera\r\na=rtcp-mux\r\na=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack pli\r\n"
    "a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\na=ssrc-group:FID 1 2\r\na=ssrc:1 cname:x\r\n"
    "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\r\n"
)
AUDIO = (
    "m=audio 0 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:2\r\na=bundle-only\r\n"
    "a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n"
)
SESSION = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
OURS = SESSION + "a=group:BUNDLE 0 1\r\n" + DATA + TRANSPORT + VIDEO + TRANSPORT


def description(data: bytes) -> None:
    """An offer as it is taken and answered, and an answer to one of ours."""
    text = clean(AddressRule(), data.decode(errors="replace"))
    said = parse(text)
    assert len(said.sections) <= len(text)
    made = offered(text, takes)
    assert len(parse(made.shown).sections) == len(said.sections)
    said.msids()
    refusing(made.shown, made)
    answered(text, OURS, takes)


def _descriptions() -> Iterable[bytes]:
    yield OURS.encode()
    yield (SESSION + "a=group:BUNDLE 1 0 2\r\n" + VIDEO + TRANSPORT + DATA + AUDIO).encode()
    yield (SESSION + DATA + TRANSPORT).encode()
    yield (SESSION + "a=group:BUNDLE 2\r\n" + AUDIO + TRANSPORT + DATA + VIDEO).encode()


def candidates(data: bytes) -> None:
    """Candidates one by one, as they trickle in."""
    inbox = CandidateInbox(AddressRule())
    for count, each in enumerate(data.decode(errors="replace").split("\n")):
        inbox.receive(Candidate(each))
        if count == 3:
            inbox.described()


def _candidates() -> Iterable[bytes]:
    lines = [line[12:] for line in OURS.split("\r\n") if line.startswith("a=candidate:")]
    yield "\n".join([*lines, ""]).encode()
    for host in ("fe80::1", "::ffff:169.254.169.254", "a.local", "[::1]", "1.2.3.4.5"):
        yield f"1 1 tcp 1 {host} 9 typ host tcptype active generation 0".encode()


_KEY = b"password"
_REQUEST = sealed(REQUEST, b"t" * 12, b"\0\6\0\4abcd", _KEY)
_KNOWN = Known(_REQUEST, ("10.0.0.1", 9), _KEY)


def datagram(data: bytes) -> None:
    """One datagram, before anybody has shown a key: records of DTLS, and STUN."""
    found = records(data)
    assert b"".join(found) == data
    assert all(found)
    answer = _KNOWN.answer(data)  # to a request as the one before, and to nothing else
    assert (answer is not None) == (
        is_sealed(data, _KEY) and data[:8] + data[20:-32] == _REQUEST[:8] + _REQUEST[20:-32]
    )
    known.loop().run_until_complete(_received(data))


async def _received(data: bytes) -> None:  # a port makes a future of the loop that runs
    told: Any = _Agent()
    port: Any = GuardedStun(told)
    port.datagram_received(data, ("10.0.0.1", 9))


class _Agent:
    """Takes what a port hands on."""

    def data_received(self, data: bytes, component: int) -> None: ...

    def request_received(self, *request: object, raw_data: bytes = b"") -> None: ...


def _datagrams() -> Iterable[bytes]:
    hello = b"\x16\xfe\xfd\0\0\0\0\0\0\0\0\0\x10" + b"\1" * 16
    yield hello + hello
    yield _REQUEST
    yield b"\x2f\0\1\0\4abcd\x2c\0\0\5hello"
    message = stun.Message(
        message_method=stun.Method.BINDING,
        message_class=stun.Class.REQUEST,
        transaction_id=b"t" * 12,
    )
    message.attributes["USERNAME"] = "abcd:efgh"
    message.attributes["PRIORITY"] = 7
    message.attributes["XOR-MAPPED-ADDRESS"] = ("10.0.0.1", 9)
    yield bytes(message)
    message.add_message_integrity(b"password")
    yield bytes(message)
    message.message_class = stun.Class.ERROR
    message.attributes["ERROR-CODE"] = (401, "no")
    yield bytes(message)


def packets(data: bytes) -> None:
    """Packets of media, put together, and what is read of the frames they make."""
    assembler = Assembler(max_held_bytes=4096)
    for count, each in enumerate(apart(data)):
        sequence, timestamp = int.from_bytes(each[:2], "big"), int.from_bytes(each[2:4], "big")
        taken = assembler.add(sequence, timestamp, each[5:], is_last=each[4:5] > b"\x7f", now=count)
        for whole in [*taken, *assembler.expire(now=count)]:
            is_keyframe("H264", whole.data)
            is_keyframe("VP8", whole.data)
            vp8_size(whole.data)
        assert assembler.held_bytes <= 4096 + 4096


def _packets() -> Iterable[bytes]:
    vp8 = b"\x10\0\0\x9d\x01\x2a\x40\1\xf0\0" + bytes(8)
    yield series([b"\0\1\0\0\0" + vp8[:8], b"\0\2\0\0\xff" + vp8[8:], b"\0\3\0\1\xff\0\0\1\x65"])
    yield series([b"\xff\xff\0\0\0a", b"\0\0\0\0\xffb", b"\0\5\0\2\xffc"])


def servers(data: bytes) -> None:
    """The URL of a server that signaling names."""
    usable_servers((IceServer(urls=(data.decode(errors="replace"),)),))


WORDS: tuple[bytes, ...] = (
    b"a=group:BUNDLE ",
    b"m=audio 9 x 0",
    b"m=application 9 DTLS/SCTP 5000",
    b"a=mid:",
    b"a=mid:0",
)
WORDS += (
    b"a=bundle-only",
    b"a=inactive",
    b"a=rtpmap:96 VP8/x",
    b"a=fmtp:96 =;",
    b"a=msid:x",
    b"a=ssrc:",
)
WORDS += (
    b"a=candidate:1 1 udp 1 ::1 9 typ host",
    b"a=setup:",
    b"\x0b",
    b"\xe2\x80\xa8",
    b"a=extmap:",
)

TARGETS = (
    Target(
        name="peer.description",
        run=description,
        seeds=_descriptions,
        allowed=(RemoteProtocolError, LimitError),
        forms=(Form.LINES,),
        tokens=WORDS,
        most=9000,
        steps=(20_000, 400),
    ),
    Target(
        name="peer.candidates",
        run=candidates,
        seeds=_candidates,
        allowed=(RemoteProtocolError, LimitError),
        forms=(Form.LINES,),
        tokens=(b"typ", b"1", b"\xd9\xa3", b"raddr", b"::", b"fe80::1%1", b"0"),
    ),
    Target(
        name="peer.datagram",
        run=datagram,
        seeds=_datagrams,
        allowed=(),
        tokens=(b"\x21\x12\xa4\x42", b"\0\1", b"\x16\xfe\xfd", b"\x80\x28", b"\0\x08"),
        most=1600,
        steps=(3_000, 120),
    ),
    Target(
        name="peer.packets",
        run=packets,
        seeds=_packets,
        allowed=(),
        forms=(Form.SERIES,),
        tokens=(b"\0\0\1", b"\x9d\x01\x2a"),
    ),
    Target(
        name="peer.ice-server",
        run=servers,
        seeds=lambda: known.encoded(
            [
                "turn:turn.example:3478?transport=udp",
                "stun:[::1]:3478",
                "turns:a..b:70000",
                "stun:x",
            ]
        ),
        allowed=(),
        forms=(Form.TEXT,),
        tokens=(b"turns:", b"?transport=", b"[", b"xn--", b"\xef\xbc\x8e"),
    ),
)
