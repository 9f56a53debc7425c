"""Where the console is under ``actr dev``, and the page that opens it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from actr_peer.cli.verbs.dev.running.console import address_of, write_page
from actr_peer.cli.verbs.dev.running.identities import Identities
from actr_peer.node.config.loading import load
from actr_peer.node.config.settings import Settings

URL = "ws://127.0.0.1:4711/v1/ws"
ON = Identities(text="on")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def settings(secret: Path | None = None) -> Settings:
    Path("actr.toml").write_text("" if secret is None else f"[realm]\nsecret_file = '{secret}'\n")
    return load().settings


def secret(text: str) -> Path:
    path = Path.cwd() / "secret"
    path.write_bytes(text.encode("latin-1"))
    return path


def page(identities: Identities = ON, of: Path | None = None) -> Path | None:
    return write_page(Path.cwd(), URL, "staging", identities, settings(of))


def test_the_console_is_at_the_root_of_its_service() -> None:
    assert address_of(URL) == "http://127.0.0.1:4711/"
    assert address_of("wss://signaling.example/v1/ws") == "https://signaling.example/"


def test_the_page_leads_to_the_console_with_the_secret_behind_the_hash() -> None:
    path = page(of=secret('a "secret" & more\n'))
    assert path is not None
    wanted = "http://127.0.0.1:4711/#secret=a+%22secret%22+%26+more&amp;realm=staging"
    assert f'content="0; url={wanted}"' in path.read_text("utf-8")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_page_that_is_there_is_replaced_with_its_rights() -> None:
    folder = Path(".actr")
    folder.mkdir()
    (folder / "console.html").write_text("of everybody")
    (folder / "console.html").chmod(0o666)
    path = page(of=secret("another"))
    assert path is not None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "#secret=another" in path.read_text("utf-8")


def test_the_issuer_of_the_folder_has_the_secret_where_the_user_has_none() -> None:
    home = Path.cwd() / "issuer"
    home.mkdir()
    (home / "realm.secret").write_text("made by it\n")
    path = page(Identities(text="on", home=home))
    assert path is not None
    assert "#secret=made+by+it&amp;" in path.read_text("utf-8")


def test_where_there_is_nothing_to_answer_with_there_is_no_page() -> None:
    assert page() is None
    assert page(Identities(text="", is_development=True), of=secret("not asked for")) is None
    assert page(of=secret("\xff\xfe")) is None
    assert page(of=Path.cwd() / "not there") is None
