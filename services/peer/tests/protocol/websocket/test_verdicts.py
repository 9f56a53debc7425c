"""What ended a WebSocket wire is told to both sides, each in its own words."""

from __future__ import annotations

import pytest

from actr_peer.errors import (
    BrokenError,
    LimitError,
    PeerError,
    RemoteProtocolError,
    UnreachableError,
)
from actr_peer.protocol.websocket import verdicts
from actr_peer.protocol.websocket.frames import NO_CODE, FramingError
from actr_peer.protocol.wire.close_codes import CloseCode
from actr_peer.protocol.wire.life import CLEAN, Phase, Verdict


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RemoteProtocolError("a text frame"), CloseCode.BAD_MESSAGE),
        (FramingError("a reserved bit"), CloseCode.PROTOCOL),
        (LimitError("bytes", limit=1, asked=2), CloseCode.TOO_BIG),
    ],
)
def test_a_broken_rule_has_its_close_code_and_its_reason(error: PeerError, code: CloseCode) -> None:
    assert verdicts.rule_broken(error) == Verdict(error, code, str(error))


def test_a_handshake_that_takes_too_long_says_how_long_it_may_take() -> None:
    verdict = verdicts.too_slow(5.0)
    assert (verdict.code, verdict.reason) == (CloseCode.TIMED_OUT, "no handshake within 5 s")
    assert verdict.is_far_fault


@pytest.mark.parametrize("code", [1000, 1001, NO_CODE])
def test_a_far_side_that_closes_in_good_order_is_no_error(code: int) -> None:
    assert verdicts.far_close(Phase.OPEN, "bob", code, b"") == CLEAN


def test_a_far_side_that_closes_for_a_fault_says_why() -> None:
    error = verdicts.far_close(Phase.OPEN, "bob", 4400, b"bad \xff").error
    assert isinstance(error, BrokenError)
    assert str(error) == "bob closed the WebSocket with 4400 bad \ufffd"


def test_a_close_in_the_handshake_is_a_refusal_whatever_its_code() -> None:
    error = verdicts.far_close(Phase.GREETING, "bob", 1000, b"").error
    assert isinstance(error, UnreachableError)
    assert "refused with 1000" in str(error)


@pytest.mark.parametrize(
    ("phase", "said", "kind"),
    [
        (Phase.OPEN, "", BrokenError),
        (Phase.GREETING, "", UnreachableError),
        (Phase.CONNECTING, "", UnreachableError),
        (Phase.OPEN, "1009 too long", RemoteProtocolError),
        (Phase.GREETING, "1002 a reserved bit", RemoteProtocolError),
    ],
)
def test_a_socket_that_is_lost_is_the_network_s_doing_unless_the_stream_was_malformed(
    phase: Phase, said: str, kind: type[PeerError]
) -> None:
    error = verdicts.lost(phase, "bob", said).error
    assert type(error) is kind
    assert said in str(error)
