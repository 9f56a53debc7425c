"""Sans-I/O: the certificates of an open wire, which outlives them: each side sends its next one.

A certificate lives for minutes, a wire for days. Who holds the key has proved it when the wire was
made, so that the next certificate of the same key needs no proof on it. A wire whose far side has
sent none in time ends: whom the issuer gives none is out with its last one, everywhere.
"""

from __future__ import annotations

from actr_peer.errors import CertificateError, CertificateFault, RemoteProtocolError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.certificates import LEEWAY, Certificate
from actr_peer.protocol.identity.identity import Certified

LOOKS = 4
"""How often the own certificate is looked at while the far side's lives."""
MAX_LOOK = 30.0
"""Seconds between two looks."""
MIN_LOOK = 1.0
BURST = 8
"""Certificates that a far side may send at once; in the long run one in a second."""


class Renewals:
    """One wire's. ``now`` is in Unix seconds, by the clock that certificates are held to.

    Args:
        far: What the far side has shown when the wire was made.
        shown: What this side has shown it then.
    """

    def __init__(
        self, certified: Certified, remote: ActrId, far: Certificate, now: float, *, shown: str
    ) -> None:
        self._certified = certified
        self._remote = remote
        self._far = far
        self._shown = shown
        self._allowed, self._allowed_at = float(BURST), now
        self._look_at = now
        self._plan(now)

    @property
    def remote(self) -> ActrId:
        return self._remote

    @property
    def far(self) -> Certificate:
        """The newest one."""
        return self._far

    def take(self, certificate: bytes, now: float) -> None:
        """Take the far side's next certificate.

        Raises:
            CertificateError: If it is not believed.
            RemoteProtocolError: If it is of another key or for somebody else, or too soon.
        """
        self._allowed = min(BURST, self._allowed + max(0.0, now - self._allowed_at)) - 1
        self._allowed_at = now
        if self._allowed < 0:
            raise RemoteProtocolError(f"over {BURST} certificates at once")
        read = self._certified.verify(certificate)
        if read.key != self._far.key or not read.covers(self._remote):
            raise RemoteProtocolError(
                f"the next certificate of {self._remote} is of another key, or for somebody else"
            )
        self._far = read

    def due(self, now: float) -> float:
        """Seconds until :meth:`step` has something to do."""
        return max(0.0, min(self._look_at, self._far.expires_at + LEEWAY) - now)

    def step(self, now: float) -> bytes:
        """Return a certificate to send, as ASCII; empty: there is nothing to say yet.

        Raises:
            CertificateError: If the far side's certificate has ended and no other has come.
        """
        if now >= self._far.expires_at + LEEWAY:
            raise CertificateError(
                CertificateFault.EXPIRED,
                f"the certificate of {self._remote} has ended, and it has sent no other",
            )
        if now < self._look_at:
            return b""
        self._plan(now)
        newest = self._certified.identity.certificate
        if newest == self._shown or not newest:
            return b""
        self._shown = newest
        return newest.encode("ascii")

    def _plan(self, now: float) -> None:
        """Look again soon: the own one is renewed while a third of its life is left."""
        left = self._far.expires_at - now
        self._look_at = now + min(MAX_LOOK, max(MIN_LOOK, left / LOOKS))
