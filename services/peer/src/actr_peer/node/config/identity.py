"""How an actor proves who it is: from settings to what a node takes."""

from __future__ import annotations

from actr_peer.errors import ConfigError
from actr_peer.node.config.reading import own_id, path_for
from actr_peer.node.config.settings import Identity, Settings
from actr_peer.wire.issuer.credentials import IdentityConfig

CERTIFICATE_FILE = ".actr/{id}/certificate.jwt"
"""Where an issuer's certificate is kept, where nobody names another file."""


def identity_config(settings: Settings) -> IdentityConfig | None:
    """What the table ``[identity]`` says; None: this actor has no certificate.

    Raises:
        ConfigError: If it cannot be used, or ``realm.trust`` asks for more than there is.
    """
    said, trust = settings.identity, settings.realm.trust
    if not said.issuer_url and not said.certificate_file:
        if half := _half(settings):
            raise ConfigError(
                f"{' and '.join(half)} is set, and nothing with which this actor could prove "
                "itself: name an issuer in identity.issuer_url, or a certificate in "
                "identity.certificate_file; or take it out"
            )
        if trust == "certificate":
            raise ConfigError(
                "realm.trust is certificate, and this actor has none: name an issuer in "
                "identity.issuer_url, or a certificate in identity.certificate_file"
            )
        return None
    if trust == "development":
        raise ConfigError(
            "realm.trust is development, where nobody proves anything, and identity.issuer_url or "
            "identity.certificate_file is set: take one of them out"
        )
    actor = own_id(settings.actor.id)
    # Who keeps no key has nothing to keep a certificate of.
    placed = said.certificate_file or (CERTIFICATE_FILE if said.key_file else "")
    return IdentityConfig(
        key=path_for(said.key_file, actor),
        certificate=path_for(placed, actor),
        issuer_url=said.issuer_url,
        join_token=said.join_token_file,
        issuer_keys=said.issuer_keys_file,
        access_file=said.access_file,
        takes_access=said.access,
        revoked=said.revoked_file,
        revoked_every=said.revoked_every_s,
        is_required=trust != "secret",
    )


def _half(settings: Settings) -> list[str]:
    """Keys that say something of certificates: who sets one does not mean to go without."""
    said = settings.identity
    given = {
        "identity.issuer_keys_file": said.issuer_keys_file is not None,
        "identity.join_token_file": said.join_token_file is not None,
        "identity.key_file": said.key_file not in ("", Identity.model_fields["key_file"].default),
    }
    return [key for key, is_given in given.items() if is_given]
