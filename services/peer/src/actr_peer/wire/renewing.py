"""Keeps an open wire's certificates fresh: sends the own next one, and ends what has none left."""

from __future__ import annotations

from asyncio import TimerHandle, get_running_loop
from collections.abc import Callable

from actr_peer.errors import CertificateError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.certificates import Certificate
from actr_peer.protocol.identity.identity import Certified
from actr_peer.protocol.identity.renewals import Renewals


class Renewing:
    """One wire's; owned by it.

    Args:
        certified: None: this side has no certificate, and nothing is renewed.
        send: Sends the far side a certificate.
        ended: Told when the far side's last certificate is over.
    """

    __slots__ = ("_certified", "_ended", "_loop", "_renewals", "_send", "_timer")

    def __init__(
        self,
        certified: Certified | None,
        send: Callable[[bytes], None],
        ended: Callable[[CertificateError], None],
    ) -> None:
        self._certified = certified
        self._send, self._ended = send, ended
        self._loop = get_running_loop()
        self._renewals: Renewals | None = None
        self._timer: TimerHandle | None = None

    @property
    def certificate(self) -> Certificate | None:
        """The far side's newest, which it has proved to be its own; None: none is required."""
        return None if self._renewals is None else self._renewals.far

    def begin(
        self, remote: ActrId, certificate: Certificate | None, *, shown: str | None = None
    ) -> None:
        """The wire is open, and its far side has shown this.

        Args:
            shown: What this side has shown; None: the certificate that it has now.
        """
        certified = self._certified
        if certified is None or certificate is None:
            return
        if shown is None:
            shown = certified.identity.certificate
        now = certified.now()
        self._renewals = Renewals(certified, remote, certificate, now, shown=shown)
        self._tell()
        self._arm()

    def take(self, certificate: bytes) -> bool:
        """Take what the far side sends; False: nothing of the kind is due on this wire.

        Raises:
            RemoteProtocolError: If it is no certificate that takes the place of the last one.
        """
        if self._certified is None or self._renewals is None:
            return False
        self._renewals.take(certificate, self._certified.now())
        self._tell()
        self._arm()
        return True

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tell(self) -> None:
        """Say what is known of the far side now, where nobody else can be it."""
        if (
            self._certified is not None
            and self._certified.is_required
            and self._renewals is not None
        ):
            self._certified.shown(self._renewals.remote, self._renewals.far)

    def _arm(self) -> None:
        assert self._certified is not None
        assert self._renewals is not None
        self.stop()
        due = self._renewals.due(self._certified.now())
        self._timer = self._loop.call_later(due, self._look)

    def _look(self) -> None:
        assert self._certified is not None
        assert self._renewals is not None
        try:
            step = self._renewals.step(self._certified.now())
        except CertificateError as error:
            self._ended(error)
            return
        if step:
            self._send(step)
        self._arm()
