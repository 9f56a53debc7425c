"""Who is told what, when changes come faster than they are told or read."""

from __future__ import annotations

import operator

import pytest

from actr_signaling.errors import Close
from actr_signaling.hub import crier
from actr_signaling.protocol.client import replies
from actr_signaling.protocol.presence.discovery import Query, read_place
from actr_signaling.protocol.websocket import frames
from signaling_kit.client import actor, texts
from signaling_kit.watching import View, Watcher


async def test_a_lone_change_is_told_at_once(view: View) -> None:
    watcher = view.watching()
    view.put("a", 1)
    assert watcher.events() == [("JOIN", 102, 1)]


@pytest.mark.parametrize("is_json", [False, True], ids=["binary", "JSON"])
async def test_a_snapshot_that_no_client_takes_is_refused_and_nothing_is_told(
    view: View, monkeypatch: pytest.MonkeyPatch, is_json: bool
) -> None:
    monkeypatch.setattr(replies, "MAX_LISTING_BYTES", 1_000)
    watcher = Watcher()
    watcher.is_json = is_json
    other = view.watching("other")
    for number in range(9):
        view.put(f"a{number}", 1, metadata={"note": "x" * 100})
    await other.hears(9)
    watcher.session.watches.add("")
    view.watchers.watch(watcher, "", 7)  # type: ignore[arg-type]
    [refusal] = watcher.heard
    assert (refusal.reply_to, refusal.error.code) == (7, Close.TOO_BIG)
    assert "subscribe to one type" in refusal.error.message
    assert watcher.session.watches == set()
    view.put("b", 1)
    await other.hears(10)
    assert len(watcher.heard) == 1
    view.watchers.watch(watcher, "acme:b", 8)  # type: ignore[arg-type]
    assert watcher.heard[-1].HasField("snapshot"), "what fits is told"


@pytest.mark.parametrize("is_json", [False, True], ids=["binary", "JSON"])
async def test_a_discovery_finds_as_many_as_one_message_holds(
    view: View, monkeypatch: pytest.MonkeyPatch, is_json: bool
) -> None:
    monkeypatch.setattr(replies, "MAX_LISTING_BYTES", 2_000)
    watcher = Watcher()
    watcher.is_json = is_json
    for number in range(40):
        view.put(f"a{number}", 1, services={"demo.Chat": ""}, metadata={"note": "x" * 100})
    view.watchers.search(watcher, Query("", "demo.Chat", "", "", 40, None), 7)  # type: ignore[arg-type]
    [found] = watcher.heard
    assert 5 < len(found.discovered.found) < 20


@pytest.mark.parametrize("is_json", [False, True], ids=["binary", "JSON"])
@pytest.mark.parametrize("limit", [7, 40])
async def test_what_an_answer_does_not_hold_the_next_ones_do(
    view: View, monkeypatch: pytest.MonkeyPatch, is_json: bool, limit: int
) -> None:
    monkeypatch.setattr(replies, "MAX_LISTING_BYTES", 2_000)
    watcher = Watcher()
    watcher.is_json = is_json
    for number in range(40):
        view.put(f"a{number}", 1, services={"demo.Chat": ""}, metadata={"note": "x" * 100})
    names: list[str] = []
    after = None
    while True:
        query = Query("", "demo.Chat", "", "", limit, None, after)
        view.watchers.search(watcher, query, 7)  # type: ignore[arg-type]
        answer = watcher.heard[-1].discovered
        names += [found.id.name for found in answer.found]
        if not answer.next:
            break
        after = read_place(answer.next)
    assert sorted(names) == sorted(f"a{number}" for number in range(40))


async def test_one_that_is_asked_for_by_its_id_is_all_there_is(view: View) -> None:
    watcher = Watcher()
    view.put("a", 1)
    query = Query("", "", "", "", 1, actor("a"))
    view.watchers.search(watcher, query, 7)  # type: ignore[arg-type]
    answer = watcher.heard[-1].discovered
    assert (len(answer.found), answer.next) == (1, "")


