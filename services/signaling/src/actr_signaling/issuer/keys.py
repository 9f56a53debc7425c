"""Shell: the issuer's private keys, each in a file that only its user may read."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from actr_signaling.errors import ConfigError
from actr_signaling.protocol.identity.keys import key_id

_MAX_FILE_BYTES = 16 * 1024
STATE_FOLDER = ".actr"
"""Where actors and an issuer of one machine keep what they keep."""


class KeyFiles:
    """``<kid>.pem`` in one folder, PKCS#8; what was read once is kept.

    Args:
        folder: Made with mode 0700 where it is not there.

    Raises:
        ConfigError: If the folder cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._keys: dict[str, Ed25519PrivateKey] = {}
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as exc:
            raise ConfigError(f"{folder}: {exc.strerror}; the issuer keeps its keys there") from exc

    def __repr__(self) -> str:
        return f"KeyFiles({str(self._folder)!r})"

    def make(self) -> tuple[str, bytes]:
        """A new key, whole on disk when this returns; its name and its public half, 32 bytes.

        Raises:
            ConfigError: If it cannot be written.
        """
        key = Ed25519PrivateKey.generate()
        public = key.public_key().public_bytes_raw()
        kid = key_id(public)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path = self._path(kid)
        try:
            write_private(path, pem)
        except OSError as exc:
            raise ConfigError(f"{path}: {exc.strerror}; a new issuer key is kept there") from exc
        self._keys[kid] = key
        return kid, public

    def load(self, kid: str) -> Ed25519PrivateKey:
        """The private key of that name.

        Raises:
            ConfigError: If the file cannot be read, is readable by others, or holds another key.
        """
        if (known := self._keys.get(kid)) is not None:
            return known
        path = self._path(kid)
        try:
            with path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                pem = file.read(_MAX_FILE_BYTES)
        except OSError as exc:
            raise ConfigError(f"{path}: {exc.strerror}; an issuer key is missing") from exc
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigError(
                f"{path}: others may read this private key (mode {stat.S_IMODE(mode):04o}); "
                "chmod 600 it, and make a new one if they did: actr-issuer key new"
            )
        key = _private_key(path, pem)
        if key_id(key.public_key().public_bytes_raw()) != kid:
            raise ConfigError(f"{path}: that is another key than its name says")
        self._keys[kid] = key
        return key

    def remove(self, kid: str) -> None:
        """Forget it; harmless when it is gone."""
        self._keys.pop(kid, None)
        self._path(kid).unlink(missing_ok=True)

    def _path(self, kid: str) -> Path:
        return self._folder / f"{kid}.pem"


def make_home(home: Path) -> None:
    """The folder of all that an issuer keeps, for its user alone.

    Raises:
        ConfigError: If it cannot be made.
    """
    root = next((each for each in home.absolute().parents if each.name == STATE_FOLDER), None)
    try:
        if root is not None and not root.is_dir():
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(OSError):  # private keys are nothing to commit
                (root / ".gitignore").write_text("*\n", encoding="utf-8")
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise ConfigError(f"{home}: {exc.strerror}; the issuer keeps its files there") from exc


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its user may read: whole or not at all, and on disk."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _private_key(path: Path, pem: bytes) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise ConfigError(f"{path}: that is no private key as PKCS#8 without a password") from exc
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{path}: that is no Ed25519 key")
    return key
