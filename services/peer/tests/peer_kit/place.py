"""A realm of its own for a test: a signaling service and actors as processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

ROOM = "demo:room@1:default"


def of_this_tree() -> dict[str, str]:
    """What makes a child run the code under test, wherever that is."""
    return {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}


class Place:
    """A realm with its own signaling service, and the environment of its actors."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **of_this_tree(),
            "ACTR_WIRES__LISTEN": "127.0.0.1:0",
            "ACTR_MAILBOX__PATH": "",
            "ACTR_CONTROL__SOCKET": "",
            "ACTR_LOG__FORMAT": "json",
        }
        (folder / "workload.py").write_text("from actr_peer.cli.demo.room import Room\n", "utf-8")

    @contextmanager
    def process(
        self, *arguments: str, stdout: int = subprocess.PIPE, **environment: str
    ) -> Iterator[subprocess.Popen[str]]:
        with subprocess.Popen(
            [sys.executable, "-m", *arguments],
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=self.environment | environment,
        ) as process:
            try:
                yield process
            finally:
                process.terminate()
                process.communicate(timeout=60)

    def shell(self, command: str, **environment: str) -> str:
        """Run lines of a shell to their end; returns what they printed."""
        ended = subprocess.run(
            ["bash", "-ec", command],
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=self.environment | environment,
            timeout=120,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    @contextmanager
    def beside(self, command: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
        """Run lines of a shell for as long as the block, with all that they start."""
        with subprocess.Popen(
            ["bash", "-ec", command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=self.environment | environment,
            start_new_session=True,
        ) as process:
            try:
                yield process
            finally:
                os.killpg(process.pid, signal.SIGTERM)
                process.communicate(timeout=60)

    @contextmanager
    def signaling(self, **environment: str) -> Iterator[str]:
        environment = {"ACTR_SIGNALING__LISTEN": "127.0.0.1:0", **environment}
        with self.process("actr_signaling", **environment) as service:
            self.environment["ACTR_SIGNALING__URL"] = str(line_of(service.stdout, "ready")["url"])
            yield self.environment["ACTR_SIGNALING__URL"]

    @contextmanager
    def room(self, **environment: str) -> Iterator[subprocess.Popen[str]]:
        command = ("actr_peer", "run", "workload:Room")
        with self.process(*command, ACTR_ACTOR__ID=ROOM, **environment) as room:
            self.wait_until_ready(room)
            yield room

    def wait_until_ready(self, actor: subprocess.Popen[str]) -> None:
        line_of(actor.stderr, "actor ready")

    def call(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return self.run("call", *arguments, "-m", "actr.demo.chat_actr", stdin=stdin)

    def run(
        self, *arguments: str, stdin: str | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """One ``actr`` command, to its end."""
        return subprocess.run(
            [sys.executable, "-m", "actr_peer", *arguments],
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=self.environment | environment,
            input=stdin,
            timeout=60,
            check=False,
        )

    def examine(self, *arguments: str, **environment: str) -> Examined:
        """What ``actr doctor`` says."""
        ended = self.run("doctor", *arguments, "--json", **environment)
        assert ended.stdout, ended.stderr
        document = json.loads(ended.stdout)
        rows = {row["step"]: row for row in document["steps"]}
        assert ended.returncode == int(document["failed"] is not None), ended.stderr
        assert [row["step"] for row in rows.values() if row["advice"]] == [
            row["step"] for row in rows.values() if row["result"] == "failed"
        ]
        return Examined(document["failed"], rows)


class Examined(NamedTuple):
    """What ``actr doctor`` has found."""

    failed: str | None
    """The first step that has."""
    rows: dict[str, dict[str, Any]]
    """By the name of their step, in the order in which they were done."""

    @property
    def results(self) -> dict[str, str]:
        return {step: row["result"] for step, row in self.rows.items()}

    @property
    def fault(self) -> tuple[str, str]:
        """What was found, and is advised, of the first step that failed."""
        assert self.failed is not None
        return self.rows[self.failed]["found"], self.rows[self.failed]["advice"]


def line_of(stream: IO[str] | None, event: str) -> dict[str, object]:
    assert stream is not None
    for line in stream:
        sys.stdout.write(line)
        if line.startswith("{") and json.loads(line).get("event", "").startswith(event):
            found: dict[str, object] = json.loads(line)
            return found
    raise AssertionError(f"it ended before {event!r}")
