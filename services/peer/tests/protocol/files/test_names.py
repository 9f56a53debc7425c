from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_peer.errors import CallError, Code
from actr_peer.protocol.files.names import (
    HOLD,
    MAX_DEPTH,
    MAX_NAME_BYTES,
    MAX_NUMBER,
    check_name,
    check_path,
    folded,
    numbered,
)

REFUSED = [
    pytest.param("", id="empty"),
    pytest.param(".", id="this folder"),
    pytest.param("..", id="the folder above"),
    pytest.param("../x", id="a step up"),
    pytest.param("/etc/passwd", id="absolute"),
    pytest.param("a/b", id="two parts"),
    pytest.param("a\\b", id="two parts elsewhere"),
    pytest.param("c:x", id="a drive"),
    pytest.param("x\0y", id="a zero"),
    pytest.param("x\ny", id="a new line"),
    pytest.param("x\x7f", id="delete"),
    pytest.param("txt.\u202eexe", id="turned direction"),
    pytest.param("a\u200bb", id="no width"),
    pytest.param("\udcff", id="no UTF-8"),
    pytest.param("x" * (MAX_NAME_BYTES + 1), id="too long"),
    pytest.param("é" * 128, id="too long in bytes"),
    pytest.param(".ssh", id="hidden"),
    pytest.param(" x", id="a space first"),
    pytest.param("x ", id="a space last"),
    pytest.param("x.", id="a dot last"),
    pytest.param("NUL", id="a device"),
    pytest.param("com1.txt", id="a device with an ending"),
    pytest.param("Lpt\u00b9", id="a device with a raised digit"),
    pytest.param("what?", id="a wildcard"),
    pytest.param("a\uff0fb", id="a wide slash"),
    pytest.param("a\uff3cb", id="a wide backslash"),
    pytest.param("\u2025", id="one character of two dots"),
    pytest.param("\uff0e\uff0e", id="wide dots"),
]


@pytest.mark.parametrize("name", REFUSED)
def test_a_name_that_is_not_plain_everywhere_is_refused(name: str) -> None:
    with pytest.raises(CallError) as caught:
        check_name(name, hidden=False)
    assert caught.value.code is Code.INVALID_ARGUMENT
    caught.value.message.encode()


@pytest.mark.parametrize("name", ["a", "A b.tar.gz", "é", "日本語.txt", "console", "x" * 255])
def test_a_plain_name_is_taken(name: str) -> None:
    check_name(name, hidden=False)


def test_hidden_names_are_taken_where_they_are_allowed() -> None:
    check_name(".git", hidden=True)
    for name in ("..", HOLD, HOLD.upper()):
        with pytest.raises(CallError):
            check_name(name, hidden=True)


@given(st.text())
def test_what_is_taken_is_one_part_of_a_path(name: str) -> None:
    try:
        check_name(name, hidden=True)
    except CallError:
        return
    assert name.encode().decode() == name
    assert not {"/", "\\", "\0", ":"} & set(name)
    assert name not in ("", ".", "..")
    assert not {"/", "\\"} & set(folded(name))
    assert not any(unicodedata.category(each).startswith("C") for each in name)


def test_a_path_is_held_to_the_rule_in_each_part() -> None:
    assert check_path("a/b/c", hidden=False) == ("a", "b", "c")
    for path in ("", "/a", "a//b", "a/../b", "a/", "a/.b", "/".join("a" * (MAX_DEPTH + 1))):
        with pytest.raises(CallError):
            check_path(path, hidden=False)


def test_a_path_has_a_bound_in_bytes() -> None:
    with pytest.raises(CallError, match="bytes"):
        check_path("/".join(["x" * 250] * 5), hidden=False)


@pytest.mark.parametrize(
    ("name", "taken", "found"),
    [
        ("a.txt", (), "a.txt"),
        ("a.txt", ("a.txt",), "a (2).txt"),
        ("A.TXT", ("a.txt",), "A (2).TXT"),
        ("a.txt", ("a.txt", "a (2).txt"), "a (3).txt"),
        ("Makefile", ("makefile",), "Makefile (2)"),
        (".x", (".x",), ".x (2)"),
        ("a." + "e" * 20, ("a." + "e" * 20,), "a." + "e" * 20 + " (2)"),
    ],
)
def test_a_taken_name_gets_a_number(name: str, taken: tuple[str, ...], found: str) -> None:
    assert numbered(name, taken) == found


def test_a_long_name_makes_room_for_its_number() -> None:
    name = "é" * 125 + ".txt"
    found = numbered(name, {folded(name)})
    assert len(found.encode()) <= MAX_NAME_BYTES
    assert found.endswith(" (2).txt")
    check_name(found, hidden=False)


def test_numbers_have_an_end() -> None:
    class Everything:
        def __contains__(self, _: object) -> bool:
            return True

    with pytest.raises(CallError, match=str(MAX_NUMBER)) as caught:
        numbered("a", Everything())
    assert caught.value.code is Code.ALREADY_EXISTS


@pytest.mark.parametrize(("one", "other"), [("README", "readme"), ("é", "e\u0301"), ("ﬁ", "fi")])
def test_names_that_some_file_system_takes_for_one_fold_to_one(one: str, other: str) -> None:
    assert folded(one) == folded(other)
