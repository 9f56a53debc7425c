"""All calls of an outbox: numbers, marks, keys and room, whatever happens in whatever order."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actr_peer.errors import BusyError, ClosedError, LocalProtocolError
from actr_peer.protocol.mailbox.outbox.call import Call, CallEvent, CallState, Step, Steps
from actr_peer.protocol.mailbox.outbox.calls import Calls

REMOTES = ("a", "b", "c")
KEYS = ("1", "2", "3", "4", "5", "6")
SIZE = 10


def call(
    key: str, remote: str = "a", number: int = 0, state: CallState = CallState.WAITING
) -> Call:
    return Call(call_key=key, remote=remote, request_id=f"id {key}", number=number, state=state)


def made(*keys: str, max_kept: int = 10) -> tuple[Calls[Call, str], list[Call]]:
    """Calls that are on disk."""
    calls: Calls[Call, str] = Calls(max_kept=max_kept)
    them = [call(key) for key in keys]
    for one in them:
        calls.put(one, SIZE)
        calls.on(one, CallEvent.STORED)
    return calls, them


def test_a_key_names_one_call_until_that_is_forgotten() -> None:
    calls, (one,) = made("key")
    again = call("key")
    with pytest.raises(BusyError):
        calls.next_number(again)
    assert (again.state, again.number, calls.following) == (CallState.WAITING, 0, 2)
    calls.on(one, CallEvent.FORGOTTEN)
    calls.put(again, SIZE)
    assert calls.named("key") is again


def test_replies_are_listed_in_the_order_in_which_they_came_and_the_oldest_are_too_many() -> None:
    calls, them = made("1", "2", "3", max_kept=2)
    for one in (them[1], them[0], them[2]):
        calls.on(one, CallEvent.REPLIED)
    assert [one.call_key for one in calls.replied()] == ["2", "1", "3"]
    for one in calls.too_many():
        assert calls.on(one, CallEvent.FORGOTTEN) == (Step.LET_GO,)
    assert [one.call_key for one in calls.replied()] == ["1", "3"]
    assert list(calls.unanswered()) == []


def test_what_cannot_happen_changes_no_list() -> None:
    calls, (one,) = made("key")
    with pytest.raises(LocalProtocolError):
        calls.on(one, CallEvent.REPLY_SAVED)
    assert (calls.find("id key"), calls.named("key"), list(calls.replied())) == (one, one, [])


def test_a_sealed_outbox_takes_no_call_and_nobody_waits_for_room_in_it() -> None:
    calls, _ = made("1")
    assert calls.room("a", lambda: "room of a") == "room of a"
    assert calls.room("a", lambda: "another") == "room of a"
    assert list(calls.seal()) == ["room of a"]
    assert list(calls.seal()) == []
    with pytest.raises(ClosedError):
        calls.next_number(call("2"))
    with pytest.raises(ClosedError):
        calls.room("a", lambda: "too late")


def test_what_one_remote_gives_back_all_may_ask_for_where_room_is_tight() -> None:
    calls: Calls[Call, str] = Calls(max_bytes=4 * SIZE)
    them = [call("1", "a"), call("2", "b"), call("3", "b")]
    for one in them:
        calls.put(one, SIZE)
    assert not calls.has_room("a", SIZE)
    assert calls.room("a", lambda: "room of a") == "room of a"
    calls.on(them[1], CallEvent.NOT_STORED)
    assert list(calls.free(them[1])) == ["room of a"]
    assert calls.has_room("a", SIZE)
    assert list(calls.free(them[1])) == [], "it is told once"


@pytest.mark.parametrize(
    ("bounds", "made", "wants"),
    [
        pytest.param({"max_in_all": 1}, [("1", "b", SIZE)], SIZE, id="one for all"),
        pytest.param(
            {"max_in_all": 5}, [("1", "a", SIZE), ("2", "a", SIZE), ("3", "b", SIZE)], SIZE,
            id="an odd number for all",
        ),
        pytest.param(
            {"max_bytes": 100}, [("1", "a", 10), ("2", "b", 20)], 65, id="a large one"
        ),
    ],
)  # fmt: skip
def test_whoever_can_be_helped_by_others_hears_of_what_they_give_back(
    bounds: dict[str, int], made: list[tuple[str, str, int]], wants: int
) -> None:
    calls: Calls[Call, str] = Calls(**bounds)
    them = [call(key, remote) for key, remote, _ in made]
    for one, (_, _, size) in zip(them, made, strict=True):
        calls.put(one, size)
    assert not calls.has_room("a", wants)
    calls.room("a", lambda: "room of a")
    calls.on(them[-1], CallEvent.NOT_STORED)
    assert calls.has_room("a", wants) is False
    assert list(calls.free(them[-1])) == ["room of a"]
    assert calls.has_room("a", wants)


def test_where_there_is_plenty_a_number_that_is_done_with_calls_only_its_own_remote() -> None:
    calls: Calls[Call, str] = Calls(max_open=1)
    them = [call("1", "a"), call("2", "b"), call("3", "c")]
    for one in them:
        assert calls.next_number(one) == calls.following
        calls.put(one, SIZE)
        calls.on(one, CallEvent.NOT_STORED)
    calls.room("a", lambda: "room of a")
    calls.room("b", lambda: "room of b")
    assert list(calls.free(them[1])) == ["room of b"]
    assert list(calls.free(them[2])) == []
    assert list(calls.seal()) == ["room of a"]


def test_what_a_start_finds_counts_and_holds_no_mark_back() -> None:
    calls: Calls[Call, str] = Calls(max_open=1)
    calls.start(8)
    open_one = call("open", number=3, state=CallState.OPEN)
    kept_one = call("kept", number=7, state=CallState.KEPT)
    for one in (open_one, kept_one):
        calls.restore(one, SIZE)
    assert (calls.promised, calls.following, calls.low_water("a")) == (7, 8, 8)
    assert not calls.has_room("a", SIZE)
    assert (calls.find("id open"), list(calls.replied())) == (open_one, [kept_one])
    assert calls.on(kept_one, CallEvent.FORGOTTEN) == (Step.LET_GO,)
    calls.on(kept_one, CallEvent.MARKED)
    assert list(calls.free(kept_one)) == []
    assert not calls.has_room("a", SIZE), "it was counted when its reply was saved"


@dataclass
class Heard:
    """What a call's steps have done."""

    steps: Counter[Step] = field(default_factory=Counter)
    reply_is_saved: bool = False
    """Or its row is noted as needed no more, or it never was one."""


