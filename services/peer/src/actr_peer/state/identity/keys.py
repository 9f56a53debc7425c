"""The file of an identity key: PKCS#8 PEM, for its user alone, made once and never half.

Nothing of the key is ever in a text of an error or a log.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from actr_peer.errors import ConfigError
from actr_peer.protocol.identity.keys import is_key
from actr_peer.state.identity.files import sync_folder, write_whole

KEY = "identity.key_file"
MAX_FILE_BYTES = 16 * 1024


def read_key(path: Path) -> Ed25519PrivateKey | None:
    """The key of a file; None: there is no file.

    Raises:
        ConfigError: If others can read it, or it is no Ed25519 key.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if stat.S_ISREG(mode) and mode & 0o077:
                raise ConfigError(
                    f"{KEY} = {str(path)!r}: others can read it (mode {stat.S_IMODE(mode):04o}); "
                    f"run 'chmod 600 {path}', and if somebody may have read it, make another with "
                    "'actr identity rotate'"
                )
            data = file.read(MAX_FILE_BYTES)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise ConfigError(
            f"{KEY} = {str(path)!r}: {exc.strerror}; name a file that this user can read"
        ) from exc
    try:
        key = load_pem_private_key(data, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey) or not is_key(key.public_key().public_bytes_raw()):
        raise ConfigError(
            f"{KEY} = {str(path)!r}: no Ed25519 key as PKCS#8 in PEM, without a password; put back "
            "the copy that you have, or make another with 'actr identity new --force' and enrol it"
        ) from None
    return key


def new_key() -> Ed25519PrivateKey:
    """A key in memory."""
    return Ed25519PrivateKey.generate()


def make_key(path: Path, *, replace: bool = False) -> Ed25519PrivateKey:
    """Make a key and its file, whole or not at all, even when the power goes.

    Args:
        replace: Take the place of a file that is there; else who was there first is believed.

    Raises:
        ConfigError: If the file cannot be written.
    """
    key = Ed25519PrivateKey.generate()
    if write_key(path, key, replace=replace):
        return key
    found = read_key(path)
    assert found is not None
    return found


def write_key(path: Path, key: Ed25519PrivateKey, *, replace: bool) -> bool:
    """Write a key; returns whether it is there now: False where another one was, and stays.

    Raises:
        ConfigError: If the file cannot be written.
    """
    data = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        return write_whole(path, data, replace=replace)
    except OSError as exc:
        raise ConfigError(
            f"{KEY} = {str(path)!r}: cannot write it: {exc.strerror}; name a file in a folder that "
            "is there and that this user can write to"
        ) from exc


def move_key(source: Path, path: Path) -> None:
    """Put one file of a key in the place of another, at once.

    Raises:
        ConfigError: If it cannot be.
    """
    try:
        source.replace(path)
        sync_folder(path.parent)
    except OSError as exc:
        raise ConfigError(f"{KEY} = {str(path)!r}: cannot write it: {exc.strerror}") from exc
