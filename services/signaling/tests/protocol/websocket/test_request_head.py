from __future__ import annotations

import pytest

from actr_signaling.protocol.websocket.request_head import MAX_HEAD_BYTES, MAX_HEADERS, Head, judge

LINE = b"GET /v1/ws HTTP/1.1\r\n"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", Head.PARTIAL),
        (LINE + b"Host: x\r\n", Head.PARTIAL),
        (LINE + b"Host: x\r\n\r\n", Head.WHOLE),
        (LINE + b"Host: x\r\n\r\n" + b"body" * 10_000, Head.WHOLE),
        (LINE + b"X: " + b"x" * MAX_HEAD_BYTES, Head.TOO_LARGE),
        (LINE + b"X: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n", Head.TOO_LARGE),
        (LINE + b"X: 1\r\n" * (MAX_HEADERS - 1) + b"\r\n", Head.WHOLE),
        (LINE + b"X: 1\r\n" * (MAX_HEADERS + 1) + b"\r\n", Head.TOO_LARGE),
    ],
    ids=[
        "nothing",
        "half a head",
        "a head",
        "a head and a body",
        "no end within the bound",
        "an end behind the bound",
        "as many headers as may be",
        "more headers than may be",
    ],
)
def test_a_head_is_judged_before_it_is_parsed(data: bytes, expected: Head) -> None:
    assert judge(data) is expected
