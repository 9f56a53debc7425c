"""Configuration, read once from the environment: ``ACTR_SIGNALING__…`` (docs/signaling.md)."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from actr_signaling.errors import ConfigError

PREFIX = "ACTR_SIGNALING__"
PEERS = f"{PREFIX}URL"
"""What peers read; it may stand in the same environment."""
_LISTEN = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[^:\s]+):(?P<port>\d{1,5})")
_UNSHOWN = {f"{PREFIX}REDIS_URL"}
"""Variables whose value may hold a password, above all where it is mistyped."""
MIN_SECRET_BYTES = 16

Texts = Annotated[tuple[str, ...], NoDecode]
"""Comma-separated in the environment."""


class Settings(BaseSettings):
    """All durations in seconds."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    listen: str = Field(default="127.0.0.1:8080", description="host:port; port 0 takes a free one")
    redis_url: str = Field(default="", description="empty: memory, one process")
    redis_prefix: str = Field(
        default="actr", pattern=r"^[a-z0-9-]{1,32}$", description="of all keys"
    )
    realm_secret_file: Path | None = Field(default=None, description="the secret of all realms")
    realm_secrets_dir: Path | None = Field(default=None, description="one file for each realm")
    production: bool = Field(default=False, description="refuse to start without a realm secret")
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
    allowed_origins: Texts = Field(
        default=(), description="of web pages, besides its own; * is all"
    )
    max_connections: int = Field(default=20_000, ge=1, description="open at a time")
    max_connections_per_address: int = Field(default=2_000, ge=1, description="open at a time")
    connections_per_second: float = Field(default=200.0, gt=0, description="new, for each address")
    messages_per_second: float = Field(default=500.0, gt=0, description="of one connection")
    messages_burst: float = Field(default=2_000.0, ge=1, description="of one connection")
    bytes_per_second: float = Field(default=1_048_576, gt=0, description="of one connection")
    bytes_burst: float = Field(default=4_194_304, ge=65_536, description="of one connection")
    log_format: Literal["json", "text"] = Field(default="text", description="on standard error")
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("turn_urls", "allowed_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("listen")
    @classmethod
    def _is_address(cls, value: str) -> str:
        match = _LISTEN.fullmatch(value)
        if match is None or int(match["port"]) > 65_535:
            raise ValueError("write host:port, for example 0.0.0.0:8080")
        return value

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
        if value and not value.startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("write redis://host:port/0, or leave it empty for memory")
        return value

    @model_validator(mode="after")
    def _fits(self) -> Settings:
        if self.heartbeat * 1.2 >= self.lease:
            raise ValueError("LEASE must be more than 1.2 times HEARTBEAT")
        if self.production and not (self.realm_secret_file or self.realm_secrets_dir):
            raise ValueError("PRODUCTION needs REALM_SECRET_FILE or REALM_SECRETS_DIR")
        has_turn = any(url.startswith("turn") for url in self.turn_urls)
        if has_turn and self.turn_secret_file is None:
            raise ValueError("turn: URLs need TURN_SECRET_FILE")
        return self

    @property
    def host(self) -> str:
        match = _LISTEN.fullmatch(self.listen)
        assert match is not None
        return match["host"].strip("[]")

    @property
    def port(self) -> int:
        return int(self.listen.rpartition(":")[2])


def load() -> Settings:
    """Read and check the environment.

    Raises:
        ConfigError: On the first value that cannot be used, or variable that does not exist; it
            names the variable.
    """
    _refuse_unknown(os.environ)
    try:
        return Settings()
    except ValidationError as exc:
        first = exc.errors()[0]
        name = PREFIX + "__".join(str(part) for part in first["loc"]).upper()
        why = first["msg"].removeprefix("Value error, ")
        if not first["loc"]:
            raise ConfigError(f"{PREFIX}*: {why}") from exc
        shown = name if name in _UNSHOWN else f"{name}={first['input']!r}"
        raise ConfigError(f"{shown}: {why}") from exc


def _refuse_unknown(names: Iterable[str]) -> None:
    """A silent typo is worse than a stop."""
    known = [PREFIX + field.upper() for field in Settings.model_fields]
    for name in names:
        if name.upper().startswith(PREFIX) and name.upper() not in (*known, PEERS):
            near = difflib.get_close_matches(name.upper(), known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
            raise ConfigError(f"unknown variable {name}; {hint}")


def read_secret(path: Path, variable: str) -> bytes:
    """Read a secret from a file, without the line end.

    Raises:
        ConfigError: If it cannot be read or is too short to be one.
    """
    try:
        secret = path.read_bytes().strip()
    except (OSError, ValueError) as exc:
        raise _unreadable(path, variable, exc) from exc
    if len(secret) < MIN_SECRET_BYTES:
        raise ConfigError(
            f"{PREFIX}{variable}={str(path)!r}: a secret has at least {MIN_SECRET_BYTES} bytes; "
            "make one with: openssl rand -hex 32"
        )
    return secret


def read_realm_secrets(directory: Path) -> dict[str, bytes]:
    """One secret for each file; the file's name is the realm.

    Raises:
        ConfigError: If the directory or a file cannot be read.
    """
    try:
        files = sorted(path for path in directory.iterdir() if path.is_file())
    except (OSError, ValueError) as exc:
        raise _unreadable(directory, "REALM_SECRETS_DIR", exc) from exc
    return {path.name: read_secret(path, "REALM_SECRETS_DIR") for path in files}


def _unreadable(path: Path, variable: str, exc: Exception) -> ConfigError:
    """The path is shown where it can be one: a secret may stand there by mistake."""
    why = exc.strerror if isinstance(exc, OSError) else "not a path"
    if path.is_absolute() and path.parent != path.parent.parent and path.parent.is_dir():
        return ConfigError(f"{PREFIX}{variable}={str(path)!r}: {why}")
    return ConfigError(
        f"{PREFIX}{variable}: {why}; it takes the absolute path of a file, in a directory that "
        "exists, and not the secret (the value is not shown, for it may be one)"
    )
