"""Shell: what the issuer signs, with the first of its keys that can be used."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import NamedTuple

import structlog

from actr_signaling.errors import ConfigError
from actr_signaling.issuer.keys import KeyFiles
from actr_signaling.issuer.protocol.causes import Cause, RefusalError
from actr_signaling.issuer.protocol.grants import Grant
from actr_signaling.issuer.protocol.issuer_keys import IssuerKey
from actr_signaling.issuer.register.access import Kept
from actr_signaling.issuer.register.enrolments import Signed
from actr_signaling.protocol.access.documents import make_document
from actr_signaling.protocol.identity.certificates import make_certificate

log = structlog.get_logger()

SIGN_SECONDS = 60.0
"""After which the same access rules are signed anew, so that readers see how old they are."""


class _Said(NamedTuple):
    """Access rules as they were signed last."""

    version: int
    kid: str
    at: float
    text: str


class Signer:
    """Owned by the office.

    Args:
        name: What the issuer calls itself.
    """

    def __init__(self, keys: KeyFiles, name: str) -> None:
        self._keys, self._name = keys, name
        self._said: _Said | None = None

    def sign(self, grant: Grant, key: bytes, by: Sequence[IssuerKey], now: float) -> Signed:
        issuer_key = self.key(by)
        certificate = make_certificate(
            self._keys.load(issuer_key.kid),
            issuer=self._name,
            subject=str(grant.subject),
            realm=grant.realm,
            public=key,
            claims=grant.claims,
            now=int(now),
            life=grant.life,
            serial=secrets.token_urlsafe(12),
        )
        return Signed(
            text=certificate.text,
            serial=certificate.serial,
            expires_at=certificate.expires_at,
            kid=issuer_key.kid,
        )

    def key(self, by: Sequence[IssuerKey]) -> IssuerKey:
        """The first whose private half is there: an older one, where the newest was lost."""
        for key in by:
            try:
                self._keys.load(key.kid)
            except ConfigError as exc:
                log.error("issuer key cannot be used", cause=str(exc))
            else:
                return key
        raise RefusalError(
            Cause.UNREADY, "the issuer has no key to sign with: try again", retry_after=5.0
        )

    def access(self, kept: Kept, by: Sequence[IssuerKey], now: float) -> str:
        """Access rules as a JWS; the one that there is, while it is fresh.

        Raises:
            RefusalError: If there is no key to sign with.
        """
        key, said = self.key(by), self._said
        if (
            said is None
            or (said.version, said.kid) != (kept.version, key.kid)
            or not 0 <= now - said.at < SIGN_SECONDS
        ):
            text = make_document(
                self._keys.load(key.kid),
                issuer=self._name,
                version=kept.version,
                now=int(now),
                rules=kept.rules,
            )
            said = self._said = _Said(kept.version, key.kid, now, text)
        return said.text
