"""What an actor proves itself with, and whom it believes: made of its configuration."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from actr_peer.errors import ConfigError, LocalProtocolError, PeerError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.asking import Issuer
from actr_peer.protocol.identity.certificates import Certificate, read_certificate
from actr_peer.protocol.identity.identity import Certified, OwnIdentity
from actr_peer.protocol.rpc.access.published import Published
from actr_peer.state.identity.files import Watched, read_text
from actr_peer.wire.issuer.client import IssuerClient
from actr_peer.wire.issuer.clock import IssuerClock
from actr_peer.wire.issuer.keeper import Keeper
from actr_peer.wire.issuer.placed import Placed
from actr_peer.wire.issuer.revocations import Revocations
from actr_peer.wire.issuer.ruling import KEPT_RULES, Ruling
from actr_peer.wire.issuer.trusted import Trusted

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

log = logging.getLogger(__name__)

CERTIFICATE = "identity.certificate_file"
TOKEN = "identity.join_token_file"  # noqa: S105 - the name of a setting
KEPT_KEYS = "issuer-keys.json"
"""Beside the certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityConfig:
    """How an actor proves who it is, and whose word it takes for others.

    Raises:
        ConfigError: If it could prove nothing, or would take anybody's word.
    """

    key: Path | None = None
    """File of its key, made where there is none; None: a new key in memory, for this process."""
    certificate: Path | None = None
    """Where its certificate is kept; without an issuer, where somebody puts it. None: in memory."""
    issuer_url: str = ""
    """``https://host:port`` of the issuer that it asks; empty: none."""
    join_token: Path | None = None
    """File of a one-time token, with which a key enrols; None: the realm's secret will do."""
    issuer_keys: Path | None = None
    """File of the public keys of the issuers that are believed; None: the issuer's own word."""
    access_file: Path | None = None
    """File of the issuer's access rules; None: the issuer is asked, where ``takes_access``."""
    takes_access: bool = False
    """Whether the issuer's access rules hold, beside the actor's own."""
    access_every: float = 15.0
    """Seconds between two looks at them, at most."""
    revoked: Path | None = None
    """File of what the issuer has revoked; None: the issuer that there is, if any, is asked."""
    revoked_every: float = 15.0
    """Seconds between two looks at what is revoked, at most."""
    is_required: bool = True
    """Whether every other actor must have a certificate, on every wire."""

    def __post_init__(self) -> None:
        if self.access_file is not None:
            object.__setattr__(self, "takes_access", True)
        elif self.takes_access and not self.issuer_url:
            raise ConfigError(
                "identity.access is set, and no issuer is to be asked: name the file of its access "
                "rules in identity.access_file"
            )
        if not self.issuer_url:
            if self.certificate is None or self.key is None:
                raise ConfigError(
                    "identity: name an issuer in identity.issuer_url, or the files of a key and of "
                    f"its certificate in identity.key_file and {CERTIFICATE}"
                )
            if self.issuer_keys is None:
                raise ConfigError(
                    "identity.issuer_keys_file is not set, and no issuer is to be asked: name the "
                    "file of the public keys by which the certificates of others are believed"
                )
            return
        issuer = Issuer.parse(self.issuer_url)
        if self.issuer_keys is None and not issuer.is_secure and not issuer.is_here:
            raise ConfigError(
                f"identity.issuer_url = {self.issuer_url!r}: whoever is between could name keys of "
                "its own; use https://, or name the issuer's public keys in "
                "identity.issuer_keys_file"
            )
        if self.join_token is not None and not issuer.is_secure and not issuer.is_here:
            raise ConfigError(
                f"identity.issuer_url = {self.issuer_url!r}: whoever is between could read the "
                f"join token and use it first; use https://, or take {TOKEN} out"
            )


