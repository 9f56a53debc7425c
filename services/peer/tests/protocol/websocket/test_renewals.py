"""The next certificate of a WebSocket wire, as bytes."""

from __future__ import annotations

import pytest

from actr.envelope_pb2 import WireHandshake
from actr_peer.errors import RemoteProtocolError
from actr_peer.protocol.websocket.renewals import read_renewal, write_renewal


def test_a_certificate_is_read_as_it_was_written() -> None:
    assert read_renewal(write_renewal(b"a.b.c")) == b"a.b.c"


@pytest.mark.parametrize(
    ("step", "why"),
    [
        (b"\xff\xff", "cannot be decoded"),
        (b"", "after its end"),
        (WireHandshake(hello={}).SerializeToString(), "after its end"),
    ],
    ids=["noise", "nothing", "a hello"],
)
def test_what_is_no_renewal_is_refused(step: bytes, why: str) -> None:
    with pytest.raises(RemoteProtocolError, match=why):
        read_renewal(step)
