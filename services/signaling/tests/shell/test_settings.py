from __future__ import annotations

from pathlib import Path

import pytest

from actr_signaling import settings
from actr_signaling.errors import ConfigError
from actr_signaling.settings import Settings
from actr_signaling.web.server import Replica


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(settings.PREFIX + name.upper(), raising=False)


def test_without_any_variable_it_is_a_development_service_on_this_machine() -> None:
    assert settings.load().listen == "127.0.0.1:8080"
    assert settings.load().redis_url == ""


def test_every_value_comes_from_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        "LISTEN": "[::1]:0",
        "TURN_URLS": "stun:a:3478, turn:a:3478?transport=udp",
        "TURN_SECRET_FILE": "/x",
        "ALLOWED_ORIGINS": "",
        "LEASE": "12.5",
    }
    for name, value in values.items():
        monkeypatch.setenv(settings.PREFIX + name, value)
    loaded = settings.load()
    assert (loaded.host, loaded.port) == ("::1", 0)
    assert loaded.turn_urls == ("stun:a:3478", "turn:a:3478?transport=udp")
    assert loaded.allowed_origins == ()
    assert loaded.lease == 12.5


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("LISTEN", "8080", "host:port"),
        ("LISTEN", "0.0.0.0:70000", "host:port"),
        ("REDIS_URL", "http://redis", "redis://"),
        ("ALLOWED_ORIGINS", "https://page.example/", "slash at the end"),
        ("REDIS_PREFIX", "a:b", "pattern"),
        ("REDIS_USER", "signaling", "needs REDIS_URL"),
        ("REDIS_CA_FILE", "/ca.pem", "needs REDIS_URL"),
        ("LEASE", "long", "valid number"),
        ("LEASE", "11", "HEARTBEAT"),
        ("PRODUCTION", "true", "REALM_SECRET_FILE"),
        ("CONSOLE", "on", "CONSOLE=on needs ISSUER_KEYS"),
        ("CONSOLE", "everywhere", "here"),
        ("TURN_URLS", "http://turn", "stun:"),
        ("TURN_URLS", "turn:a", "TURN_SECRET_FILE"),
        ("LOG_FORMAT", "xml", "json"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    monkeypatch.setenv(settings.PREFIX + name, value)
    with pytest.raises(ConfigError, match=says) as refused:
        settings.load()
    assert settings.PREFIX in str(refused.value)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"REDIS_CA_FILE": "/ca.pem"}, "begins with rediss://"),
        ({"REDIS_USER": "signaling"}, "REDIS_USER needs REDIS_PASSWORD_FILE"),
        (
            {"REDIS_URL": "redis://a:s3cret@redis:6379/0", "REDIS_PASSWORD_FILE": "/p"},
            "leave one",
        ),
        ({"REDIS_SENTINEL_PASSWORD_FILE": "/p"}, "begins with redis.sentinel://"),
        (
            {"REDIS_URL": "redis+sentinel://s1/main", "REDIS_SENTINEL_USER": "signaling"},
            "REDIS_SENTINEL_USER needs REDIS_SENTINEL_PASSWORD_FILE",
        ),
    ],
    ids=[
        "an authority without TLS",
        "a user without a password",
        "a password twice",
        "a password of Sentinels without them",
        "a user of Sentinels without a password",
    ],
)
def test_what_is_said_of_redis_fits_together(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], says: str
) -> None:
    for name, value in ({"REDIS_URL": "redis://redis:6379/0"} | given).items():
        monkeypatch.setenv(settings.PREFIX + name, value)
    with pytest.raises(ConfigError, match=says) as refused:
        settings.load()
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("REDIS_PASSWORD_FILE", None, "No such file"),
        ("REDIS_PASSWORD_FILE", b"\n", "the file is empty"),
        ("REDIS_PASSWORD_FILE", b"\xff", "not UTF-8"),
        ("REDIS_CA_FILE", None, "No such file"),
        ("REDIS_CA_FILE", b"noise", "no certificate in PEM form"),
    ],
)
def test_a_file_of_redis_that_cannot_be_used_ends_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, content: bytes | None, says: str
) -> None:
    if content is not None:
        (tmp_path / "file").write_bytes(content)
    monkeypatch.setenv("ACTR_SIGNALING__REDIS_URL", "rediss://redis:6379/0")
    monkeypatch.setenv(f"ACTR_SIGNALING__{name}", str(tmp_path / "file"))
    with pytest.raises(ConfigError, match=says) as refused:
        Replica(settings.load())
    assert f"ACTR_SIGNALING__{name}" in str(refused.value)


def test_a_variable_that_does_not_exist_is_refused_with_the_nearest_that_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ACTR_SIGNALING__URL", "ws://of.a.peer/v1/ws")
    settings.load()
    monkeypatch.setenv("ACTR_SIGNALING__LEASEE", "4")
    with pytest.raises(ConfigError, match="LEASEE; did you mean ACTR_SIGNALING__LEASE"):
        settings.load()


@pytest.mark.parametrize(
    "url",
    ["rediss//user:s3cret-pw@redis:6379/0", "redis://user:s3/cret-pw@redis:6379/0"],
    ids=["no scheme", "a password with a slash"],
)
def test_a_mistyped_redis_url_is_not_printed_with_its_password(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("ACTR_SIGNALING__REDIS_URL", url)
    with pytest.raises(ConfigError, match="redis://") as refused:
        Replica(settings.load())
    assert "cret" not in str(refused.value)


def test_an_issuer_in_this_process_is_whom_it_believes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert (settings.load().believed_keys, settings.load().believed_revoked) == ("", "")
    monkeypatch.setenv("ACTR_SIGNALING__ISSUER_HOME", str(tmp_path))
    monkeypatch.setenv("ACTR_SIGNALING__PRODUCTION", "true")
    found = settings.load()
    assert found.believed_keys == str(tmp_path / "public" / "keys.json")
    assert found.believed_revoked == str(tmp_path / "public" / "revoked.json")


@pytest.mark.parametrize(
    "place",
    [
        "keys.json",
        "https://issuer/v1/keys",
        "http://127.0.0.1:8090/v1/keys",
        "http://[::1]/v1/keys",
    ],
)
def test_an_issuer_s_word_is_taken_from_a_file_by_https_or_on_this_machine(
    monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setenv("ACTR_SIGNALING__ISSUER_KEYS", place)
    assert settings.load().believed_keys == place


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"ISSUER_HOME": "here", "ISSUER_KEYS": "keys"}, "leave ISSUER_KEYS"),
        ({"ISSUER_TAKEN": "always"}, "ISSUER_TAKEN needs ISSUER_HOME"),
        ({"REVOKED": "list"}, "REVOKED needs ISSUER_KEYS"),
        ({"ISSUER_KEYS": "http://issuer:8090/v1/keys"}, "whoever is between"),
        ({"ISSUER_KEYS": "http://127.0.0.1.issuer.example/v1/keys"}, "whoever is between"),
        ({"ISSUER_KEYS": "keys", "REVOKED": "http://issuer/v1/revoked"}, "whoever is between"),
        ({"ACCEPT_SECRETS": "true"}, "ACCEPT_SECRETS needs"),
        ({"ISSUER_HOME": "here", "ACCEPT_SECRETS": "true"}, "ACCEPT_SECRETS needs"),
        ({"PRODUCTION": "true"}, "PRODUCTION needs"),
    ],
)
def test_half_of_what_is_to_be_believed_is_refused(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], told: str
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(f"ACTR_SIGNALING__{name}", value)
    with pytest.raises(ConfigError, match=told):
        settings.load()
