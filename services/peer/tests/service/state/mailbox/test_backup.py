"""A copy of a mailbox is whole, whatever its peer does meanwhile, or there is none."""

from __future__ import annotations

import asyncio
import resource
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from actr_peer.errors import ConfigError
from actr_peer.protocol.mailbox.requests import STORED
from actr_peer.protocol.payload import PayloadType
from actr_peer.state.mailbox import backup
from actr_peer.state.mailbox.backup import back_up
from actr_peer.state.mailbox.mailbox import Mailbox
from actr_peer.state.outbox.call import DurableCall
from actr_peer.state.outbox.outbox import Outbox
from peer_kit.state.requests import Deliveries, put, request

pytestmark = pytest.mark.service


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "box.db"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return tmp_path / "copies" / "box.db"


@pytest.fixture(autouse=True)
def folder(copy: Path) -> Path:
    copy.parent.mkdir()
    return copy.parent


async def promise(path: Path, *names: str) -> None:
    async with Mailbox(path) as mailbox:
        for name in names:
            assert await put(mailbox, request(name)) == STORED


def durable_call() -> DurableCall:
    return DurableCall(
        call_key="key",
        remote="acme:room@2:default",
        request_id="a",
        payload_type=PayloadType.RPC_RELIABLE,
        route_key="demo.Chat.Say",
    )


def files_in(folder: Path) -> dict[str, int]:
    """Who may do what with the files there."""
    return {each.name: each.stat().st_mode & 0o777 for each in folder.iterdir()}


async def names_in(path: Path) -> list[str]:
    async with Mailbox(path) as mailbox:
        return Deliveries(mailbox).names


async def test_what_was_promised_before_is_in_it_and_what_comes_meanwhile_holds_nobody_up(
    path: Path, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "STEP_PAGES", 1)
    before = [f"before{number}" for number in range(100)]
    loop, written = asyncio.get_running_loop(), list[str]()
    async with Mailbox(path) as mailbox:
        await asyncio.gather(*(put(mailbox, request(name, size=5000)) for name in before))
        numbers = count()

        async def write() -> None:
            name = f"meanwhile{next(numbers)}"
            assert await put(mailbox, request(name)) == STORED
            written.append(name)

        def told(done: int, total: int) -> None:
            if done % 20 == 0:  # it waits for the commit in the midst of copying
                asyncio.run_coroutine_threadsafe(write(), loop).result(30)

        (one,) = await asyncio.to_thread(back_up, path, copy, told)
        assert (one.file, one.copy) == (path, copy)
        assert len(written) > 5
    assert await names_in(copy) == before  # of the moment at which it began, and no other
    assert await names_in(path) == [*before, *written]


async def test_the_outbox_comes_along_and_both_are_single_files_for_their_user_alone(
    path: Path, copy: Path, folder: Path
) -> None:
    async with Mailbox(path) as mailbox, Outbox(f"{path}-outbox") as outbox:
        assert await put(mailbox, request("a")) == STORED
        await outbox.add(durable_call(), lambda number, low, store_id: b"envelope")
        copied = await asyncio.to_thread(back_up, path, copy)
    assert [one.file.name for one in copied] == ["box.db", "box.db-outbox"]
    assert files_in(folder) == {"box.db": 0o600, "box.db-outbox": 0o600}
    assert await names_in(copy) == ["a"]
    async with Outbox(f"{copy}-outbox") as outbox:
        assert [each.call_key for each in outbox.open_calls()] == ["key"]


async def test_the_outbox_is_found_beside_the_file_that_a_link_leads_to(
    path: Path, copy: Path, tmp_path: Path
) -> None:
    async with Mailbox(path) as mailbox, Outbox(f"{path}-outbox") as outbox:
        assert await put(mailbox, request("a")) == STORED
        await outbox.add(durable_call(), lambda number, low, store_id: b"envelope")
    link = tmp_path / "link.db"
    link.symlink_to(path)
    assert [one.copy.name for one in back_up(link, copy)] == ["box.db", "box.db-outbox"]


async def test_a_copy_is_put_back_by_who_says_that_what_came_later_is_lost(
    path: Path, copy: Path
) -> None:
    await promise(path, "a", "b")
    back_up(path, copy)
    await promise(path, "c")
    shutil.copy(copy, path)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    with pytest.raises(ConfigError, match="has lost what was promised"):
        await names_in(path)
    async with Mailbox(path, after_loss="go-on") as mailbox:
        assert Deliveries(mailbox).names == ["a", "b"]


def test_what_is_there_is_never_overwritten(path: Path, copy: Path) -> None:
    asyncio.run(promise(path, "a"))
    path.with_name("box.db-outbox").write_bytes(b"an outbox")
    copy.with_name("box.db-outbox").write_bytes(b"mine")
    with pytest.raises(ConfigError, match=r"box\.db-outbox is there already"):
        back_up(path, copy)
    assert not copy.exists()
    assert copy.with_name("box.db-outbox").read_bytes() == b"mine"


def test_what_is_no_mailbox_is_not_copied(path: Path, copy: Path, folder: Path) -> None:
    with pytest.raises(ConfigError, match="no mailbox file"):
        back_up(path, copy)
    path.write_bytes(b"a letter" * 1000)
    with pytest.raises(ConfigError, match="file is not a database"):
        back_up(path, copy)
    path.unlink()
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE others(a)")
    with pytest.raises(ConfigError, match="is no mailbox file"):
        back_up(path, copy)
    assert list(folder.iterdir()) == []


def test_a_damaged_file_has_no_copy(path: Path, copy: Path, folder: Path) -> None:
    asyncio.run(promise(path, *(f"request{number}" for number in range(200))))
    with closing(sqlite3.connect(path)) as damaging:
        (root,) = damaging.execute(
            "SELECT rootpage FROM sqlite_master WHERE name='actr_inbox'"
        ).fetchone()
    with path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xff" * 64)
    with pytest.raises(ConfigError, match=r"is damaged|malformed"):
        back_up(path, copy)
    assert list(folder.iterdir()) == []


def test_where_the_outbox_cannot_be_copied_the_mailbox_is_neither(
    path: Path, copy: Path, folder: Path
) -> None:
    asyncio.run(promise(path, "a"))
    outbox = path.with_name("box.db-outbox")
    outbox.write_bytes(b"a letter" * 1000)
    with pytest.raises(ConfigError, match="file is not a database"):
        back_up(path, copy)
    assert list(folder.iterdir()) == []
    outbox.unlink()
    assert [each.copy for each in back_up(path, copy)] == [copy]  # the place is free


def test_what_comes_while_it_copies_is_not_overwritten_either(path: Path, copy: Path) -> None:
    asyncio.run(promise(path, "a"))
    with pytest.raises(ConfigError, match="File exists"):
        back_up(path, copy, lambda done, total: copy.write_bytes(b"mine"))
    assert copy.read_bytes() == b"mine"


LIMIT = 200_000


def test_nothing_is_left_of_a_copy_for_which_there_is_no_room(
    path: Path, copy: Path, folder: Path
) -> None:
    asyncio.run(promise(path, *(f"{number}" * 100 for number in range(100))))
    assert path.stat().st_size > LIMIT
    done = subprocess.run(
        [sys.executable, "-m", "actr_peer", "mailbox", "backup", copy, "--file", path],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, LIMIT)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "cannot be copied" in done.stderr
    assert list(folder.iterdir()) == []
