from __future__ import annotations

import pytest

from actr_signaling.protocol.websocket.request import (
    MAX_BODY_BYTES,
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    Standing,
    expects,
    judge,
)

LINE = b"GET /v1/ws HTTP/1.1\r\n"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", Standing.PARTIAL),
        (LINE + b"Host: x\r\n", Standing.PARTIAL),
        (LINE + b"Host: x\r\n\r\n", Standing.WHOLE),
        (LINE + b"Host: x\r\n\r\n" + b"body" * 10_000, Standing.WHOLE),
        (LINE + b"X: " + b"x" * MAX_HEAD_BYTES, Standing.HEAD_TOO_LARGE),
        (LINE + b"X: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n", Standing.HEAD_TOO_LARGE),
        (LINE + b"X: 1\r\n" * (MAX_HEADERS - 1) + b"\r\n", Standing.WHOLE),
        (LINE + b"X: 1\r\n" * (MAX_HEADERS + 1) + b"\r\n", Standing.HEAD_TOO_LARGE),
        (LINE + b"content-LENGTH: 4\r\n\r\nbod", Standing.PARTIAL),
        (LINE + b"content-LENGTH: 4\r\n\r\nbody", Standing.WHOLE),
        (LINE + b"Content-Length: %d\r\n\r\n" % MAX_BODY_BYTES, Standing.PARTIAL),
        (LINE + b"Content-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1), Standing.BODY_TOO_LONG),
        (LINE + b"Content-Length: %b\r\n\r\n" % (b"9" * 5_000), Standing.BODY_TOO_LONG),
        (LINE + b"Content-Length: x\r\n\r\n", Standing.WHOLE),
        (LINE + b"Transfer-Encoding: chunked\r\n\r\n", Standing.UNSIZED),
        (LINE + b"X: 1\r\n\r\n\ncontent-length: 9", Standing.WHOLE),
        (LINE + b"Content-Length:\r\n 5\r\n\r\n", Standing.FOLDED),
        (LINE + b"X: 1\r\n\t2\r\n\r\n", Standing.FOLDED),
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
        "three of four bytes of a body",
        "a whole body",
        "as long a body as may be",
        "a longer one",
        "a length without an end",
        "a length that is none",
        "a body in chunks",
        "a length behind the head",
        "a length in the next line",
        "a header over two lines",
    ],
)
def test_a_request_is_judged_before_it_is_parsed(data: bytes, expected: Standing) -> None:
    assert judge(data) is expected


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"Expect: 100-continue\r\n\r\n", True),
        (b"X: 1\r\nexpect:100-Continue \r\n\r\n", True),
        (b"Expect: 100-continue\r\n", False),
        (b"Expect: 100-continued\r\n\r\n", False),
        (b"X: 1\r\n\r\nExpect: 100-continue\r\n", False),
    ],
    ids=["one", "in other letters", "half a head", "something else", "in the body"],
)
def test_who_waits_for_a_word_is_known_by_its_whole_head(head: bytes, *, expected: bool) -> None:
    assert expects(LINE + head) is expected
