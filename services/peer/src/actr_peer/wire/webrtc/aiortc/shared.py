"""What the connections of one actor have together: a seventh of what each cost with its own.

It is kept in ``EngineOptions.shared``, so that it ends with them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from aioice import ice
from aiortc.rtcdtlstransport import (
    RTCCertificate,
    RTCDtlsFingerprint,
    SRTPProtectionProfile,
)
from OpenSSL import SSL

from actr_peer.wire.webrtc.engine import FAILED

CERTIFICATE_SECONDS = 24 * 3600.0
"""For new connections there is another after that; aiortc's is good for 30 days."""
ADDRESSES_SECONDS = 0.25
"""Connections that are made at once ask the kernel once for this machine's addresses."""

T = TypeVar("T")


class SharedCertificate(RTCCertificate):
    """A certificate of DTLS with one context for all connections, which keeps no sessions."""

    _fingerprints: list[RTCDtlsFingerprint] | None = None
    _context: tuple[list[SRTPProtectionProfile], SSL.Context] | None = None

    def getFingerprints(self) -> list[RTCDtlsFingerprint]:  # noqa: N802
        if self._fingerprints is None:
            self._fingerprints = super().getFingerprints()
        return list(self._fingerprints)

    def _create_ssl_context(self, srtp_profiles: list[SRTPProtectionProfile]) -> SSL.Context:
        if self._context is None or self._context[0] != srtp_profiles:
            context = super()._create_ssl_context(srtp_profiles)
            # No connection goes on with the session of another, and none has to be remembered.
            context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
            self._context = list(srtp_profiles), context
        return self._context[1]


@dataclass(slots=True)
class _Kept:
    until: float
    value: Any


def certificate(shared: dict[str, Any], now: float) -> SharedCertificate:
    """The certificate of all connections that are made now.

    Args:
        shared: Of ``EngineOptions``.
        now: The loop's time.
    """
    made: SharedCertificate = _keep(
        shared, "certificate", now, CERTIFICATE_SECONDS, SharedCertificate.generateCertificate
    )
    return made


def addresses(shared: dict[str, Any], now: float) -> list[str]:
    """This machine's addresses, as they were a moment ago at most."""
    return list(
        _keep(
            shared,
            "addresses",
            now,
            ADDRESSES_SECONDS,
            lambda: ice.get_host_addresses(use_ipv4=True, use_ipv6=True),
        )
    )


def failed(shared: dict[str, Any], scheme: str) -> None:
    """Count a server of ``scheme`` that was asked for an address and gave none."""
    count = shared.setdefault(FAILED, Counter())
    count[scheme] += 1


def _keep(
    shared: dict[str, Any], name: str, now: float, seconds: float, make: Callable[[], T]
) -> T:
    kept = shared.get(name)
    if kept is None or now >= kept.until:
        kept = shared[name] = _Kept(now + seconds, make())
    value: T = kept.value
    return value
