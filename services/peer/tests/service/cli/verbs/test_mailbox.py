"""``actr mailbox`` on a file, with its peer running and not."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from typer.testing import CliRunner

from actr_peer.cli.verbs.mailbox import app
from actr_peer.errors import ConfigError, UnreachableError
from actr_peer.protocol.rpc.envelopes import encode_request
from actr_peer.state.local_socket import socket_address
from actr_peer.state.mailbox import letterbox
from actr_peer.state.mailbox.dead_letters import MAX_LISTED
from actr_peer.state.mailbox.mailbox import Mailbox
from peer_kit.state.requests import Deliveries, put, request, settled

pytestmark = pytest.mark.service


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / ("a long way down " * 8)  # more than a socket's address can hold
    folder.mkdir()
    return folder / "box.db"


def run(*words: str | Path, file: Path) -> Any:
    """The JSON that a verb prints; its exit code is in ``exit_code`` where it is not 0."""
    result = CliRunner().invoke(app, [*map(str, words), "--file", str(file), "--json"])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    document = json.loads(result.stdout)
    return document | {"exit_code": result.exit_code} if result.exit_code else document


async def fill(path: Path) -> None:
    """Three dead letters, one queued, one done."""
    async with Mailbox(path) as mailbox:
        deliveries = Deliveries(mailbox)
        for name in ("a", "b", "c", "done", "queued"):
            item = request(name, route=f"demo.Chat.{name.title()}")
            item.envelope = encode_request(name, item.route_key, b"payload", metadata={"k": "v"})
            put(mailbox, item)
        items = await deliveries.wait_for(5)
        for item in items[:3]:
            mailbox.bury(item, "failed 3 times", b"sorry")
        mailbox.complete(items[3], b"reply")
        await settled(mailbox)


@pytest.fixture
def filled(path: Path) -> Path:
    asyncio.run(fill(path))
    return path


@pytest.fixture
async def running(path: Path) -> AsyncIterator[Mailbox]:
    await fill(path)
    async with Mailbox(path) as mailbox:
        yield mailbox


def numbers(document: Any) -> list[int]:
    return [letter["sequence"] for letter in document["letters"]]


def test_dead_letters_are_listed_and_filtered(filled: Path) -> None:
    document = run("list", file=filled)
    assert (document["state"], numbers(document)) == ("dead", [1, 2, 3])
    first = document["letters"][0]
    assert (first["request_id"], first["reason"], first["state"]) == ("a", "failed 3 times", "dead")
    assert first["died_at"].startswith("20")
    assert numbers(run("list", "--route", "Chat.B", file=filled)) == [2]
    assert numbers(run("list", "--reason", "nothing", file=filled)) == []
    assert numbers(run("list", "--limit", "1", file=filled)) == [1]


def test_other_states_are_listed_too(filled: Path) -> None:
    assert numbers(run("list", "--state", "queued", file=filled)) == [5]
    done = run("list", "--state", "done", file=filled)
    assert [letter["request_id"] for letter in done["letters"]] == ["a", "b", "c", "done"]
    assert numbers(run("list", "--state", "running", file=filled)) == []


def test_a_letter_is_shown_with_its_envelope(filled: Path) -> None:
    document = run("show", "2", file=filled)
    assert (document["sequence"], document["route_key"]) == (2, "demo.Chat.B")
    assert document["body"]["metadata"] == {"k": "v"}
    assert document["body"]["payload_base64"] == "cGF5bG9hZA=="
    assert "undecodable" in run("show", "4", file=filled)["body"]
    with pytest.raises(UnreachableError, match="99"):
        run("show", "99", file=filled)


def test_people_get_tables(filled: Path) -> None:
    runner = CliRunner()
    listed = runner.invoke(app, ["list", "--file", str(filled)])
    assert "demo.Chat.A" in listed.stdout
    shown = runner.invoke(app, ["show", "1", "--file", str(filled)])
    assert "failed 3 times" in shown.stdout
    dropped = runner.invoke(app, ["drop", "1", "77", "--file", str(filled)])
    assert dropped.stdout == "drop: 1 done, left as they are: 77\n"


def test_letters_are_replayed_and_dropped_while_no_peer_runs(filled: Path) -> None:
    assert run("replay", "2", file=filled) == {"done": [2], "left": []}
    assert run("drop", "--route", "Chat.C", file=filled) == {"done": [3], "left": []}
    assert run("drop", "9", file=filled) == {"done": [], "left": [9], "exit_code": 1}
    assert numbers(run("list", file=filled)) == [1]
    queued = run("list", "--state", "queued", file=filled)["letters"]
    assert [letter["request_id"] for letter in queued] == ["queued", "b"]


async def bury_many(path: Path, count: int) -> None:
    async with Mailbox(path) as mailbox:
        for n in range(count):
            mailbox.bury(request(f"r{n}"), "test")


@pytest.mark.parametrize("verb", ["drop", "replay"])
def test_all_means_all_however_many_there_are(path: Path, verb: str) -> None:
    asyncio.run(bury_many(path, 2 * MAX_LISTED + 1))
    document = run(verb, "--all", file=path)
    assert (len(document["done"]), document["left"]) == (2 * MAX_LISTED + 1, [])
    assert numbers(run("list", file=path)) == []


def test_all_must_be_said(filled: Path) -> None:
    with pytest.raises(ConfigError, match="--all"):
        run("drop", file=filled)
    assert run("drop", "--all", file=filled)["done"] == [1, 2, 3]


def test_a_file_that_is_not_there_or_no_mailbox_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no mailbox file"):
        run("list", file=tmp_path / "nowhere.db")
    (tmp_path / "text.db").write_text("not a database" * 100)
    with pytest.raises(ConfigError, match=r"text\.db"):
        run("list", file=tmp_path / "text.db")
    (tmp_path / "empty.db").touch()
    with pytest.raises(ConfigError, match="version 0"):
        run("list", file=tmp_path / "empty.db")


def test_the_file_is_that_of_the_configuration(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTR_MAILBOX__PATH", str(filled.with_name("{instance}.db")))
    monkeypatch.setenv("ACTR_ACTOR__ID", "acme:room@box:default")
    result = CliRunner().invoke(app, ["list", "--json"])
    assert numbers(json.loads(result.stdout)) == [1, 2, 3]


async def test_a_running_peer_replays_and_drops_at_once(running: Mailbox) -> None:
    path = Path(running.path)
    deliveries = Deliveries(running)
    await deliveries.wait_for(1)
    running.journal.enter(deliveries.requests[0].sequence)
    listed = await asyncio.to_thread(run, "list", "--state", "running", file=path)
    assert numbers(listed) == [5]
    assert await asyncio.to_thread(run, "replay", "1", file=path) == {"done": [1], "left": []}
    assert [item.request_id for item in await deliveries.wait_for(2)] == ["queued", "a"]
    assert (await asyncio.to_thread(run, "drop", "--all", file=path))["done"] == [2, 3]
    assert len(running.letters) == 0


async def test_what_a_peer_cannot_do_is_said(running: Mailbox) -> None:
    where = running.path + "-letters"
    with pytest.raises(ValueError, match="nothing to do called"):
        await asyncio.to_thread(letterbox.ask, where, "burn", [1])
    with pytest.raises(ValueError, match="numbers"):
        await asyncio.to_thread(letterbox.ask, where, "drop", cast("list[int]", ["x"]))
    with pytest.raises(FileNotFoundError):
        await asyncio.to_thread(letterbox.ask, where + "x", "drop", [1])


def send(path: str, data: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as client:
        with socket_address(path) as address:
            client.connect(address)
        client.sendall(data)
        with client.makefile("rb") as stream:
            return stream.readline()


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"no json\n", id="text"),
        pytest.param(b"[]\n", id="list"),
        pytest.param(b"{}\n", id="empty"),
        pytest.param(b"\n", id="nothing"),
        pytest.param(b"\xff\xfe\n", id="no Unicode"),
        pytest.param(b"x" * 70_000, id="long"),
        pytest.param(b" " * 70_000 + b"{}\n", id="long, with its end"),
        pytest.param(b"[" * 60_000 + b"\n", id="nested"),
        pytest.param(b'{"do": ' * 9_000 + b"\n", id="nested objects"),
        pytest.param(b'{"do": ["drop"], "sequences": [1]}\n', id="a list for a verb"),
        pytest.param(b'{"do": "drop", "sequences": [' + b"9" * 5000 + b"]}\n", id="huge number"),
    ],
)
async def test_a_request_that_is_none_is_answered_with_an_error(
    running: Mailbox, line: bytes
) -> None:
    answer = await asyncio.to_thread(send, running.path + "-letters", line)
    assert b"error" in answer
    assert await asyncio.to_thread(letterbox.ask, running.path + "-letters", "drop", [1]) == [1]


async def test_a_verb_that_fails_is_answered_and_ends_nothing(
    running: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(sequences: list[int]) -> list[int]:
        raise RuntimeError("a bug")

    monkeypatch.setitem(cast("dict[str, Any]", running._letterbox._verbs), "drop", fail)
    with pytest.raises(ValueError, match="RuntimeError"):
        await asyncio.to_thread(letterbox.ask, running.path + "-letters", "drop", [1])
    assert await asyncio.to_thread(letterbox.ask, running.path + "-letters", "replay", [1]) == [1]


async def test_only_the_own_user_may_ask_and_nothing_is_left(path: Path) -> None:
    async with Mailbox(path):
        assert os.stat(f"{path}-letters").st_mode & 0o777 == 0o600
    assert f"{path.name}-letters" not in os.listdir(path.parent)


async def test_where_no_socket_can_be_made_the_mailbox_does_without(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    os.mkdir(f"{path}-letters")
    async with Mailbox(path):
        assert "no letterbox" in caplog.text
