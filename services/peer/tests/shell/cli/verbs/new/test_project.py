"""What a new project may be called, and what is in it."""

from __future__ import annotations

import pytest

from actr_peer.cli.verbs.new.project import MAX_NAME_CHARACTERS, Words, contents
from actr_peer.errors import ConfigError


def test_a_name_becomes_a_module_a_class_and_an_actor() -> None:
    words = Words.of("my-room_2")
    assert (words.name, words.module, words.service) == ("my-room_2", "my_room_2", "MyRoom2")
    assert words.actor == "dev:my-room2@1:default"


@pytest.mark.parametrize("name", ["", "Room", "2room", "a b", "../a", "room-", "a" * 41, "é"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="small letters and digits"):
        Words.of(name)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("class", "a word of Python"),
        ("none", "a word of Python"),
        ("true", "a word of Python"),
        ("match", "a word of Python"),
        ("json", "a module of Python"),
        ("caller", "something else of the project"),
        ("line", "something else of the project"),
        ("context", "something else of the project"),
        ("call-error", "something else of the project"),
        ("async_iterator", "something else of the project"),
        ("google", "something else of the project"),
        ("test_room", "something else of the project"),
        ("pytest", "is installed"),
        ("actr-peer", "is installed"),
    ],
)
def test_a_name_that_something_else_has_is_refused_with_another(name: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as raised:
        Words.of(name)
    assert f"as my-{name}" in str(raised.value)


def test_a_name_may_be_as_long_as_is_said() -> None:
    assert Words.of("a" * MAX_NAME_CHARACTERS).module


def test_each_file_is_filled_in() -> None:
    texts = contents(Words.of("my-room"))
    assert set(texts) == {
        ".gitignore",
        "README.md",
        "caller.py",
        "my_room.proto",
        "my_room.py",
        "pyproject.toml",
        "test_my_room.py",
    }
    assert [path for path, text in texts.items() if "$" in text] == []
    assert 'dev = ["my_room:MyRoom"]' in texts["pyproject.toml"]
    assert "dev:my-room@1:default" in texts["caller.py"]