async def test_a_thousand_changes_of_one_actor_are_told_as_few(view: View) -> None:
    watcher = view.watching()
    view.put("a", 1, incarnation=1)
    for number in range(2, 1_001):
        view.put("a", number, incarnation=number)
    await watcher.hears(3)
    assert watcher.events() == [("JOIN", 102, 1), ("LEAVE", 2099, 1), ("JOIN", 2100, 1_000)]


async def test_a_snapshot_shows_what_watchers_know_and_events_go_on_from_there(
    view: View,
) -> None:
    view.put("a", 1)
    gone = view.put("b", 1)  # from here on changes wait
    view.remove(gone)
    view.put("a", 2)
    late = view.watching()
    snapshot = late.heard[0].snapshot
    assert texts(snapshot.present) == {actor("a").text}
    assert [one.epoch for one in snapshot.present] == [1]
    await late.hears(1)
    assert late.events() == [("UPDATE", 108, 2)]
    assert snapshot.version < 108
    again = view.watching("again").heard[0].snapshot
    assert (again.version, [one.epoch for one in again.present]) == (108, [2])


async def test_who_is_slow_is_told_the_newest_when_it_has_read(view: View) -> None:
    slow, quick = view.watching("slow"), view.watching("quick")
    view.put("a", 1)
    slow.is_slow = True
    for epoch in (2, 3, 4):
        view.put("a", epoch)
        await quick.hears(epoch)
    assert slow.events() == [("JOIN", 102, 1)]
    slow.is_slow = False
    view.watchers.catch_up(slow)  # type: ignore[arg-type]
    assert slow.events() == [("JOIN", 102, 1), ("UPDATE", 108, 4)]
    view.put("a", 5)
    await slow.hears(3)
    assert slow.events()[-1] == ("UPDATE", 110, 5)


async def test_who_is_slow_again_while_it_catches_up_hears_the_rest_later(view: View) -> None:
    slow, quick = view.watching("slow"), view.watching("quick")
    slow.is_slow = True
    for name in ("a", "b"):
        view.put(name, 1)
    await quick.hears(2)
    slow.is_slow = False
    send = slow.send

    def send_and_lag(data: bytes) -> bool:
        slow.is_slow = True
        return send(data)

    slow.send = send_and_lag  # type: ignore[method-assign]
    view.watchers.catch_up(slow)  # type: ignore[arg-type]
    assert [version for _, version, _ in slow.events()] == [102]
    view.put("c", 1)
    await quick.hears(3)
    slow.send = send  # type: ignore[method-assign]
    slow.is_slow = False
    view.watchers.catch_up(slow)  # type: ignore[arg-type]
    assert [version for _, version, _ in slow.events()] == [102, 104, 106]
    assert not view.watchers._crier._slow


async def test_who_leaves_while_it_is_slow_leaves_nothing_behind(view: View) -> None:
    slow = view.watching()
    slow.is_slow = True
    view.put("a", 1)
    view.watchers.forget(slow)  # type: ignore[arg-type]
    assert not view.watchers._crier._slow
    assert not view.watchers._watchers


async def test_a_snapshot_that_nothing_changes_is_written_once(view: View) -> None:
    view.put("a", 1)
    first = view.watching()
    body = view.watchers._snapshots["default", ""]
    view.watching("other")
    assert view.watchers._snapshots["default", ""] is body
    view.put("b", 1)
    await first.hears(1)  # at once, or with others: that depends on how long ago "a" was
    assert texts(view.watching("fourth").heard[0].snapshot.present) == {
        actor("a").text,
        actor("b").text,
    }


