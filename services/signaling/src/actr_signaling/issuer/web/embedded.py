"""Shell: an issuer within the signaling process, for one machine: no second process to start."""

from __future__ import annotations

import secrets
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog
from starlette.types import ASGIApp

from actr_signaling.errors import ConfigError
from actr_signaling.issuer.keys import make_home, write_private
from actr_signaling.issuer.office import Office
from actr_signaling.issuer.settings import Settings
from actr_signaling.issuer.web.app import build_app

log = structlog.get_logger()

PATH = "/issuer"
"""Where it is mounted: peers are given the URL of the service with this behind it."""
SECRET_FILE = "realm.secret"  # noqa: S105


class Embedded:
    """An application to mount at :attr:`path`, and its life, an async context manager.

    Where realms have no secret one is made, in a file of ``home`` that only this user reads: an
    actor of the same user enrols by it, with no step of anybody's.

    Args:
        home: Register, keys, public files; of this user alone.
        realm_secret_file: Of the service that it is part of.
        realm_secrets_dir: Likewise.
        taken: When the secret may give an id another key; empty: always, by a secret that was made
            here, else when no certificate of the old key is alive.

        allowed_origins: Of web pages, as of the service that it is part of.

    Raises:
        ConfigError: If something there cannot be used.
    """

    path = PATH

    def __init__(
        self,
        home: Path,
        *,
        realm_secret_file: Path | None = None,
        realm_secrets_dir: Path | None = None,
        taken: str = "",
        allowed_origins: tuple[str, ...] = (),
    ) -> None:
        if realm_secret_file is None and realm_secrets_dir is None:
            realm_secret_file = _make_secret(home)
            taken = taken or "always"  # actors of one developer, with keys that come and go
        settings = Settings.model_validate(
            {
                "home": home,
                "realm_secret_file": realm_secret_file,
                "realm_secrets_dir": realm_secrets_dir,
                "taken": taken or "expired",
                "allowed_origins": allowed_origins,
            }
        )
        self.office = Office(settings)
        self.app: ASGIApp = build_app(self.office)

    async def __aenter__(self) -> Self:
        await self.office.__aenter__()
        log.info("issuer is part of this process", path=PATH, home=str(self.office.settings.home))
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.office.__aexit__(exc_type, exc, traceback)


def _make_secret(home: Path) -> Path:
    path = home / SECRET_FILE
    make_home(home)
    try:
        if not path.exists():
            write_private(path, secrets.token_urlsafe(32).encode())
    except OSError as exc:
        raise ConfigError(f"{path}: {exc.strerror}; the issuer keeps a secret there") from exc
    return path
