"""A peer's WebSocket port: the upgrade, frames, the handshake, what follows it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from actr.envelope_pb2 import WireHandshake
from actr_peer.errors import LimitError, RemoteProtocolError, UnreachableError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.identity import Certified, OwnIdentity
from actr_peer.protocol.identity.keys import encode
from actr_peer.protocol.identity.renewals import Renewals
from actr_peer.protocol.websocket import lane_frames
from actr_peer.protocol.websocket.door import origin
from actr_peer.protocol.websocket.frames import FarClose, OddFrames
from actr_peer.protocol.websocket.handshake import (
    Accepted,
    DiallerHandshake,
    ListenerHandshake,
    Reply,
)
from actr_peer.protocol.websocket.masked import Sorter, head
from actr_peer.protocol.websocket.refusals import Refused
from actr_peer.protocol.websocket.renewals import read_renewal
from actr_peer.protocol.websocket.upgrade import (
    Accept,
    Head,
    Refusal,
    check_answer,
    judge,
)
from actr_peer.protocol.websocket.verdicts import far_close, lost, rule_broken
from actr_peer.protocol.wire.life import Phase
from actr_peer.protocol.wire.sealing import Sealing
from tests.fuzz import corpus
from tests.fuzz.engine import Target
from tests.fuzz.mutation import Form, apart, series
from tests.fuzz.targets import known

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
TLS_KEY = known.ACTOR.public_key().public_bytes_raw()


def upgrade_request(data: bytes) -> None:
    """As a listener takes it: in pieces, and answered."""
    head = Head()
    step = max(1, len(data) // 3)
    for at in range(0, len(data), step):
        found = head.feed(data[at : at + step])
        if found is not None:
            answer = judge(found[0])
            if isinstance(answer, Refusal):
                answer.to_bytes()
            else:
                assert isinstance(answer, Accept)
                if answer.hello:
                    side = ListenerHandshake(local=known.ME, nonce=known.NONCE, secret=None)
                    side.receive(answer.hello)
            return


def _requests() -> Iterable[bytes]:
    heads = [each["head"] for each in corpus.vectors("handshakes", "upgrade_requests")]
    hello = corpus.hexes("handshakes", "steps", name="hello")[0]
    heads.append(f"{heads[0]}\r\nActr-Hello: {encode(hello)}")
    return [f"{head}\r\n\r\n".encode("latin-1") for head in heads] + [b"\x16\x03\x01"]


def upgrade_answer(data: bytes) -> None:
    check_answer(data, KEY)


def _answers() -> Iterable[bytes]:
    return [each["head"].encode() for each in corpus.vectors("handshakes", "upgrade_answers")]


def odd_frames(data: bytes) -> None:
    """Each message: a byte of opcode, FIN and reserved bits, then the payload."""
    taker = OddFrames()
    for message in apart(data):
        first = message[0] if message else 0x80
        taker.count()
        is_last, is_reserved = bool(first & 0x80), bool(first & 0x70)
        out = taker.take(first & 15, message[1:], is_last=is_last, is_reserved=is_reserved)
        if isinstance(out, FarClose):
            far_close(Phase.OPEN, known.YOU, out.code, out.reason)


def _odd_frames() -> Iterable[bytes]:
    frame = lane_frames.encode(255, b"step")
    yield series([b"\x82" + frame])
    yield series([b"\x02" + frame[:4], b"\x89ping", b"\x00" + frame[4:6], b"\x80" + frame[6:]])
    yield series([b"\x88\x03\xe8bye", b"\x8apong"])
    yield series([b"\x81text", b"\xc2reserved"])
    yield series([b"\x88\x03", b"\x88"])
    yield series([b"\x02"] + [b"\x00"] * 30)


def lane_frame(data: bytes) -> None:
    lane_frames.decode(data)
    lane_frames.decode(memoryview(data))


def long_frames(data: bytes) -> None:
    """Frames of a dialler in pieces: each whole long one is within what has come, none twice."""
    sorter, step = Sorter(), max(1, len(data) // 2)
    held, at = bytearray(), 0
    for start in range(0, len(data), step):
        held += data[start : start + step]
        while True:
            until, long = sorter.sort(held, at, len(held))
            assert at <= until <= len(held)
            at = until
            if long is None:
                break
            assert until <= long.start <= long.end <= len(held)
            at = long.end


def _long_frames() -> Iterable[bytes]:
    size = lane_frames.HEADER_BYTES + 9000
    yield head(size, b"\1\2\3\4") + bytes(size) + b"\x82\x85\0\0\0\0hello"
    yield b"\x82\xfe\x00\x7e\0\0\0\0" + bytes(126) + head(size, b"keyk") + bytes(size)
    yield b"\x82\xff" + (2**40).to_bytes(8, "big") + bytes(20)


def listener(data: bytes) -> None:
    """A stranger's steps, to listeners that require nothing, a secret, a certificate."""
    steps = apart(data)
    certified = known.certified()
    for secret, proves, tls_key in (
        (None, None, b""),
        (known.SECRET, None, b""),
        (None, certified, TLS_KEY),
        (None, certified, b""),
    ):
        side = ListenerHandshake(
            local=known.ME, nonce=known.NONCE, secret=secret, certified=proves, tls_key=tls_key
        )
        for step in steps:
            outcome = side.receive(step)
            if not isinstance(outcome, Reply):
                assert isinstance(outcome, Accepted | Refused)
                if isinstance(outcome, Accepted) and tls_key:
                    assert outcome.certificate is not None
                break


