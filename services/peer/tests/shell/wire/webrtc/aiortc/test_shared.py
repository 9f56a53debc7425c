"""What the connections of one actor have together."""

from __future__ import annotations

from typing import Any

import pytest
from aiortc import RTCCertificate
from aiortc.rtcdtlstransport import SRTP_PROFILES
from OpenSSL import SSL

from actr_peer.wire.webrtc.aiortc.shared import (
    ADDRESSES_SECONDS,
    CERTIFICATE_SECONDS,
    addresses,
    certificate,
    failed,
)
from actr_peer.wire.webrtc.engine import FAILED


def test_connections_have_one_certificate_until_it_is_a_day_old() -> None:
    shared: dict[str, Any] = {}
    first = certificate(shared, 100.0)
    assert certificate(shared, 99.0 + CERTIFICATE_SECONDS) is first
    assert certificate(shared, 100.0 + CERTIFICATE_SECONDS) is not first
    assert certificate({}, 100.0) is not first


def test_connections_have_one_context_which_keeps_no_sessions() -> None:
    made = certificate({}, 0.0)
    context = made._create_ssl_context(SRTP_PROFILES)
    assert made._create_ssl_context(SRTP_PROFILES) is context
    assert context.get_session_cache_mode() == SSL.SESS_CACHE_OFF
    assert made._create_ssl_context(SRTP_PROFILES[:1]) is not context


def test_the_fingerprints_are_those_of_the_library() -> None:
    made = certificate({}, 0.0)
    for _ in range(2):
        assert made.getFingerprints() == RTCCertificate.getFingerprints(made)
    made.getFingerprints().clear()
    assert made.getFingerprints()


def test_the_kernel_is_asked_for_addresses_once_in_a_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = ["192.0.2.1"]
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: list(machine))
    shared: dict[str, Any] = {}
    assert addresses(shared, 5.0) == ["192.0.2.1"]
    machine[:] = ["192.0.2.2"]
    addresses(shared, 5.0).clear()
    assert addresses(shared, 5.0) == ["192.0.2.1"]
    assert addresses(shared, 5.0 + ADDRESSES_SECONDS) == ["192.0.2.2"]


def test_servers_that_gave_no_address_are_counted_by_their_scheme() -> None:
    shared: dict[str, Any] = {}
    for scheme in ("turn", "stun", "turn"):
        failed(shared, scheme)
    assert shared[FAILED] == {"stun": 1, "turn": 2}
