"""Whose certificates are believed: by the issuer keys in a file, or by an issuer's own word, unless
it has revoked them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

from actr_peer.errors import ConfigError
from actr_peer.protocol.identity.certificates import Certificate
from actr_peer.protocol.identity.keys import read_keys
from actr_peer.protocol.identity.revoked import NOTHING, Revoked
from actr_peer.protocol.identity.verified import Verified
from actr_peer.state.identity.files import Watched, read_text, write_whole
from actr_peer.wire.issuer.clock import IssuerClock

log = logging.getLogger(__name__)

KEY = "identity.issuer_keys_file"


class Trusted:
    """The issuer keys of now, and the clock that certificates are held to.

    Args:
        clock: The issuer's.
        file: Keys that somebody put there, read again when they change; None: what the issuer says.
        kept: Where that is kept for a start without the issuer; None: nowhere.
        revoked: What is revoked now.

    Raises:
        ConfigError: If the file cannot be used.
    """

    def __init__(
        self,
        clock: IssuerClock,
        *,
        file: Path | None,
        kept: Path | None = None,
        revoked: Callable[[], Revoked] = lambda: NOTHING,
    ) -> None:
        self._clock, self._kept, self._revoked = clock, kept, revoked
        self._verified = Verified()
        self._told: Mapping[str, bytes] = MappingProxyType({})
        self._file = None
        if file is not None:
            self._file = Watched(file, KEY, read_keys, _stays)
        elif kept is not None:
            with suppress(ConfigError):  # what cannot be read is asked for again
                self._told = read_keys(read_text(kept, KEY) or "")

    @property
    def keys(self) -> Mapping[str, bytes]:
        return self._told if self._file is None else self._file.value

    @property
    def asks(self) -> bool:
        """Whether the issuer's own word is taken."""
        return self._file is None

    def verify(self, data: bytes) -> Certificate:
        """Believe a certificate.

        Raises:
            CertificateError: If it is not to be believed.
        """
        return self._verified.verify(data, self.keys, self._revoked(), now=self._clock.now())

    def tell(self, text: str) -> None:
        """Take an issuer's word for its keys: those that it names no more are believed no more.

        Raises:
            ConfigError: If they cannot be read; those of before stay.
        """
        read = read_keys(text)
        if read == self._told:
            return
        self._told = read
        if self._kept is not None:
            try:
                write_whole(self._kept, text.encode(), replace=True)
            except OSError as exc:
                log.warning("issuer keys not kept: path=%s cause=%s", self._kept, exc.strerror)


def _stays(error: ConfigError) -> None:
    log.error("issuer keys of before stay: cause=%s", error)
