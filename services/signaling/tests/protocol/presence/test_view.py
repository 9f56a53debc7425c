from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actr_signaling.protocol.presence.records import Entry, Load, Registration
from actr_signaling.protocol.presence.view import Kind, Moved, PresenceView, Reason, Told
from signaling_kit.client import actor


def entry(text: str = "a", epoch: int = 1, **fields: object) -> Entry:
    registration = Registration(id=actor(text), **fields)  # type: ignore[arg-type]
    return Entry(
        registration=registration, load=Load(), epoch=epoch, session=f"s{epoch}", replica="r1"
    )


def told(moves: Sequence[Moved]) -> list[Told]:
    return [item for moved in moves for item in moved.told]


def kinds(moves: Sequence[Moved]) -> list[str]:
    return [item.kind.name for item in told(moves)]


def ids(presence: PresenceView, realm: str = "default", **by: str) -> set[str]:
    return {one.text for one in presence.members(realm, **by)}


def test_a_new_entry_joins() -> None:
    (joined,) = told(PresenceView().put(entry(), 10))
    assert joined == Told(Kind.JOIN, entry(), 10, frozenset({"default"}))


def test_the_same_entry_again_is_not_told() -> None:
    presence = PresenceView()
    presence.put(entry(), 10)
    assert presence.put(entry(), 12) == []
    assert presence.version == 12


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (entry(epoch=2), ["UPDATE"]),
        (entry(ws_address="ws://x"), ["UPDATE"]),
        (replace(entry(), load=Load(1, 0.99)), ["UPDATE"]),
        (replace(entry(), load=Load(0, 0.99)), []),
        (entry(epoch=2, incarnation=5), ["LEAVE", "JOIN"]),
        (entry(is_hidden=True), ["LEAVE"]),
        (entry(allowed_realms=frozenset({"mall"})), ["JOIN", "UPDATE"]),
    ],
    ids=[
        "a newer session is an update",
        "new fields are an update",
        "a load of another step is an update",
        "a load of the same step is nothing",
        "another incarnation is a leave and a join",
        "hiding is a leave",
        "a new realm hears a join, the old one an update",
    ],
)
def test_a_change_is_told_as_what_it_means(changed: Entry, expected: list[str]) -> None:
    presence = PresenceView()
    presence.put(entry(), 10)
    assert kinds(presence.put(changed, 12)) == expected


def test_the_end_of_a_replaced_start_comes_before_the_new_one() -> None:
    presence = PresenceView()
    presence.put(entry(), 10)
    left, joined = told(presence.put(entry(epoch=2, incarnation=5), 12))
    assert (left.reason, left.version, left.entry.epoch) == (Reason.REPLACED, 11, 1)
    assert (joined.version, joined.entry.epoch) == (12, 2)


def test_a_hidden_actor_is_told_to_nobody_and_found_by_id() -> None:
    presence = PresenceView()
    hidden = entry(is_hidden=True)
    assert presence.put(hidden, 10) == []
    assert ids(presence) == set()
    assert presence.find(hidden.text) == hidden
    assert presence.remove(hidden.text, 1, Reason.CLOSED, 12) == []


def test_members_are_found_by_realm_type_and_service() -> None:
    presence = PresenceView()
    presence.put(entry("room@1", services={"chat.Room": "f"}), 1)
    presence.put(entry("room@2"), 2)
    presence.put(entry("shop@1", services={"chat.Room": "g"}), 3)
    presence.put(entry("acme:room@1:mall", allowed_realms=frozenset({"default"})), 4)
    assert len(ids(presence)) == 4
    assert ids(presence, actr_type="acme:room") == {
        "acme:room@1:default",
        "acme:room@2:default",
        "acme:room@1:mall",
    }
    assert ids(presence, service="chat.Room") == {"acme:room@1:default", "acme:shop@1:default"}
    assert ids(presence, actr_type="acme:room", service="chat.Room") == {"acme:room@1:default"}
    assert ids(presence, "mall") == {"acme:room@1:mall"}
    assert ids(presence, "nowhere") == set()


def test_a_removal_of_an_older_session_changes_nothing() -> None:
    presence = PresenceView()
    presence.put(entry(epoch=5), 10)
    assert presence.remove(entry().text, 4, Reason.CLOSED, 12) == []
    assert len(presence) == 1


def test_an_older_session_does_not_come_back_to_life() -> None:
    presence = PresenceView()
    presence.put(entry(epoch=5), 10)
    assert presence.put(entry(epoch=4), 12) == []
    assert presence.known_epoch(entry().text) == 5
    (left,) = told(presence.remove(entry().text, 5, Reason.CLOSED, 14))
    assert left.reason is Reason.CLOSED
    assert presence.put(entry(epoch=4), 16) == []
    assert presence.find(entry().text) is None
    assert presence.was_here(entry().text)
    assert kinds(presence.put(entry(epoch=5), 18)) == ["JOIN"]


