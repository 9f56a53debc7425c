from __future__ import annotations

import pytest

from actr_peer.protocol.media.frames import Sample, fault, is_keyframe, vp8_size


@pytest.mark.parametrize(
    ("codec", "data", "expected"),
    [
        ("VP8", b"\x10\x02\x00", True),
        ("VP8", b"\x11\x02\x00", False),
        ("VP8", b"", False),
        ("H264", b"\0\0\0\1\x67abc\0\0\1\x65", True),
        ("H264", b"\0\0\1\x41abc", False),
        ("H264", b"\0\0\1", False),
        ("opus", b"x", True),
    ],
)
def test_key_frames_are_known_by_their_bytes(codec: str, data: bytes, expected: bool) -> None:
    assert is_keyframe(codec, data) is expected


@pytest.mark.parametrize(
    ("what", "wrong"),
    [
        (Sample(b"x", 1), ""),
        (Sample(bytearray(b"x"), -1, captured_at=1.0), ""),
        (None, "NoneType is no Sample"),
        (Sample("x", 1), "its data is str"),  # type: ignore[arg-type]
        (Sample(b"x", 1.5), "1.5 and no whole number"),  # type: ignore[arg-type]
        (Sample(b"x", 1, captured_at="now"), "'now'"),  # type: ignore[arg-type]
        (Sample(b"x", 1, captured_at=float("inf")), "inf"),
        (Sample(b"x", 1, captured_at=-1.0), "-1.0"),
    ],
)
def test_what_is_no_sample_is_told_from_one(what: object, wrong: str) -> None:
    assert (fault(what) == "") is (wrong == "")
    assert wrong in fault(what)


HEAD = b"\x10\x02\x00\x9d\x01\x2a"


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (HEAD + b"\x40\x01\xf0\x00rest", (320, 240)),
        (HEAD + b"\xff\xff\x01\x40", (16383, 1)),  # the upper two bits say how it is scaled
        (HEAD + b"\x40\x01\x00\x00", None),
        (HEAD + b"\x00\x00\xf0\x00", None),
        (HEAD + b"\x40\x01\xf0", None),
        (b"\x11" + HEAD[1:] + b"\x40\x01\xf0\x00", None),
        (b"\x10\x02\x00\x9d\x01\x2b\x40\x01\xf0\x00", None),
    ],
)
def test_the_size_of_a_key_frame_of_vp8_is_in_its_head(
    data: bytes, size: tuple[int, int] | None
) -> None:
    assert vp8_size(data) == size
