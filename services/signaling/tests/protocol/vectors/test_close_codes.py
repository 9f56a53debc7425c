"""Why the service closes, as ``proto/vectors/close_codes.json`` has it."""

from __future__ import annotations

import pytest

from actr_signaling.errors import Close
from actr_signaling.protocol.websocket.frames import FrameError, Kind, Splitter, apply_mask
from signaling_kit.vectors import Vector, each, vectors


def test_the_codes_of_the_service_are_these_and_no_others() -> None:
    listed = vectors("close_codes", "signaling")
    assert [(row["code"], row["name"]) for row in listed] == [(c.value, c.name) for c in Close]
    assert {row["sender"] for row in listed} == {"service"}


@each("close_codes", "sendable")
def test_a_client_may_close_with_a_code_that_may_be_sent_and_with_no_other(vector: Vector) -> None:
    payload, mask = vector["code"].to_bytes(2, "big"), b"mask"
    frame = b"\x88\x82" + mask + apply_mask(payload, mask)
    if vector["is_sendable"]:
        (read,) = Splitter(1024).feed(frame)
        assert (read.kind, read.data) == (Kind.CLOSE, payload)
    else:
        with pytest.raises(FrameError):
            list(Splitter(1024).feed(frame))
