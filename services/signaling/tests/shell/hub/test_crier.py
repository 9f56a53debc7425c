"""Who was slow, or asks while something is told, knows in the end who is there, and no others."""

from __future__ import annotations

import asyncio

import pytest

from actr import signaling_pb2 as pb
from actr_signaling.hub import crier
from actr_signaling.protocol.presence.records import Entry, Load, Registration
from signaling_kit.client import PATIENCE, actor
from signaling_kit.watching import View, Watcher


def entry(name: str) -> Entry:
    return Entry(
        registration=Registration(id=actor(name)), load=Load(), epoch=5, session="x", replica="r"
    )


def believed(watcher: Watcher) -> set[str]:
    """Who is there, for one that takes what it hears as the protocol says."""
    there: dict[str, str] = {}
    versions: dict[str, int] = {}
    for message in watcher.heard:
        if message.HasField("snapshot"):
            shown = message.snapshot
            there = {name: of for name, of in there.items() if shown.actr_type not in ("", of)}
            there |= {one.id.name: _type(one) for one in shown.present}
            versions[shown.actr_type] = shown.version
        elif message.HasField("presence"):
            told = message.presence
            actr_type = _type(told.presence)
            for known in {"", actr_type} & versions.keys():
                assert told.version > versions[known], "an event that the snapshot has told"
            if told.kind == pb.PresenceEvent.LEAVE:
                there.pop(told.presence.id.name, None)
            else:
                there[told.presence.id.name] = actr_type
    return set(there)


def _type(presence: pb.Presence) -> str:
    return f"{presence.id.manufacturer}:{presence.id.name}"


def online(view: View) -> set[str]:
    return {one.registration.id.name for one in view.presence}


def subscribe(view: View, watcher: Watcher, actr_type: str = "") -> None:
    watcher.session.watches.add(actr_type)
    view.watchers.watch(watcher, actr_type, 2)  # type: ignore[arg-type]


def reads_again(view: View, watcher: Watcher) -> None:
    watcher.is_slow = False
    view.watchers.catch_up(watcher)  # type: ignore[arg-type]


async def next_turn() -> None:
    await asyncio.sleep(0)


async def all_is_told(view: View) -> None:
    made = view.watchers._crier
    async with asyncio.timeout(PATIENCE):
        while made.pending or made._left or made._recovering:
            await next_turn()


@pytest.mark.parametrize("actr_type", ["", "acme:a1"], ids=["all", "one type"])
async def test_what_a_snapshot_shows_is_not_told_again_to_who_was_slow(
    view: View, monkeypatch: pytest.MonkeyPatch, actr_type: str
) -> None:
    # 1. It is slow, and misses who joins.  2. It reads again, and subscribes before it is told.
    # 3. It is slow again, for the snapshot is long; who joined leaves.
    watcher = view.watching()
    watcher.is_slow = True
    joined = [view.put(f"a{number}", 1) for number in range(3)]
    await all_is_told(view)
    monkeypatch.setattr(crier, "TELLING", 0.0)
    reads_again(view, watcher)
    subscribe(view, watcher, actr_type)
    monkeypatch.undo()
    watcher.is_slow = True
    await all_is_told(view)
    for one in joined:
        view.remove(one)
    await all_is_told(view)
    reads_again(view, watcher)
    await all_is_told(view)
    assert believed(watcher) == online(view) == set()
    assert view.watchers._crier._missed == 0


async def test_what_is_of_one_version_and_told_in_pieces_is_missed_by_nobody(
    view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One watcher is told in each turn, so that others come between any two pieces.
    watchers = [view.watching(f"w{number}") for number in range(3)]
    first = view.put("first", 1)
    monkeypatch.setattr(crier, "TELLING", 0.0)
    view.reset([first, *(entry(f"n{number:03}") for number in range(3 * crier.MAX_TOGETHER))])
    made = view.watchers._crier
    pieces = set()
    async with asyncio.timeout(PATIENCE):
        while made.pending or made._left:
            watchers.append(view.watching(f"w{len(watchers)}"))
            pieces.add(made.pieces)
            await next_turn()
    assert len(pieces) > 2
    assert {frozenset(believed(one)) for one in watchers} == {frozenset(online(view))}


async def test_who_is_cut_for_what_it_has_missed_leaves_nothing_behind(
    view: View, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crier, "MAX_MISSED", 10)
    slow, quick = view.watching("slow"), view.watching("quick")

    def end(*_: object) -> None:
        assert not slow.is_cut
        slow.is_cut = True
        slow.session.close()
        view.watchers.forget(slow)  # type: ignore[arg-type]

    monkeypatch.setattr(slow, "end", end)
    slow.is_slow = True
    for number in range(crier.MAX_TOGETHER):
        view.put(f"a{number}", 1)
    await quick.hears(crier.MAX_TOGETHER)
    await all_is_told(view)
    assert slow.is_cut
    assert (view.watchers._crier._slow, view.watchers._crier._missed) == ({}, 0)
