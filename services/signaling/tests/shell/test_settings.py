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
        ("REDIS_PREFIX", "a:b", "pattern"),
        ("LEASE", "long", "valid number"),
        ("LEASE", "11", "HEARTBEAT"),
        ("PRODUCTION", "true", "REALM_SECRET_FILE"),
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


def test_a_variable_that_does_not_exist_is_refused_with_the_nearest_that_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ACTR_SIGNALING__URL", "ws://of.a.peer/v1/ws")
    settings.load()
    monkeypatch.setenv("ACTR_SIGNALING__LEASEE", "4")
    with pytest.raises(ConfigError, match="LEASEE; did you mean ACTR_SIGNALING__LEASE"):
        settings.load()


def test_a_secret_is_read_without_its_line_end(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"0123456789abcdef\n")
    assert settings.read_secret(path, "X") == b"0123456789abcdef"


def test_a_secret_that_is_missing_or_short_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        settings.read_secret(tmp_path / "none", "X")
    (tmp_path / "short").write_bytes(b"short")
    with pytest.raises(ConfigError, match="openssl rand"):
        settings.read_secret(tmp_path / "short", "X")
    with pytest.raises(ConfigError, match="No such file"):
        settings.read_realm_secrets(tmp_path / "none")


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


@pytest.mark.parametrize("value", ["0f3b9c-the-secret-itself", "/abc+the-secret/itself==", "/the"])
def test_a_secret_written_where_its_path_belongs_is_not_printed(value: str) -> None:
    for read in (lambda path: settings.read_secret(path, "X"), settings.read_realm_secrets):
        with pytest.raises(ConfigError, match="not shown") as refused:
            read(Path(value))
        assert "the-secret" not in str(refused.value)