def _listener() -> Iterable[bytes]:
    for each in corpus.vectors("handshakes", "steps", "certified_steps"):
        yield series([bytes.fromhex(each[name]) for name in ("hello", "proof")])
    for each in corpus.vectors("handshakes", "refused_diallers", "refused_certified_diallers"):
        yield series([bytes.fromhex(step) for step in each["steps"]])
    yield from (series(steps[::2]) for steps in spoken())


def spoken() -> Iterable[list[bytes]]:
    """What both sides say to each other, the dialler first."""
    for secret, proves, tls_key in (
        (None, False, b""),
        (known.SECRET, False, b""),
        (None, True, TLS_KEY),
    ):
        ours, theirs = (known.certified(), _theirs()) if proves else (None, None)
        dialler = DiallerHandshake(
            local=known.YOU,
            remote=known.ME,
            nonce=known.FAR_NONCE,
            secret=secret,
            certified=theirs,
        )
        if tls_key:
            dialler.sealed(tls_key)
        far = ListenerHandshake(
            local=known.ME, nonce=known.NONCE, secret=secret, certified=ours, tls_key=tls_key
        )
        said = [dialler.start()]
        while True:
            outcome = far.receive(said[-1])
            said.append(outcome.step)
            if not isinstance(outcome, Reply):
                break
            said.append(dialler.receive(said[-1]).step)
        yield said


def dialler(data: bytes) -> None:
    """A listener's steps, to diallers that require nothing, a secret, a certificate."""
    steps = apart(data)
    for secret, certified in ((None, None), (known.SECRET, None), (None, _theirs())):
        side = DiallerHandshake(
            local=known.YOU,
            remote=known.ME,
            nonce=known.FAR_NONCE,
            secret=secret,
            certified=certified,
        )
        if certified is not None:
            side.sealed(TLS_KEY)
        side.start()
        try:
            for step in steps:
                if isinstance(side.receive(step), Accepted):
                    break
        except (RemoteProtocolError, UnreachableError) as error:
            rule_broken(error)


def _theirs() -> Certified:
    own = known.certified()
    identity = OwnIdentity(known.OTHER, lambda: known.YOURS)
    return Certified(identity=identity, verify=own.verify, now=own.now)


def _dialler() -> Iterable[bytes]:
    for each in corpus.vectors("handshakes", "steps", "certified_steps"):
        yield series([bytes.fromhex(each[name]) for name in ("challenge", "welcome")])
    for each in corpus.vectors("handshakes", "refused_listeners", "refused_certified_listeners"):
        yield series([bytes.fromhex(step) for step in each["steps"]])
    yield from (series(steps[1::2]) for steps in spoken())


def renewals(data: bytes) -> None:
    """The certificates that a far side sends on an open wire."""
    far = known.believe(known.YOURS.encode())
    wire = Renewals(known.certified(), known.YOU, far, float(known.NOW), shown=known.MINE)
    for count, step in enumerate(apart(data)):
        wire.take(read_renewal(step), float(known.NOW + count))
        wire.due(float(known.NOW))


def _renewals() -> Iterable[bytes]:
    next_one = known.certificate(known.OTHER, "acme:guest@1", claims={})
    good = WireHandshake(renewal=next_one.encode()).SerializeToString()
    foreign = WireHandshake(renewal=known.MINE.encode()).SerializeToString()
    yield series([good, good])
    yield series([good] * 12)
    yield series([foreign])
    yield series([WireHandshake(renewal=b"x").SerializeToString()])
    yield from (series([each]) for each in corpus.hexes("handshakes", "steps", name="hello"))


