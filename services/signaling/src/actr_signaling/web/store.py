"""Shell: how this service comes to its Redis, of its settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from actr_signaling.errors import ConfigError
from actr_signaling.hub.hub import Hub
from actr_signaling.ledger.redis.address import Address
from actr_signaling.ledger.redis.ledger import RedisLedger
from actr_signaling.secret_files import read_secret
from actr_signaling.settings import PREFIX, Settings


def redis_ledger(
    settings: Settings, hub: Hub, *, replica: str, took: Callable[[float], None] = lambda _: None
) -> RedisLedger:
    """The ledger of one replica in the Redis of its settings.

    Args:
        took: Told how long each round trip has taken.

    Raises:
        ConfigError: If the URL or a password's file cannot be used.
    """
    return RedisLedger(
        hub,
        address=address_of(settings),
        replica=replica,
        lease=settings.lease,
        prefix=settings.redis_prefix,
        took=took,
    )


def address_of(settings: Settings) -> Address:
    """Read the passwords, which may be short: whoever runs the Redis has chosen it.

    Raises:
        ConfigError: If a file cannot be used.
    """
    return Address(
        settings.redis_url,
        settings.redis_user,
        _password(settings.redis_password_file, "REDIS_PASSWORD_FILE"),
        settings.redis_ca_file,
        settings.redis_sentinel_user,
        _password(settings.redis_sentinel_password_file, "REDIS_SENTINEL_PASSWORD_FILE"),
    )


def _password(path: Path | None, variable: str) -> str:
    try:
        return "" if path is None else read_secret(path, variable, least=1).decode()
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{PREFIX}{variable}: the password is not UTF-8") from exc
