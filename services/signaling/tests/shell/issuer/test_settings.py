from __future__ import annotations

from pathlib import Path

import pytest

from actr_signaling.errors import ConfigError
from actr_signaling.issuer.settings import PREFIX, load


def test_defaults_are_those_of_one_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}URL", "http://127.0.0.1:8090")  # for peers
    settings = load()
    assert (settings.host, settings.port) == ("127.0.0.1", 8090)
    assert settings.public == Path(".actr/issuer/public")
    monkeypatch.setenv(f"{PREFIX}PUBLIC_DIR", "/public")
    assert load().public == Path("/public")


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("LISTEN", "8090", "host:port"),
        ("LIFE", "4000", "3600"),
        ("TAKEN", "sometimes", "expired"),
        ("NAME", "a b", "pattern"),
        ("LIVE", "60", "LIFE"),
        ("ALLOWED_ORIGINS", "https://page.example/", "slash at the end"),
        ("ALLOWED_ORIGINS", "*,https://Page.example", "lower case"),
    ],
)
def test_a_wrong_value_or_name_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, word: str
) -> None:
    monkeypatch.setenv(PREFIX + name, value)
    with pytest.raises(ConfigError, match=word) as refused:
        load()
    assert PREFIX + name in str(refused.value)
