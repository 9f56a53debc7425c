"""A state file that has lost what was promised from it is noticed, said, and refused."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from actr_peer.errors import BusyError, CallError, Code, ConfigError
from actr_peer.protocol.mailbox.requests import STORED, Refused, Repeated
from actr_peer.protocol.payload import PayloadType
from actr_peer.state.mailbox.mailbox import Mailbox
from actr_peer.state.outbox.call import DurableCall
from actr_peer.state.outbox.outbox import Outbox
from actr_peer.state.storage import database, watch, witness
from actr_peer.state.storage.database import Durability
from peer_kit import TESTS
from peer_kit.state.requests import Deliveries, put, request, settled

pytestmark = pytest.mark.service


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "box.db"


async def promise(path: Path, *names: str, durability: Durability = "power") -> None:
    async with Mailbox(path, durability=durability) as mailbox:
        for name in names:
            assert await put(mailbox, request(name)) == STORED


async def names_in(path: Path, **options: str) -> list[str]:
    async with Mailbox(path, **options) as mailbox:  # type: ignore[arg-type]
        return Deliveries(mailbox).names


def beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


async def put_old_copy(path: Path) -> None:
    shutil.copy(path, beside(path, ".old"))
    await promise(path, "c")
    shutil.move(beside(path, ".old"), path)


async def put_another(path: Path) -> None:
    other = path.with_name("other.db")
    await promise(other, "x", "y", "z")
    shutil.move(other, path)


async def put_without_log(path: Path) -> None:
    """As it is where somebody has copied the file alone while the actor ran."""
    async with Mailbox(path) as mailbox:
        assert await put(mailbox, request("c")) == STORED
        shutil.copy(path, beside(path, ".copy"))
    shutil.move(beside(path, ".copy"), path)


async def delete(path: Path) -> None:
    os.unlink(path)


async def empty(path: Path) -> None:
    write(path, b"")


@pytest.mark.parametrize(
    ("lose", "left"),
    [
        pytest.param(delete, [], id="deleted"),
        pytest.param(empty, [], id="emptied"),
        pytest.param(put_another, ["x", "y", "z"], id="replaced by another"),
        pytest.param(put_old_copy, ["a", "b"], id="replaced by an older copy"),
        pytest.param(put_without_log, ["a", "b"], id="without its log"),
    ],
)
async def test_a_mailbox_that_has_lost_what_was_promised_is_refused_until_the_operator_says_so(
    path: Path, lose: Callable[[Path], object], left: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    await promise(path, "a", "b")
    await lose(path)  # type: ignore[misc]
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"box\.db has lost .*ACTR_MAILBOX__AFTER_LOSS=go-on"):
            await names_in(path)
    assert await names_in(path, after_loss="go-on") == left
    assert "has lost what was promised" in caplog.text
    assert await names_in(path) == left, "once it has been said, it is the actor's own file"


async def test_the_mark_of_a_file_that_never_promised_anything_refuses_nothing(path: Path) -> None:
    await promise(path)
    os.unlink(path)
    await promise(path, "a")


async def test_forgetting_is_no_loss_and_uses_no_number_twice(path: Path) -> None:
    async with Mailbox(path) as mailbox:
        deliveries = Deliveries(mailbox)
        for name in ("a", "b"):
            await put(mailbox, request(name))
        for item in await deliveries.wait_for(2):
            mailbox.withdraw(item)
        await settled(mailbox)
    async with Mailbox(path) as mailbox:
        deliveries = Deliveries(mailbox)
        await put(mailbox, request("c"))
        assert [item.sequence for item in await deliveries.wait_for(1)] == [3]


@pytest.mark.parametrize("damage", [b"", b"\xff" * 48, b"actrmrk1" + b"\x01" * 40])
async def test_a_mark_that_is_damaged_or_gone_stops_nothing(path: Path, damage: bytes) -> None:
    await promise(path, "a")
    write(beside(path, "-mark"), damage)
    assert await names_in(path) == ["a"]
    os.unlink(beside(path, "-mark"))
    assert await names_in(path) == ["a"]


@pytest.mark.parametrize(
    ("durability", "is_refused"),
    [
        pytest.param("process", False, id="commits were not synced"),
        pytest.param("power", True, id="commits were synced"),
    ],
)
async def test_what_a_power_cut_may_take_is_said_and_not_refused(
    path: Path,
    durability: Durability,
    is_refused: bool,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await promise(path, "a", "b", durability=durability)
    shutil.copy(path, beside(path, ".old"))
    await promise(path, "c", durability=durability)
    shutil.move(beside(path, ".old"), path)
    with pytest.raises(ConfigError):
        await names_in(path, durability=durability)  # the machine has been up all the time
    monkeypatch.setattr(witness, "boot_number", lambda: 7)
    if is_refused:
        with pytest.raises(ConfigError):
            await names_in(path, durability=durability)
        return
    assert await names_in(path, durability=durability) == ["a", "b"]
    assert "in a power cut" in caplog.text


async def test_a_power_cut_replaces_no_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await promise(path, "a", durability="process")
    await put_another(path)
    monkeypatch.setattr(witness, "boot_number", lambda: 7)
    with pytest.raises(ConfigError, match="another file"):
        await names_in(path, durability="process")


@pytest.mark.parametrize("suffix", ["", "-wal"])
async def test_a_file_that_is_taken_away_takes_nothing_new_until_it_is_back(
    path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watch, "INTERVAL", 0.0)
    heard: list[str] = []
    taken, away = beside(path, suffix), beside(path, ".away")
    async with Mailbox(path, on_trouble=lambda error: heard.append(str(error))) as mailbox:
        deliveries = Deliveries(mailbox)
        assert await put(mailbox, request("a")) == STORED
        shutil.move(taken, away)
        for name in ("b", "c"):
            answer = await put(mailbox, request(name))
            assert isinstance(answer, Refused)
            assert answer.code is Code.UNAVAILABLE
        mailbox.complete((await deliveries.wait_for(1))[0], b"reply")
        await settled(mailbox)
        assert await put(mailbox, request("a")) == Repeated(b"reply"), "what was accepted ends"
        assert "deleted or replaced" in mailbox.state_file.trouble
        shutil.move(away, taken)
        assert await put(mailbox, request("b")) == STORED
        assert mailbox.state_file.trouble == ""
    assert len(heard) == 1
    assert caplog.text.count("takes nothing new") == 1
    assert await names_in(path) == ["b"]


CUT_SHORT = """
import asyncio, os, sys
from peer_kit.state.requests import Deliveries, put, request, settled
from actr_peer.state.mailbox.mailbox import Mailbox