def sealed(data: bytes) -> None:
    """A relayed wire at either end: the first message of the other one, and what follows it."""
    first, *rest = apart(data) or [b""]
    for is_dialler in (True, False):
        end = Sealing(known.NONCE, is_dialler=is_dialler)
        end.seal(b"the own first one")
        end.open(first)
        with suppress(RemoteProtocolError):
            for message in rest:
                end.open(message)
        end.seal(b"the own next one")


def _sealed() -> Iterable[bytes]:
    for name in ("hello", "challenge", "welcome"):
        for step in corpus.hexes("handshakes", "steps", name=name):
            frame = lane_frames.encode(lane_frames.HANDSHAKE, step)
            yield series([frame, bytes(40), b"short"])
            yield series([frame])


def words(data: bytes) -> None:
    """What a socket says of its far side: an address, the reason of a close."""
    text = data.decode("latin-1")
    origin(text)
    code = int.from_bytes(data[:2], "big")
    for phase in Phase:
        far_close(phase, ActrId("a", "b", "c"), code, data[2:])
        lost(phase, known.YOU, text)


TEXTS: tuple[bytes, ...] = (
    b"Host: a\r\n",
    b"GET /v1/wire HTTP/1.1",
    b"Upgrade: websocket",
    b"Transfer-Encoding: x",
)
TEXTS += (b"Connection: Upgrade", b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: ", b"\r\n\r\n")
TEXTS += (
    b"Origin: null",
    b"Actr-Hello: CgA",
    b"Content-Length: 0",
    b"http://[::1",
    b"HTTP/9.9",
    b"\r\n",
    b"\xb2",
)

TARGETS = (
    Target(
        name="peer.upgrade-request",
        run=upgrade_request,
        seeds=_requests,
        allowed=(Refusal,),
        forms=(Form.LINES,),
        tokens=TEXTS,
        most=12_000,
    ),
    Target(
        name="peer.upgrade-answer",
        run=upgrade_answer,
        seeds=_answers,
        allowed=(RemoteProtocolError,),
        forms=(Form.LINES,),
        tokens=(
            *TEXTS,
            b"HTTP/1.1 101 x",
            b"Sec-WebSocket-Extensions: x",
            b"HTTP/1.1 \xb2\xb2\xb2",
        ),
    ),
    Target(
        name="peer.odd-frames",
        run=odd_frames,
        seeds=_odd_frames,
        allowed=(RemoteProtocolError, LimitError),
        forms=(Form.SERIES,),
    ),
    Target(
        name="peer.sealed",
        run=sealed,
        seeds=_sealed,
        allowed=(RemoteProtocolError, LimitError),
        forms=(Form.SERIES, Form.PROTOBUF),
    ),
    Target(
        name="peer.lane-frame",
        run=lane_frame,
        seeds=lambda: corpus.hexes("frames", "websocket", "malformed_websocket"),
        allowed=(RemoteProtocolError, LimitError),
    ),
    Target(
        name="peer.long-frames",
        run=long_frames,
        seeds=_long_frames,
        allowed=(),
        tokens=(b"\x82\xfe\x23\x28", b"\x82\xff\0\0\0\0\0\x01\0\0", b"\x82\xff"),
        most=24_000,
    ),
    Target(
        name="peer.listener",
        run=listener,
        seeds=_listener,
        allowed=(),
        forms=(Form.SERIES, Form.PROTOBUF),
        tokens=(known.YOURS.encode(), bytes(64), known.NONCE),
        steps=(30_000, 120),
    ),
    Target(
        name="peer.dialler",
        run=dialler,
        seeds=_dialler,
        allowed=(),
        forms=(Form.SERIES, Form.PROTOBUF),
        tokens=(known.MINE.encode(), bytes(64), known.NONCE),
        steps=(30_000, 120),
    ),
    Target(
        name="peer.renewals",
        run=renewals,
        seeds=_renewals,
        allowed=(RemoteProtocolError,),
        forms=(Form.SERIES, Form.PROTOBUF),
        tokens=(known.YOURS.encode(),),
        steps=(30_000, 120),
    ),
    Target(
        name="peer.words",
        run=words,
        seeds=lambda: [
            b"10.0.0.1",
            b"fe80::1%eth0",
            b"::ffff:1.2.3.4",
            b"\x03\xe8bye",
            b"\x11\x44\xff",
        ],
        allowed=(),
        forms=(Form.TEXT,),
    ),
)
