"""What is told to who watches, and when: a view that has nothing new is none."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from itertools import count

import pytest

from actr.services.inspection_pb2 import LetterNumbers, WatchRequest
from actr_peer import System
from actr_peer.errors import CallError, Code
from actr_peer.node.observe import inspection as module
from actr_peer.node.observe.changes import REMEMBERED, Changes
from actr_peer.node.observe.inspection import MAX_OF_ONE, MAX_WATCHERS, InspectionHere
from actr_peer.node.observe.view import NodeView
from actr_peer.protocol.identity import ActrId
from actr_peer.protocol.payload import WireKind
from actr_peer.protocol.rpc.access.principals import Principal
from actr_peer.protocol.session.wires.policy import WireState
from actr_peer.state.mailbox.mailbox import Mailbox
from actr_peer.state.storage.database import StorageError
from lab.quiet import Quiet
from peer_kit.signaling import config

ANN = ActrId("acme", "ann", "1")
SOON = WatchRequest(interval_ms=1)
"""As soon as may be."""


class Asked:
    self_id = ActrId("acme", "room", "1")

    def __init__(self, caller: ActrId = ANN, fingerprint: str = "") -> None:
        self.caller = replace(Principal.unproven(caller), fingerprint=fingerprint)


class Looked:
    """A node that was not started, and how often it was looked at."""

    def __init__(self) -> None:
        self._node = System(config("room", "ws://127.0.0.1:9/v1/ws")).attach(Quiet())
        self.times = 0
        self.failures: dict[str, int] = {}
        self.again = asyncio.Event()

    def view(self) -> NodeView:
        self.times += 1
        if self.times >= 4:
            self.again.set()
        return replace(self._node.view(), failures=self.failures)


def here(looked: Looked, changes: Changes) -> InspectionHere:
    letters = Mailbox("").letters
    return InspectionHere("operate", view=looked.view, changes=changes, letters=letters)


async def test_a_view_comes_when_something_has_changed_and_not_before() -> None:
    looked, changes = Looked(), Changes()
    async with (
        asyncio.timeout(30),
        aclosing(here(looked, changes).watch(SOON, Asked())) as views,
    ):
        first = await anext(views)
        assert (first.id, list(first.changes)) == ("acme:room@1:default", [])
        assert first.allowed == "operate"
        second = asyncio.ensure_future(anext(views))
        await looked.again.wait()  # looked at again and again, and told nothing
        assert not second.done()
        looked.failures = {"link": 1}
        assert dict((await second).failures) == {"link": 1}


async def test_one_caller_takes_not_all_places_and_all_callers_not_more_than_there_are() -> None:
    inspection = here(Looked(), Changes())
    callers = [ActrId("acme", f"caller{n}", "1") for n in range(MAX_WATCHERS // MAX_OF_ONE)]
    async with asyncio.timeout(30), AsyncExitStack() as watching:

        async def watch(caller: ActrId) -> None:
            views = await watching.enter_async_context(
                aclosing(inspection.watch(SOON, Asked(caller)))
            )
            await anext(views)

        for caller in callers:
            for _ in range(MAX_OF_ONE):
                await watch(caller)
            with pytest.raises(CallError, match=f"{MAX_OF_ONE} times already"):
                await watch(caller)
        with pytest.raises(CallError, match=f"{MAX_WATCHERS} look at") as refused:
            await watch(ANN)
        assert refused.value.code is Code.RESOURCE_EXHAUSTED
    async with asyncio.timeout(30), aclosing(inspection.watch(SOON, Asked())) as views:
        await anext(views)  # all have gone


async def test_who_has_a_key_is_one_caller_by_all_its_ids() -> None:
    inspection = here(Looked(), Changes())
    ids = [ActrId("acme", "ann", "1"), ActrId("acme", "ann", "2")]
    async with asyncio.timeout(30), AsyncExitStack() as watching:
        for number in range(MAX_OF_ONE):
            asked = Asked(ids[number % 2], "its key")
            views = aclosing(inspection.watch(SOON, asked))
            await anext(await watching.enter_async_context(views))
        with pytest.raises(CallError, match=f"{MAX_OF_ONE} times already"):
            await anext(inspection.watch(SOON, asked))
        async with aclosing(inspection.watch(SOON, Asked(ids[0], "another key"))) as views_too:
            await anext(views_too)


async def test_a_change_of_a_wire_is_told_before_the_interval_is_over() -> None:
    looked, changes = Looked(), Changes()
    slow = WatchRequest(interval_ms=300_000)
    async with (
        asyncio.timeout(30),
        aclosing(here(looked, changes).watch(slow, Asked())) as views,
    ):
        await anext(views)
        second = asyncio.ensure_future(anext(views))
        await asyncio.sleep(0)
        changes.note(ANN, WireKind.WEBRTC, WireState.FAILED)
        (change,) = (await second).changes
        assert (change.remote, change.state) == (str(ANN), "failed")


async def waited(monkeypatch: pytest.MonkeyPatch, share: float, latest: float = 5.0) -> float:
    """For how long a change is waited for behind a view that took a second, and its pause."""
    waits: list[float] = []
    waits_now = asyncio.Event()
    seconds = count()

    class Waited(Changes):
        async def until(self, count: int, seconds: float) -> None:
            waits.append(seconds)
            waits_now.set()
            await asyncio.Event().wait()

    monkeypatch.setattr(module, "SOONEST", 0.0)
    monkeypatch.setattr(module, "LATEST", latest)
    monkeypatch.setattr(module, "SHARE", share)
    monkeypatch.setattr(module, "thread_time", lambda: float(next(seconds)))
    async with (
        asyncio.timeout(30),
        aclosing(here(Looked(), Waited()).watch(SOON, Asked())) as views,
    ):
        await anext(views)
        second = asyncio.ensure_future(anext(views))
        await waits_now.wait()
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
    (wait,) = waits
    return wait


async def test_a_watcher_that_asks_for_more_views_has_one_in_half_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert await waited(monkeypatch, 0) == 0.5


async def test_a_view_that_takes_long_is_followed_by_a_long_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever changes meanwhile: who watches has its share of the loop, and no more."""
    assert await waited(monkeypatch, 0.125) == 0.375
    assert await waited(monkeypatch, 0.125, latest=0.0625) == 0.4375


async def test_changes_that_are_forgotten_show_in_their_count() -> None:
    changes = Changes()
    async with (
        asyncio.timeout(30),
        aclosing(here(Looked(), changes).watch(SOON, Asked())) as views,
    ):
        assert (await anext(views)).change_count == 0
        for _ in range(REMEMBERED + 3):
            changes.note(ANN, WireKind.WEBRTC, WireState.FAILED)
        later = await anext(views)
    assert (len(later.changes), later.change_count) == (REMEMBERED, REMEMBERED + 3)


async def test_what_the_file_cannot_do_is_said_to_who_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service = here(Looked(), Changes())

    async def fail(*_: object, **__: object) -> None:
        raise StorageError("disk I/O error")

    monkeypatch.setattr(service._letters, "drop", fail)
    with pytest.raises(CallError, match="disk I/O error") as failed:
        await anext(service.drop_letters(LetterNumbers(numbers=[1]), Asked()))
    assert failed.value.code is Code.UNAVAILABLE
