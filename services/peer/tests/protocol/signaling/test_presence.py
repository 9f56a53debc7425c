from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.signaling import presence
from actr_peer.protocol.signaling.presence import (
    Change,
    Load,
    Presence,
    PresenceEvent,
    PresenceView,
    Reason,
)

ROOM = Presence(id=ActrId("acme", "room", "1"), incarnation=1, epoch=5)
CHAT = Presence(id=ActrId("acme", "chat", "1"), incarnation=1, epoch=7)
NEWER = replace(ROOM, incarnation=2, epoch=6)


def test_a_snapshot_fills_the_view_of_its_type() -> None:
    view = PresenceView()
    events = view.reset("acme:room", 10, [ROOM])
    assert [(event.kind, event.presence) for event in events] == [(Change.JOIN, ROOM)]
    assert view.find(ROOM.id) == ROOM
    assert view.of_type("acme:room") == view.of_type("") == [ROOM]
    assert view.of_type("acme:chat") == []


def test_a_second_snapshot_says_what_changed_meanwhile() -> None:
    view = PresenceView()
    moved = replace(CHAT, ws_address="ws://elsewhere:1/")
    third = Presence(id=ActrId("acme", "chat", "3"), epoch=1)
    view.reset("", 10, [ROOM, CHAT, third])
    fourth = Presence(id=ActrId("acme", "chat", "4"), epoch=1)
    events = view.reset("", 20, [NEWER, moved, fourth])
    assert [(event.kind, event.presence, event.reason) for event in events] == [
        (Change.LEAVE, ROOM, Reason.REPLACED),
        (Change.JOIN, NEWER, Reason.NONE),
        (Change.UPDATE, moved, Reason.NONE),
        (Change.JOIN, fourth, Reason.NONE),
        (Change.LEAVE, third, Reason.NONE),
    ]
    assert len(view) == 3


def test_load_alone_is_no_news_in_a_snapshot() -> None:
    view = PresenceView()
    view.reset("", 10, [ROOM])
    busy = replace(ROOM, load=Load(100, 0.1))
    assert view.reset("", 11, [busy]) == []
    assert view.find(ROOM.id) == busy


def test_a_snapshot_of_one_type_leaves_others_alone() -> None:
    view = PresenceView()
    view.reset("acme:chat", 10, [CHAT])
    view.reset("acme:room", 11, [])
    assert view.find(CHAT.id) == CHAT


def test_what_is_told_twice_is_news_once() -> None:
    view = PresenceView()
    join = PresenceEvent(Change.JOIN, ROOM, 11)
    leave = PresenceEvent(Change.LEAVE, ROOM, 12, Reason.CLOSED)
    assert [view.apply(event) for event in (join, join, leave, leave)] == [True, False] * 2


def test_word_of_an_older_session_changes_nothing() -> None:
    view = PresenceView()
    view.apply(PresenceEvent(Change.JOIN, NEWER, 20))
    assert not view.apply(PresenceEvent(Change.LEAVE, ROOM, 19, Reason.REPLACED))
    assert not view.apply(PresenceEvent(Change.UPDATE, ROOM, 25))
    assert view.find(ROOM.id) == NEWER


def test_a_newer_session_counts_even_where_versions_began_anew() -> None:
    view = PresenceView()
    view.apply(PresenceEvent(Change.JOIN, ROOM, 1000))
    assert view.apply(PresenceEvent(Change.UPDATE, NEWER, 3))
    assert view.apply(PresenceEvent(Change.LEAVE, NEWER, 4))


def test_a_snapshot_of_a_replica_that_is_behind_does_not_bring_an_older_session_back() -> None:
    view = PresenceView()
    view.reset("acme:room", 10, [NEWER])
    assert view.reset("acme:room", 8, [ROOM]) == []
    assert view.find(ROOM.id) == NEWER
    assert view.apply(PresenceEvent(Change.LEAVE, NEWER, 11))
    assert not view.apply(PresenceEvent(Change.JOIN, ROOM, 12))
    assert view.reset("acme:room", 13, [ROOM]) == []
    assert view.find(ROOM.id) is None


def test_forgetting_a_type_keeps_what_another_subscription_shows() -> None:
    view = PresenceView()
    view.reset("", 10, [ROOM, CHAT])
    view.forget("", ["acme:room"])
    assert view.of_type("") == [ROOM]
    view.forget("acme:room", [""])
    assert view.of_type("") == [ROOM]


EVENTS = st.builds(
    PresenceEvent,
    st.sampled_from(Change),
    st.builds(
        Presence,
        id=st.sampled_from([ROOM.id, CHAT.id]),
        epoch=st.integers(1, 4),
        incarnation=st.integers(1, 3),
    ),
    st.integers(1, 9),
)


@given(st.lists(EVENTS, max_size=30))
def test_an_epoch_never_goes_back_while_an_actor_is_there(events: list[PresenceEvent]) -> None:
    view = PresenceView()
    for event in events:
        before = view.find(event.presence.id)
        is_news = view.apply(event)
        after = view.find(event.presence.id)
        if before is not None and after is not None:
            assert after.epoch >= before.epoch
        if not is_news:
            assert after == before


def test_of_those_that_left_the_last_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "MAX_LEFT", 1)
    view = PresenceView()
    view.reset("", 10, [ROOM, CHAT])
    for number, one in enumerate((ROOM, CHAT)):
        assert view.apply(PresenceEvent(Change.LEAVE, one, 20 + number))
    late = [replace(one, epoch=one.epoch - 1) for one in (ROOM, CHAT)]
    assert [view.apply(PresenceEvent(Change.JOIN, one, 30)) for one in late] == [True, False]