async def main(path, suffix):
    async with Mailbox(path) as mailbox:
        deliveries = Deliveries(mailbox)
        await put(mailbox, request("a"))
        slot = mailbox.journal.enter(1)
        os.truncate(path + suffix, 0)
        mailbox.complete((await deliveries.wait_for(1))[0], b"reply")
        mailbox.journal.leave(slot)
        await put(mailbox, request("b"))
        mailbox.journal.commit(2)
        await settled(mailbox)
        print("alive", flush=True)
        os._exit(0)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize("suffix", ["-run", "-mark"])
async def test_notes_that_are_cut_short_while_the_actor_runs_end_nothing(
    path: Path, suffix: str
) -> None:
    # A child, for what is tried here has ended the process without an exception.
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", CUT_SHORT, str(path), suffix),
        stdout=asyncio.subprocess.PIPE,
        cwd=TESTS,
    )
    async with asyncio.timeout(60):
        said, _ = await child.communicate()
    assert (child.returncode, said) == (0, b"alive\n")
    assert await names_in(path) == ["b"]
    await delete(path)
    with pytest.raises(ConfigError, match="it is empty or new"):
        await names_in(path)


async def test_a_link_to_a_mailbox_is_that_mailbox(path: Path) -> None:
    await promise(path, "a")
    link = path.with_name("link.db")
    link.symlink_to(path)
    async with Mailbox(path):
        with pytest.raises(BusyError):
            await names_in(link)
    await delete(path)
    with pytest.raises(ConfigError, match="has lost what was promised"):
        await names_in(link)


async def test_an_actor_that_changes_its_folder_keeps_its_mailbox(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "INTERVAL", 0.0)
    monkeypatch.chdir(path.parent)
    async with Mailbox(path.name) as mailbox:
        assert await put(mailbox, request("a")) == STORED
        monkeypatch.chdir("/")
        assert await put(mailbox, request("b")) == STORED
    assert await names_in(path) == ["a", "b"]


async def test_a_path_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="null"):
        Mailbox("a\0b")


@pytest.mark.parametrize("mode", ["IMMEDIATE", "EXCLUSIVE"])
async def test_a_file_that_another_program_keeps_locked_is_busy_at_the_start(
    path: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await promise(path, "a")
    monkeypatch.setattr(database, "BUSY_MS", 50)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute(f"BEGIN {mode}")
    with pytest.raises(BusyError, match=r"box\.db is locked by another program"):
        await names_in(path)
    other.close()
    assert await names_in(path) == ["a"]


async def test_a_durable_call_is_not_accepted_into_a_file_that_was_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "INTERVAL", 0.0)
    path = tmp_path / "out.db"
    heard: list[str] = []
    first, second = (
        DurableCall(
            call_key=name,
            remote="acme:room@2:default",
            request_id=name,
            payload_type=PayloadType.RPC_RELIABLE,
            route_key="demo.Chat.Say",
        )
        for name in ("first", "second")
    )
    async with Outbox(str(path), on_trouble=lambda error: heard.append(str(error))) as outbox:
        await outbox.add(first, lambda number, low, store_id: b"envelope")
        os.unlink(path)
        with pytest.raises(CallError, match="deleted or replaced"):
            await outbox.add(second, lambda number, low, store_id: b"envelope")
        assert [outbox.state_file.trouble] == heard, "told once, and shown for as long as it lasts"


async def test_the_log_beside_a_reader_is_bounded_and_short_again_after_it(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # 1. A reader keeps its snapshot: the log grows, which is said, until nothing new is taken.
    # 2. What was accepted is finished all the same.
    # 3. The reader ends: the log is cut, and what is new is taken.
    monkeypatch.setattr(watch, "INTERVAL", 0.0)
    reader = sqlite3.connect(path, isolation_level=None)
    numbers = count()
    async with Mailbox(path, max_bytes=4_000_000) as mailbox:
        deliveries = Deliveries(mailbox)
        assert await put(mailbox, request("first")) == STORED
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM actr_inbox").fetchone()
        while True:
            name = f"r{next(numbers)}"
            answer = await put(mailbox, request(name, size=60_000))
            if answer != STORED:
                break
            mailbox.withdraw(deliveries.requests[-1])
        assert isinstance(answer, Refused)
        assert answer.code is Code.UNAVAILABLE
        assert log_size(path) < 24 * 1024 * 1024
        assert "a reader keeps the log" in caplog.text
        mailbox.complete(deliveries.requests[0], b"reply")
        await settled(mailbox)
        assert await put(mailbox, request("first")) == Repeated(b"reply")
        reader.execute("COMMIT")
        assert await put(mailbox, request("last")) == STORED
        assert log_size(path) < 2 * 1024 * 1024
    reader.close()


def log_size(path: Path) -> int:
    return beside(path, "-wal").stat().st_size
