"""Configuration of the issuer, read once from the environment: ``ACTR_ISSUER__…``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from actr_signaling.issuer.protocol.grants import DEFAULT_LIFE, MAX_LIFE, MIN_LIFE
from actr_signaling.settings import (
    PUBLIC_FOLDER,
    Origins,
    check_listen,
    read_settings,
    split_listen,
    split_texts,
)

PREFIX = "ACTR_ISSUER__"
PEERS = f"{PREFIX}URL"
"""What peers may read; it may stand in the same environment."""
DAY = 86_400.0
REGISTER_FILE = "register.db"
KEYS_FOLDER = "keys"


class Settings(BaseSettings):
    """Durations in seconds, but where the name says days."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    listen: str = Field(default="127.0.0.1:8090", description="host:port; port 0 takes a free one")
    home: Path = Field(default=Path(".actr/issuer"), description="its register and private keys")
    public_dir: Path | None = Field(
        default=None, description="public keys and revocations as files; public/ in home"
    )
    name: str = Field(
        default="actr-issuer",
        pattern=r"^[A-Za-z0-9._:/-]{1,128}$",
        description="iss of certificates",
    )
    realm_secret_file: Path | None = Field(default=None, description="the secret of all realms")
    realm_secrets_dir: Path | None = Field(default=None, description="one file for each realm")
    rules_file: Path | None = Field(default=None, description="what a realm's secret may enrol")
    taken: Literal["never", "expired", "always"] = Field(
        default="expired", description="without rules: when the secret may give an id another key"
    )
    life: int = Field(
        default=DEFAULT_LIFE, ge=MIN_LIFE, le=MAX_LIFE, description="of a certificate"
    )
    publish_ahead: float = Field(
        default=300.0, ge=0, le=DAY, description="a new issuer key is published before it signs"
    )
    forget_days: float = Field(
        default=90.0, ge=1, le=3650, description="a key that did not renew is forgotten"
    )
    max_actors: int = Field(default=100_000, ge=1, description="keys in the register")
    audit_days: float = Field(default=90.0, gt=0, le=3650, description="kept in the audit log")
    audit_rows: int = Field(default=100_000, ge=100, description="kept in the audit log")
    requests_per_second: float = Field(default=20.0, gt=0, description="of one address")
    requests_burst: float = Field(default=400.0, ge=1, description="of one address")
    all_requests_per_second: float = Field(default=200.0, gt=0, description="of all addresses")
    all_requests_burst: float = Field(default=2_000.0, ge=1, description="of all addresses")
    reads_per_second: float = Field(
        default=200.0, gt=0, description="of one address, of what is public"
    )
    reads_burst: float = Field(default=2_000.0, ge=1, description="of one address, likewise")
    all_reads_per_second: float = Field(default=1_000.0, gt=0, description="of all, likewise")
    all_reads_burst: float = Field(default=10_000.0, ge=1, description="of all, likewise")
    max_connections: int = Field(default=4_000, ge=1, description="open at a time")
    max_connections_per_address: int = Field(default=1_000, ge=1, description="open at a time")
    connections_per_second: float = Field(default=200.0, gt=0, description="new, for each address")
    allowed_origins: Origins = Field(
        default=(),
        description="of web pages, which may ask for certificates of their keys; * is all",
    )
    log_format: Literal["json", "text"] = Field(default="text", description="on standard error")
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("allowed_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return split_texts(value)

    @field_validator("listen")
    @classmethod
    def _is_address(cls, value: str) -> str:
        return check_listen(value)

    @property
    def host(self) -> str:
        return split_listen(self.listen)[0]

    @property
    def port(self) -> int:
        return split_listen(self.listen)[1]

    @property
    def public(self) -> Path:
        """Where the public files are."""
        return self.public_dir if self.public_dir is not None else self.home / PUBLIC_FOLDER


def load() -> Settings:
    """Read and check the environment.

    Raises:
        ConfigError: On the first value that cannot be used, or variable that does not exist.
    """
    return read_settings(Settings, PREFIX, also=(PEERS,))