async def test_however_many_watch_others_have_their_turn_between(
    view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actr_signaling.hub.crier.TELLING", 0.0)
    crowd = [view.watching(f"w{number}") for number in range(50)]
    view.put("a", 1)
    told = [len(watcher.events()) for watcher in crowd]
    assert sum(told) == 1, "one turn told all of them"
    for watcher in crowd:
        await watcher.hears(1)
    assert [len(watcher.events()) for watcher in crowd] == [1] * 50


async def test_who_asks_while_a_change_is_told_hears_of_it_once(
    view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actr_signaling.hub.crier.TELLING", 0.0)
    crowd = [view.watching(f"w{number}") for number in range(5)]
    view.put("a", 1)
    view.watchers.watch(crowd[3], "", 2)  # type: ignore[arg-type]
    assert crowd[3].heard[-1].snapshot.version == 102
    view.put("b", 1)
    for watcher in crowd[:3]:
        await watcher.hears(2)
    await crowd[3].hears(1)
    assert [version for _, version, _ in crowd[3].events()] == [104]


async def test_who_asks_for_another_type_while_a_change_is_told_still_hears_of_it(
    view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actr_signaling.hub.crier.TELLING", 0.0)
    crowd = [view.watching(f"w{number}") for number in range(5)]
    view.put("a", 1)
    crowd[3].session.watches.add("acme:other")
    view.watchers.watch(crowd[3], "acme:other", 2)  # type: ignore[arg-type]
    await crowd[3].hears(1)
    assert crowd[3].events() == crowd[0].events()


async def test_what_changed_meanwhile_is_written_once_for_all_who_watch_everything(
    view: View,
) -> None:
    crowd = [view.watching(f"w{number}") for number in range(3)]
    text = view.watching("json")
    text.is_json = True
    for number in range(1 + crier.MAX_TOGETHER + 1):
        view.put(f"a{number}", 1)
    for watcher in (*crowd, text):
        await watcher.hears(crier.MAX_TOGETHER + 2)
    lone, together, last = crowd[0].bursts
    assert [len(one.messages) for one in crowd[0].bursts] == [1, crier.MAX_TOGETHER, 1]
    for watcher in crowd:
        assert all(map(operator.is_, watcher.bursts, (lone, together, last)))
        assert watcher.events() == text.events()
    assert together.frames == b"".join(
        frames.binary(message) for message in together.messages if isinstance(message, bytes)
    )


async def test_who_asks_for_a_type_while_several_are_told_hears_of_the_others(
    view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 1. The first change is told at once, the next two together.  2. One that is not told yet
    # asks for the type of the first of them: its snapshot shows that one, and the other comes.
    monkeypatch.setattr("actr_signaling.hub.crier.TELLING", 0.0)
    crowd = [view.watching(f"w{number}") for number in range(5)]
    view.put("a", 1)
    for watcher in crowd:
        await watcher.hears(1)
    view.put("b", 1)
    view.put("c", 1)
    await crowd[0].hears(3)
    last = crowd[-1]
    assert len(last.events()) == 1
    last.session.watches.add("acme:b")
    view.watchers.watch(last, "acme:b", 2)  # type: ignore[arg-type]
    await last.hears(2)
    assert [one.presence.presence.id.name for one in last.heard if one.HasField("presence")] == [
        "a",
        "c",
    ]


async def test_who_has_missed_much_catches_up_in_many_turns(
    view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, quick = view.watching("slow"), view.watching("quick")
    slow.is_slow = True
    for number in range(30):
        view.put(f"a{number}", 1)
    await quick.hears(30)
    steps = iter(range(1000))
    monkeypatch.setattr("actr_signaling.hub.crier.perf_counter", lambda: next(steps))
    slow.is_slow = False
    view.watchers.catch_up(slow)  # type: ignore[arg-type]
    assert len(slow.events()) < 30, "one turn told all of it"
    monkeypatch.undo()
    await slow.hears(30)
    assert not view.watchers._crier._missed


async def test_of_those_who_read_nothing_the_one_with_most_is_cut(
    view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actr_signaling.hub.crier.MAX_MISSED", 20)
    quick, slow = view.watching("quick"), view.watching("slow")
    slow.is_slow = True
    for number in range(21):
        view.put(f"a{number}", 1)
    await quick.hears(21)
    await slow.ends()
    assert not quick.is_cut


async def test_a_watcher_in_json_form_hears_the_same(view: View) -> None:
    watcher, other = Watcher("json"), view.watching()
    watcher.is_json = True
    watcher.session.watches.add("")
    view.put("a", 1, metadata={"k": "\u00e9"})
    view.watchers.watch(watcher, "", 1)  # type: ignore[arg-type]
    assert [one.metadata["k"] for one in watcher.heard[0].snapshot.present] == ["\u00e9"]
    view.put("b", 2)
    await other.hears(2)
    await watcher.hears(1)
    assert watcher.events() == other.events()[1:]