def test_a_whole_state_tells_only_what_differs() -> None:
    presence = PresenceView()
    for number, name in enumerate(("stays", "goes", "changes")):
        presence.put(entry(name), number)
    moves = presence.reset(
        [entry("stays"), entry("changes", ws_address="ws://x"), entry("comes")],
        50,
        is_partial=False,
    )
    assert {(item.kind.name, item.entry.registration.id.name) for item in told(moves)} == {
        ("UPDATE", "changes"),
        ("JOIN", "comes"),
        ("LEAVE", "goes"),
    }
    assert presence.version == 50


def test_a_partial_state_doubts_before_it_drops() -> None:
    presence = PresenceView()
    for number, name in enumerate(("stays", "slow", "gone")):
        presence.put(entry(name), number)
    assert presence.reset([entry("stays")], 50, is_partial=True) == []
    assert presence.put(entry("slow"), 52) == []
    (left,) = told(presence.drop_doubtful())
    assert (left.kind, left.entry.text, left.reason) == (
        Kind.LEAVE,
        "acme:gone@1:default",
        Reason.EXPIRED,
    )
    assert presence.drop_doubtful() == []


def test_a_removal_ends_the_doubt() -> None:
    presence = PresenceView()
    presence.put(entry(), 1)
    presence.reset([], 3, is_partial=True)
    presence.remove(entry().text, 1, Reason.CLOSED, 5)
    assert presence.drop_doubtful() == []


def test_the_memory_of_who_left_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actr_signaling.protocol.presence.view.MAX_GONE", 2)
    presence = PresenceView()
    for number, name in enumerate(("a", "b", "c")):
        presence.put(entry(name), number)
        presence.remove(entry(name).text, 1, Reason.CLOSED, number)
    assert not presence.was_here(entry("a").text)
    assert presence.was_here(entry("c").text)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "remove", "reset", "settle"]),
        st.sampled_from(["a", "b", "c"]),
        st.integers(1, 5),
        st.booleans(),
        st.integers(0, 2),
    ),
    max_size=40,
)


@given(STEPS)
def test_who_listens_from_the_start_knows_what_a_snapshot_shows(
    steps: list[tuple[str, str, int, bool, int]],
) -> None:
    presence = PresenceView()
    heard: dict[str, Entry] = {}
    highest: dict[str, int] = {}
    version = 0
    for step, name, epoch, flag, incarnation in steps:
        version += 2
        item = entry(name, epoch, is_hidden=flag, incarnation=incarnation)
        if step == "put":
            moves = presence.put(item, version)
            highest[item.text] = max(epoch, highest.get(item.text, 0))
        elif step == "remove":
            moves = presence.remove(item.text, epoch, Reason.CLOSED, version)
        elif step == "reset":
            moves = presence.reset([item], version, is_partial=flag)
            highest[item.text] = max(epoch, highest.get(item.text, 0))
        else:
            moves = presence.drop_doubtful()
        for event in told(moves):
            if event.kind is Kind.LEAVE:
                assert event.reason is not None
                del heard[event.entry.text]
            else:
                assert (event.entry.text in heard) is (event.kind is Kind.UPDATE)
                assert event.entry.epoch == highest[event.entry.text]
                heard[event.entry.text] = event.entry
        assert set(heard) == ids(presence)
        assert {one.text for one in presence} >= set(heard)


def test_a_view_lists_everybody_hidden_ones_too() -> None:
    presence = PresenceView()
    presence.put(entry("a"), 10)
    presence.put(entry("b", is_hidden=True), 12)
    assert list(presence) == [entry("a"), entry("b", is_hidden=True)]


def test_who_leaves_in_doubt_is_dropped_once() -> None:
    presence = PresenceView()
    presence.put(entry("a"), 10)
    presence.put(entry("b"), 12)
    presence.reset([], 20, is_partial=True)
    assert kinds(presence.remove(entry("a").text, 1, Reason.CLOSED, 22)) == ["LEAVE"]
    assert [moved.text for moved in presence.drop_doubtful()] == [entry("b").text]


def test_another_start_is_told_where_the_old_one_or_the_new_one_was_seen() -> None:
    seen, hidden = PresenceView(), PresenceView()
    seen.put(entry(), 10)
    assert kinds(seen.put(entry(epoch=2, incarnation=5, is_hidden=True), 20)) == ["LEAVE"]
    hidden.put(entry(is_hidden=True), 10)
    assert kinds(hidden.put(entry(epoch=2, incarnation=5), 20)) == ["JOIN"]
