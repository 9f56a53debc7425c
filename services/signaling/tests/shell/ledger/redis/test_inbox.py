"""What goes to other replicas and comes from them, without Redis."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from actr_signaling.ledger.redis.answers import StoreError
from actr_signaling.ledger.redis.inbox import Inbox
from actr_signaling.ledger.redis.outbox import MAX_BATCH_BYTES, Batch, Outbox
from actr_signaling.protocol.presence.changes import Put, Removed
from actr_signaling.protocol.presence.records import Entry
from actr_signaling.protocol.presence.view import Reason
from actr_signaling.protocol.relay import parcels
from actr_signaling.protocol.relay.parcels import Answer, Item, Parcel
from actr_signaling.protocol.relay.routing import Undelivered

ME, OTHER = "0" * 16, "1" * 16


class Sink:
    def __init__(self) -> None:
        self.changes: list[Put | Removed] = []
        self.parcels: list[Parcel] = []
        self.answers: list[tuple[int, Undelivered | None]] = []
        self.states: list[tuple[int, bool]] = []

    def changed(self, change: Put | Removed) -> None:
        self.changes.append(change)

    def restored(self, entries: Iterable[Entry], version: int, *, is_partial: bool) -> None:
        self.states.append((version, is_partial))

    def settled(self) -> None: ...

    def fenced(self, entry: Entry, epoch: int) -> None: ...

    def arrived(self, replica: str, parcel: Parcel) -> Undelivered | None:
        self.parcels.append(parcel)
        return Undelivered.OFFLINE if parcel.to == "nobody" else None

    def answered(self, number: int, reason: Undelivered | None) -> None:
        self.answers.append((number, reason))

    def lost(self) -> None: ...

    def own_entries(self) -> list[Entry]:
        return []


class Boxes:
    """An inbox and an outbox, and how often the state was wanted."""

    def __init__(self) -> None:
        self.sink = Sink()
        self.outbox = Outbox(ME)
        self.missed = 0
        self.inbox = Inbox(self.sink, self.outbox, self._miss)
        self.inbox.take_state(10, [], is_partial=False)

    def _miss(self) -> None:
        self.missed += 1
        self.inbox.hold_back()


@pytest.fixture
def boxes() -> Boxes:
    return Boxes()


def parcel(number: int, to: str = "b", size: int = 1) -> Parcel:
    return Parcel(number, to, "a", b"x" * size)


def items(batch: Batch) -> list[Item]:
    return list(parcels.unpack(batch.data)[1])


def removed(before: int, version: int) -> bytes:
    return f"R{before:016d}{version:016d}1{5:016d}acme:a@1:default".encode()


def test_everything_for_one_replica_goes_in_one_batch_in_order() -> None:
    outbox = Outbox(ME)
    for number in range(5):
        outbox.add(OTHER, parcel(number))
    outbox.add("2" * 16, Answer(7, None))
    first, second = outbox.take()
    assert items(first) == [parcel(number) for number in range(5)]
    assert (second.replica, items(second)) == ("2" * 16, [Answer(7, None)])
    assert not outbox


def test_a_batch_is_bounded_and_the_rest_follows_in_order() -> None:
    outbox = Outbox(ME)
    size = MAX_BATCH_BYTES // 3
    for number in range(5):
        outbox.add(OTHER, parcel(number, size=size))
    taken = [outbox.take() for _ in range(3)]
    assert [[item.number for item in items(batch)] for (batch,) in taken] == [[0, 1], [2, 3], [4]]
    assert not outbox


def test_an_item_over_the_bound_goes_alone() -> None:
    outbox = Outbox(ME)
    outbox.add(OTHER, parcel(1, size=MAX_BATCH_BYTES + 1))
    outbox.add(OTHER, parcel(2))
    assert [len(items(outbox.take()[0])) for _ in range(2)] == [1, 1]


def test_a_cleared_outbox_sends_nothing() -> None:
    outbox = Outbox(ME)
    outbox.add(OTHER, parcel(1))
    outbox.clear()
    assert outbox.take() == []


def test_what_waits_for_a_slow_store_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actr_signaling.ledger.redis.outbox.MAX_WAITING_BYTES", 2 * MAX_BATCH_BYTES)
    outbox = Outbox(ME)
    for number in range(2):
        assert not outbox.is_full
        outbox.add("one", parcel(number, size=MAX_BATCH_BYTES))
    assert outbox.is_full
    outbox.take()
    assert not outbox.is_full
    outbox.add("two", parcel(2, size=2 * MAX_BATCH_BYTES))
    outbox.clear()
    assert not outbox.is_full


def test_parcels_are_handed_over_and_answered_and_answers_are_taken(boxes: Boxes) -> None:
    incoming: list[Item] = [parcel(1), Answer(9, None), parcel(2, "nobody")]
    boxes.inbox.batch(parcels.pack(OTHER, [parcels.pack_item(item) for item in incoming]))
    assert [taken.number for taken in boxes.sink.parcels] == [1, 2]
    assert boxes.sink.answers == [(9, None)]
    (batch,) = boxes.outbox.take()
    assert batch.replica == OTHER
    assert items(batch) == [Answer(1, None), Answer(2, Undelivered.OFFLINE)]


def test_a_batch_that_breaks_off_is_taken_as_far_as_it_goes(boxes: Boxes) -> None:
    good = parcels.pack_item(parcel(1))
    boxes.inbox.batch(parcels.pack(OTHER, [good, b"\x09"]))
    boxes.inbox.batch(b"short")
    boxes.inbox.batch(b"")
    assert [taken.number for taken in boxes.sink.parcels] == [1]


@pytest.mark.parametrize("reason", [Undelivered.OFFLINE, Undelivered.EXPIRED])
def test_what_nobody_heard_is_undelivered_now(boxes: Boxes, reason: Undelivered) -> None:
    packed = [parcels.pack_item(parcel(1)), parcels.pack_item(Answer(2, None))]
    boxes.inbox.nobody_heard(Batch(OTHER, parcels.pack(ME, packed)), reason)
    assert boxes.sink.answers == [(1, reason)]


def test_changes_follow_one_another_and_old_ones_are_skipped(boxes: Boxes) -> None:
    boxes.inbox.change(removed(10, 12))
    boxes.inbox.change(removed(8, 10))
    boxes.inbox.change(removed(12, 14))
    assert [change.version for change in boxes.sink.changes] == [12, 14]
    assert boxes.missed == 0


def test_a_gap_or_an_unreadable_change_wants_the_whole_state(boxes: Boxes) -> None:
    boxes.inbox.change(removed(11, 13))
    assert boxes.missed == 1
    boxes.inbox.change(removed(13, 15))  # kept
    boxes.inbox.take_state(13, [], is_partial=True)
    assert [change.version for change in boxes.sink.changes] == [15]
    assert boxes.sink.states == [(10, False), (13, True)]
    boxes.inbox.change(b"noise")
    assert boxes.missed == 2


def test_what_is_kept_while_the_state_is_fetched_is_bounded(
    boxes: Boxes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actr_signaling.ledger.redis.inbox.MAX_HELD_BACK", 2)
    boxes.inbox.hold_back()
    boxes.inbox.change(removed(10, 12))
    boxes.inbox.change(removed(12, 14))
    with pytest.raises(StoreError):
        boxes.inbox.change(removed(14, 16))


def test_reasons_between_replicas_are_one_digit() -> None:
    assert all(1 <= reason.value <= 9 for reason in Reason)
