"""``actr identity``: the key that proves who an actor is, and its certificate."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from actr_peer.cli.options import AsJson, ConfigFile, IdFlag
from actr_peer.cli.tables import console, table
from actr_peer.errors import CertificateError, ConfigError, PeerError
from actr_peer.node.config.identity import CERTIFICATE_FILE
from actr_peer.node.config.loading import load
from actr_peer.node.config.reading import own_id, path_for
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.asking import UNKNOWN_KEY, Issuer, Refusal
from actr_peer.protocol.identity.certificates import Certificate, read_certificate
from actr_peer.protocol.identity.keys import encode, key_id
from actr_peer.state.identity.files import read_text, write_whole
from actr_peer.state.identity.keys import make_key, move_key, read_key
from actr_peer.wire.issuer.client import IssuerClient

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

NEXT = ".next"
"""Behind the name of the key's file: the key that is to replace it."""

app = typer.Typer()


@app.callback()
def _group() -> None:
    """The key that proves who an actor is, and its certificate; the private key is never shown."""


@dataclass(frozen=True, slots=True)
class _Files:
    """Whose they are, and where."""

    actor: ActrId
    key: Path
    certificate: Path | None
    issuer_url: str

    @classmethod
    def of(cls, own: str | None, config: Path | None) -> _Files:
        settings = load(config, {} if own is None else {"actor.id": own}).settings
        actor, said = own_id(settings.actor.id), settings.identity
        key = path_for(said.key_file, actor)
        if key is None:
            raise ConfigError("identity.key_file is empty: this actor keeps no key")
        placed = path_for(said.certificate_file or CERTIFICATE_FILE, actor)
        return cls(actor, key, placed, said.issuer_url)


@app.command()
def show(*, own: IdFlag = None, config: ConfigFile = None, is_json: AsJson = False) -> None:
    """Show an actor's id, its public key, and its certificate where it has one."""
    files = _Files.of(own, config)
    key = read_key(files.key)
    if key is None:
        raise ConfigError(
            f"{files.actor} has no key yet ({files.key}): the first start with an issuer makes it, "
            "and so does 'actr identity new'"
        )
    _print(files, key, is_json=is_json)


@app.command()
def new(
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Also where there is a key: its certificate is gone.")
    ] = False,
    own: IdFlag = None,
    config: ConfigFile = None,
    is_json: AsJson = False,
) -> None:
    """Make an actor's key, before its first start or in the place of one that is lost."""
    files = _Files.of(own, config)
    if files.key.exists() and not force:
        raise ConfigError(
            f"{files.key} is there already: 'actr identity rotate' replaces it with no break, "
            "--force for good"
        )
    key = make_key(files.key, replace=force)
    if files.certificate is not None:
        files.certificate.unlink(missing_ok=True)
    _print(files, key, is_json=is_json)


@app.command()
def rotate(*, own: IdFlag = None, config: ConfigFile = None, is_json: AsJson = False) -> None:
    """Have the issuer certify a new key in the place of the present one, which signs for it.

    Restart the actor then: a process has the key that it was started with. What was interrupted
    goes on when it is asked for again.
    """
    files = _Files.of(own, config)
    key = read_key(files.key)
    if not files.issuer_url or key is None:
        raise ConfigError(
            "there is no issuer (identity.issuer_url) or no key to replace: 'actr identity new' "
            "makes one"
        )
    beside = files.key.with_name(files.key.name + NEXT)
    following = read_key(beside) or make_key(beside)
    issuer = Issuer.parse(files.issuer_url)
    given = asyncio.run(_certified(IssuerClient(issuer), key, following))
    if isinstance(given, Refusal):
        text = f"the issuer {issuer} does not take the new key: {given.text}"
        raise ConfigError(text) if given.is_final else PeerError(text)
    move_key(beside, files.key)
    if files.certificate is not None:
        try:
            write_whole(files.certificate, f"{given.text}\n".encode("ascii"), replace=True)
        except OSError as exc:
            raise ConfigError(
                f"{files.certificate}: {exc.strerror}; the key is replaced, and the next start "
                "asks for its certificate"
            ) from exc
    _print(files, following, is_json=is_json)


async def _certified(
    client: IssuerClient, key: Ed25519PrivateKey, following: Ed25519PrivateKey
) -> Certificate | Refusal:
    """A certificate for the new key, which the issuer may have taken the last time already."""
    given = await client.renew(following)
    if isinstance(given, Refusal) and given.cause == UNKNOWN_KEY:
        return await client.rotate(key, following)
    return given


def _print(files: _Files, key: Ed25519PrivateKey, *, is_json: bool) -> None:
    public = key.public_key().public_bytes_raw()
    said: dict[str, Any] = {
        "id": str(files.actor),
        "key_file": str(files.key),
        "public_key": encode(public),
        "name": key_id(public),
        "fingerprint": hashlib.sha256(public).hexdigest(),
        "certificate": _certificate(files, public),
    }
    if is_json:
        print(json.dumps(said, indent=2))
        return
    of_certificate = said.pop("certificate") or {"certificate": "none"}
    rows = [*said.items(), *_cells(of_certificate)]
    console().print(table(f"identity of {files.actor}", ("what", "value"), rows))


def _certificate(files: _Files, public: bytes) -> dict[str, Any] | None:
    """What the certificate says, as far as it can be read: nobody's signature is checked here."""
    text = files.certificate and read_text(files.certificate, "identity.certificate_file")
    if not text:
        return None
    try:
        read = read_certificate(text.strip().encode("ascii", "replace"))
    except CertificateError as exc:
        raise ConfigError(f"{files.certificate}: {exc}") from exc
    return {
        "file": str(files.certificate),
        "issuer": read.issuer,
        "subject": read.subject,
        "realm": read.realm,
        "claims": {name: _plain(value) for name, value in read.claims.items()},
        "issued_at": read.issued_at,
        "expires_at": read.expires_at,
        "seconds_left": max(0, round(read.expires_at - time.time())),
        "serial": read.serial,
        "is_of_this_key": read.key == public,
        "covers_this_actor": read.covers(files.actor),
    }


def _plain(value: str | tuple[str, ...]) -> str | list[str]:
    return value if isinstance(value, str) else list(value)


def _cells(certificate: Mapping[str, Any]) -> list[tuple[str, str]]:
    """For people: times as they are written, and lists in one line."""
    cells = []
    for name, value in certificate.items():
        if name.endswith("_at"):
            shown = datetime.fromtimestamp(value, UTC).isoformat(sep=" ", timespec="seconds")
        elif isinstance(value, dict):
            lists = {key: [each] if isinstance(each, str) else each for key, each in value.items()}
            shown = "; ".join(f"{key}: {', '.join(each)}" for key, each in lists.items()) or "none"
        else:
            shown = {True: "yes", False: "no"}.get(value, str(value))
        cells.append((name, shown))
    return cells
