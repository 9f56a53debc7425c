"""The certificate that somebody puts into a file for an actor that asks no issuer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actr_peer.errors import CertificateError, ConfigError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.certificates import Certificate, read_certificate

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class Placed:
    """Reads the text of such a file.

    Raises:
        ConfigError: If it is no certificate, or one of another key or for another actor.
    """

    def __init__(self, actor: ActrId, key: Ed25519PrivateKey) -> None:
        self._actor, self._public = actor, key.public_key().public_bytes_raw()

    def __call__(self, text: str) -> Certificate:
        try:
            read = read_certificate(text.strip().encode("ascii", "replace"))
        except CertificateError as exc:
            raise ConfigError(str(exc)) from exc
        if read.key != self._public:
            raise ConfigError("a certificate of another key than identity.key_file has")
        if not read.covers(self._actor):
            raise ConfigError(
                f"a certificate for {read.subject} in realm {read.realm}, and not for {self._actor}"
            )
        return read
