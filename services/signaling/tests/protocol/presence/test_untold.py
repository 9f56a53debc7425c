"""What watchers are told when changes come faster than they are told."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from actr_signaling.protocol.presence.records import Entry, Load, Registration
from actr_signaling.protocol.presence.untold import Untold
from actr_signaling.protocol.presence.view import Kind, Moved, PresenceView, Reason
from signaling_kit.client import actor


def entry(text: str = "a", epoch: int = 1, **fields: object) -> Entry:
    registration = Registration(id=actor(text), **fields)  # type: ignore[arg-type]
    return Entry(
        registration=registration, load=Load(), epoch=epoch, session=f"s{epoch}", replica="r1"
    )


def told_of(pending: Untold) -> list[tuple[str, str, int]]:
    found = []
    while pending:
        found += [(t.kind.name, t.entry.text, t.version) for t in pending.take().told]
    return found


def test_an_actor_that_changes_often_is_told_once_as_it_is_now() -> None:
    presence, pending = PresenceView(), Untold()
    for number in range(1, 50):
        for moved in presence.put(entry(epoch=number, incarnation=number), 10 * number):
            pending.add(moved)
    assert told_of(pending) == [("JOIN", entry().text, 490)]


def test_who_came_and_went_meanwhile_is_not_told() -> None:
    presence, pending = PresenceView(), Untold()
    moves = presence.put(entry(), 10) + presence.remove(entry().text, 1, Reason.CLOSED, 12)
    for moved in moves:
        pending.add(moved)
    assert told_of(pending) == []


def test_another_start_is_still_a_leave_and_a_join() -> None:
    pending = Untold()
    old, new = entry(incarnation=1), entry(epoch=9, incarnation=9)
    pending.add(Moved(old.text, old, replace(old, epoch=5), 10))
    pending.add(Moved(old.text, replace(old, epoch=5), new, 20))
    assert told_of(pending) == [("LEAVE", old.text, 19), ("JOIN", old.text, 20)]


def test_what_a_snapshot_of_a_type_has_told_is_forgotten() -> None:
    presence, pending = PresenceView(), Untold()
    for number, name in enumerate(("a", "b@1", "b@2")):
        for moved in presence.put(entry(name), 10 * number):
            pending.add(moved)
    assert pending.drop("acme:b") == 2
    assert pending.drop("acme:c") == 0
    assert told_of(pending) == [("JOIN", entry("a").text, 0)]
    for moved in presence.put(entry("b@3"), 50):
        pending.add(moved)
    assert (pending.drop(""), len(pending)) == (1, 0)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "remove", "tell", "tell all"]),
        st.sampled_from(["a", "b", "c"]),
        st.integers(1, 6),
        st.booleans(),
        st.integers(0, 2),
    ),
    max_size=60,
)


class Listener:
    """Hears what is told, and holds it against what may be told."""

    def __init__(self, pending: Untold) -> None:
        self.known: dict[str, Entry] = {}
        self._pending = pending
        self._version = 0

    def hear_one(self) -> None:
        for told in self._pending.take().told:
            assert told.version > self._version
            self._version = told.version
            if told.kind is Kind.LEAVE:
                assert told.reason is not None
                del self.known[told.entry.text]
            else:
                assert (told.entry.text in self.known) is (told.kind is Kind.UPDATE)
                self.known[told.entry.text] = told.entry

    def hear_all(self) -> None:
        while self._pending:
            self.hear_one()


@given(STEPS)
def test_who_hears_late_knows_in_the_end_what_is_and_versions_rise(
    steps: list[tuple[str, str, int, bool, int]],
) -> None:
    presence, pending = PresenceView(), Untold()
    listener = Listener(pending)
    for number, (step, name, epoch, flag, incarnation) in enumerate(steps, 1):
        item = entry(name, epoch, is_hidden=flag, incarnation=incarnation)
        moves: list[Moved] = []
        if step == "put":
            moves = presence.put(item, 2 * number)
        elif step == "remove":
            moves = presence.remove(item.text, epoch, Reason.CLOSED, 2 * number)
        elif step == "tell all":
            listener.hear_all()
        elif pending:
            listener.hear_one()
        for moved in moves:
            pending.add(moved)
    listener.hear_all()
    there = {one.text: one for one in presence.members("default")}
    assert listener.known == there


def test_what_is_still_to_be_told_can_be_looked_up() -> None:
    presence, pending = PresenceView(), Untold()
    presence.put(entry("b"), 10)
    for moved in presence.put(entry("a"), 20) + presence.put(entry("b", 2), 30):
        pending.add(moved)
    assert len(pending) == 2
    assert (entry("a").text in pending, entry("c").text in pending) == (True, False)
    assert pending.known == [entry("b")]
    assert pending.version == 20
