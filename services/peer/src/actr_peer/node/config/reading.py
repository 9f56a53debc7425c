"""What settings only point to: the own identity, secrets, and where files are."""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from actr_peer.errors import ConfigError
from actr_peer.node.config.metrics import UNIX
from actr_peer.node.config.settings import AUTO, IceServerEntry, Settings
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.webrtc.negotiation import IceServer

DOCKER_DNS: Final = "127.0.0.11"
DNS_TIMEOUT: Final = 2.0  # seconds; Docker's resolver answers in milliseconds
MIN_SECRET_BYTES: Final = 16


def own_id(text: str) -> ActrId:
    """Read an id; the instance ``auto`` becomes the replica's index, else the host name.

    Raises:
        ConfigError: If ``text`` is no id, or the host name cannot be part of one.
    """
    actor = ActrId.parse(text)
    if actor.instance != AUTO:
        return actor
    found = replace(actor, instance=replica_index() or socket.gethostname())
    return ActrId.parse(str(found))


def replica_index() -> str | None:
    """Index of this compose replica, from the name that Docker's DNS gives its address.

    Docker tells a replica its index nowhere else: the PTR record of the container's own
    address is ``project-service-3.network``. ``/etc/hosts`` would hide it, so the resolver
    is asked directly. None outside of compose.
    """
    try:
        if DOCKER_DNS not in Path("/etc/resolv.conf").read_text(encoding="utf-8"):
            return None
    except OSError:
        return None
    # A tenth of a second of imports, of which only such a replica has a use.
    import dns.exception
    import dns.resolver
    import dns.reversename

    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = [DOCKER_DNS]
    resolver.lifetime = DNS_TIMEOUT
    try:
        address = socket.gethostbyname(socket.gethostname())
        answer = resolver.resolve(dns.reversename.from_address(address), "PTR")
    except (OSError, dns.exception.DNSException):
        return None
    return index_in_name(str(answer[0]))


def index_in_name(name: str) -> str | None:
    """``3`` of ``project-peer-3.project_default.``; None where there is no index."""
    service, _, index = name.split(".")[0].rpartition("-")
    return index if service and index.isdecimal() else None


def realm_secret(settings: Settings) -> bytes | None:
    """The realm's secret, of its file; None: development mode.

    Raises:
        ConfigError: If it cannot be read or is none, or production is asked for without one.
    """
    path, trust = settings.realm.secret_file, settings.realm.trust
    if path is not None and trust == "development":
        raise ConfigError(
            "realm.trust is development, where nobody proves anything, and realm.secret_file is "
            "set: take one of them out"
        )
    if path is None:
        if trust == "secret":
            raise ConfigError(
                "realm.trust is secret and realm.secret_file is not set: name a file with the "
                "realm's secret in ACTR_REALM__SECRET_FILE"
            )
        identity = settings.identity
        if settings.realm.production and not (identity.issuer_url or identity.certificate_file):
            raise ConfigError(
                "realm.production is true and realm.secret_file is not set: name a file with "
                "the realm's secret in ACTR_REALM__SECRET_FILE, or an issuer in "
                "ACTR_IDENTITY__ISSUER_URL"
            )
        return None
    secret = _read_secret(path, "realm.secret_file")
    if len(secret) < MIN_SECRET_BYTES:
        raise ConfigError(
            f"realm.secret_file = {str(path)!r}: {len(secret)} bytes are too few to be a secret, "
            f"write at least {MIN_SECRET_BYTES}, for example with 'openssl rand -hex 32'"
        )
    return secret


def _read_secret(path: Path, key: str) -> bytes:
    try:
        return path.read_bytes().strip()
    except (OSError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "not a path"
        # Shown where it can be a path: a secret may stand there by mistake.
        is_path = path.is_absolute() and path.parent != path.parent.parent
        if is_path and path.parent.is_dir():
            shown, hint = f"{key} = {str(path)!r}", "name a file that this user can read"
        else:
            shown, hint = (
                key,
                (
                    "name a file that this user can read, by its absolute path, and not the secret "
                    "(the value is not shown, for it may be one)"
                ),
            )
        raise ConfigError(f"{shown}: {why}; {hint}") from exc


def ice_server(entry: IceServerEntry) -> IceServer:
    """The server of an entry, with its credential.

    Raises:
        ConfigError: If the credential's file cannot be read.
    """
    path = entry.credential_file
    key = "wires.ice_servers.credential_file"
    try:
        credential = _read_secret(path, key).decode() if path else ""
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{key} = {str(path)!r}: must be text in UTF-8") from exc
    return IceServer(urls=entry.urls, username=entry.username, credential=credential)


def path_for(text: str, actor: ActrId) -> Path | None:
    """The path that a setting names for ``actor``; None: none."""
    filled = text.replace("{id}", actor.text).replace("{instance}", actor.instance)
    return Path(filled).absolute() if text else None


def metrics_address(settings: Settings, actor: ActrId) -> str:
    """Where ``actor`` tells its metrics; empty: nowhere."""
    text = settings.metrics.listen
    if not text.startswith(UNIX):
        return text
    return f"{UNIX}{path_for(text.removeprefix(UNIX), actor)}"


def there_of(text: str) -> dict[str, Path]:
    """By the id of each actor: what is there of all that a setting names; nothing where it does not
    name it by id."""
    if "{id}" not in text:
        return {}
    either = Path(text.replace("{id}", "*").replace("{instance}", "*"))
    parts = (re.escape(part).replace(r"\{instance\}", "[^/]*") for part in text.split("{id}", 1))
    pattern = re.compile("([^/]+)".join(parts).replace(r"\{id\}", "[^/]+"))
    found = {}
    for path in sorted(Path(either.anchor or ".").glob(str(either.relative_to(either.anchor)))):
        with suppress(ConfigError):
            if match := pattern.fullmatch(str(path)):
                found[ActrId.parse(match[1]).text] = path
    return found


def control_path(settings: Settings) -> Path | None:
    """Where the actor of these settings answers ``actr ps``; None: nowhere."""
    return path_for(settings.control.socket, own_id(settings.actor.id))


def mailbox_path(settings: Settings) -> Path | None:
    """Where its requests wait; None: in memory."""
    return path_for(settings.mailbox.path, own_id(settings.actor.id))
