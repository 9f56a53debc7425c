"""From the table [identity] to what a node takes, and whom ``realm.trust`` lets in."""

from __future__ import annotations

from pathlib import Path

import pytest

from actr_peer.errors import ConfigError
from actr_peer.node.config import NodeConfig
from actr_peer.node.config.callers import caller_config
from actr_peer.node.config.loading import load
from actr_peer.protocol.identity import ActrId
from actr_peer.wire.issuer.credentials import IdentityConfig

OWN = ActrId("acme", "room", "1")
ISSUER = "[identity]\nissuer_url = 'https://issuer.example'\n"
SECRET = "[realm]\nsecret_file = 'secret'\n"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("secret").write_text("a secret of the realm")
    Path("empty").write_text("\n")


def node(text: str) -> NodeConfig:
    Path("actr.toml").write_text("[actor]\nid = 'acme:room@1:default'\n" + text)
    return NodeConfig.load()


def test_without_a_word_nothing_is_proven_and_no_file_is_named() -> None:
    assert node("").identity is None


def test_an_issuer_gives_an_actor_files_of_its_own() -> None:
    identity = node(ISSUER).identity
    assert identity is not None
    folder = Path.cwd() / ".actr" / "acme:room@1:default"
    assert identity.key == folder / "identity.pem"
    assert identity.certificate == folder / "certificate.jwt"
    assert identity.is_required


def test_who_keeps_no_key_keeps_no_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTR_IDENTITY__KEY_FILE", "")
    identity = node(ISSUER).identity
    assert identity is not None
    assert (identity.key, identity.certificate) == (None, None)


def test_beside_certificates_the_secret_may_do_while_a_realm_goes_over() -> None:
    identity = node(ISSUER + SECRET + "trust = 'secret'\n").identity
    assert identity is not None
    assert not identity.is_required


def test_production_is_content_with_a_certificate() -> None:
    assert node(ISSUER + "[realm]\nproduction = true\n").realm_secret is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[realm]\ntrust = 'certificate'\n", "this actor has none"),
        ("[realm]\ntrust = 'secret'\n", r"realm\.secret_file is not set"),
        (SECRET + "trust = 'development'\n", r"realm\.secret_file is set: take one"),
        (ISSUER + "[realm]\ntrust = 'development'\n", "take one of them out"),
        ("[identity]\nissuer_url = 'http://issuer.example'\n", "whoever is between"),
        ("[identity]\ncertificate_file = 'c.jwt'\n", "issuer_keys_file is not set"),
        ("[realm]\nproduction = true\n", "ACTR_IDENTITY__ISSUER_URL"),
        ("[identity]\nissuer_keys_file = 'k'\n", "identity.issuer_keys_file is set, and nothing"),
        ("[identity]\njoin_token_file = 't'\n", "identity.join_token_file is set, and nothing"),
        ("[identity]\nkey_file = 'k.pem'\n", "identity.key_file is set, and nothing"),
        ("[identity]\nissuer_keys_file = 'k'\n" + SECRET, "is set, and nothing"),
        (
            "[identity]\nissuer_keys_file = 'k'\n[realm]\ntrust = 'development'\n",
            "is set, and nothing",
        ),
        (
            "[identity]\nissuer_url = 'http://issuer.example'\nissuer_keys_file = 'k'\n"
            "join_token_file = 't'\n",
            "read the join token",
        ),
        ("[realm]\nsecret_file = 'empty'\n", "0 bytes are too few to be a secret"),
    ],
)
def test_what_contradicts_itself_is_refused(text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        node(text)


def test_a_program_that_asks_for_no_certificate_has_a_secret_to_ask_for() -> None:
    identity = IdentityConfig(issuer_url="https://issuer.example", is_required=False)
    with pytest.raises(ConfigError, match="anybody would be believed"):
        NodeConfig(id=OWN, signaling_url="ws://x/v1/ws", identity=identity)


def test_who_only_calls_has_a_key_in_memory_and_leaves_the_token_to_the_actor() -> None:
    node(ISSUER + "join_token_file = 'token'\n" + SECRET)
    identity = caller_config(load().settings, "call").identity
    assert identity is not None
    assert (identity.key, identity.certificate, identity.join_token) == (None, None, None)
    named = {"actor.id": "acme:room@1:default"}
    identity = caller_config(load(flags=named).settings, "call", named=named).identity
    assert identity is not None
    assert identity.key is not None
