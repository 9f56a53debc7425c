"""Durable calls at the caller: accepted, answered, found again, forgotten."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from actr_peer.errors import BusyError, CallError, ClosedError, Code, ConfigError
from actr_peer.protocol.payload import PayloadType
from actr_peer.state.outbox.call import DurableCall
from actr_peer.state.outbox.outbox import Outbox

pytestmark = pytest.mark.service


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "out.db")


ROOM = "acme:room@2:default"
GONE = "acme:gone@1:default"


def call(name: str, remote: str = ROOM, **more: Any) -> DurableCall:
    return DurableCall(
        call_key=f"key {name}",
        remote=remote,
        request_id=f"id {name}",
        payload_type=PayloadType.RPC_SIGNAL,
        route_key="demo.Chat.Say",
        **more,
    )


def encode(number: int, low: int, store_id: int) -> bytes:
    return f"{number} {low}".encode()


async def saved(outbox: Outbox) -> None:
    """Return when all that rides is committed."""
    outbox.state_file.flush()
    await outbox.state_file.ask(lambda connection: None)


async def test_a_call_is_numbered_committed_and_answered(path: str) -> None:
    async with Outbox(path) as outbox:
        first = await outbox.add(call("a"), encode)
        second = await outbox.add(call("b"), encode)
        assert (first.envelope, second.envelope, second.number) == (b"1 1", b"2 1", 2)
        waiting = asyncio.gather(outbox.result("key a"), outbox.result("key a"))
        await asyncio.sleep(0)
        assert outbox.resolve("id a", b"reply")
        assert list(await waiting) == [b"reply", b"reply"]
        assert not outbox.resolve("id a", b"again")
        assert not outbox.resolve("id of a call that is not durable", b"")
        await saved(outbox)
        assert await outbox.result("key a") == b"reply"


async def test_the_mark_rises_only_when_replies_are_saved_and_stops_at_the_first_open(
    path: str,
) -> None:
    async with Outbox(path) as outbox:
        for name in "abc":
            await outbox.add(call(name), encode)
        outbox.resolve("id b", b"")
        await saved(outbox)
        assert outbox.low_water(ROOM) == 1
        outbox.resolve("id a", b"")
        assert outbox.low_water(ROOM) == 1
        await saved(outbox)
        assert outbox.low_water(ROOM) == 3
        outbox.forget("key c")
        await saved(outbox)
        assert outbox.low_water(ROOM) == 4


async def test_open_calls_and_replies_are_found_after_a_start(path: str) -> None:
    async with Outbox(path) as outbox:
        for name in "abc":
            await outbox.add(call(name), encode)
        outbox.resolve("id b", b"reply to b")
        first = outbox.store_id
    async with Outbox(path) as outbox:
        assert outbox.store_id != first
        expected_a, expected_c = call("a"), call("c")
        expected_a.number, expected_a.envelope = 1, b"1 1"
        expected_c.number, expected_c.envelope = 3, b"3 1"
        assert outbox.open_calls() == [expected_a, expected_c]
        assert outbox.completed() == ["key b"]
        assert await outbox.result("key b") == b"reply to b"
        waiting = asyncio.ensure_future(outbox.result("key a"))
        await asyncio.sleep(0)
        outbox.resolve("id a", b"reply to a")
        assert await waiting == b"reply to a"
        for name in "ab":
            outbox.forget(f"key {name}")
        with pytest.raises(CallError) as caught:
            await outbox.result("key a")
        assert caught.value.code is Code.NOT_FOUND
    async with Outbox(path) as outbox:
        assert outbox.completed() == []
        assert [one.number for one in outbox.open_calls()] == [3]
        assert outbox.low_water(ROOM) == 4, "of this start's numbers"


async def test_a_number_is_never_used_twice_even_if_its_row_is_gone(path: str) -> None:
    async with Outbox(path) as outbox:
        await outbox.add(call("a"), encode)
        outbox.resolve("id a", b"")
        outbox.forget("key a")
    async with Outbox(path) as outbox:
        assert (outbox.low_water(ROOM), (await outbox.add(call("b"), encode)).number) == (2, 2)


async def test_a_key_names_one_call_at_a_time(path: str) -> None:
    async with Outbox(path) as outbox:
        await outbox.add(call("a"), encode)
        with pytest.raises(BusyError):
            await outbox.add(call("a"), encode)
        outbox.forget("key a")
        outbox.forget("key a")
        await outbox.add(call("a"), encode)


async def test_a_cancelled_call_is_taken_back(path: str) -> None:
    async with Outbox(path) as outbox:
        adding = asyncio.ensure_future(outbox.add(call("a"), encode))
        await asyncio.sleep(0)
        adding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await adding
        await saved(outbox)  # the row of the call
        await saved(outbox)  # and that it is gone
        assert outbox.low_water(ROOM) == 2
    async with Outbox(path) as outbox:
        assert outbox.open_calls() == []


async def test_a_call_that_is_cancelled_as_the_outbox_closes_is_taken_back(path: str) -> None:
    async with Outbox(path) as outbox:
        adding = asyncio.ensure_future(outbox.add(call("a"), encode))
        await asyncio.sleep(0)
        adding.cancel()
        await asyncio.wait([adding])
    async with Outbox(path) as outbox:
        assert outbox.open_calls() == []


async def test_more_calls_than_may_be_open_wait_for_room(path: str) -> None:
    async with Outbox(path, max_open=2) as outbox:
        await outbox.add(call("a"), encode)
        await outbox.add(call("b"), encode)
        third = asyncio.ensure_future(outbox.add(call("c"), encode))
        await saved(outbox)
        assert not third.done()
        outbox.resolve("id b", b"")
        assert (await third).number == 3


async def test_the_window_of_numbers_is_bounded_too(path: str) -> None:
    async with Outbox(path, max_window=3) as outbox:
        await outbox.add(call("oldest"), encode)
        await outbox.add(call("a"), encode)
        outbox.resolve("id a", b"")
        await saved(outbox)
        await outbox.add(call("b"), encode)
        outbox.resolve("id b", b"")
        late = asyncio.ensure_future(outbox.add(call("c"), encode))
        await saved(outbox)
        assert not late.done()
        outbox.resolve("id oldest", b"")
        await saved(outbox)
        assert (await late).number == 4


async def test_replies_that_nobody_takes_are_bounded_and_counted(path: str) -> None:
    async with Outbox(path, max_kept=1) as outbox:
        for name in "ab":
            await outbox.add(call(name), encode)
            outbox.resolve(f"id {name}", b"")
        assert (outbox.completed(), outbox.dropped) == (["key b"], 1)


async def test_a_call_that_finds_no_room_on_the_disk_is_not_accepted(path: str) -> None:
    def long(number: int, low: int, store_id: int) -> bytes:
        return bytes(300_000)

    async with Outbox(path, max_bytes=1_000_000) as outbox:
        calls = [call(str(n), f"acme:room@{n}:default") for n in range(10)]
        adding = [asyncio.ensure_future(outbox.add(one, long)) for one in calls]
        results = await asyncio.gather(*adding, return_exceptions=True)
        refused = [result for result in results if isinstance(result, CallError)]
        accepted = 10 - len(refused)
        assert {error.code for error in refused} == {Code.RESOURCE_EXHAUSTED}
        assert 0 < accepted == len(outbox.open_calls())
        for n in range(accepted):
            outbox.resolve(f"id {n}", bytes(100))
        await saved(outbox)
        assert {outbox.low_water(one.remote) for one in calls} == {11}
        await outbox.add(call("again"), long)


async def test_closing_ends_those_who_wait(path: str) -> None:
    async with Outbox(path) as outbox:
        await outbox.add(call("a"), encode)
        waiting = asyncio.ensure_future(outbox.result("key a"))
        await asyncio.sleep(0)
    with pytest.raises(ClosedError, match="goes on at the next start"):
        await waiting


async def test_forgetting_ends_those_who_wait(path: str) -> None:
    async with Outbox(path) as outbox:
        await outbox.add(call("a"), encode)
        waiting = asyncio.ensure_future(outbox.result("key a"))
        await asyncio.sleep(0)
        outbox.forget("key a")
        with pytest.raises(CallError) as caught:
            await waiting
        assert caught.value.code is Code.NOT_FOUND


async def test_a_file_that_is_no_outbox_is_a_configuration_error(tmp_path: Path) -> None:
    path = tmp_path / "out.db"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(ConfigError):
        async with Outbox(str(path)):
            pass


async def test_a_remote_that_never_answers_stops_no_call_to_another(path: str) -> None:
    async with Outbox(path, max_open=3, max_window=4) as outbox:
        for name in ("g1", "g2", "g3"):
            await outbox.add(call(name, GONE), encode)
        stuck = asyncio.ensure_future(outbox.add(call("g4", GONE), encode))
        for name in range(20):
            made = await outbox.add(call(f"r{name}"), encode)
            assert made.envelope == f"{made.number} {made.number}".encode(), "its own mark"
            outbox.resolve(f"id r{name}", b"")
            await saved(outbox)
        assert not stuck.done()
        assert (outbox.low_water(GONE), outbox.low_water(ROOM)) == (1, 24)
        outbox.forget("key g1")
        assert (await stuck).number == 24


async def test_each_start_numbers_under_an_id_of_its_own(path: str, tmp_path: Path) -> None:
    # 1. The file is copied; the actor goes on; the copy is put back, with its mark.
    # 2. The numbers are the same as before; under another id nobody takes them for the first.
    def told(number: int, low: int, store_id: int) -> bytes:
        return f"{store_id} {number} {low}".encode()

    async with Outbox(path) as outbox:
        old = (await outbox.add(call("old"), told)).envelope
    copies = [(path + suffix, str(tmp_path / f"copy{suffix}")) for suffix in ("", "-mark")]
    for original, copy in copies:
        shutil.copy(original, copy)
    seen: set[bytes] = set()
    for _ in range(2):
        async with Outbox(path) as outbox:
            assert [one.envelope for one in outbox.open_calls()] == [old]
            seen |= {(await outbox.add(call(f"{n}"), told)).envelope for n in range(100)}
            assert outbox.low_water(ROOM) == 2, "the call of the first run holds no mark back"
        for original, copy in copies:
            shutil.copy(copy, original)
    assert len(seen) == 200
    assert len({envelope.split()[0] for envelope in seen}) == 2


async def test_replies_that_nobody_can_ask_for_are_let_go_at_the_start(path: str) -> None:
    async with Outbox(path) as outbox:
        keyless = call("b")
        keyless.call_key = keyless.request_id
        for one in (call("a", is_tell=True), keyless, call("c")):
            await outbox.add(one, encode)
            outbox.resolve(one.request_id, b"reply")
    async with Outbox(path) as outbox:
        assert outbox.completed() == ["key c"]
        await saved(outbox)
    async with Outbox(path) as outbox:
        rows = await outbox.state_file.ask(
            lambda connection: connection.execute("SELECT number FROM actr_outbox").fetchall()
        )
        assert rows == [(3,)]


@pytest.mark.parametrize("is_copy", [False, True])
async def test_an_outbox_that_has_lost_calls_is_refused_until_the_operator_says_so(
    path: str, is_copy: bool
) -> None:
    async with Outbox(path) as outbox:
        await outbox.add(call("a"), encode)
    shutil.copy(path, path + ".copy")
    async with Outbox(path) as outbox:
        await outbox.add(call("b"), encode)
    shutil.move(path + ".copy", path) if is_copy else os.unlink(path)
    with pytest.raises(ConfigError, match=r"outbox file .*out\.db has lost"):
        async with Outbox(path):
            pass
    for _ in range(2):
        async with Outbox(path, after_loss="go-on") as outbox:
            assert len(outbox.open_calls()) == int(is_copy)
    async with Outbox(path) as outbox:
        assert (await outbox.add(call("c"), encode)).number == 1 + int(is_copy)


async def test_who_asks_a_closed_outbox_for_a_reply_is_told_that_it_is_closed(path: str) -> None:
    async with Outbox(path) as outbox:
        await outbox.add(call("open"), encode)
        await outbox.add(call("kept"), encode)
        assert outbox.resolve("id kept", b"reply")
        await saved(outbox)  # so that the reply is read from the file
    for key in ("key open", "key kept"):
        async with asyncio.timeout(60):
            with pytest.raises(ClosedError):
                await outbox.result(key)


async def test_a_state_file_that_is_closed_refuses_work_instead_of_dropping_it(path: str) -> None:
    async with Outbox(path) as outbox:
        pass
    async with asyncio.timeout(60):
        with pytest.raises(ClosedError):
            await outbox.state_file.ask(lambda connection: None)


def files(path: str) -> set[str]:
    return {each.name for each in Path(path).parent.glob(Path(path).name + "*")}


async def test_an_outbox_without_a_call_has_no_files(path: str) -> None:
    async with Outbox(path) as outbox:
        assert (outbox.open_calls(), outbox.completed(), files(path)) == ([], [], set())
    assert files(path) == set()


async def test_the_first_calls_make_the_file_and_keep_their_order(path: str) -> None:
    async with Outbox(path) as outbox:
        names = [f"c{number}" for number in range(20)]
        await asyncio.gather(*(outbox.add(call(name), encode) for name in names))
        assert {Path(path).name, f"{Path(path).name}-lock"} <= files(path)
        await outbox.add(call("last"), encode)
    async with Outbox(path) as again:
        found = [(one.number, one.call_key) for one in again.open_calls()]
    assert found == list(enumerate([f"key {name}" for name in (*names, "last")], start=1))


async def test_an_outbox_that_closes_as_its_file_comes_keeps_the_call(path: str) -> None:
    async with Outbox(path) as outbox:
        told: list[CallError | None] = []
        outbox.put(call("c1"), encode, told.append)
    assert told == [None]
    async with Outbox(path) as again:
        assert [one.call_key for one in again.open_calls()] == ["key c1"]


async def test_a_file_that_cannot_be_made_refuses_the_call_and_the_next_one_tries_again(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "later"
    async with Outbox(str(folder / "outbox.db")) as outbox:
        with pytest.raises(CallError, match=r"later does not exist") as refused:
            await outbox.add(call("c1"), encode)
        assert (refused.value.code, refused.value.retryable) == (Code.UNAVAILABLE, True)
        folder.mkdir()
        await outbox.add(call("c1"), encode)
        assert [one.call_key for one in outbox.open_calls()] == ["key c1"]


async def test_a_file_that_another_process_has_by_then_refuses_the_call(path: str) -> None:
    async with Outbox(path) as outbox, Outbox(path, owner="acme:room@1:default") as other:
        await other.add(call("c1"), encode)
        with pytest.raises(CallError, match=r"in use by acme:room@1:default"):
            await outbox.add(call("c2"), encode)


async def test_a_file_that_came_meanwhile_is_not_written_over(path: str) -> None:
    async with Outbox(path) as outbox:
        async with Outbox(path) as other:
            await other.add(call("c1"), encode)
        with pytest.raises(CallError, match=r"came while its actor ran"):
            await outbox.add(call("c2"), encode)
    async with Outbox(path) as again:
        assert [one.call_key for one in again.open_calls()] == ["key c1"]


async def test_a_disk_without_room_for_the_file_is_told_as_that(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> None:
        raise ConfigError("no room") from OSError(errno.ENOSPC, "no room")

    async with Outbox(path) as outbox:
        with monkeypatch.context() as patch:
            patch.setattr(outbox._store, "open", full)
            with pytest.raises(CallError, match="no room") as refused:
                await outbox.add(call("c1"), encode)
        assert (refused.value.code, refused.value.retryable) == (Code.RESOURCE_EXHAUSTED, True)
        await outbox.add(call("c1"), encode)


async def test_a_bug_in_opening_the_file_refuses_the_call(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Outbox(path) as outbox:
        monkeypatch.setattr(outbox._store, "open", lambda: {}["bug"])
        with pytest.raises(CallError, match="bug"):
            await outbox.add(call("c1"), encode)
        monkeypatch.undo()
        await outbox.add(call("c1"), encode)