class Credentials:
    """Key, certificate and trust of one actor; inside its block an
    :class:`~actr_peer.protocol.identity.identity.Identity`.

    Args:
        secret: The realm's, with which a key may enrol; None: there is none.
        failed: Told of each time that the issuer gives no certificate, and why.
        start_timeout: Seconds in which the first certificate must come.
        ruled: Told of each new set of the issuer's access rules.
        looked: Called when it is time to see whether somebody's certificate is revoked.
    """

    def __init__(
        self,
        actor: ActrId,
        config: IdentityConfig,
        *,
        secret: bytes | None,
        failed: Callable[[PeerError], None],
        start_timeout: float,
        ruled: Callable[[Published], None] = lambda published: None,
        looked: Callable[[], None] = lambda: None,
    ) -> None:
        self._ruled = ruled
        self.is_required = config.is_required
        self.clock = IssuerClock()
        self._actor, self._config, self._secret = actor, config, secret or b""
        self._failed, self._start_timeout, self._looked = failed, start_timeout, looked
        self._stack = AsyncExitStack()
        self._identity: OwnIdentity | None = None
        self._trusted: Trusted | None = None
        self._rules: Ruling | None = None
        self._revocations: Revocations | None = None

    async def __aenter__(self) -> Self:
        config = self._config
        key, is_new = own_key(config)
        kept = config.certificate and config.certificate.with_name(KEPT_KEYS)
        client = IssuerClient(Issuer.parse(config.issuer_url)) if config.issuer_url else None
        self._revocations = revocations = Revocations(
            file=config.revoked,
            client=client,
            every=config.revoked_every,
            looked=self._looked,
            failed=self._failed,
        )
        self._trusted = Trusted(
            self.clock, file=config.issuer_keys, kept=kept, revoked=lambda: revocations.revoked
        )
        if client is not None:
            keeper = Keeper(
                self._actor,
                key,
                is_new=is_new,
                client=client,
                clock=self.clock,
                trusted=self._trusted,
                token=self._token,
                secret=self._secret,
                kept=config.certificate,
                failed=self._failed,
                start_timeout=self._start_timeout,
            )
            await self._stack.enter_async_context(keeper)
            self._identity = OwnIdentity(key, lambda: keeper.text)
        else:
            assert config.certificate is not None
            read = Placed(self._actor, key)
            file = Watched(config.certificate, CERTIFICATE, read, _stays)
            self._identity = OwnIdentity(key, lambda: file.value.text)
        if config.takes_access:
            self._rules = self._ruling(self._trusted)
            await self._stack.enter_async_context(self._rules)
        await self._stack.enter_async_context(revocations)
        return self

    @property
    def rules_refused(self) -> int:
        """Times that the issuer's access rules were no newer word, or could not be had."""
        return 0 if self._rules is None else self._rules.refused

    def _ruling(self, trusted: Trusted) -> Ruling:
        config = self._config
        return Ruling(
            file=config.access_file,
            client=IssuerClient(Issuer.parse(config.issuer_url)) if config.issuer_url else None,
            keys=lambda: trusted.keys,
            now=self.clock.now,
            kept=config.certificate and config.certificate.with_name(KEPT_RULES),
            every=config.access_every,
            took=self._ruled,
            failed=self._failed,
        )

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.__aexit__(exc_type, exc, traceback)

    @property
    def key(self) -> Ed25519PrivateKey:
        return self._own.key

    @property
    def certificate(self) -> str:
        return self._own.certificate

    @property
    def own(self) -> Certificate | None:
        """The newest certificate, as it reads; None while there is none."""
        text = "" if self._identity is None else self._identity.certificate
        return read_certificate(text.encode("ascii")) if text else None

    def sign(self, data: bytes) -> bytes:
        return self._own.sign(data)

    def certified(self, shown: Callable[[ActrId, Certificate], None]) -> Certified:
        """What wires and signaling are given of it.

        Args:
            shown: Told of each certificate that an actor has proved to be its own.
        """
        return Certified(
            identity=self,
            verify=self.verify,
            now=self.clock.now,
            shown=shown,
            is_required=self.is_required,
        )

    def verify(self, data: bytes) -> Certificate:
        """Believe the certificate of another actor.

        Raises:
            CertificateError: If it is not to be believed.
        """
        if self._trusted is None:
            raise LocalProtocolError("no credentials before their block is entered")
        return self._trusted.verify(data)

    def refuse_revoked(self, certificate: Certificate | None) -> None:
        """Believe a certificate that was believed before, as far as it may be revoked since; None:
        there was none to believe.

        Raises:
            CertificateError: If it, or its key, is.
        """
        if self._revocations is not None and certificate is not None:
            self._revocations.revoked.refuse(certificate)

    @property
    def _own(self) -> OwnIdentity:
        if self._identity is None:
            raise LocalProtocolError("no credentials before their block is entered")
        return self._identity

    def _token(self) -> str:
        path = self._config.join_token
        return "" if path is None else (read_text(path, TOKEN) or "").strip()


def own_key(config: IdentityConfig) -> tuple[Ed25519PrivateKey, bool]:
    """The key of a configuration, made where there is none yet; and whether it was.

    Raises:
        ConfigError: If its file cannot be used, or is lost: there is a certificate of it.
    """
    # Loading the library takes a tenth of a second: only who has a key waits for it.
    from actr_peer.state.identity.keys import make_key, new_key, read_key

    if config.key is None:
        return new_key(), True
    found = read_key(config.key)
    if found is not None:
        return found, False
    if config.certificate is not None and config.certificate.exists():
        raise ConfigError(
            f"identity.key_file = {str(config.key)!r}: no such file, and {config.certificate} is a "
            "certificate of the key that was in it; put back the copy that you have, or make "
            "another with 'actr identity new --force' and enrol it"
        )
    made = make_key(config.key)
    log.info("made an identity key: path=%s", config.key)
    return made, True


def _stays(error: ConfigError) -> None:
    log.error("the certificate of before stays: cause=%s", error)
