"""Secrets, which are files: the settings hold their paths."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from actr_signaling.errors import ConfigError
from actr_signaling.settings import PREFIX

MIN_SECRET_BYTES = 16


def secret_lookup(
    file: Path | None, directory: Path | None, *, prefix: str = PREFIX
) -> Callable[[str], bytes | None] | None:
    """Realm to its secret: of its own file in ``directory``, else of ``file``, else none. None in
    place of the function: there is neither, and no realm has one.

    Raises:
        ConfigError: If one cannot be read.
    """
    if file is None and directory is None:
        return None
    realms: Mapping[str, bytes] = {}
    if directory is not None:
        realms = read_realm_secrets(directory, prefix=prefix)
    common = None if file is None else read_secret(file, "REALM_SECRET_FILE", prefix=prefix)
    return lambda realm: realms.get(realm, common)


def read_secret(
    path: Path, variable: str, *, prefix: str = PREFIX, least: int = MIN_SECRET_BYTES
) -> bytes:
    """Read a secret of ``least`` bytes from a file, without the line end.

    Raises:
        ConfigError: If it cannot be read or is too short to be one.
    """
    try:
        secret = path.read_bytes().strip()
    except (OSError, ValueError) as exc:
        raise _unreadable(path, prefix + variable, exc) from exc
    if not secret:
        raise ConfigError(f"{prefix}{variable}={str(path)!r}: the file is empty")
    if len(secret) < least:
        raise ConfigError(
            f"{prefix}{variable}={str(path)!r}: a secret has at least {least} bytes; "
            "make one with: openssl rand -hex 32"
        )
    return secret


def read_realm_secrets(directory: Path, *, prefix: str = PREFIX) -> dict[str, bytes]:
    """One secret for each file; the file's name is the realm.

    Raises:
        ConfigError: If the directory or a file cannot be read.
    """
    try:
        files = sorted(path for path in directory.iterdir() if path.is_file())
    except (OSError, ValueError) as exc:
        raise _unreadable(directory, prefix + "REALM_SECRETS_DIR", exc) from exc
    return {path.name: read_secret(path, "REALM_SECRETS_DIR", prefix=prefix) for path in files}


def _unreadable(path: Path, variable: str, exc: Exception) -> ConfigError:
    """The path is shown where it can be one: a secret may stand there by mistake."""
    why = exc.strerror if isinstance(exc, OSError) else "not a path"
    if path.is_absolute() and path.parent != path.parent.parent and path.parent.is_dir():
        return ConfigError(f"{variable}={str(path)!r}: {why}")
    return ConfigError(
        f"{variable}: {why}; it takes the absolute path of a file, in a directory that "
        "exists, and not the secret (the value is not shown, for it may be one)"
    )
