"""A trial of the wheels as a user has them: an empty environment, outside the tree.

Two actors of one contract meet through the installed service, a type checker reads the installed
types, and at last nothing of ours is left.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path

NAMES = ("actr-peer", "actr-signaling", "actr-proto")
SECONDS = 120.0
"""For one step: what is slower hangs, also on a busy machine."""

CONTRACT = """
syntax = "proto3";
package chat;
import "actr/options.proto";
service Room { rpc Say(Line) returns (Line) { option (actr.payload_type) = RPC_SIGNAL; } }
message Line { string text = 1; }
"""

WORKLOAD = """
from actr_peer import Context
from room_actr import RoomService
from room_pb2 import Line


class Room(RoomService):
    async def say(self, request: Line, ctx: Context, /) -> Line:
        return Line(text=request.text.upper())
"""

PROGRAM = """
import actr_peer
from room_actr import RoomClient
from room_pb2 import Line


async def main() -> None:
    async with actr_peer.connect() as ref:
        room = RoomClient(ref.to("chat:room@1:default"))
        answer: Line = await room.say(Line(text="ann"), timeout=30)
        print(answer.text, actr_peer.__version__)


actr_peer.run(main)
"""


class TrialError(Exception):
    """The wheels are not what they should be; the text says in what."""


@dataclass(frozen=True)
class Place:
    """An environment with the wheels, and a folder beside it that a user works in."""

    environment: Path
    folder: Path
    variables: Mapping[str, str]

    def run(self, *command: str) -> str:
        """Standard output of a program of the environment.

        Raises:
            TrialError: If it fails, or takes longer than ``SECONDS``.
        """
        try:
            ended = subprocess.run(
                command,
                cwd=self.folder,
                env=self.variables,
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise TrialError(f"{' '.join(command)}: {exc}") from exc
        if ended.returncode != 0:
            said = (ended.stderr or ended.stdout).strip()
            raise TrialError(f"{' '.join(command)} ended with {ended.returncode}: {said}")
        return ended.stdout

    @contextmanager
    def background(self, event: str, *command: str) -> Iterator[dict[str, object]]:
        """Run a program until the block ends; enter when it logs ``event``, with that line.

        Raises:
            TrialError: If it ends before, or does not end well.
        """
        with subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                yield _line(process, event)
            finally:
                process.terminate()
                rest, _ = process.communicate(timeout=SECONDS)
        if process.returncode != 0:
            raise TrialError(f"{' '.join(command)} ended with {process.returncode}: {rest}")


def _line(process: subprocess.Popen[str], event: str) -> dict[str, object]:
    said = []
    for line in process.stdout or ():
        said.append(line)
        if line.startswith("{") and json.loads(line).get("event") == event:
            found: dict[str, object] = json.loads(line)
            return found
    raise TrialError(f"it ended before {event!r}: {''.join(said[-10:])}")


def inspect(wheels: Sequence[Path], version: str) -> None:
    """Look into the wheels.

    Raises:
        TrialError: If one lacks what the others or a user need of it, or holds too much.
    """
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as packed:
            names = packed.namelist()
            (described,) = (name for name in names if name.endswith(".dist-info/METADATA"))
            told = HeaderParser().parsestr(packed.read(described).decode())
        for fault in _faults(names, told, version):
            raise TrialError(f"{wheel.name}: {fault}")


def _faults(names: Sequence[str], told: Message, version: str) -> Iterator[str]:
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    ours = {"actr-proto": "actr"}.get(told["Name"], told["Name"].replace("-", "_"))
    if tops != {ours}:
        yield f"it puts {sorted(tops)} beside a user's own names, and should put {ours} only"
    if f"{ours}/py.typed" not in names:
        yield "no py.typed: type checkers would not read its types"
    if not any(name.endswith(".dist-info/licenses/LICENSE") for name in names):
        yield "no licence"
    if told["Version"] != version:
        yield f"version {told['Version']}, others have {version}"
    if not (told["License-Expression"] and told["Classifier"] and told.get_payload()):
        yield "no licence expression, classifiers or README"
    asked = [text for text in told.get_all("Requires-Dist", []) if text.startswith("actr-")]
    loose = [text for text in asked if f"=={version}" not in text]
    if loose:
        yield f"not pinned to this version: {loose}"


def install(place: Place, out: Path) -> set[Path]:
    """Install the pinned packages, then the wheels; return the files that were there between."""
    pip = [sys.executable, "-m", "pip", "--python", str(place.environment / "bin/python")]
    install = [*pip, "install", "--quiet", "--no-compile", "--no-deps", "--require-hashes"]
    ours, others = place.folder / "ours.txt", place.folder / "others.txt"
    lines = (out / "requirements.txt").read_text("utf-8").splitlines(keepends=True)
    ours.write_text("".join(line for line in lines if line.startswith("actr-")), "utf-8")
    others.write_text("".join(line for line in lines if not line.startswith("actr-")), "utf-8")
    place.run(*install, "--requirement", str(others))
    before = files(place)
    place.run(*install, "--no-index", "--find-links", str(out), "--requirement", str(ours))
    place.run(*pip, "check")
    return before


def files(place: Place) -> set[Path]:
    """Every file of the environment that is not compiled from another one."""
    return {
        path
        for path in place.environment.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def use(place: Place, version: str) -> None:
    """Do what a user does first.

    Raises:
        TrialError: If something is other than it should be.
    """
    for name, text in (("room.proto", CONTRACT), ("room.py", WORKLOAD), ("ann.py", PROGRAM)):
        (place.folder / name).write_text(text, "utf-8")
    _same(place.run("actr", "--version"), f"actr {version}\n")
    _same(place.run("actr-signaling", "--version"), f"actr-signaling {version}\n")
    place.run("actr", "gen", "room.proto")
    with place.background("ready", "actr-signaling") as ready:
        there = {**place.variables, "ACTR_SIGNALING__URL": str(ready["url"])}
        place = Place(place.environment, place.folder, there)
        serve = ("actr", "run", "room:Room", "--id", "chat:room@1:default")
        with place.background("actor ready", *serve):
            called = place.run(
                "actr", "call", "chat:room@1:default", "chat.Room/Say", '{"text": "bob"}'
            )
            _same(json.dumps(json.loads(called)), '{"text": "BOB"}')
            _same(place.run("python", "ann.py"), f"ANN {version}\n")
    place.run("actr", "demo", "--size", "small", "--json")


def start_project(place: Place) -> Place:
    """Make a project of a user's own, run it and call it; return the place of the project.

    Raises:
        TrialError: If something of it does not work.
    """
    place.run("actr", "new", "shop")
    project = replace(place, folder=place.folder / "shop")
    with project.background("state", "actr", "dev", "--json") as state:
        _same(f"{state['actor']} is {state['state']}", "dev:shop@1:default is online")
        project.run("python", "caller.py")
    return project


def check_types(place: Place, *paths: str) -> None:
    """Check files of a user with mypy, which is no part of the environment."""
    python = str(place.environment / "bin/python")
    mypy = (sys.executable, "-m", "mypy", "--strict", "--python-executable", python)
    place.run(*mypy, *paths)


def remove(place: Place, before: set[Path]) -> None:
    """Uninstall the three packages.

    Raises:
        TrialError: If a file of theirs is left, or one of others is gone.
    """
    python = str(place.environment / "bin/python")
    place.run(sys.executable, "-m", "pip", "--python", python, "uninstall", "--yes", *NAMES)
    if changed := sorted(map(str, files(place) ^ before)):
        raise TrialError(f"after uninstalling, left or gone: {changed[:5]}")


def _same(found: str, wanted: str) -> None:
    if found != wanted:
        raise TrialError(f"{found!r} where {wanted!r} was expected")


def empty_place(scratch: Path) -> Place:
    """An empty environment below ``scratch``, with the interpreter that runs this."""
    environment, folder = scratch / "environment", scratch / "folder"
    folder.mkdir()
    make = [sys.executable, "-m", "venv", "--without-pip", str(environment)]
    subprocess.run(make, check=True, timeout=SECONDS)
    kept = {key: value for key, value in os.environ.items() if key.startswith(("PIP_", "SSL_"))}
    variables = {
        **kept,
        "PATH": f"{environment / 'bin'}:{os.environ['PATH']}",
        "HOME": os.environ.get("HOME", str(folder)),
        "ACTR_SIGNALING__LISTEN": "127.0.0.1:0",
        "ACTR_SIGNALING__LOG_FORMAT": "json",
        "ACTR_LOG__FORMAT": "json",
    }
    return Place(environment, folder, variables)
