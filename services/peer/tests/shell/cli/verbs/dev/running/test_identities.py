"""Who proves what under ``actr dev``, by what the folder has configured."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from actr_peer.cli.verbs.dev.running.identities import Identities, elsewhere, identities
from actr_peer.errors import ConfigError
from actr_peer.node.config.loading import load
from actr_peer.node.config.settings import Settings

URL = "ws://127.0.0.1:4711/v1/ws"
ISSUER = "[identity]\nissuer_url = 'https://issuer.example/'\n"
PLACED = "[identity]\ncertificate_file = 'c.jwt'\nissuer_keys_file = 'keys.json'\n"
SECRET = "[realm]\nsecret_file = 'secret'\n"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def settings(text: str = "") -> Settings:
    Path("actr.toml").write_text(text)
    return load().settings


def asked_for(text: str = "") -> Identities:
    return identities(settings(text), Path.cwd())


def service(text: str) -> dict[str, str]:
    named = asked_for(text).service
    return {name.removeprefix("ACTR_SIGNALING__"): value for name, value in named.items()}


def test_where_nothing_is_said_there_is_an_issuer_in_the_folder() -> None:
    home = Path.cwd() / ".actr" / "issuer"
    assert service("") == {"ISSUER_HOME": str(home), "ISSUER_TAKEN": "always"}
    assert asked_for().keys(URL) == {
        "identity.issuer_url": "http://127.0.0.1:4711/issuer",
        "identity.issuer_keys_file": str(home / "public" / "keys.json"),
        "realm.secret_file": str(home / "realm.secret"),
    }
    assert not asked_for().is_development
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert (home.parent / ".gitignore").read_text() == "*\n"


def test_a_secret_of_the_user_enrols_in_the_place_of_one_that_is_made() -> None:
    assert service(SECRET)["REALM_SECRET_FILE"] == "secret"
    assert set(asked_for(SECRET).keys(URL)) == {"identity.issuer_url", "identity.issuer_keys_file"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[realm]\ntrust = 'development'\n", {}),
        (SECRET + "trust = 'secret'\n", {"REALM_SECRET_FILE": "secret"}),
        (
            ISSUER,
            {
                "ISSUER_KEYS": "https://issuer.example/v1/keys",
                "REVOKED": "https://issuer.example/v1/revoked",
            },
        ),
        (
            ISSUER + "issuer_keys_file = 'keys.json'\n" + SECRET + "trust = 'secret'\n",
            {
                "ISSUER_KEYS": "keys.json",
                "REVOKED": "https://issuer.example/v1/revoked",
                "REALM_SECRET_FILE": "secret",
                "ACCEPT_SECRETS": "true",
            },
        ),
        (PLACED, {"ISSUER_KEYS": "keys.json"}),
    ],
)
def test_what_is_configured_is_what_signaling_asks_for(text: str, expected: dict[str, str]) -> None:
    assert service(text) == expected
    assert asked_for(text).keys(URL) == {}
    assert not Path(".actr").exists()
    assert asked_for(text).is_development is (expected == {})


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "DEVELOPMENT MODE"), (SECRET, "the realm's secret"), (ISSUER, "https://issuer.example")],
)
def test_of_a_service_that_runs_already_it_says_what_this_folder_proves(
    text: str, said: str
) -> None:
    found = elsewhere(settings(text), Path.cwd())
    assert said in found.text
    assert (found.service, found.keys(URL)) == ({}, {})
    assert found.is_development is (text == "")


def test_a_folder_in_which_nothing_can_be_made_is_one_sentence(tmp_path: Path) -> None:
    Path(".actr").write_text("")
    with pytest.raises(ConfigError, match="the issuer of actr dev is kept there"):
        asked_for()
