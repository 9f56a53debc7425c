from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from actr_signaling.errors import ConfigError
from actr_signaling.issuer.keys import KeyFiles, make_home

pytestmark = pytest.mark.service


def test_a_private_key_is_readable_by_its_user_alone(tmp_path: Path) -> None:
    kid, public = KeyFiles(tmp_path / "keys").make()
    [path] = (tmp_path / "keys").iterdir()
    assert path.name == f"{kid}.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    again = KeyFiles(tmp_path / "keys")
    assert again.load(kid).public_key().public_bytes_raw() == public
    assert "PRIVATE" not in repr(again)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    kid, _ = KeyFiles(tmp_path).make()
    (tmp_path / f"{kid}.pem").chmod(mode)
    with pytest.raises(ConfigError, match="others may read") as refused:
        KeyFiles(tmp_path).load(kid)
    assert "chmod 600" in str(refused.value)


def test_a_file_that_is_no_key_or_another_s_is_refused(tmp_path: Path) -> None:
    files = KeyFiles(tmp_path)
    (one, _), (two, _) = files.make(), files.make()
    with pytest.raises(ConfigError, match="missing"):
        files.load("none")
    (tmp_path / f"{one}.pem").write_bytes((tmp_path / f"{two}.pem").read_bytes())
    with pytest.raises(ConfigError, match="another key"):
        KeyFiles(tmp_path).load(one)
    (tmp_path / f"{one}.pem").write_text("no key")
    with pytest.raises(ConfigError, match="no private key"):
        KeyFiles(tmp_path).load(one)
    other = Ed448PrivateKey.generate()
    pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / f"{one}.pem").write_bytes(pem)
    with pytest.raises(ConfigError, match="no Ed25519"):
        KeyFiles(tmp_path).load(one)


def test_a_removed_key_is_gone_from_memory_too(tmp_path: Path) -> None:
    files = KeyFiles(tmp_path)
    kid, _ = files.make()
    files.remove(kid)
    files.remove(kid)
    with pytest.raises(ConfigError):
        files.load(kid)


def test_a_home_in_the_folder_of_actors_is_nothing_to_commit(tmp_path: Path) -> None:
    root = tmp_path / ".actr"
    make_home(root / "issuer")
    assert (root / ".gitignore").read_text() == "*\n"
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    (root / ".gitignore").unlink()
    make_home(root / "other")
    assert not (root / ".gitignore").exists()  # somebody took it away


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for make in (KeyFiles, make_home):
        with pytest.raises(ConfigError, match="keeps its"):
            make(tmp_path / "file" / "under")
    make_home(tmp_path / "home")
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700
