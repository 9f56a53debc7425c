"""The signaling service of the ``actr dev`` of a folder."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from actr_peer.node.config.development import REPORT, SOCKET, actor_of_dev, asked
from actr_peer.node.config.loading import SIGNALING, Loaded, load
from actr_peer.node.process.socket import ControlSocket

URL = "ws://127.0.0.1:4711/v1/ws"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("ACTR_CONFIG", "ACTR_SIGNALING__URL"):
        monkeypatch.delenv(name, raising=False)


def dev(tmp_path: Path, answer: object) -> ControlSocket:
    return ControlSocket(tmp_path / SOCKET, {REPORT: lambda: answer})


async def loaded(**flags: str) -> Loaded:
    return await asyncio.to_thread(load, None, flags)


async def test_while_dev_runs_its_service_is_the_default(tmp_path: Path) -> None:
    async with dev(tmp_path, {"settings": {SIGNALING: URL}}):
        found = await loaded()
        assert (found.settings.signaling.url, found.origin(SIGNALING)) == (URL, "actr dev")
    found = await loaded()
    assert found.origin(SIGNALING) == "default"
    assert found.settings.signaling.url != URL


async def test_what_is_configured_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = "ws://127.0.0.1:1/v1/ws"
    async with dev(tmp_path, {"settings": {SIGNALING: URL}}):
        assert (await loaded(**{SIGNALING: other})).settings.signaling.url == other
        (tmp_path / "actr.toml").write_text(f'[signaling]\nurl = "{other}"\n', "utf-8")
        assert (await loaded()).settings.signaling.url == other
        (tmp_path / "actr.toml").unlink()
        monkeypatch.setenv("ACTR_SIGNALING__URL", other)
        assert (await loaded()).settings.signaling.url == other


IDENTITY = {
    "identity.issuer_url": "http://127.0.0.1:4711/issuer",
    "identity.issuer_keys_file": "/there/keys.json",
    "realm.secret_file": "/there/realm.secret",
}
ALL = {SIGNALING: URL, **IDENTITY}


def from_dev(found: Loaded) -> set[str]:
    return {entry.key for entry in found.entries if entry.origin == "actr dev"}


async def test_its_issuer_is_whom_actors_ask_that_name_no_other(tmp_path: Path) -> None:
    async with dev(tmp_path, {"settings": {**ALL, "mailbox.path": "elsewhere"}}):
        found = await loaded()
        assert from_dev(found) == set(ALL)
        assert found.settings.identity.issuer_url == IDENTITY["identity.issuer_url"]
        assert found.settings.realm.secret_file == Path(IDENTITY["realm.secret_file"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[realm]\nsecret_file = "own"\n', set(ALL) - {"realm.secret_file"}),
        ('[realm]\ntrust = "development"\n', {SIGNALING}),
        ('[identity]\nissuer_url = "https://issuer.example"\n', {SIGNALING}),
        ('[identity]\ncertificate_file = "c.jwt"\n', {SIGNALING}),
        (f'[signaling]\nurl = "{URL}"\n', set()),
    ],
)
async def test_who_says_how_it_proves_itself_is_told_no_other_way(
    tmp_path: Path, text: str, expected: set[str]
) -> None:
    (tmp_path / "actr.toml").write_text(text, "utf-8")
    async with dev(tmp_path, {"settings": ALL}):
        assert from_dev(await loaded()) == expected


async def test_it_says_of_its_actors_how_they_are(tmp_path: Path) -> None:
    row = {"state": "resting", "why": "was killed"}
    answer = {"settings": {SIGNALING: URL}, "actors": {"dev:room@1:default": row, "dev:x": 3}}
    async with dev(tmp_path, answer):

        async def said(actor: str, url: str = URL) -> object:
            return await asyncio.to_thread(actor_of_dev, actor, url)

        assert await said("dev:room@1:default") == ("resting", "was killed")
        assert await said("dev:room@1:default", "ws://elsewhere:1/v1/ws") is None
        assert await said("dev:room@2:default") is None
        assert await said("dev:x") is None
    assert actor_of_dev("dev:room@1:default", URL) is None


@pytest.mark.parametrize("answer", [None, 3, {}, {"settings": {SIGNALING: 3}}, {"settings": 3}])
async def test_an_answer_that_is_none_changes_nothing(tmp_path: Path, answer: object) -> None:
    async with dev(tmp_path, answer):
        assert (await loaded()).origin(SIGNALING) == "default"


def test_what_a_killed_one_left_is_nothing(tmp_path: Path) -> None:
    (tmp_path / SOCKET).parent.mkdir()
    (tmp_path / SOCKET).touch()
    assert asked(tmp_path) is None
