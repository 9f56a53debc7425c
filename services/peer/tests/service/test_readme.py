"""The exchange of README.md, run as it stands there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from peer_kit import ROOT

pytestmark = [pytest.mark.service, pytest.mark.slow]


def blocks(language: str) -> list[str]:
    """Blocks of code of the section on the exchange, in order."""
    text = (ROOT / "README.md").read_text("utf-8").partition("## One exchange in code")[2]
    text = text.partition("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.S | re.M)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A free port in place of the usual one; the scripts of the environment first."""
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "ACTR_SIGNALING__LISTEN": "127.0.0.1:0",
        "ACTR_LOG__FORMAT": "json",
    }


@contextmanager
def background(
    command: str, environment: dict[str, str], folder: Path
) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        ["bash", "-c", f"exec env {command}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=folder,
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.communicate(timeout=30)


def foreground(command: str, environment: dict[str, str], folder: Path) -> str:
    ended = subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        env=environment,
        cwd=folder,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def wait_for(stream: IO[str] | None, event: str) -> dict[str, object]:
    """The first line of JSON with this event."""
    assert stream is not None
    for line in stream:
        sys.stdout.write(line)
        if line.startswith("{") and json.loads(line).get("event") == event:
            found: dict[str, object] = json.loads(line)
            return found
    raise AssertionError(f"it ended before {event!r}")


def test_the_exchange_of_the_readme_works_as_it_is_written(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    """
    1. Write the files of the README and run its commands, on a free port.
    2. Ann's line is answered and comes back; the command line's call is the second line.
    """
    (contract,) = blocks("protobuf")
    workload, ann = blocks("python")
    generate, signaling, room, talk, call = blocks("sh")[0].splitlines()
    for name, text in (("room.proto", contract), ("room.py", workload)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    foreground(generate, environment, tmp_path)

    with background(signaling.removesuffix("&"), environment, tmp_path) as service:
        environment["ACTR_SIGNALING__URL"] = str(wait_for(service.stdout, "ready")["url"])
        (tmp_path / "ann.py").write_text(ann, encoding="utf-8")
        with background(room.removesuffix("&"), environment, tmp_path) as actor:
            wait_for(actor.stderr, "actor ready")
            assert foreground(talk, environment, tmp_path) == "line 1\nann hello\n"
            assert json.loads(foreground(call, environment, tmp_path)) == {"number": "2"}
        assert actor.returncode == 0
