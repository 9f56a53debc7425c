"""Configuration, read once from the environment: ``ACTR_SIGNALING__…`` (docs/signaling.md)."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from actr_signaling.errors import ConfigError
from actr_signaling.protocol.websocket.origins import check_origin

PREFIX = "ACTR_SIGNALING__"
PEERS = f"{PREFIX}URL"
"""What peers read; it may stand in the same environment."""
_LISTEN = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[^:\s]+):(?P<port>\d{1,5})")
_REDIS_URL = re.compile(r"(rediss?(\+sentinel|\+cluster)?|unix)://")
_UNSHOWN = {f"{PREFIX}REDIS_URL"}
"""Variables whose value may hold a password, above all where it is mistyped."""
PUBLIC_FOLDER = "public"
"""Of an issuer's home: what everybody may read."""

AnySettings = TypeVar("AnySettings", bound=BaseSettings)

Texts = Annotated[tuple[str, ...], NoDecode]
"""Comma-separated in the environment."""
Origins = Annotated[tuple[Annotated[str, AfterValidator(check_origin)], ...], NoDecode]


def split_texts(value: object) -> object:
    """What :data:`Texts` are made of."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


class Settings(BaseSettings):
    """All durations in seconds."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    listen: str = Field(default="127.0.0.1:8080", description="host:port; port 0 takes a free one")
    redis_url: str = Field(default="", description="empty: memory, one process")
    redis_user: str = Field(default="", description="of Redis' access list")
    redis_password_file: Path | None = Field(default=None, description="of that user")
    redis_ca_file: Path | None = Field(
        default=None, description="who signs the certificate of Redis, in PEM form"
    )
    redis_sentinel_user: str = Field(default="", description="of the Sentinels' own access list")
    redis_sentinel_password_file: Path | None = Field(
        default=None, description="of the Sentinels, where they have one"
    )
    redis_prefix: str = Field("actr", pattern=r"^[a-z0-9-]{1,32}$", description="of all keys")
    realm_secret_file: Path | None = Field(default=None, description="the secret of all realms")
    realm_secrets_dir: Path | None = Field(default=None, description="one file for each realm")
    issuer_keys: str = Field(
        default="", description="public keys of the issuer: a file, or its http(s) address"
    )
    revoked: str = Field(default="", description="what the issuer revoked: a file or address")
    access: str = Field(
        default="", description="the issuer's access rules: a file or address; who may meet whom"
    )
    accept_secrets: bool = Field(
        default=False, description="with ISSUER_KEYS: realm secrets are proofs too, for a while"
    )
    trust_interval: float = Field(
        default=2.0, ge=0.05, le=15, description="between looks at ISSUER_KEYS, REVOKED, ACCESS"
    )
    production: bool = Field(
        default=False, description="refuse to start without issuer keys or a realm secret"
    )
    turn_urls: Texts = Field(default=(), description="stun:, turn: and turns: URLs given to peers")
    turn_secret_file: Path | None = Field(default=None, description="shared with the TURN server")
    turn_ttl: int = Field(default=600, ge=60, le=86_400, description="life of TURN credentials")
    lease: float = Field(
        default=30.0, ge=0.2, le=600, description="a session lives without heartbeat"
    )
    heartbeat: float = Field(default=10.0, ge=0.05, le=300, description="asked of peers, ± 20 %")
    authenticate: float = Field(default=5.0, ge=0.05, le=60, description="from upgrade to proof")
    grace: float = Field(default=1.5, ge=0, le=30, description="to come back after a broken socket")
    drain: float = Field(default=4.0, ge=0, le=120, description="for peers to move on SIGTERM")
    allowed_origins: Origins = Field((), description="of web pages, besides its own; * is all")
    max_connections: int = Field(default=20_000, ge=1, description="open at a time")
    max_connections_per_address: int = Field(default=2_000, ge=1, description="open at a time")
    connections_per_second: float = Field(default=200.0, gt=0, description="new, for each address")
    messages_per_second: float = Field(default=500.0, gt=0, description="of one connection")
    messages_burst: float = Field(default=2_000.0, ge=1, description="of one connection")
    bytes_per_second: float = Field(default=1_048_576, gt=0, description="of one connection")
    bytes_burst: float = Field(default=4_194_304, ge=65_536, description="of one connection")
    relayed_wires: int = Field(default=0, ge=0, description="between actors, at a time; 0: none")
    relayed_bytes_per_second: float = Field(default=1_048_576, ge=16_384, description="each way")
    issuer_home: Path | None = Field(default=None, description="of an issuer in this process")
    issuer_taken: Literal["", "never", "expired", "always"] = Field(
        default="", description="of that issuer: when the secret may give an id another key"
    )
    console: Literal["", "off", "here", "on"] = Field(
        default="", description="who is given the page at /: nobody, this machine, everybody"
    )
    metrics_listen: Annotated[str, AfterValidator(lambda text: text and check_listen(text))] = (
        Field(
            default="", description="host:port of /metrics; at LISTEN it is for this machine alone"
        )
    )
    log_format: Literal["json", "text"] = Field(default="text", description="on standard error")
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("turn_urls", "allowed_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return split_texts(value)

    @field_validator("listen")
    @classmethod
    def _is_address(cls, value: str) -> str:
        return check_listen(value)

    @field_validator("turn_urls")
    @classmethod
    def _are_ice_urls(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for url in value:
            if not url.startswith(("stun:", "stuns:", "turn:", "turns:")):
                raise ValueError(f"{url!r} does not begin with stun:, stuns:, turn: or turns:")
        return value

    @field_validator("redis_url")
    @classmethod
    def _is_redis_url(cls, value: str) -> str:
        if value and not _REDIS_URL.match(value):
            raise ValueError(
                "write redis://host:port/0, redis+sentinel://host:port,host:port/NAME or "
                "redis+cluster://host:port,host:port, or leave it empty for memory"
            )
        return value

    @field_validator("issuer_keys", "revoked", "access")
    @classmethod
    def _is_file_or_issuer(cls, value: str) -> str:
        if "://" in value and not value.startswith(("http://", "https://")):
            raise ValueError("write the path of a file, or https://issuer/v1/…")
        if value.startswith("http://") and not _is_here(value):
            raise ValueError(
                "whoever is between could name keys of its own, or hide what is revoked: write the "
                "path of a file, or https://issuer/v1/…"
            )
        return value

    @model_validator(mode="after")
    def _fits(self) -> Settings:
        _fits_redis(self)
        if self.heartbeat * 1.2 >= self.lease:
            raise ValueError("LEASE must be more than 1.2 times HEARTBEAT")
        if self.issuer_home is not None and (self.issuer_keys or self.revoked):
            raise ValueError("ISSUER_HOME is whom to believe: leave ISSUER_KEYS and REVOKED out")
        if self.issuer_taken and self.issuer_home is None:
            raise ValueError("ISSUER_TAKEN needs ISSUER_HOME")
        for name, is_set in (("PRODUCTION", self.production), ("CONSOLE=on", self.console == "on")):
            if is_set and not self.has_proofs:
                raise ValueError(
                    f"{name} needs ISSUER_KEYS, or REALM_SECRET_FILE or REALM_SECRETS_DIR"
                )
        for name, value in (("REVOKED", self.revoked), ("ACCESS", self.access)):
            if value and not self.issuer_keys:
                raise ValueError(f"{name} needs ISSUER_KEYS: without it there are no certificates")
        if self.accept_secrets and not (self.believed_keys and self._has_secrets):
            raise ValueError("ACCEPT_SECRETS needs ISSUER_KEYS and a realm secret")
        has_turn = any(url.startswith("turn") for url in self.turn_urls)
        if has_turn and self.turn_secret_file is None:
            raise ValueError("turn: URLs need TURN_SECRET_FILE")
        return self

    @property
    def _has_secrets(self) -> bool:
        return bool(self.realm_secret_file or self.realm_secrets_dir)

    @property
    def has_proofs(self) -> bool:
        """Whether actors prove who they are; else this is development mode."""
        return bool(self.believed_keys) or self._has_secrets

    @property
    def believed_keys(self) -> str:
        """Where the public keys of issuers are; empty: no certificates are taken."""
        return self.issuer_keys or self._of_own_issuer("keys.json")

    @property
    def believed_revoked(self) -> str:
        """Where it says what was revoked; empty: nowhere."""
        return self.revoked or self._of_own_issuer("revoked.json")

    def _of_own_issuer(self, name: str) -> str:
        home = self.issuer_home
        return "" if home is None else str(home / PUBLIC_FOLDER / name)

    @property
    def host(self) -> str:
        return split_listen(self.listen)[0]

    @property
    def port(self) -> int:
        return split_listen(self.listen)[1]


def _is_here(url: str) -> bool:
    """Whether its host is this machine, where nobody is between."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _fits_redis(settings: Settings) -> None:
    url = settings.redis_url
    sentinel = "redis_sentinel_user", "redis_sentinel_password_file"
    names = ("redis_user", "redis_password_file", "redis_ca_file", *sentinel)
    given = [name.upper() for name in names if getattr(settings, name)]
    if given and not url:
        raise ValueError(f"{given[0]} needs REDIS_URL")
    if settings.redis_ca_file is not None and not url.startswith("rediss"):
        raise ValueError("REDIS_CA_FILE needs a REDIS_URL that begins with rediss://")
    if given and given[-1].lower() in sentinel and "+sentinel://" not in url:
        raise ValueError(f"{given[-1]} needs a REDIS_URL that begins with redis+sentinel://")
    for user, file in (names[:2], sentinel):
        if getattr(settings, user) and getattr(settings, file) is None:
            raise ValueError(f"{user.upper()} needs {file.upper()}")
    if settings.redis_password_file is not None and "@" in url:
        raise ValueError(
            "REDIS_URL has a user or a password, and REDIS_PASSWORD_FILE is given too: leave one"
        )


def load() -> Settings:
    """Read and check the environment.

    Raises:
        ConfigError: On the first value that cannot be used, or variable that does not exist; it
            names the variable.
    """
    return read_settings(Settings, PREFIX, also=(PEERS,))


def check_listen(value: str) -> str:
    """See that it is ``host:port``.

    Raises:
        ValueError: If it is not.
    """
    match = _LISTEN.fullmatch(value)
    if match is None or int(match["port"]) > 65_535:
        raise ValueError("write host:port, for example 0.0.0.0:8080")
    return value


def split_listen(value: str) -> tuple[str, int]:
    """Host, without brackets, and port of what :func:`check_listen` has seen."""
    match = _LISTEN.fullmatch(value)
    assert match is not None
    return match["host"].strip("[]"), int(match["port"])


def read_settings(model: type[AnySettings], prefix: str, *, also: Iterable[str]) -> AnySettings:
    """Read and check the variables of one service.

    Args:
        prefix: Of their names.
        also: Variables of that prefix which are for others.

    Raises:
        ConfigError: On the first value that cannot be used, or variable that does not exist; it
            names the variable.
    """
    _refuse_unknown(os.environ, [prefix + field.upper() for field in model.model_fields], also)
    try:
        return model()
    except ValidationError as exc:
        first = exc.errors()[0]
        name = prefix + "__".join(str(part) for part in first["loc"]).upper()
        why = first["msg"].removeprefix("Value error, ")
        if not first["loc"]:
            raise ConfigError(f"{prefix}*: {why}") from exc
        shown = name if name in _UNSHOWN else f"{name}={first['input']!r}"
        raise ConfigError(f"{shown}: {why}") from exc


def _refuse_unknown(names: Iterable[str], known: list[str], also: Iterable[str]) -> None:
    """A silent typo is worse than a stop."""
    prefix = known[0].partition("__")[0] + "__"
    for name in names:
        if name.upper().startswith(prefix) and name.upper() not in (*known, *also):
            near = difflib.get_close_matches(name.upper(), known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
            raise ConfigError(f"unknown variable {name}; {hint}")
