"""A key's file: made once, whole, for its user alone; and what is said where it is not."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from actr_peer.errors import ConfigError
from actr_peer.state.identity.keys import make_key, move_key, new_key, read_key, write_key


def raw(key: Ed25519PrivateKey | None) -> bytes:
    assert key is not None
    return key.private_bytes_raw()


def test_a_key_is_made_for_its_user_alone_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / ".actr" / "acme:room@1:default" / "identity.pem"
    made = make_key(path)
    assert raw(read_key(path)) == raw(made)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----\n")
    assert os.listdir(path.parent) == ["identity.pem"]


def test_who_makes_a_key_at_the_same_time_gets_the_one_that_was_first(tmp_path: Path) -> None:
    path = tmp_path / "identity.pem"
    first = make_key(path)
    assert raw(make_key(path)) == raw(first)
    assert not write_key(path, new_key(), replace=False)
    assert raw(make_key(path, replace=True)) != raw(first)


def test_a_key_takes_the_place_of_another_at_once(tmp_path: Path) -> None:
    path, beside = tmp_path / "identity.pem", tmp_path / "identity.pem.next"
    make_key(path)
    following = make_key(beside)
    move_key(beside, path)
    assert raw(read_key(path)) == raw(following)
    assert not beside.exists()
    with pytest.raises(ConfigError, match="cannot write it"):
        move_key(beside, path)


def test_no_file_is_no_key(tmp_path: Path) -> None:
    assert read_key(tmp_path / "identity.pem") is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_key_that_others_can_read_is_refused_with_what_to_do(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "identity.pem"
    make_key(path)
    path.chmod(mode)
    with pytest.raises(
        ConfigError, match=rf"others can read it \(mode {mode:04o}\); run 'chmod 600"
    ):
        read_key(path)


def encoded(key: Ed25519PrivateKey | Ed448PrivateKey, password: bytes = b"") -> bytes:
    sealed = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, sealed)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"-----BEGIN PRIVATE KEY-----\n",
        encoded(new_key())[:-30],
        encoded(new_key(), b"password"),
        encoded(Ed448PrivateKey.generate()),
    ],
    ids=["empty", "begun", "cut short", "with a password", "of another kind"],
)
def test_what_is_no_key_is_told_with_what_to_do_and_none_of_it_is_shown(
    tmp_path: Path, data: bytes
) -> None:
    path = tmp_path / "identity.pem"
    path.write_bytes(data)
    path.chmod(0o600)
    with pytest.raises(
        ConfigError, match=r"put back the copy .* 'actr identity new --force'"
    ) as told:
        read_key(path)
    assert told.value.__cause__ is None
    assert not any(line in str(told.value) for line in data.decode().splitlines() if line)


def test_a_folder_is_no_key_and_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Is a directory; name a file"):
        read_key(tmp_path)
    with pytest.raises(ConfigError, match="cannot write it: No such file or directory"):
        make_key(tmp_path / "nowhere" / "identity.pem")
    assert list(tmp_path.iterdir()) == []
