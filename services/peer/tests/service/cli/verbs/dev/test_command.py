"""``actr dev`` as a user has it: real processes, real files that change, a terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import termios
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from actr_peer.cli.exits import Exit
from actr_peer.cli.verbs.new.project import Words, contents, generated

pytestmark = [pytest.mark.service, pytest.mark.slow]

ROOM = "dev:room@1:default"
DEV = (sys.executable, "-m", "actr_peer", "dev")
SAY = '{"author": "ann", "text": "hello"}'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """What ``actr new room`` writes."""
    words = Words.of("room")
    for name, text in (contents(words) | generated(words)).items():
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if "ACTR_" not in name}


class Dev:
    """One that runs, by the documents that it prints."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process = process
        self.folder = folder
        self.pids: set[int] = set()
        """Of all its processes that were told of."""

    def until(self, event: str, text: str = "", **data: object) -> dict[str, Any]:
        """The next document of this event that has these words and values."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            sys.stdout.write(line)
            found: dict[str, Any] = json.loads(line)
            if found.get("pid"):
                self.pids.add(found["pid"])
            values = {key: found.get(key) for key in data}
            if found["event"] == event and text in found["text"] and values == data:
                return found
        raise AssertionError(f"it ended before {event!r}")

    def online(self, actor: str = ROOM) -> int:
        """Wait for it; returns its process."""
        return int(self.until("state", state="online", actor=actor)["pid"])

    def edit(self, name: str, before: str, after: str) -> None:
        """Save a file as editors do: a new one in its place."""
        path = self.folder / name
        new = path.with_suffix(".new")
        text = path.read_text("utf-8")
        assert before in text
        new.write_text(text.replace(before, after), "utf-8")
        new.replace(path)

    def actr(self, *arguments: str) -> Any:
        done = self.ended(*arguments)
        assert done.returncode == Exit.OK, done.stderr
        return json.loads(done.stdout)

    def ended(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "actr_peer", *arguments],
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=environment(),
            timeout=60,
            check=False,
        )

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(number)
        self.process.communicate(timeout=60)
        return self.process.returncode


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[Dev]:
    with subprocess.Popen(
        [*DEV, *arguments, "--json"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=environment(),
    ) as process:
        try:
            yield Dev(process, folder)
        finally:
            if process.poll() is None:
                process.terminate()
                process.communicate(timeout=60)


def is_running(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def ended(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*DEV, *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment(),
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_one_command_runs_a_project_and_other_verbs_find_it(
    project: Path, number: signal.Signals
) -> None:
    """
    1. Start what the project lists; its actor is online.
    2. `actr ls`, `call` and `ps` need no configuration in its folder, nor does the caller.
    3. Who visits, and by which wire, is told; a second `actr dev` is refused.
    4. A signal ends all, in good order.
    """
    with running(project) as dev:
        pid = dev.online()
        assert [actor["id"] for actor in dev.actr("ls", "--json")["actors"]] == [ROOM]
        assert dev.actr("call", ROOM, "Say", SAY) == {"number": "1"}
        dev.until("log", "ann: hello", actor=ROOM)
        assert dev.actr("ps", "--json")["pid"] == pid
        called = subprocess.run(
            [sys.executable, "caller.py"],
            capture_output=True,
            text=True,
            cwd=project,
            env=environment(),
            timeout=60,
            check=False,
        )
        assert called.stdout == "line 2\nann: hello\ncaller: hello\n", called.stderr
        dev.until("presence", online=True)
        second = ended(project)
        assert second.returncode == Exit.BUSY
        assert f"runs in this folder already (pid {dev.process.pid})" in second.stderr
        assert dev.stop(number) == Exit.OK
    assert not any(map(is_running, dev.pids))
    assert not (project / ".actr" / "dev.sock").exists()


def test_actors_have_identities_that_last_as_long_as_their_files(project: Path) -> None:
    """
    1. It says so in one line; each actor and each verb has a certificate, and no secret is said.
    2. It starts again, and so does signaling: the same key.
    3. The folder of the issuer is deleted, then the actor's, then all: it works each time.
    """
    state = project / ".actr"

    def run_once() -> tuple[str, bool]:
        with running(project) as dev:
            said = dev.until("identities")
            assert (said["development"], said["text"].split(":")[0]) == (False, "identities are on")
            pid = dev.online()
            secret = (state / "issuer" / "realm.secret").read_text("ascii")
            for each in (pid, dev.process.pid, signaling_of(dev.process.pid)):
                assert secret.encode() not in Path(f"/proc/{each}/cmdline").read_bytes()
                assert secret.encode() not in Path(f"/proc/{each}/environ").read_bytes()
            assert dev.actr("call", ROOM, "Say", SAY) == {"number": "1"}
            shown = dev.actr("identity", "show", "--id", ROOM, "--json")
            dev.process.send_signal(signal.SIGINT)
            rest, _ = dev.process.communicate(timeout=60)
            assert secret not in rest
        return shown["public_key"], shown["certificate"]["covers_this_actor"]

    first, is_certified = run_once()
    assert is_certified
    assert run_once() == (first, True)
    shutil.rmtree(state / "issuer")
    assert run_once() == (first, True)
    shutil.rmtree(state / ROOM)
    second, _ = run_once()
    assert second != first
    shutil.rmtree(state)
    assert run_once()[1]


def test_development_mode_has_to_be_asked_for_and_is_said(project: Path) -> None:
    (project / "actr.toml").write_text('[realm]\ntrust = "development"\n', "utf-8")
    with running(project) as dev:
        said = dev.until("identities", "DEVELOPMENT MODE", development=True, level="warning")
        assert "realm.trust" in said["text"]
        dev.online()
        assert dev.actr("call", ROOM, "Say", SAY) == {"number": "1"}
        assert not (project / ".actr" / "issuer").exists()


def test_a_wire_is_told_when_it_is_up_and_when_it_is_down(project: Path) -> None:
    (project / "stays.py").write_text(
        "import asyncio\nimport actr_peer\nfrom room_actr import RoomClient\n"
        "from room_pb2 import Line\n\n\nasync def main():\n"
        "    async with actr_peer.connect() as ref:\n"
        f"        await RoomClient(ref.to({ROOM!r})).say(Line(text='x'), timeout=30)\n"
        "        await asyncio.Event().wait()\n\n\nactr_peer.run(main)\n",
        "utf-8",
    )
    with running(project) as dev:
        dev.online()
        with subprocess.Popen(
            [sys.executable, "stays.py"], cwd=project, env=environment()
        ) as caller:
            up = dev.until("wire", actor=ROOM)
            assert up["remote"].startswith("actr:caller@")
            caller.terminate()
            dev.until("wire", remote=up["remote"], wire="")


def test_code_that_does_not_start_is_a_sentence_and_the_next_change_is_awaited(
    project: Path,
) -> None:
    """
    1. The workload does not import at first: a sentence with its file and line.
    2. It is mended, and starts; a file that it has not loaded changes nothing.
    3. It changes, and starts anew; its contract changes, and code is generated and loaded.
    """
    workload = project / "room.py"
    whole = workload.read_text("utf-8")
    workload.write_text(f"{whole}\nx y\n", "utf-8")
    line = len(f"{whole}\nx y\n".splitlines())
    with running(project, "room:Room") as dev:
        refused = dev.until("state", state="waiting for a change")
        assert refused["why"].startswith(f"room.py:{line}: SyntaxError: invalid syntax (")
        dev.edit("room.py", "\nx y\n", "")
        dev.until("changed", files=["room.py"], actors=["room"])
        first = dev.online()
        dev.edit("caller.py", "hello", "good-bye")
        dev.edit("room.py", "a line has a text: set it", "no text")
        dev.until("changed", "room.py changed: room starts anew")
        second = dev.online()
        assert second != first
        dev.edit("room.proto", "uint64 number = 1;", "uint64 number = 1; string note = 2;")
        dev.until("generated")
        third = dev.online()
        assert third != second
        described = dev.actr("describe", ROOM, "room.Room", "--json")
        assert "note" in json.dumps(described)
        dev.edit("room.proto", "note = 2;", "note = 2")
        dev.until("refused", "room.proto")
        assert dev.actr("call", ROOM, "Say", SAY)["number"] == "1"
        assert dev.stop() == Exit.OK
    assert not any(map(is_running, {first, second, third}))


def test_a_call_waits_for_an_actor_that_starts_anew_and_not_for_one_that_cannot(
    project: Path,
) -> None:
    """
    1. Its code changes: it takes a while to start, and a call in that time is answered.
    2. Its code is wrong: a call says so at once, and so it does of an actor that is nowhere.
    """
    with running(project) as dev:
        dev.online()
        slow = "\n\nimport time\n\ntime.sleep(6)\n"
        with (project / "room.py").open("a", encoding="utf-8") as file:
            file.write(slow)
        dev.until("changed")
        assert dev.actr("call", ROOM, "Say", SAY) == {"number": "1"}
        dev.online()
        dev.edit("room.py", slow, "\nx y\n")
        dev.until("state", state="waiting for a change")
        refused = dev.ended("call", ROOM, "Say", SAY)
        assert refused.returncode == Exit.UNREACHABLE
        assert "actr dev says that it is waiting for a change: room.py:" in refused.stderr


def test_an_actor_that_crashes_is_told_of_and_starts_again(project: Path) -> None:
    """
    1. Two of a type, with ids of their own; one is killed: it alone starts again.
    2. The signaling service is killed: it starts again on its port, and calls go on.
    3. `actr dev` is killed: nothing is left.
    """
    with running(project, "room:Room=2") as dev:
        actors = {dev.until("state", state="online")["actor"] for _ in range(2)}
        assert actors == {ROOM, "dev:room@2:default"}
        first = dev.actr("ps", "--json", "--id", ROOM)["pid"]
        os.kill(first, signal.SIGKILL)
        told = dev.until("state", "was killed by SIGKILL; starts again in 1 s")
        assert (told["actor"], told["state"]) == (ROOM, "resting")
        assert dev.online() != first
        service = signaling_of(dev.process.pid)
        os.kill(service, signal.SIGKILL)
        dev.until("signaling", "was killed by SIGKILL; starts again")
        dev.until("signaling", "again on ws://127.0.0.1:")
        orphans = [os.pidfd_open(pid) for pid in children_of(dev.process.pid)]
        assert orphans
        dev.process.kill()
        dev.process.communicate(timeout=60)
    for orphan in orphans:
        assert select.select([orphan], [], [], 30)[0], "it outlived actr dev"
        os.close(orphan)


def test_who_takes_the_place_of_a_service_that_is_down_is_not_handed_the_secret(
    project: Path,
) -> None:
    with running(project) as dev:
        said = dev.until("console")
        page = Path(said["page"])
        assert page.exists()
        service = os.pidfd_open(signaling_of(dev.process.pid))
        signal.pidfd_send_signal(service, signal.SIGKILL)
        assert select.select([service], [], [], 30)[0]
        os.close(service)
        with socket.create_server(("127.0.0.1", urlsplit(said["address"]).port or 0)):
            dev.until("signaling", "starts again")  # killed
            dev.until("signaling", "starts again")  # its port is somebody else's
            assert not page.exists()
        assert dev.until("console")["page"] == str(page)
        assert page.exists()


def test_those_that_start_at_once_take_a_port_each(project: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(project, other, ignore=shutil.ignore_patterns("other"))
    with running(project) as one, running(other) as two:
        urls = {each.until("ready")["signaling"] for each in (one, two)}
        assert len(urls) == 2
        for each in (one, two):
            each.online()
            (actor,) = each.actr("ls", "--json")["actors"]
            assert actor["id"] == ROOM


def test_the_console_is_there_and_a_file_of_the_user_alone_opens_it(project: Path) -> None:
    with running(project) as dev:
        said = dev.until("console")
        page = Path(said["page"])
        assert stat.S_IMODE(page.stat().st_mode) == 0o600
        secret = (project / ".actr" / "issuer" / "realm.secret").read_text("utf-8").strip()
        assert f'url={said["address"]}#secret={secret}&amp;realm=default"' in page.read_text(
            "utf-8"
        )
        assert secret not in json.dumps(said)
        with urllib.request.urlopen(said["address"]) as answer:
            assert b"console.js" in answer.read()
        dev.online()
        looked = dev.ended("call", ROOM, "actr.Inspection/Watch", "--timeout", "10")
        assert f'"id": "{ROOM}"' in looked.stdout.replace('":"', '": "')


def test_a_service_that_runs_already_is_used_and_none_is_started(project: Path) -> None:
    with running(project) as one:
        url = one.until("ready")["signaling"]
        one.online()
        beside = project / "beside"
        shutil.copytree(project, beside, ignore=shutil.ignore_patterns("beside", ".actr"))
        issuer = url.replace("ws://", "http://").replace("/v1/ws", "/issuer")
        (beside / "actr.toml").write_text(
            f'[actor]\nid = "a:b@1:lab"\n[identity]\nissuer_url = "{issuer}"\n'
            f'[realm]\nsecret_file = "{project}/.actr/issuer/realm.secret"\n',
            "utf-8",
        )
        with running(beside, "--signaling", url, "room:Room=2") as two:
            assert two.until("ready")["signaling"] == url
            two.online("dev:room@2:lab")
            assert children_of(two.process.pid)
            commands = [Path(f"/proc/{pid}/cmdline") for pid in children_of(two.process.pid)]
            assert not any(b"actr_signaling" in command.read_bytes() for command in commands)


def test_a_service_that_cannot_start_is_one_sentence(project: Path) -> None:
    (project / "actr.toml").write_text('[realm]\nsecret_file = "/nothing/there"\n', "utf-8")
    refused = ended(project)
    assert refused.returncode == Exit.USAGE
    assert "the signaling service ended with status 2 at its start" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


STUBBORN = """
import asyncio
import os
import signal
import subprocess
import sys

