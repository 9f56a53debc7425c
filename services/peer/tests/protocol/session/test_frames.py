"""Session frames: whatever is written is read, and whatever is not is the far side's fault.

The bytes of each are in ``proto/vectors/frames.json``.
"""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_peer.errors import RemoteProtocolError
from actr_peer.protocol.payload import WIRE_MESSAGE_BYTES
from actr_peer.protocol.session import frames
from actr_peer.protocol.session.frames import (
    FRAGMENT_BYTES,
    Ack,
    Ask,
    Bye,
    ByeReason,
    Data,
    Frame,
    Hello,
    Ping,
    Pong,
    Reply,
    decode,
)

U16, U32, U64 = (st.integers(0, 2**bits - 1) for bits in (16, 32, 64))


def encode(frame: Frame) -> bytes:
    match frame:
        case Data(seq, part, parts, payload):
            size, flag = len(payload), frames.REPLY_FLAG if type(frame) is Reply else 0
            if parts == 1:
                return frames.data_head(seq, size, flag) + payload
            return frames.fragment_head(seq, size, part, parts, flag=flag) + payload
        case Ack():
            return frames.encode_ack(frame)
        case Hello():
            return frames.encode_hello(frame)
        case Ping(number):
            return frames.encode_ping(number)
        case Pong(number):
            return frames.encode_pong(number)
        case Bye(reason):
            return frames.encode_bye(reason)
        case Ask(lane):
            return frames.encode_ask(lane)


@st.composite
def fragments(draw: st.DrawFn) -> Data:
    parts = draw(st.integers(2, 2**16 - 1))
    part = draw(st.integers(0, parts - 1))
    kind = draw(st.sampled_from((Data, Reply)))
    return kind(draw(st.integers(part, 2**64 - 1)), part, parts, draw(st.binary(min_size=1)))


@st.composite
def acks(draw: st.DrawFn) -> Ack:
    received = draw(U64)
    acknowledged = draw(st.integers(0, received))
    return Ack(draw(st.integers(0, 5)), received, acknowledged, draw(U16), draw(U32))


ANY: st.SearchStrategy[Frame] = st.one_of(
    st.builds(Data, U64, st.just(0), st.just(1), st.binary()),
    st.builds(Reply, U64, st.just(0), st.just(1), st.binary()),
    fragments(),
    acks(),
    st.builds(
        Hello,
        st.integers(1, 2**64 - 1),
        U64,
        st.tuples(*[U64] * 6),
        st.integers(FRAGMENT_BYTES, 2**32 - 1),
    ),
    st.builds(Ping, U32),
    st.builds(Pong, U32),
    st.builds(Bye, st.sampled_from(ByeReason)),
    st.builds(Ask, st.sampled_from(frames.RELIABLE_LANES)),
)


@given(st.lists(ANY, min_size=1, max_size=8), st.booleans())
def test_any_frames_come_back_from_one_wire_message(several: list[Frame], as_view: bool) -> None:
    data = b"".join(map(encode, several))
    found = list(decode(memoryview(data) if as_view else data))
    assert found == several
    assert list(map(type, found)) == list(map(type, several))


@given(st.lists(ANY, min_size=1, max_size=3), st.data())
def test_any_frame_cut_short_is_the_far_sides_fault(
    several: list[Frame], data: st.DataObject
) -> None:
    whole = b"".join(map(encode, several))
    ends = {0}
    for frame in several:
        ends.add(max(ends) + len(encode(frame)))
    short = data.draw(st.integers(0, len(whole) - 1).filter(lambda n: n == 0 or n not in ends))
    with pytest.raises(RemoteProtocolError):
        list(decode(whole[:short]))


@given(st.binary(max_size=200))
def test_noise_is_decoded_or_the_far_sides_fault(noise: bytes) -> None:
    with suppress(RemoteProtocolError):
        assert b"".join(map(encode, decode(noise))) == noise


RIGHT_HELLO = frames.encode_hello(Hello(1, 0, (0, 0, 0, 0, 0, 0), 1 << 20))


def test_the_hello_that_is_made_wrong_below_is_right() -> None:
    assert len(list(decode(RIGHT_HELLO))) == 1


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="an empty message"),
        pytest.param(b"\x00", id="kind 0"),
        pytest.param(b"\x08\x00", id="an unknown kind"),
        pytest.param(b"\x82" + bytes(40), id="an unknown flag"),
        pytest.param(frames.data_head(1, 3) + b"ab", id="data shorter than it says"),
        pytest.param(frames.data_head(1, 2**32 - 1) + b"ab", id="a length beyond all bounds"),
        pytest.param(frames.fragment_head(5, 1, 2, 2) + b"a", id="a fragment after the last"),
        pytest.param(frames.fragment_head(5, 1, 0, 1) + b"a", id="one fragment of one"),
        pytest.param(frames.fragment_head(5, 1, 0, 0) + b"a", id="one fragment of none"),
        pytest.param(frames.fragment_head(5, 0, 0, 2), id="an empty fragment"),
        pytest.param(frames.fragment_head(1, 1, 2, 3) + b"a", id="a message that begins below 0"),
        pytest.param(frames.encode_ack(Ack(6, 1, 1, 1, 1)), id="an ack of a seventh lane"),
        pytest.param(frames.encode_ack(Ack(0, 1, 2, 1, 1)), id="stored before it came"),
        pytest.param(
            frames.encode_hello(Hello(0, 0, (0, 0, 0, 0, 0, 0), 1 << 20)), id="incarnation 0"
        ),
        pytest.param(
            frames.encode_hello(Hello(1, 0, (0, 0, 0, 0, 0, 0), 100)), id="takes no fragment"
        ),
        pytest.param(b"\x03\x01" + RIGHT_HELLO[2:], id="an older version"),
        pytest.param(b"\x03\xff" + RIGHT_HELLO[2:], id="a version to come"),
        pytest.param(b"\x06\x04", id="an unknown reason"),
        pytest.param(b"\x07\x06", id="asking about a seventh lane"),
        pytest.param(b"\x07\x03", id="asking about what is not acknowledged"),
    ],
)
def test_what_cannot_be_right_is_the_far_sides_fault(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        list(decode(data))


def test_a_full_frame_and_all_acknowledgements_fit_one_wire_message() -> None:
    frame = frames.fragment_head(0, FRAGMENT_BYTES, 0, 2) + bytes(FRAGMENT_BYTES)
    acks_of_all = b"".join(
        frames.encode_ack(Ack(lane, 1, 1, 1, 1)) for lane in frames.RELIABLE_LANES
    )
    assert len(frame + acks_of_all) == WIRE_MESSAGE_BYTES


def test_a_fragment_longer_than_what_came_is_refused() -> None:
    whole = frames.fragment_head(0, 5, 0, 2) + b"hello"
    assert [frame.payload for frame in decode(whole) if isinstance(frame, Data)] == [b"hello"]
    with pytest.raises(RemoteProtocolError, match="fragment of 5 bytes has 4"):
        list(decode(whole[:-1]))
