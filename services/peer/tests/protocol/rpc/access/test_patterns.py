"""Which ids and methods a pattern means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_peer.errors import ConfigError
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.rpc.access.patterns import MEDIA, STREAMS, Callers, Methods

ROOM = ActrId("acme", "room", "2", "default")


@pytest.mark.parametrize(
    "text", ["acme:room@2", "acme:room@*", "*:room@2", "acme:*@2", "*:*@*", "*:*@*:*"]
)
def test_a_pattern_means_the_ids_whose_parts_are_its_own_or_any(text: str) -> None:
    assert Callers.parse(text, realm="default").means(ROOM)


@pytest.mark.parametrize(
    "text", ["acme:room@1", "acme:hall@*", "other:room@2", "acme:room@2:other", "*:*@*:other"]
)
def test_a_pattern_means_no_id_that_differs_in_a_part(text: str) -> None:
    assert not Callers.parse(text, realm="default").means(ROOM)


def test_a_pattern_without_a_realm_means_the_own_one_only() -> None:
    pattern = Callers.parse("acme:room@2", realm="other")
    assert not pattern.means(ROOM)
    assert pattern.means(ActrId("acme", "room", "2", "other"))
    assert str(pattern) == "acme:room@2:other"


@pytest.mark.parametrize(
    "text",
    ["", "acme:room", "acme@2", "acme:ro*m@2", "acme:room@2:", "acme:room@2:a:b", "**:room@2",
     "acme:room@2\n", " acme:room@2", "actr://default/acme:room@2"],
)  # fmt: skip
def test_what_is_no_pattern_of_callers_is_refused_with_what_is(text: str) -> None:
    with pytest.raises(ConfigError, match=r"write manufacturer:name@instance"):
        Callers.parse(text, realm="default")


@pytest.mark.parametrize(
    ("text", "method", "is_meant"),
    [
        ("*", "chat.Room.Say", True),
        ("*", STREAMS, True),
        ("*", MEDIA, True),
        ("chat.Room.Say", "chat.Room.Say", True),
        ("chat.Room.Say", "chat.Room.SayAll", False),
        ("chat.Room/Say", "chat.Room.Say", True),
        ("chat.Room/*", "chat.Room.Say", True),
        ("Room/Say", "Room.Say", True),
        ("chat.Room.*", "chat.Room.Say", True),
        ("chat.Room.*", "chat.RoomOther.Say", False),
        ("chat.*", "chat.Room.Say", True),
        ("chat.*", "chatter.Room.Say", False),
        ("chat.*", "chat", False),
        ("streams.*", STREAMS, False),
        (STREAMS, STREAMS, True),
        (STREAMS, MEDIA, False),
        (MEDIA, "chat.Room.Say", False),
    ],
)
def test_a_pattern_of_methods_means(text: str, method: str, is_meant: bool) -> None:
    assert Methods(text).means(method) is is_meant


@pytest.mark.parametrize(
    "text",
    ["", "chat", "chat.", ".Say", "chat.*.Say", "*.Say", "chat.Room.S*", "chat/Room/Say", "**"],
)
def test_what_is_no_pattern_of_methods_is_refused_with_what_is(text: str) -> None:
    with pytest.raises(ConfigError, match=r"write a method as chat\.Room\.Say"):
        Methods(text)


parts = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,9}", fullmatch=True)


@given(ids=st.tuples(parts, parts, parts, parts), starred=st.sets(st.integers(0, 3)))
def test_whatever_parts_are_starred_the_id_itself_is_meant(
    ids: tuple[str, str, str, str], starred: set[int]
) -> None:
    shown = ["*" if place in starred else part for place, part in enumerate(ids)]
    text = "{}:{}@{}:{}".format(*shown)
    assert Callers.parse(text, realm="x").means(ActrId(*ids))
    assert str(Callers.parse(text, realm="x")) == text
