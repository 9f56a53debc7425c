"""What comes on a wire that is open: frames of sessions, envelopes, chunks, words of transfers.

With certificates the far side has proved by then who it is; in development nobody has.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from google.protobuf.any_pb2 import Any as PackedAny
from google.protobuf.message import DecodeError

from actr import envelope_pb2 as pb
from actr.services.files_pb2 import FilesReply, FilesWord
from actr_peer.errors import CallError, Code, LimitError, RemoteProtocolError
from actr_peer.protocol.files.manifest import Listing
from actr_peer.protocol.files.messages import entries_of, event_of, offer_of
from actr_peer.protocol.payload import WireKind
from actr_peer.protocol.rpc.bounds import channel_of, request_id_of
from actr_peer.protocol.rpc.call_errors import is_not_started
from actr_peer.protocol.rpc.contracts.refusals import compared
from actr_peer.protocol.rpc.envelopes import contract_of, decode_envelope, with_contract
from actr_peer.protocol.session import frames
from actr_peer.protocol.session.fragments import MAX_PARTS
from actr_peer.protocol.session.session import Session
from actr_peer.protocol.streams.chunks import decode_chunk
from tests.fuzz import corpus
from tests.fuzz.engine import Target
from tests.fuzz.mutation import Form, apart, series
from tests.fuzz.targets import known

CHANNELS = 4
FORM = b'{"messages":{},"method":["a","b"]}'


def frame(data: bytes) -> None:
    for _ in frames.decode(data):
        pass
    for _ in frames.decode(memoryview(data)):
        pass


def session(data: bytes) -> None:
    """Wire messages, the first byte of each its channel; a second wire half-way."""
    now = 0.0
    side = Session(7, prefer=(WireKind.WEBRTC, WireKind.WEBSOCKET))
    side.open(1, WireKind.WEBSOCKET, now, was_dialled=True)
    said = apart(data)
    for count, each in enumerate(said):
        now += 0.3
        if count == len(said) // 2:
            side.open(2, WireKind.WEBRTC, now, was_dialled=False)
        channel = (each[0] if each else 1) % CHANNELS
        side.receive(1 + count % len(side.ends), channel, each[1:], now)
        side.tick(now)
        for wire in list(side.ends):
            while side.take(wire, now, is_full=False) is not None:
                pass
        side.news.clear()
    assert side.account.held_bytes <= 64 * 2**20
    assert MAX_PARTS


def _sessions() -> Iterable[bytes]:
    hello = frames.encode_hello(frames.Hello(11, 0, (0,) * frames.LANES, 16 * 2**20))
    again = frames.encode_hello(frames.Hello(11, 7, (0,) * frames.LANES, 16 * 2**20))
    first = b"\1" + hello
    for each in corpus.hexes("frames", "messages", "malformed"):
        for channel in (b"\0", b"\3"):
            yield series([first, channel + each])
    parts = [frames.fragment_head(at, 4, at, 3) + b"part" for at in range(3)]
    yield series([first, *(b"\0" + part for part in parts), b"\1" + again])
    yield series([b"\0" + parts[0], first, b"\3" + parts[2], b"\3" + parts[0]])
    yield series([first, b"\1" + frames.encode_bye(frames.ByeReason.IDLE), first])


def envelope(data: bytes) -> None:
    """A message of lanes 0, 1, 4 and 5, and whom to tell that it breaks the rules."""
    request_id_of(data)
    read = decode_envelope(data)
    error = read.error
    if error is not None:
        is_not_started(error)
    contract_of(data)
    with_contract(data, 1)
    str((read.metadata, read.timeout, read.call_chain, read.credit, read.credit_bytes))


def chunk(data: bytes) -> None:
    """A message of lanes 2 and 3."""
    channel_of(data)
    decode_chunk(data)


def transfer(data: bytes) -> None:
    """What the sender of files says, and what their receiver answers."""
    try:
        word, reply = FilesWord.FromString(data), FilesReply.FromString(data)
    except DecodeError as exc:
        raise RemoteProtocolError("the library's to refuse") from exc
    for each in (word, reply):
        if each.WhichOneof("word") is not None:
            event_of(each)
    offer = offer_of(word)
    Listing(offer, hidden=False).add(entries_of(word))


def contract(data: bytes) -> None:
    """The form of a method, as who refuses a call by another contract tells it."""
    for packed in (zlib.compress(data), data):
        detail = PackedAny()
        detail.Pack(pb.MethodContract(form=packed))
        error = CallError(Code.FAILED_PRECONDITION, "x", details=(detail.SerializeToString(),))
        assert compared(FORM.decode(), error).why != "\0"
    compared(FORM.decode(), CallError(Code.FAILED_PRECONDITION, "x", details=(data,)))


TARGETS = (
    Target(
        name="peer.session-frame",
        run=frame,
        seeds=lambda: corpus.hexes("frames", "messages", "malformed"),
        allowed=(RemoteProtocolError,),
    ),
    Target(
        name="peer.session",
        run=session,
        seeds=_sessions,
        allowed=(RemoteProtocolError, LimitError),
        forms=(Form.SERIES,),
        tokens=(
            b"\x01" + bytes(12),
            b"\x02\0",
            b"\x03\x02",
            b"\x81" + bytes(8),
            b"\x06\0",
            b"\x07\1",
        ),
        steps=(30_000, 200),
    ),
    Target(
        name="peer.envelope",
        run=envelope,
        seeds=lambda: (
            corpus.hexes("envelopes", "messages", "malformed") + corpus.hexes("streams", "openings")
        ),
        allowed=(RemoteProtocolError, LimitError),
        forms=(Form.PROTOBUF,),
    ),
    Target(
        name="peer.chunk",
        run=chunk,
        seeds=lambda: corpus.hexes("streams", "chunks", "other_forms", "malformed"),
        allowed=(RemoteProtocolError, LimitError),
        forms=(Form.PROTOBUF,),
    ),
    Target(
        name="peer.transfer",
        run=transfer,
        seeds=lambda: corpus.hexes("files", "words", "replies"),
        allowed=(RemoteProtocolError, CallError),
        forms=(Form.PROTOBUF,),
    ),
    Target(
        name="peer.contract",
        run=contract,
        seeds=lambda: [FORM, b"{}", b"[]", known.dumped({"method": [[], {}]})],
        allowed=(),
        forms=(Form.JSON,),
        steps=(8_000, 120),
    ),
)
