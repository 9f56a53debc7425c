"""Sans-I/O: what an issuer takes back before its time (docs/issuer.md).

The twin of the signaling service's (``protocol/client/trust.py`` there), tied to it by
``proto/vectors/certificates.json``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from actr_peer.errors import CertificateError, CertificateFault, ConfigError
from actr_peer.protocol.identity.certificates import Certificate
from actr_peer.protocol.identity.keys import decode, is_key

MAX_REVOKED = 262_144
"""Keys and serial numbers: an issuer drops those whose certificates have ended."""
MAX_REVOKED_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Revoked:
    """Keys, raw, and serial numbers of certificates that nobody is to believe any more."""

    keys: frozenset[bytes] = frozenset()
    serials: frozenset[str] = frozenset()

    def has(self, certificate: Certificate) -> bool:
        return certificate.key in self.keys or certificate.serial in self.serials

    def __bool__(self) -> bool:
        return bool(self.keys or self.serials)

    def refuse(self, certificate: Certificate) -> None:
        """Believe a certificate, as far as this goes.

        Raises:
            CertificateError: If it, or its key, is revoked.
        """
        if self.has(certificate):
            raise CertificateError(
                CertificateFault.REVOKED,
                f"a certificate of {certificate.subject} that its issuer has revoked, or its key "
                f"({certificate.serial}): the actor needs a new key",
            )


NOTHING = Revoked()


def read_revoked(text: str) -> Revoked:
    """Read an issuer's list: ``{"revoked": [{"key": …} or {"serial": …}, …], "version": …}``.

    Raises:
        ConfigError: If it is not one, or too long.
    """
    try:
        listed = json.loads(text)["revoked"]
        if len(listed) > MAX_REVOKED:
            raise ConfigError(f"{len(listed)} revoked are over {MAX_REVOKED}")
        keys = frozenset(_raw_key(one["key"]) for one in listed if "key" in one)
        serials = frozenset(str(one["serial"]) for one in listed if "serial" in one)
    except (ValueError, KeyError, TypeError, RecursionError) as exc:
        raise ConfigError(
            "not a list of what an issuer has revoked; write what it has at /v1/revoked"
        ) from exc
    return Revoked(keys, serials)


def _raw_key(text: str) -> bytes:
    key = decode(text)
    if not is_key(key):
        raise ValueError("not a key")
    return key
