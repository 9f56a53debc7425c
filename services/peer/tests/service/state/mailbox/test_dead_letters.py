"""Dead letters: found, shown, replayed, dropped, bounded."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from actr_peer.actor.scheduler import Outcome, Turn
from actr_peer.errors import Code, ConfigError
from actr_peer.protocol.mailbox.requests import STORED, Refused, Repeated, Request, State
from actr_peer.protocol.payload import PayloadType
from actr_peer.state.mailbox.dead_letters import Filter
from actr_peer.state.mailbox.inspection import look, show
from actr_peer.state.mailbox.mailbox import Mailbox
from actr_peer.state.mailbox.store import MailboxStore
from actr_peer.state.mailbox.tables import MIGRATIONS, SCHEMA, VERSION
from actr_peer.state.storage.database import no_room
from actr_peer.state.storage.operations import Operation
from peer_kit.state.requests import ROOM, Actor, Deliveries, put, request, settled

pytestmark = pytest.mark.service


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "box.db"


@pytest.fixture
async def mailbox(path: Path) -> AsyncIterator[Mailbox]:
    async with Mailbox(path) as box:
        yield box


async def bury(mailbox: Mailbox, *names: str, reason: str = "hopeless") -> None:
    """Store requests and give them up, the reply being ``sorry``."""
    deliveries = Deliveries(mailbox)
    for name in names:
        put(mailbox, request(name, route=f"demo.Chat.{name.title()}"))
    for item in await deliveries.wait_for(len(names)):
        mailbox.bury(item, reason, b"sorry")
    await settled(mailbox)


async def test_a_buried_request_is_a_letter_and_its_repeat_gets_the_error(
    mailbox: Mailbox,
) -> None:
    await bury(mailbox, "a")
    (letter,) = await mailbox.letters.find()
    assert (letter.sender, letter.request_id, letter.route_key) == (ROOM, "a", "demo.Chat.A")
    assert (letter.size, letter.reason, letter.envelope) == (10, "hopeless", None)
    assert letter.payload_type is PayloadType.RPC_RELIABLE
    assert letter.died_at > 1e9
    shown = await mailbox.letters.show(letter.sequence)
    assert shown is not None
    assert shown.envelope == b"a........."
    assert await mailbox.letters.show(999) is None
    assert await put(mailbox, request("a")) == Repeated(b"sorry")
    assert (len(mailbox.letters), mailbox.letters.buried, mailbox.depth) == (1, 1, 0)


async def test_letters_and_their_bounds_survive_a_start(path: Path) -> None:
    async with Mailbox(path) as mailbox:
        await bury(mailbox, "a", "b")
        size = mailbox.letters.size
    async with Mailbox(path) as mailbox:
        assert (len(mailbox.letters), mailbox.letters.size) == (2, size)
        assert await put(mailbox, request("a")) == Repeated(b"sorry")


@pytest.mark.parametrize(
    ("which", "names"),
    [
        pytest.param(Filter(), ["a", "b", "c"], id="all, oldest first"),
        pytest.param(Filter(route="Chat.B"), ["b"], id="by part of the route"),
        pytest.param(Filter(sender="room@2"), ["a", "b", "c"], id="by part of the sender"),
        pytest.param(Filter(sender="nobody"), [], id="by a sender nobody has"),
        pytest.param(Filter(reason="hope", request_id="c"), ["c"], id="by reason and id"),
        pytest.param(Filter(limit=2), ["a", "b"], id="at most two"),
        pytest.param(Filter(sequences=(3, 1, 77)), ["a", "c"], id="by number"),
    ],
)
async def test_letters_are_found_by_what_is_asked(
    mailbox: Mailbox, which: Filter, names: list[str]
) -> None:
    await bury(mailbox, "a", "b", "c")
    assert [letter.request_id for letter in await mailbox.letters.find(which)] == names


async def test_a_replayed_letter_runs_again_under_its_id(mailbox: Mailbox) -> None:
    await bury(mailbox, "a", "b")
    works: list[str] = []

    async def handle(item: Request, turn: Turn) -> Outcome:
        works.append(item.request_id)
        return Outcome(b"worked at last")

    actor = Actor(mailbox, handle)
    async with actor.scheduler:
        first, second = await mailbox.letters.find()
        assert await mailbox.letters.replay([second.sequence, 999]) == [second.sequence]
        assert await actor.reply_to("b") == b"worked at last"
        await settled(mailbox)
        assert await put(mailbox, request("b")) == Repeated(b"worked at last")
        assert [letter.sequence for letter in await mailbox.letters.find()] == [first.sequence]
        assert len(mailbox.letters) == 1


async def test_a_replayed_letter_is_as_durable_as_any_request(path: Path) -> None:
    async with Mailbox(path) as mailbox:
        await bury(mailbox, "a")
        assert await mailbox.letters.replay([1]) == [1]
        assert mailbox.depth == 1
    async with Mailbox(path) as mailbox:
        (item,) = await Deliveries(mailbox).wait_for(1)
        assert (item.request_id, item.attempts, item.sequence) == ("a", 0, 2)
        assert await put(mailbox, request("a")) == Repeated(None)


async def test_a_letter_whose_request_lives_again_stays(path: Path) -> None:
    async with Mailbox(path, max_remembered=1) as mailbox:
        await bury(mailbox, "a")
        await bury(mailbox, "b")  # the memory of the first ends here
        assert await put(mailbox, request("a")) == STORED
        assert await mailbox.letters.replay([1]) == []
        assert len(await mailbox.letters.find()) == 2


async def test_an_envelope_that_cannot_be_decoded_is_kept_but_not_replayed(
    mailbox: Mailbox,
) -> None:
    broken = request("", tell=True, route="", size=30)
    mailbox.bury(broken, "no envelope: wrong wire type")
    (letter,) = await mailbox.letters.find()
    assert (letter.request_id, letter.is_tell) == ("", True)
    assert await mailbox.letters.replay([letter.sequence]) == []
    assert await mailbox.letters.drop([letter.sequence, 77]) == [letter.sequence]
    assert await mailbox.letters.find() == []
    assert (len(mailbox.letters), mailbox.letters.size) == (0, 0)


async def test_the_oldest_letters_are_dropped_for_new_ones_and_counted(path: Path) -> None:
    async with Mailbox(path, max_bytes=4_000_000) as mailbox:  # 5 %: 200 000 bytes
        for n in range(5):
            mailbox.bury(request(f"u{n}", size=60_000), "unknown method")
        letters = await mailbox.letters.find()
        assert [letter.request_id for letter in letters] == ["u2", "u3", "u4"]
        assert mailbox.letters.dropped == 2
        mailbox.bury(request("too long", size=300_000), "unknown method")
        assert await mailbox.letters.find() == letters, "it is not kept, and costs no other"
        assert mailbox.letters.dropped == 3


async def test_a_full_mailbox_takes_no_replay(path: Path) -> None:
    async with Mailbox(path, capacity=1) as mailbox:
        await bury(mailbox, "a")
        assert await put(mailbox, request("b")) == STORED
        assert await mailbox.letters.replay([1]) == []
        assert len(await mailbox.letters.find()) == 1


def stranger(name: str, sender: str = "acme:odd@1:default", size: int = 10) -> Request:
    item = request(name, sender=sender, size=size)
    item.dead = "no such method"
    return item


async def test_what_can_never_run_is_acknowledged_after_the_commit(path: Path) -> None:
    async with Mailbox(path) as mailbox:
        told = put(mailbox, stranger("a"))
        assert (mailbox.depth, told.done()) == (1, False)
        assert await told == STORED
        assert mailbox.depth == 0
    with closing(sqlite3.connect(path)) as connection, connection:
        rows = connection.execute("SELECT request_id, reason FROM actr_dead").fetchall()
    connection.close()
    assert rows == [("a", "no such method")]


async def test_what_can_never_run_waits_for_room_as_all_do(path: Path) -> None:
    async with Mailbox(path, capacity=1) as mailbox:
        deliveries = Deliveries(mailbox)
        assert await put(mailbox, request("inside")) == STORED
        told = put(mailbox, stranger("waits"))
        await settled(mailbox)
        assert (mailbox.waiting, told.done()) == (1, False)
        mailbox.complete(deliveries.requests[0], b"reply")
        assert await told == STORED
        assert [letter.request_id for letter in await mailbox.letters.find()] == ["waits"]


async def test_a_disk_without_room_refuses_what_can_never_run(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(batch: list[Operation]) -> None:
        for operation in batch:
            operation.error = no_room()

    monkeypatch.setattr(mailbox._store, "apply", refuse)
    monkeypatch.setattr(mailbox._store, "apply_now", lambda batch: False)
    answer = await put(mailbox, stranger("a"))
    assert isinstance(answer, Refused)
    assert answer.code is Code.RESOURCE_EXHAUSTED
    assert (len(mailbox.letters), mailbox.depth) == (0, 0)


async def test_no_sender_pushes_out_what_the_actor_had_accepted(path: Path) -> None:
    # 1. A letter of the actor's own, and one of a sender that sends something strange once.
    # 2. Another sends more than all letters may take.
    # 3. Both are still there, and a start knows which is which.
    async with Mailbox(path, max_bytes=4_000_000) as mailbox:  # 5 %: 200 000 bytes
        mailbox.bury(request("own", size=100_000), "failed")
        assert await put(mailbox, stranger("other", "acme:x@1:default")) == STORED
        for n in range(100):
            assert await put(mailbox, stranger(f"s{n}", size=3_000)) == STORED
        assert await put(mailbox, stranger("long", size=30_000)) == STORED
    async with Mailbox(path, max_bytes=4_000_000) as mailbox:
        for n in range(100, 200):
            assert await put(mailbox, stranger(f"s{n}", size=3_000)) == STORED
        kept = [letter.request_id for letter in await mailbox.letters.find()]
        assert kept == ["own", "other", "s197", "s198", "s199"]
        mailbox.bury(request("own too", size=99_000), "failed")
        kept = [letter.request_id for letter in await mailbox.letters.find()]
        assert kept == ["own", "own too"], "strangers make room first"


async def made_old(path: Path) -> None:
    """A file of the first version: a letter, a request that waits, and one that is done."""
    async with Mailbox(path) as mailbox:
        deliveries = Deliveries(mailbox)
        for name in ("dead", "done", "waits"):
            put(mailbox, request(name))
        items = await deliveries.wait_for(3)
        mailbox.bury(items[0], "failed 3 times", b"sorry")
        mailbox.complete(items[1], b"reply")
        await settled(mailbox)
    with closing(sqlite3.connect(path)) as connection:
        for table in ("actr_inbox", "actr_dead"):
            connection.execute(f"ALTER TABLE {table} DROP COLUMN last_error")
        connection.execute("PRAGMA user_version=1")
        connection.commit()


async def test_a_file_of_an_older_version_is_read_as_it_is_and_goes_on_as_one_of_this(
    path: Path,
) -> None:
    await made_old(path)
    (letter,) = look(str(path), Filter())
    assert (letter.request_id, letter.last_error) == ("dead", "")
    assert [one.request_id for one in look(str(path), Filter(), State.QUEUED)] == ["waits"]
    shown = show(str(path), letter.sequence)
    assert shown is not None
    assert shown.reason == "failed 3 times"
    async with Mailbox(path) as mailbox:
        deliveries = Deliveries(mailbox)
        (waiting,) = await deliveries.wait_for(1)
        assert waiting.request_id == "waits"
        assert await put(mailbox, request("done")) == Repeated(b"reply")
        waiting.last_error = "ValueError: once more"
        mailbox.bury(waiting, "failed 1 times", b"sorry")
        letters = await mailbox.letters.find()
        assert [one.last_error for one in letters] == ["", "ValueError: once more"]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)


async def test_a_migration_that_is_cut_short_leaves_the_older_version(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await made_old(path)
    broken = {1: (*MIGRATIONS[1], "ALTER TABLE nowhere ADD COLUMN x")}
    with monkeypatch.context() as patched:
        patched.setattr(MailboxStore, "schema", replace(SCHEMA, migrations=broken))
        with pytest.raises(ConfigError):
            await Mailbox(path).__aenter__()
    assert len(look(str(path), Filter())) == 1
    async with Mailbox(path) as mailbox:
        assert len(await mailbox.letters.find()) == 1


async def test_the_last_error_outlives_the_process(path: Path) -> None:
    async with Mailbox(path) as mailbox:
        deliveries = Deliveries(mailbox)
        put(mailbox, request("a"))
        (item,) = await deliveries.wait_for(1)
        item.failures = item.attempts = 1
        item.last_error = "ValueError: the first time"
        mailbox.note_failure(item)
        await settled(mailbox)
    async with Mailbox(path) as mailbox:
        deliveries = Deliveries(mailbox)
        (item,) = await deliveries.wait_for(1)
        assert (item.failures, item.last_error) == (1, "ValueError: the first time")
        mailbox.bury(item, "failed 1 times", b"sorry")
        (letter,) = await mailbox.letters.find()
        assert letter.last_error == "ValueError: the first time"
        assert await mailbox.letters.replay([letter.sequence]) == [letter.sequence]
        assert (await deliveries.wait_for(2))[1].last_error == ""
