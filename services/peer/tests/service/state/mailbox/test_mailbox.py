"""The mailbox over a real SQLite file: stored, delivered, remembered, recovered."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from actr_peer.errors import BusyError, Code, ConfigError
from actr_peer.protocol.mailbox.requests import STORED, Pressure, Put, Refused, Repeated, Request
from actr_peer.protocol.rpc.envelopes import decode_envelope
from actr_peer.state.mailbox.mailbox import Mailbox
from actr_peer.state.storage.operations import Operation
from peer_kit.state.requests import ROOM, Deliveries, put, request, settled

pytestmark = pytest.mark.service

QUIET = Repeated(None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "box.db"


@pytest.fixture
def no_database(path: Path) -> None:
    path.write_bytes(b"not a database at all" * 500)


@pytest.mark.parametrize("durability", ["power", "process", "memory"])
async def test_a_request_is_acknowledged_and_delivered_once(path: Path, durability: str) -> None:
    async with Mailbox(path, durability=durability) as mailbox:  # type: ignore[arg-type]
        deliveries = Deliveries(mailbox)
        assert await put(mailbox, request("a")) == STORED
        (item,) = await deliveries.wait_for(1)
        assert (item.request_id, item.sequence, mailbox.depth) == ("a", 1, 1)
        mailbox.complete(item, b"reply")
        assert mailbox.depth == 0
        assert await put(mailbox, request("a")) == Repeated(b"reply")
        await settled(mailbox)
        assert await put(mailbox, request("a")) == Repeated(b"reply")
        assert deliveries.names == ["a"]


async def test_a_reply_is_read_back_once_for_all_repeats_that_wait_for_it(path: Path) -> None:
    async with Mailbox(path) as mailbox:
        deliveries = Deliveries(mailbox)
        put(mailbox, request("a"))
        (item,) = await deliveries.wait_for(1)
        mailbox.complete(item, bytes(1 << 20))
        await settled(mailbox)
        async with asyncio.timeout(60):
            answers = await asyncio.gather(*(put(mailbox, request("a")) for _ in range(100)))
        replies = {id(answer.reply) for answer in answers if isinstance(answer, Repeated)}
        assert len(replies) == 1
        assert answers == [Repeated(bytes(1 << 20))] * 100
        assert await put(mailbox, request("a")) == Repeated(bytes(1 << 20))


async def test_what_arrives_in_one_turn_of_the_loop_shares_few_commits(path: Path) -> None:
    async with Mailbox(path) as mailbox:
        results = await asyncio.gather(*(put(mailbox, request(str(n))) for n in range(500)))
        assert results == [STORED] * 500
        assert mailbox.counts.commits < 20


async def test_order_of_delivery_is_order_of_arrival(path: Path) -> None:
    async with Mailbox(path) as mailbox:
        deliveries = Deliveries(mailbox)
        for n in range(1000):
            put(mailbox, request(str(n)))
        assert [item.request_id for item in await deliveries.wait_for(1000)] == [
            str(n) for n in range(1000)
        ]


async def test_the_acknowledged_survives_a_start_and_keeps_its_order(path: Path) -> None:
    async with Mailbox(path) as mailbox:
        await asyncio.gather(
            *(put(mailbox, request(str(n), signal=n % 3 == 0, tell=n % 2 == 0)) for n in range(9))
        )
    async with Mailbox(path) as mailbox:
        found = await Deliveries(mailbox).wait_for(9)
        assert [item.request_id for item in found] == [str(n) for n in range(9)]
        expected = request("3", signal=True)
        expected.sequence = 4
        assert found[3] == expected
        assert mailbox.counts.recovered == mailbox.depth == 9
        assert await put(mailbox, request("3", signal=True)) == QUIET


async def test_replies_survive_a_start(path: Path) -> None:
    async with Mailbox(path) as mailbox:
        deliveries = Deliveries(mailbox)
        put(mailbox, request("call"))
        put(mailbox, request("tell", tell=True))
        call, tell = await deliveries.wait_for(2)
        mailbox.complete(call, b"reply")
        mailbox.complete(tell, None)
    async with Mailbox(path) as mailbox:
        deliveries = Deliveries(mailbox)
        assert await put(mailbox, request("call")) == Repeated(b"reply")
        assert await put(mailbox, request("tell", tell=True)) == QUIET
        assert await put(mailbox, request("call", sender="acme:other@1:default")) == STORED
        assert len(await deliveries.wait_for(1)) == 1


async def test_a_repeat_is_not_acknowledged_before_the_first_is_safe(path: Path) -> None:
    async with Mailbox(path) as mailbox:
        order: list[Put] = []
        mailbox.put(request("a"), order.append)
        mailbox.put(request("a"), order.append)
        mailbox.put(request("a"), order.append)
        assert order == []
        await settled(mailbox)
        assert order == [STORED, QUIET, QUIET]
        assert await put(mailbox, request("a")) == QUIET


async def test_a_completion_is_saved_soon_though_nothing_else_is_written(path: Path) -> None:
    async with Mailbox(path) as mailbox:
        deliveries = Deliveries(mailbox)
        put(mailbox, request("a"))
        (item,) = await deliveries.wait_for(1)
        committed = asyncio.Event()
        note = mailbox.state_file._committed

        def tell(batch: list[Operation]) -> None:
            note(batch)
            committed.set()

        mailbox.state_file._committed = tell
        mailbox.complete(item, b"reply")
        async with asyncio.timeout(60):
            await committed.wait()


async def test_a_full_mailbox_pushes_the_sender_back_and_loses_nothing(path: Path) -> None:
    pressures: list[Pressure] = []
    async with Mailbox(path, capacity=10, on_pressure=pressures.append) as mailbox:
        deliveries = Deliveries(mailbox)
        answers = [put(mailbox, request(str(n))) for n in range(12)]
        urgent = put(mailbox, request("urgent", signal=True))
        await deliveries.wait_for(10)
        assert urgent.result() == STORED
        assert [answer.done() for answer in answers] == [True] * 9 + [False] * 3
        assert (mailbox.waiting, pressures) == (3, [Pressure.FULL])
        for n, item in enumerate(list(deliveries.requests)):
            mailbox.complete(item, b"")
            await deliveries.wait_for(min(13, 10 + n))
        assert await asyncio.gather(*answers) == [STORED] * 12
        assert pressures == [Pressure.FULL, Pressure.EASED]
        assert sorted(deliveries.names) == sorted([*map(str, range(12)), "urgent"])


async def test_bytes_are_bounded_as_messages_are(path: Path) -> None:
    async with Mailbox(path, max_bytes=4_000_000) as mailbox:
        answers = [put(mailbox, request(str(n), size=200_000)) for n in range(8)]
        await settled(mailbox)
        assert 0 < mailbox.waiting == sum(not answer.done() for answer in answers)


async def test_a_repeat_of_one_that_waits_for_room_attaches_to_it(path: Path) -> None:
    async with Mailbox(path, capacity=2) as mailbox:
        deliveries = Deliveries(mailbox)
        answers = [put(mailbox, request(name)) for name in ("a", "b", "c", "c")]
        (first, _) = await deliveries.wait_for(2)
        assert not answers[3].done()
        mailbox.complete(first, b"")
        assert await answers[2] == STORED
        assert await answers[3] == QUIET


async def test_when_as_many_wait_as_may_the_next_is_refused(path: Path) -> None:
    async with Mailbox(path, capacity=1) as mailbox:
        answers = [put(mailbox, request(name)) for name in ("in", "waits", "refused")]
        await settled(mailbox)
        refused = await answers[2]
        assert isinstance(refused, Refused)
        assert (refused.code, refused.retry_after > 0) == (Code.RESOURCE_EXHAUSTED, True)


async def test_a_call_cancelled_before_it_is_stored_is_never_delivered(path: Path) -> None:
    async with Mailbox(path, capacity=1) as mailbox:
        deliveries = Deliveries(mailbox)
        writing, waiting = put(mailbox, request("writing")), put(mailbox, request("waiting"))
        assert mailbox.cancel(ROOM, "writing") is None
        assert mailbox.cancel(ROOM, "waiting") is None
        assert mailbox.cancel(ROOM, "unknown") is None
        assert await writing == STORED
        assert await waiting == QUIET
        put(mailbox, request("last"))
        (item,) = await deliveries.wait_for(1)
        assert deliveries.names == ["last"]
        assert mailbox.cancel(ROOM, "last") is item


async def test_durable_calls_are_remembered_until_the_callers_mark_passes_them(
    path: Path,
) -> None:
    def call(number: int, low: int = 0) -> Request:
        return request(f"d{number}", call_number=number, low_water=low, store_id=2**64 - 5)

    async with Mailbox(path, remember=0) as mailbox:
        deliveries = Deliveries(mailbox)
        for number in (1, 2, 3):
            put(mailbox, call(number))
        for item in await deliveries.wait_for(3):
            mailbox.complete(item, item.request_id.encode())
        await settled(mailbox)
    async with Mailbox(path, remember=0) as mailbox:
        deliveries = Deliveries(mailbox)
        assert await put(mailbox, call(2)) == Repeated(b"d2")
        assert await put(mailbox, call(4, low=3)) == STORED
        assert await put(mailbox, call(3)) == Repeated(b"d3")
        assert is_lost(await put(mailbox, call(2)))  # finished at the caller: it does not run
        mailbox.complete((await deliveries.wait_for(1))[0], b"d4")
    async with Mailbox(path, remember=0) as mailbox:
        deliveries = Deliveries(mailbox)
        assert is_lost(await put(mailbox, call(1)))
        assert await put(mailbox, call(4)) == Repeated(b"d4")
        assert deliveries.names == []
    with closing(sqlite3.connect(path)) as connection, connection:
        kept = connection.execute("SELECT call_number FROM actr_inbox").fetchall()
    connection.close()
    assert kept == [(3,), (4,)]


def answer_all(mailbox: Mailbox) -> None:
    def sink(items: list[Request]) -> None:
        for item in items:
            mailbox.complete(item, b"reply")

    mailbox.attach(sink)


def is_lost(answer: Put) -> bool:
    """Whether the caller hears that its call was finished before, and its reply is forgotten."""
    assert isinstance(answer, Repeated)
    error = decode_envelope(answer.reply or b"").error
    return error is not None and (error.code, error.retryable) == (Code.DATA_LOSS, False)


async def test_callers_that_are_gone_shut_nobody_out(path: Path) -> None:
    # 1. Callers each make one durable call, get the reply, and never come back.
    # 2. Within their time a further one is refused; after it, the longest silent is forgotten.
    # 3. Should that one come back, its call does not run again, and it is told so.
    # 4. A start forgets neither.
    def call(caller: int, number: int = 1) -> Request:
        sender = f"acme:peer@{caller}:default"
        return request(f"{caller}", sender=sender, call_number=number, low_water=1, store_id=caller)

    now = 0.0
    async with Mailbox(path, remember=10, max_remembered=4) as mailbox:
        mailbox._now = mailbox._duplicates._now = lambda: now
        answer_all(mailbox)
        for caller in (1, 2, 3, 4):
            assert await put(mailbox, call(caller)) == STORED
        assert isinstance(await put(mailbox, call(5)), Refused)
        now = 9.0
        assert await put(mailbox, call(1)) == Repeated(b"reply")
        now = 10.0
        assert await put(mailbox, call(5)) == STORED
        assert await put(mailbox, call(1)) == Repeated(b"reply")
        assert is_lost(await put(mailbox, call(2)))
    async with Mailbox(path, remember=10, max_remembered=4) as mailbox:
        assert is_lost(await put(mailbox, call(2)))
        assert await put(mailbox, call(1)) == Repeated(b"reply")


async def test_a_caller_of_many_calls_makes_nobody_elses_run_twice(path: Path) -> None:
    async with Mailbox(path, max_remembered=64) as mailbox:
        answer_all(mailbox)
        honest = request("honest", sender="acme:other@1:default")
        assert await put(mailbox, honest) == STORED
        for turn in range(8):
            await asyncio.gather(*(put(mailbox, request(f"{turn}/{n}")) for n in range(50)))
        assert await put(mailbox, honest) == Repeated(b"reply")
        assert await put(mailbox, request("0/0")) == STORED, "it has pushed out its own"


async def test_time_in_which_nothing_was_written_counts_as_silence(path: Path) -> None:
    async with Mailbox(path, remember=10, max_remembered=1) as mailbox:
        answer_all(mailbox)
        assert await put(mailbox, request("a", call_number=1, store_id=1)) == STORED
    late = request("b", sender="acme:other@1:default", call_number=1, store_id=2)
    async with Mailbox(path, remember=10, max_remembered=1) as mailbox:
        assert isinstance(await put(mailbox, late), Refused)
    os.utime(path, (0, 0))
    async with Mailbox(path, remember=10, max_remembered=1) as mailbox:
        assert await put(mailbox, late) == STORED


async def test_more_durable_calls_than_may_be_remembered_are_refused(path: Path) -> None:
    async with Mailbox(path, max_remembered=2) as mailbox:
        deliveries = Deliveries(mailbox)
        put(mailbox, request("o", sender="acme:other@1:default", call_number=1, store_id=1))
        mailbox.complete((await deliveries.wait_for(1))[0], b"x")
        deliveries = Deliveries(mailbox)
        put(mailbox, request("d1", call_number=1, store_id=1))
        mailbox.complete((await deliveries.wait_for(1))[0], b"x")
        answer = await put(mailbox, request("d2", call_number=2, store_id=1))
        assert isinstance(answer, Refused)
        assert await put(mailbox, request("d2", call_number=2, low_water=2, store_id=1)) == STORED


async def test_the_file_stays_small_over_many_calls(path: Path) -> None:
    async with Mailbox(path, max_remembered=100) as mailbox:
        before = os.stat(path).st_size

        def finish(items: list[Request]) -> None:
            for item in items:
                mailbox.complete(item, b"reply" * 20)

        mailbox.attach(finish)
        for turn in range(40):
            await asyncio.gather(
                *(put(mailbox, request(f"{turn}/{n}", size=200)) for n in range(250))
            )
        await settled(mailbox)
        kept = await mailbox.state_file.ask(
            lambda connection: connection.execute("SELECT count(*) FROM actr_inbox").fetchone()[0]
        )
    assert kept < 1000
    assert os.stat(path).st_size <= before + 1_000_000


async def test_one_file_serves_one_process(path: Path) -> None:
    async with Mailbox(path):
        with pytest.raises(BusyError):
            async with Mailbox(path):
                pass
    async with Mailbox(path):
        pass


async def test_a_file_that_is_no_mailbox_is_a_configuration_error(
    path: Path, no_database: None
) -> None:
    with pytest.raises(ConfigError, match=r"box\.db"):
        async with Mailbox(path):
            pass


async def test_a_file_of_another_version_is_a_configuration_error(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(ConfigError, match="version 99"):
        async with Mailbox(path):
            pass


async def test_a_folder_that_does_not_exist_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        async with Mailbox(tmp_path / "nowhere" / "box.db"):
            pass


async def test_only_the_own_user_may_read_the_files(path: Path) -> None:
    async with Mailbox(path) as mailbox:
        await put(mailbox, request("a"))
        modes = {
            name: os.stat(path.parent / name).st_mode & 0o777 for name in os.listdir(path.parent)
        }
    assert set(modes.values()) == {0o600}, modes


async def test_memory_keeps_no_file_and_nothing_survives(tmp_path: Path) -> None:
    async with Mailbox(tmp_path / "box.db", durability="memory") as mailbox:
        await put(mailbox, request("a"))
    assert os.listdir(tmp_path) == []


async def test_a_file_that_breaks_ends_the_block_and_can_be_opened_again(path: Path) -> None:
    def fail(batch: list[Operation]) -> None:
        raise sqlite3.DatabaseError("database disk image is malformed")

    with pytest.RaisesGroup(pytest.RaisesExc(sqlite3.DatabaseError, match="malformed")):
        async with Mailbox(path) as mailbox:
            mailbox._store.apply = fail  # type: ignore[method-assign]
            await put(mailbox, request("a"))
    async with Mailbox(path) as mailbox:
        assert await put(mailbox, request("a")) == STORED


async def test_a_callback_that_fails_does_not_keep_others_from_theirs(path: Path) -> None:
    reports: list[str] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda loop, context: reports.append(str(context["exception"]))
    )

    def fail(result: Put) -> None:
        raise RuntimeError("a bug of the caller")

    async with Mailbox(path) as mailbox:
        deliveries = Deliveries(mailbox)
        mailbox.put(request("a"), fail)
        assert await put(mailbox, request("b")) == STORED
        await deliveries.wait_for(2)
    assert reports == ["a bug of the caller"]
