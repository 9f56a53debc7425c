from __future__ import annotations

import pytest

from actr_peer.protocol.media.frames import is_keyframe


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