DISK: dict[Step | None, tuple[CallEvent, CallEvent]] = {
    None: (CallEvent.STORED, CallEvent.NOT_STORED),
    Step.KEEP: (CallEvent.REPLY_SAVED, CallEvent.REPLY_NOT_SAVED),
    Step.LET_GO: (CallEvent.MARKED, CallEvent.NOT_MARKED),
}


class AnyOutbox(RuleBasedStateMachine):
    """An outbox whose disk is slow and fails, whose callers forget, and whose callees answer."""

    @initialize(max_open=st.integers(1, 3), max_window=st.integers(1, 4), most=st.integers(0, 2))
    def begin(self, max_open: int, max_window: int, most: int) -> None:
        self.calls: Calls[Call, tuple[str, int]] = Calls(
            max_open=max_open, max_window=max_window, max_kept=most, max_bytes=12 * SIZE
        )
        self.all: list[Call] = []
        self.heard: dict[int, Heard] = {}
        self.disk: deque[tuple[Call, Step | None]] = deque()
        self.rooms: Counter[tuple[str, int]] = Counter()
        """How often each that was made has been told."""
        self.told = 0

    def do(self, one: Call, steps: Steps, write: Step | None = None) -> None:
        for step in steps:
            self.heard[one.number].steps[step] += 1
            if step in DISK:
                self.disk.append((one, step))
            elif step is Step.REPEAT:
                self.disk.append((one, write))
            elif step is Step.FREE:
                self.heard[one.number].reply_is_saved = True
                self.rooms.update(self.calls.free(one))

    @rule(key=st.sampled_from(KEYS), remote=st.sampled_from(REMOTES))
    def put(self, key: str, remote: str) -> None:
        one = call(key, remote)
        if self.calls.named(key) is not None:
            with pytest.raises(BusyError):
                self.calls.next_number(one)
        elif self.calls.has_room(remote, SIZE):
            numbers = {other.number for other in self.all}
            self.calls.put(one, SIZE)
            assert one.number > max(numbers, default=0), "no number is used twice"
            self.all.append(one)
            self.heard[one.number] = Heard()
            self.disk.append((one, None))
        else:
            made = (remote, self.told)
            if self.calls.room(remote, lambda: made) == made:
                self.told += 1
                self.rooms[made] += 0

    @precondition(lambda self: self.disk)
    @rule(is_well=st.booleans())
    def write(self, is_well: bool) -> None:
        one, step = self.disk.popleft()
        good, bad = DISK[step]
        self.do(one, self.calls.on(one, good if is_well else bad), step)

    @precondition(lambda self: self.calls.unanswered())
    @rule(data=st.data(), is_taken=st.booleans())
    def answer(self, data: st.DataObject, is_taken: bool) -> None:
        one = data.draw(st.sampled_from(list(self.calls.unanswered())))
        if one.state is CallState.OPEN:
            event = CallEvent.TAKEN if is_taken else CallEvent.REPLIED
            self.do(one, self.calls.on(one, event))
            for oldest in self.calls.too_many():
                self.do(oldest, self.calls.on(oldest, CallEvent.FORGOTTEN))

    @rule(key=st.sampled_from(KEYS))
    def forget(self, key: str) -> None:
        one = self.calls.named(key)
        if one is not None:
            self.do(one, self.calls.on(one, CallEvent.FORGOTTEN))
            assert self.calls.named(key) is None

    @invariant()
    def no_mark_passes_a_call_whose_reply_is_not_saved(self) -> None:
        for remote in REMOTES:
            owed = [
                one.number
                for one in self.all
                if one.remote == remote and not self.heard[one.number].reply_is_saved
            ]
            assert self.calls.low_water(remote) <= min(owed, default=self.calls.following)

    @invariant()
    def everybody_is_told_at_most_once(self) -> None:
        assert all(times <= 1 for times in self.rooms.values())
        for heard in self.heard.values():
            assert heard.steps[Step.ANSWER] + heard.steps[Step.FAIL] <= 1
            assert heard.steps[Step.LET_GO] <= 1
            assert heard.steps[Step.TELL] <= 1

    @invariant()
    def what_is_listed_is_what_is_not_done_with(self) -> None:
        by_state = {one.number: one.state for one in self.all}
        named = {one.number for key in KEYS if (one := self.calls.named(key)) is not None}
        listed = {one.number for one in (*self.calls.unanswered(), *self.calls.replied())}
        assert named == listed
        done = {S.WITHDRAWN, S.REFUSED, S.LEAVING, S.GONE}
        assert listed == {number for number, state in by_state.items() if state not in done}

    def teardown(self) -> None:
        """The disk recovers, and all is forgotten: nothing stays, and nobody is left waiting."""
        if not hasattr(self, "calls"):
            return
        for key in KEYS:
            self.forget(key)
        while self.disk:
            self.write(is_well=True)
        assert {one.state for one in self.all} <= {S.GONE, S.REFUSED}
        assert all(times == 1 for times in self.rooms.values())
        for one in self.all:
            heard = self.heard[one.number].steps
            assert heard[Step.ANSWER] + heard[Step.FAIL] == heard[Step.TELL] == 1
            assert heard[Step.LET_GO] == heard[Step.DELETE] == int(one.state is S.GONE)
            assert self.calls.low_water(one.remote) == self.calls.following


S = CallState
TestAnyOutbox = AnyOutbox.TestCase
TestAnyOutbox.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
