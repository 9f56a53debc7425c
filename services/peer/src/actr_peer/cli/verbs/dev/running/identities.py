"""What proves who is who under ``actr dev``: an issuer in its signaling service, or what the
configuration of the folder names in its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from actr_peer.errors import ConfigError
from actr_peer.node.config.development import Keys
from actr_peer.node.config.settings import Settings
from actr_peer.protocol.wire.addresses import site_of
from actr_peer.state.folder import STATE_FOLDER, make_state_folder

HOME: Final = Path(STATE_FOLDER, "issuer")
"""Of the issuer, in the folder where ``actr dev`` runs."""
DEVELOPMENT: Final = "DEVELOPMENT MODE: nobody proves who they are"
KEYS: Final = Path("public", "keys.json")
"""Its public keys, in its home."""
_SERVICE: Final = "ACTR_SIGNALING__"
_SECRET: Final = f"{_SERVICE}REALM_SECRET_FILE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identities:
    """What the signaling service and the actors are told of each other's proofs."""

    service: Mapping[str, str] = field(default_factory=dict)
    """Environment of the signaling service."""
    text: str
    """What a person is told of it."""
    is_development: bool = False
    """Nobody proves anything."""
    home: Path | None = None
    """Of the issuer that is part of the signaling service; None: there is none."""
    has_secret: bool = False
    """Whether realms have a secret of the user's."""

    def keys(self, url: str) -> Keys:
        """What actors in this folder are configured with, where nothing else is.

        Args:
            url: Of the signaling service.
        """
        if self.home is None:
            return {}
        found = {
            "identity.issuer_url": issuer_of(url),
            "identity.issuer_keys_file": str(self.home / KEYS),
        }
        if not self.has_secret:
            found["realm.secret_file"] = str(self.home / "realm.secret")
        return found


def issuer_of(url: str) -> str:
    """Where the issuer is that is part of the signaling service at ``url``."""
    return f"{site_of(url)}/issuer"


def elsewhere(settings: Settings, _folder: Path) -> Identities:
    """What these settings ask for where the signaling service runs already: nothing of it."""
    realm, own = settings.realm, settings.identity
    if own.issuer_url or own.certificate_file:
        return Identities(text=f"identities are on: certificates of {_issuer(settings)}")
    if realm.secret_file is not None:
        return Identities(text="the realm's secret proves who may join")
    text = f"{DEVELOPMENT}; set identity.issuer_url or realm.secret_file"
    return Identities(text=text, is_development=True)


def _issuer(settings: Settings) -> str:
    own = settings.identity
    return own.issuer_url.rstrip("/") or str(own.issuer_keys_file)


def identities(settings: Settings, folder: Path) -> Identities:
    """What these settings of a folder ask for: an issuer of its own, unless they name another, or
    want certificates of nobody.

    Raises:
        ConfigError: If there is no place for the issuer's files.
    """
    realm, own = settings.realm, settings.identity
    secret = {} if realm.secret_file is None else {_SECRET: str(realm.secret_file)}
    if realm.trust == "development":
        return Identities(text=f"{DEVELOPMENT}: realm.trust is development", is_development=True)
    if own.issuer_url or own.certificate_file:
        issuer = own.issuer_url.rstrip("/")
        service = {f"{_SERVICE}ISSUER_KEYS": str(own.issuer_keys_file or f"{issuer}/v1/keys")}
        if issuer:
            service[f"{_SERVICE}REVOKED"] = f"{issuer}/v1/revoked"
        if realm.trust == "secret" and secret:
            service |= secret | {f"{_SERVICE}ACCEPT_SECRETS": "true"}
        return Identities(
            service=service,
            text=f"identities are on: certificates of {_issuer(settings)}",
        )
    if realm.trust == "secret":
        return Identities(service=secret, text="the realm's secret proves who may join")
    home = folder / HOME
    try:
        make_state_folder(home / "register.db")
    except OSError as exc:
        raise ConfigError(f"{home}: {exc.strerror}; the issuer of actr dev is kept there") from exc
    service = {
        f"{_SERVICE}ISSUER_HOME": str(home),
        # Whose folder of keys was deleted makes new ones, and nobody else has the secret.
        f"{_SERVICE}ISSUER_TAKEN": "always",
    }
    return Identities(
        service=service | secret,
        text=f"identities are on: who acts has a certificate; keys are in {STATE_FOLDER}/",
        home=home,
        has_secret=bool(secret),
    )
