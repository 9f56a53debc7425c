"""What an actor proves itself with: by an issuer, or by files that somebody put there."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from actr_peer.errors import ConfigError, LocalProtocolError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.identity.keys import write_keys
from actr_peer.protocol.identity.signatures import DIAL, signed_text, verify
from actr_peer.state.identity.keys import make_key
from actr_peer.wire.issuer.credentials import Credentials, IdentityConfig
from peer_kit.signaling.issuer import SECRET, TOKEN, FakeIssuer, certify

ROOM = ActrId("acme", "room", "1")
ISSUER = Ed25519PrivateKey.generate()


def credentials(config: IdentityConfig, secret: bytes | None = None) -> Credentials:
    failed: list[object] = []
    return Credentials(ROOM, config, secret=secret, failed=failed.append, start_timeout=30)


async def test_the_first_start_makes_a_key_and_enrols_it_by_its_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    async with FakeIssuer() as issuer:
        config = IdentityConfig(
            key=tmp_path / "identity.pem",
            certificate=tmp_path / "certificate.jwt",
            issuer_url=issuer.url,
            join_token=tmp_path / "token",
        )
        async with credentials(config) as own:
            read = own.verify(own.certificate.encode())
            assert read.covers(ROOM)
            assert verify(read.key, own.sign(signed_text(DIAL, b"x")), DIAL, b"x")
            assert own.is_required
        async with credentials(config) as again:
            public = again.key.public_key().public_bytes_raw()
            assert public == read.key


async def test_who_keeps_nothing_has_a_key_for_as_long_as_it_runs() -> None:
    async with FakeIssuer() as issuer:
        config = IdentityConfig(issuer_url=issuer.url, is_required=False)
        async with credentials(config, SECRET) as own, credentials(config, SECRET) as other:
            assert own.key.private_bytes_raw() != other.key.private_bytes_raw()
            assert not own.is_required
            assert (
                other.verify(own.certificate.encode()).key
                == own.key.public_key().public_bytes_raw()
            )


def placed(folder: Path, subject: str = "acme:room@1") -> IdentityConfig:
    key = make_key(folder / "identity.pem")
    public = key.public_key().public_bytes_raw()
    (folder / "certificate.jwt").write_text(certify(ISSUER, public, subject) + "\n")
    (folder / "keys.json").write_text(write_keys([ISSUER.public_key().public_bytes_raw()]))
    return IdentityConfig(
        key=folder / "identity.pem",
        certificate=folder / "certificate.jwt",
        issuer_keys=folder / "keys.json",
    )


async def test_a_certificate_that_somebody_puts_there_is_used_and_the_next_one_too(
    tmp_path: Path,
) -> None:
    config = placed(tmp_path)
    async with credentials(config) as own:
        first = own.certificate
        assert own.verify(first.encode()).subject == "acme:room@1"
        placed(tmp_path, "acme:*@1")
        assert own.verify(own.certificate.encode()).subject == "acme:*@1"
        (tmp_path / "certificate.jwt").write_text("nonsense")
        assert own.verify(own.certificate.encode()).subject == "acme:*@1"


async def test_a_certificate_of_somebody_else_is_refused_at_the_start(tmp_path: Path) -> None:
    config = placed(tmp_path, "acme:hall@1")
    with pytest.raises(
        ConfigError, match="for acme:hall@1 in realm default, and not for acme:room"
    ):
        await credentials(config).__aenter__()
    placed(tmp_path)
    make_key(tmp_path / "identity.pem", replace=True)
    with pytest.raises(ConfigError, match=r"of another key than identity\.key_file"):
        await credentials(config).__aenter__()
    (tmp_path / "certificate.jwt").write_text("nonsense")
    with pytest.raises(ConfigError, match="a certificate that is none"):
        await credentials(config).__aenter__()


async def test_a_key_that_is_lost_is_told_and_not_made_anew(tmp_path: Path) -> None:
    config = placed(tmp_path)
    (tmp_path / "identity.pem").unlink()
    with pytest.raises(ConfigError, match=r"no such file, .*put back the copy that you have"):
        await credentials(config).__aenter__()


def test_outside_of_its_block_it_is_nobody(tmp_path: Path) -> None:
    own = credentials(placed(tmp_path))
    with pytest.raises(LocalProtocolError):
        own.sign(b"")
    with pytest.raises(LocalProtocolError):
        own.verify(b"")


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({}, "name an issuer"),
        ({"key": Path("k"), "certificate": Path("c")}, r"issuer_keys_file is not set"),
        ({"issuer_url": "http://issuer.example"}, "whoever is between could name keys"),
        ({"issuer_url": "http://127.issuer.example"}, "whoever is between could name keys"),
        (
            {
                "issuer_url": "http://issuer.example",
                "issuer_keys": Path("keys"),
                "join_token": Path("token"),
            },
            "could read the join token",
        ),
        ({"issuer_url": "issuer"}, "write http"),
    ],
)
def test_a_configuration_that_proves_nothing_is_none(config: dict[str, Path], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        IdentityConfig(**config)  # type: ignore[arg-type]