from room import Room


class Stubborn(Room):
    async def on_ready(self, ref):
        subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
        if os.path.exists("deaf"):
            asyncio.get_running_loop().call_soon(deafen)
        else:
            os._exit(9)


def deafen():
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        asyncio.get_running_loop().call_later(0.01, deafen)
        return
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().remove_signal_handler(number)
        signal.signal(number, signal.SIG_IGN)
    print("deaf", flush=True)
"""


def test_an_actor_that_leaves_processes_behind_or_does_not_listen_ends_all_the_same(
    project: Path,
) -> None:
    """
    1. It crashes, and a process that it has started holds its output: that is told all the same.
    2. It takes no notice of SIGTERM: asked once more, `actr dev` ends it at once.
    """
    (project / "stubborn.py").write_text(STUBBORN, "utf-8")
    with running(project, "stubborn:Stubborn") as dev:
        dev.until("state", "ended with status 9", state="resting")
        (project / "deaf").touch()
        dev.edit("stubborn.py", "os._exit(9)", "os._exit(8)")
        dev.until("log", "deaf")
        left = [os.pidfd_open(pid) for pid in children_of(dev.process.pid)]
        dev.process.send_signal(signal.SIGINT)
        dev.until("ending")
        assert dev.stop() == Exit.OK
    for process in left:
        assert select.select([process], [], [], 0)[0], "it outlived actr dev"
        os.close(process)


def children_of(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii")
    return [int(child) for child in listed.split()]


def signaling_of(pid: int) -> int:
    (found,) = [
        child
        for child in children_of(pid)
        if b"actr_signaling" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]
    return found


def test_on_a_terminal_there_is_a_table_and_ctrl_c_ends_all(project: Path) -> None:
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover - the child
        os.chdir(project)
        os.execve(DEV[0], DEV, environment() | {"TERM": "xterm"})
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 120, 0, 0))
    seen = b""
    try:
        while "online as" not in plain(seen):
            seen += os.read(terminal, 65536)
        os.write(terminal, b"\x03")
        with suppress(OSError):  # the end of a terminal
            while data := os.read(terminal, 65536):
                seen += data
    finally:
        os.close(terminal)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == Exit.OK
    text = plain(seen)
    assert re.search(rf"● room +{ROOM} +online", text)
    assert "Ctrl-C ends all" in text
    assert "ending all" in text


def plain(written: bytes) -> str:
    """Without what moves the cursor, and colours."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.decode(errors="replace"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [((), "actr new NAME"), (("room",), "write module:name"), (("a:A=0",), "from 1 to")],
)
def test_a_command_line_that_cannot_be_is_one_sentence(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    refused = ended(tmp_path, *arguments)
    assert (refused.returncode, refused.stdout) == (Exit.USAGE, "")
    assert said in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_its_lines_may_go_to_a_pipe_that_is_closed(project: Path) -> None:
    with subprocess.Popen(
        [*DEV],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=project,
        env=environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        # Not the first line where somebody took the usual port in this moment.
        assert any("signaling on ws://127.0.0.1:" in line for line in process.stdout)
        process.stdout.close()
        assert process.wait(timeout=60) == Exit.FAILED
        assert process.stderr.read() == ""
