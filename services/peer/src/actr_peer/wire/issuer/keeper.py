"""Keeps an actor's certificate alive: asks its issuer, and again in time, for as long as it runs.

An issuer that is away, or refuses, ends nothing by itself: the certificate is good until its end,
and the log says how long that is.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from actr_peer.errors import (
    CertificateError,
    CertificateFault,
    ConfigError,
    PeerError,
    UnreachableError,
)
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.asking import UNKNOWN_KEY, Refusal
from actr_peer.protocol.identity.certificates import (
    Certificate,
    read_certificate,
    verify_certificate,
)
from actr_peer.protocol.identity.keeping import Keeping, State
from actr_peer.state.identity.files import read_text, write_whole
from actr_peer.tasks import Tasks
from actr_peer.wire.issuer.client import IssuerClient
from actr_peer.wire.issuer.clock import IssuerClock
from actr_peer.wire.issuer.trusted import Trusted

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

log = logging.getLogger(__name__)

MOST_WAIT = 60.0
"""Seconds: the loop's clock stands still while the machine sleeps, and the issuer's does not."""


class Keeper:
    """The certificate of one actor, which is there when its block is entered.

    Args:
        key: The actor's.
        is_new: Whether the key was made just now, so that no issuer can know it.
        token: Read each time it is needed: a one-time join token; empty: none.
        secret: The realm's, which an issuer may take in its place; empty: none.
        kept: File of the certificate, which a start without the issuer goes on with; None: nowhere.
        failed: Told of each time that the issuer gives nothing, and why.
        start_timeout: Seconds in which the first certificate must come.
        wait: As ``asyncio.sleep``.
    """

    def __init__(
        self,
        actor: ActrId,
        key: Ed25519PrivateKey,
        *,
        is_new: bool = False,
        client: IssuerClient,
        clock: IssuerClock,
        trusted: Trusted,
        token: Callable[[], str],
        secret: bytes,
        kept: Path | None,
        failed: Callable[[PeerError], None],
        start_timeout: float,
        wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._actor, self._key, self._public = actor, key, key.public_key().public_bytes_raw()
        self._client, self._clock, self._trusted = client, clock, trusted
        self._token, self._secret, self._kept = token, secret, kept
        self._failed, self._start_timeout, self._wait = failed, start_timeout, wait
        self._tasks = Tasks(f"certificate/{actor}")
        self._is_new = is_new
        self._answered = asyncio.Event()
        """The issuer has given a certificate, or refused one."""
        self._why: PeerError | None = None
        """What went wrong last."""
        found = self._found()
        self._keeping = Keeping(found, now=clock.now(), dice=random.random())  # noqa: S311

    @property
    def state(self) -> State:
        return self._keeping.state

    @property
    def text(self) -> str:
        """The newest certificate; empty while there is none."""
        certificate = self._keeping.certificate
        return "" if certificate is None else certificate.text

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        try:
            self._tasks.start("renewals", self._renew())
            if not self._keeping.lives(self._clock.now()):
                await self._first()
        except BaseException:
            await self._tasks.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._tasks.__aexit__(exc_type, exc, traceback)

    async def _first(self) -> None:
        """Wait for the first certificate.

        Raises:
            ConfigError: If the issuer refuses it.
            UnreachableError: If it does not answer in time.
        """
        try:
            async with asyncio.timeout(self._start_timeout):
                await self._answered.wait()
        except TimeoutError:
            text = f"no certificate within {self._start_timeout:.0f} s"
            raise self._why or UnreachableError(f"the issuer {self._client.issuer}", text) from None
        if not self._keeping.lives(self._clock.now()):
            assert self._why is not None
            raise self._why

    def _found(self) -> Certificate | None:
        """The certificate of an earlier start, if it is one of this key."""
        if self._kept is None or not self._trusted.keys:
            return None
        try:
            text = read_text(self._kept, "identity.certificate_file") or ""
            found = read_certificate(text.strip().encode("ascii", "replace"))
        except (ConfigError, CertificateError):
            return None  # another one is asked for
        return found if self._is_own(found) and self._is_signed(found) else None

    def _is_signed(self, certificate: Certificate) -> bool:
        """Whether others may believe it still: an issuer's key may have gone since."""
        try:
            self._trusted.verify(certificate.text.encode("ascii"))
        except CertificateError as exc:
            return exc.fault in (CertificateFault.NOT_YET_VALID, CertificateFault.EXPIRED)
        return True

    def _is_own(self, certificate: Certificate) -> bool:
        return certificate.key == self._public and certificate.covers(self._actor)

    async def _renew(self) -> None:
        while True:
            if self._keeping.step(self._clock.now()):
                await self._ask()
            left = self._keeping.at - self._clock.now()
            await self._wait(min(max(0.0, left), MOST_WAIT))

    async def _ask(self) -> None:
        asked_at = self._clock.now()
        try:
            given = await self._question()
            if isinstance(given, Certificate):
                await self._take(given, asked_at, self._clock.now())
                return
        except PeerError as exc:
            given = Refusal("", str(exc), is_final=isinstance(exc, ConfigError), retry_after=0)
            self._note(exc, given)
            return
        issuer = self._client.issuer
        if given.is_final:
            text = f"the issuer {issuer} gives {self._actor} no certificate: {given.text}"
            self._note(ConfigError(text), given)
        else:
            self._note(UnreachableError(f"the issuer {issuer}", given.text), given)

    async def _question(self) -> Certificate | Refusal:
        """Renew, or enrol where the issuer does not know the key.

        Raises:
            ConfigError: If there is nothing to enrol with.
            UnreachableError: If no answer comes.
        """
        if not self._is_new:
            given = await self._client.renew(self._key)
            if isinstance(given, Certificate) or given.cause != UNKNOWN_KEY:
                return given
        self._is_new = False
        token = self._token()
        if not token and not self._secret:
            raise ConfigError(
                f"the issuer {self._client.issuer} does not know the key of {self._actor}: name a "
                "file with a join token in identity.join_token_file ('actr-issuer token new'), or "
                "with the realm's secret in realm.secret_file"
            )
        return await self._client.enrol(self._key, self._actor, token=token, secret=self._secret)

    async def _take(self, certificate: Certificate, asked_at: float, answered_at: float) -> None:
        """Believe what the issuer has given, as others will have to, and take its time for the
        time: so that it is the issuer's comes first, for over http anybody may be between.

        Raises:
            ConfigError: If it is of no use.
            UnreachableError: If its keys are not known, and it does not tell them; or it is one
                that was given before.
        """
        if not self._is_own(certificate):
            raise ConfigError(
                f"the issuer {self._client.issuer} gives a certificate of another key, or one for "
                f"{certificate.subject} in realm {certificate.realm} and not for {self._actor}"
            )
        if self._trusted.asks:
            self._trusted.tell(await self._client.keys())
        text = certificate.text.encode("ascii")
        try:
            verify_certificate(text, self._trusted.keys, now=certificate.issued_at)
            self._hold_to_order(certificate)
            self._clock.learn(certificate.issued_at, asked_at, answered_at)
            self._trusted.verify(text)
        except CertificateError as exc:
            raise ConfigError(f"the issuer {self._client.issuer} gives {exc}") from exc
        now, before = self._clock.now(), self._keeping.state
        self._keeping.given(certificate, now=now, dice=random.random())  # noqa: S311
        self._why = None
        self._answered.set()
        word = "certificate" if before is State.WANTING else "certificate renewed"
        left = certificate.expires_at - now
        log.info("%s: actor=%s issuer=%s seconds=%.0f", word, self._actor, certificate.issuer, left)
        if self._kept is not None:
            await asyncio.to_thread(self._keep, self._kept, certificate.text)

    def _hold_to_order(self, certificate: Certificate) -> None:
        """See that it is no older one, said again: it would set the clock here back.

        Raises:
            UnreachableError: If it is, while the one that it would replace lives.
        """
        held = self._keeping.certificate
        if held is None or not self._keeping.lives(self._clock.now()):
            return
        if certificate.issued_at < held.issued_at or certificate.text == held.text:
            raise UnreachableError(
                f"the issuer {self._client.issuer}",
                f"it gives a certificate from before the last one ({certificate.serial}): somebody "
                "is between, or its clock was set back",
            )

    def _keep(self, path: Path, text: str) -> None:
        try:
            write_whole(path, f"{text}\n".encode("ascii"), replace=True)
        except OSError as exc:
            log.warning("certificate not kept: path=%s cause=%s", path, exc.strerror)

    def _note(self, error: PeerError, refusal: Refusal) -> None:
        """The issuer has given nothing."""
        now = self._clock.now()
        self._why = error
        if refusal.is_final:
            self._keeping.refused(now=now)
            self._answered.set()
        else:
            dice = random.random()  # noqa: S311
            self._keeping.away(now=now, dice=dice, retry_after=refusal.retry_after)
        certificate = self._keeping.certificate
        left = 0.0 if certificate is None else max(0.0, certificate.expires_at - now)
        level = logging.WARNING if left else logging.ERROR
        again = self._keeping.at - now
        log.log(level, "no certificate: cause=%s lives=%.0f again=%.0f", error, left, again)
        self._failed(error)
