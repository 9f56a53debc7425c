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

from actr.demo import chat_pb2 as pb
from actr_peer.cli.exits import Exit
from actr_peer.cli.verbs.mailbox import app
from actr_peer.errors import ConfigError, UnreachableError
from actr_peer.protocol.rpc.envelopes import encode_reply, encode_request
from actr_peer.state.local_socket import socket_address
from actr_peer.state.mailbox import letterbox
from actr_peer.state.mailbox.dead_letters import MAX_LISTED
from actr_peer.state.mailbox.mailbox import Mailbox
from peer_kit.place import ROOM, Place
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


async def test_a_running_mailbox_is_copied(path: Path, running: Mailbox, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    document = await asyncio.to_thread(run, "backup", copy, file=path)
    size = await asyncio.to_thread(lambda: copy.stat().st_size)
    assert document == {"copied": [{"file": str(path), "copy": str(copy), "bytes": size}]}
    found = [await asyncio.to_thread(run, "list", file=each) for each in (path, copy)]
    assert found[0] == found[1]
    assert len(found[0]["letters"]) == 3
    with pytest.raises(ConfigError, match="is there already"):
        await asyncio.to_thread(run, "backup", copy, file=path)


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
    with pytest.raises(ConfigError, match=r"no mailbox file .* --id"):
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


def test_without_an_id_it_is_the_mailbox_of_the_only_actor_of_this_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("room", "other"):
        folder = tmp_path / ".actr" / f"demo:{name}@1:default"
        (tmp_path / ".actr" / "calls").mkdir(parents=True, exist_ok=True)
        (tmp_path / ".actr" / "calls" / "mailbox.db").touch()
        folder.mkdir()
        asyncio.run(fill(folder / "mailbox.db"))
        ended = CliRunner().invoke(app, ["list", "--json"])
        if name == "room":
            assert numbers(json.loads(ended.stdout)) == [1, 2, 3]
    assert isinstance(ended.exception, ConfigError)
    both = "demo:other@1:default, demo:room@1:default"
    assert str(ended.exception) == f"{both} have mailboxes here: say whose with --id"
    own = CliRunner().invoke(app, ["list", "--json", "--id", "demo:other@1:default"])
    assert numbers(json.loads(own.stdout)) == [1, 2, 3]
    monkeypatch.setenv("ACTR_ACTOR__ID", "demo:nobody@1:default")
    nobody = CliRunner().invoke(app, ["list"])
    assert isinstance(nobody.exception, ConfigError)
    assert "no mailbox file" in str(nobody.exception)


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


async def kept(path: Path) -> None:
    """A letter of the demo's room, one of a method that it has no more, and a reply."""
    async with Mailbox(path, owner=ROOM) as mailbox:
        deliveries = Deliveries(mailbox)
        said = pb.SayRequest(author="ann", text="hello").SerializeToString()
        for name, route in (("a", "Say"), ("b", "Sing"), ("c", "Say")):
            item = request(name, route=f"demo.Chat.{route}")
            item.envelope = encode_request(name, item.route_key, said, metadata={"k": "v"})
            put(mailbox, item)
        items = await deliveries.wait_for(3)
        items[0].last_error = "KeyError: 'ann' (room.py:7 in say)"
        items[0].attempts = items[0].failures = 3
        mailbox.bury(items[0], "failed 3 times", b"sorry")
        mailbox.bury(items[1], "failed 3 times", b"sorry")
        reply = pb.SayReply(number=7).SerializeToString()
        mailbox.complete(items[2], encode_reply("c", reply))
        await settled(mailbox)


def test_a_request_is_read_by_a_generated_module(path: Path) -> None:
    asyncio.run(kept(path))
    words = ("--module", "actr.demo.chat_actr")
    letter = run("show", "1", *words, file=path)
    assert letter["last_error"] == "KeyError: 'ann' (room.py:7 in say)"
    assert letter["body"]["message"] == {"author": "ann", "text": "hello"}
    assert letter["body"]["unread"] == ""
    gone = run("show", "2", *words, file=path)["body"]
    assert (gone["message"], gone["unread"]) == (None, "actr.demo.chat_actr has no such method")
    assert run("show", "3", *words, file=path)["body"]["message"] == {"number": "7"}
    with pytest.raises(ConfigError, match="nowhere"):
        run("show", "1", "--module", "nowhere", file=path)


def test_a_request_is_read_as_the_running_actor_tells_its_contract(path: Path) -> None:
    asyncio.run(kept(path))
    place = Place(path.parent)
    stopped = place.run("mailbox", "show", "1", "--file", str(path))
    assert stopped.returncode == Exit.OK
    assert "it does not run; name its generated module with --module" in flat(stopped.stdout)
    with place.signaling(), place.room(ACTR_MAILBOX__PATH=str(path)):
        shown = place.run("mailbox", "show", "1", "--file", str(path))
        listed = place.run("mailbox", "list", "--file", str(path))
        gone = place.run("mailbox", "show", "2", "--file", str(path))
    for words in (
        "demo.Chat.Say",
        "3 (0 crashed, 3 failed)",
        "failed 3 times",
        "KeyError: 'ann' (room.py:7 in say)",
        "k=v",
        '"text": "hello"',
    ):
        assert words in flat(shown.stdout)
    assert "failed 3 times: KeyError" in flat(listed.stdout)
    assert f"{ROOM} has no such method any more" in flat(gone.stdout)


def flat(table: str) -> str:
    return " ".join(table.translate(str.maketrans("│┃", "  ")).split())
